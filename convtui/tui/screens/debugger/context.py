"""What the controllers of the debugger are given: the conversation, and what a screen does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convtui.actions.registry import Keymap
from convtui.errors import CommandRefused
from convtui.records.codec import RecordDict
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Transcript, Turn
from convtui.tui.screens.screen_context import AskScreen, Notify, OpenScreen, Spawn
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.sources.source import Source
from convtui.tui.widgets import status

if TYPE_CHECKING:
    from convtui.client.engine_client import EngineHandle
    from convtui.tui.sources.run import LiveRun


class ShownConversation:
    """The conversation on the screen. It is one of `run`, or recorded and `run` is None.

    `source` changes when the run goes on in another engine.
    """

    def __init__(self, source: Source, run: LiveRun | None = None) -> None:
        self.source = source
        self.run = run
        self.busy_with = ""
        """What the conversation has to wait for, in words for the status line."""
        self.cancel_busy: Callable[[], object] | None = None
        """Cancels that, where it can be cancelled."""

    @property
    def handle(self) -> EngineHandle | None:
        """The engine that runs now."""
        return self.run.handle if self.run is not None else None

    @property
    def replay(self) -> ReplaySource | None:
        """The recording, when one is shown."""
        return self.source if isinstance(self.source, ReplaySource) else None

    @property
    def transcript(self) -> Transcript:
        """The fold that is shown."""
        return self.source.transcript

    @property
    def has_turns(self) -> bool:
        """Whether there is a turn to look at."""
        return bool(self.transcript.turns)

    @property
    def hold(self) -> RecordDict | None:
        """What the engine waits for, when it can still be answered."""
        handle = self.handle
        return None if handle is None or handle.over else handle.hold

    @property
    def over(self) -> bool:
        """Whether the live conversation has ended, one way or another."""
        handle = self.handle
        return handle is not None and handle.over

    @property
    def going(self) -> bool:
        """Whether there is a live conversation that has not ended."""
        return self.run is not None and not self.over

    @property
    def dead(self) -> bool:
        """Whether the engine ended without closing its log."""
        handle = self.handle
        return handle is not None and handle.state.value == "dead"

    @property
    def scenario(self) -> dict[str, Any]:
        """The scenario that the log names; empty until it has a header."""
        scenario = self.transcript.header.get("scenario")
        return scenario if isinstance(scenario, dict) else {}

    @property
    def sides(self) -> tuple[str, str]:
        """The names of persona and provider."""
        return status.sides(self.transcript, self.run.spec if self.run is not None else None)

    @property
    def provider_name(self) -> str:
        """The provider's name for titles."""
        return visible_line(self.sides[1], 60)

    @property
    def speaks_for(self) -> str:
        """The side whose turn it is, when a human is to speak; empty otherwise."""
        hold = self.hold
        if hold is None or hold.get("reason") != "human":
            return ""
        return "provider" if hold.get("side") == "provider" else "persona"

    @property
    def deciding(self) -> bool:
        """Whether a responder decides in this conversation."""
        return status.responder_of(self.scenario) is not None or (
            "user.decided" in self.transcript.counts
        )


WriteOutside = Callable[[str], Awaitable[str | None]]
"""A text as it comes back from the user's editor; None when it is the same, or told why."""
Attach = Callable[["LiveRun"], None]
"""Shows the engine that a run has now."""


@dataclass(frozen=True, slots=True)
class DebuggerContext:
    """What every controller may ask of the screen."""

    conversation: ShownConversation
    keymap: Keymap
    selected: Callable[[], Turn | None]
    """The selected turn, as it is shown."""
    notify: Notify
    repaint: Callable[[], None]
    spawn: Spawn
    ask: AskScreen
    open: OpenScreen
    mounted: Callable[[], bool]
    """Whether there is still a screen to show something on."""

    async def send(self, do: str, **arguments: object) -> bool:
        """Sends a command to the engine; a refusal is told. Whether it was carried out."""
        handle = self.conversation.handle
        if handle is None:
            return False
        try:
            await handle.command(do, **arguments)
        except CommandRefused as refused:
            self.refused(refused)
            return False
        return True

    def refused(self, refused: CommandRefused) -> None:
        """Tells why the engine did not do it."""
        text = str(refused)
        self.notify(f"{text[:1].upper()}{text[1:]}.", "warning")

    def blocked(self) -> bool:
        """Whether something is being done that the conversation has to wait for; tells of it."""
        busy_with = self.conversation.busy_with
        if busy_with:
            self.notify(f"Not now: {busy_with}.")
        return bool(busy_with)
