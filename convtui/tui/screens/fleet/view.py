"""What the fleet screen needs to know of a batch, whether it runs here, elsewhere, or is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from convtui.client.engine_client import EngineHandle
    from convtui.client.link import ConversationLink

State = Literal["waiting", "starting", "running", "held", "over", "crashed"]


@dataclass(slots=True)
class FleetRow:
    """One attempt at a conversation of a batch; its texts are raw."""

    key: str
    cell: str
    run: int
    attempt: int = 1
    first: int = 0
    """The index of the conversation's first attempt."""
    persona: str = ""
    provider: str = ""
    state: State = "waiting"
    session: int | None = None
    turn: int | None = None
    side: str = ""
    words: str = ""
    """What was said last."""
    turns: int = 0
    signals: int = 0
    discards: int = 0
    flags: int = 0
    tokens: int | None = None
    cost: float | None = None
    """US dollars."""
    hold: dict[str, Any] | None = None
    """As in a GATE frame."""
    retry_at: float | None = None
    """When a failed call is made again, in seconds since the epoch."""
    why: str = ""
    """What the call failed with."""
    delayed: bool = False
    """Whether code of another conversation blocks its worker."""
    termination: dict[str, Any] | None = None
    reruns: int = 0
    because: str = ""
    """Why it was run again."""
    started: float | None = None
    ended: float | None = None
    """Seconds since the epoch."""
    match: bool | None = None
    """Whether the filter that is set matches it; None where only its log can tell."""
    log: str | None = None
    """The log's file in the batch's folder."""

    @property
    def over(self) -> bool:
        return self.state in ("over", "crashed")

    @property
    def kind(self) -> str:
        """The kind of its ending; empty while it has none."""
        if self.state == "crashed":
            return "crashed"
        return str((self.termination or {}).get("kind", "")) if self.state == "over" else ""

    def seconds(self, now: float) -> float | None:
        """How long it has run, or took; None before it has begun."""
        if self.started is None:
            return None
        return max(0.0, (self.ended if self.ended is not None else now) - self.started)


@dataclass(frozen=True, slots=True)
class Limit:
    """How many calls of an endpoint may run at once, over all workers."""

    endpoint: str
    limit: int | None
    running: int
    waiting: int
    throttled: bool = False
    """Whether the endpoint has said 429 lately."""


@dataclass(frozen=True, slots=True)
class Block:
    """Provider code that blocks a worker, and with it the other conversations there."""

    key: str
    seconds: float
    where: str
    delayed: int
    """The number of conversations that wait for it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The facts of a batch that are not of one conversation."""

    starting: bool = False
    """Whether the batch is still being put together."""
    paused: bool = False
    ending: bool = False
    """Whether it is being ended."""
    stopped: str = ""
    """Why no conversation is started any more."""
    elsewhere: str = ""
    """The process that runs it, if that is another one: `process 7 on host`."""
    most_tokens: int | None = None
    most_cost: float | None = None
    """The budget of the whole batch."""
    at_once: int | None = None
    """How many conversations may run at once."""
    limits: Sequence[Limit] = ()
    blocks: Sequence[Block] = ()
    breaks: Sequence[str] = ()
    """Breakpoints that hold for all conversations."""
    old_code: int = 0
    """Conversations that still run the provider's code from before it was loaded again."""


class OpenHosted(Protocol):
    """Opens the debugger on a conversation that runs; False where there is nothing to open.

    `adopt` gets the engine that the conversation goes on in when it leaves its worker, and says
    whether it is still one of the many.
    """

    def __call__(
        self, link: ConversationLink, *, adopt: Callable[[EngineHandle], bool]
    ) -> bool: ...


class Controls(Protocol):
    """What can be done to a batch that runs here."""

    def pause_all(self) -> None: ...

    def resume_all(self) -> None: ...

    async def end(self, key: str) -> None:
        """Ends one conversation after its turn. Raises `CommandRefused`."""

    async def stop(self) -> None:
        """Starts no new conversation and ends the running ones; returns when all have ended."""

    def kill(self) -> None:
        """Ends every worker at once."""

    async def add_break(self, expression: str) -> None:
        """Sets a breakpoint for all conversations. Raises `CommandRefused`, `FilterError`."""

    async def clear_break(self, expression: str) -> None: ...

    async def reload(self) -> int:
        """Loads the provider's code for conversations that start from now on.

        Returns how many run the old. Raises `CommandRefused`, `EngineError`.
        """

    def filter(self, expression: str) -> None:
        """Sets what `match` of running conversations says; an empty one ends that."""

    def open(self, row: FleetRow) -> bool:
        """Opens the debugger on a running conversation; False where it has none to open."""


class Fleet(Protocol):
    """A batch."""

    name: str
    folder: Path

    @property
    def rows(self) -> list[FleetRow]:
        """In the order of the plan, later attempts after all of them. Rows change in place."""

    @property
    def controls(self) -> Controls | None:
        """None for a batch that does not run here."""

    @property
    def over(self) -> bool:
        """Whether nothing in it changes any more."""

    def start(self) -> None:
        """Begins to follow it, or to run it; on the event loop, after the first frame."""

    def standing(self) -> Standing: ...

    def take_changes(self) -> Sequence[int]:
        """The indices of the rows that have changed since it was last asked; new ones are last."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back on the event loop when something changes; returns what ends that."""

    def close(self) -> None:
        """Stops following."""
