"""What one turn is made of, and what all its parts work on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from convtui.engine.calls.calls import Caller
from convtui.engine.calls.retrying import asked_to_wait
from convtui.engine.core.edits import Edits
from convtui.engine.core.gate import (
    AGAIN,
    FAIL,
    RETRY,
    SKIP,
    SUPPLY,
    WAIT,
    Choice,
    Gate,
    Point,
    Release,
)
from convtui.engine.core.journal import Journal
from convtui.engine.core.state import ConversationState
from convtui.engine.tools.tools import Toolbox
from convtui.errors import ConversationError
from convtui.models.base import Message, Reply
from convtui.protocol import describe_error
from convtui.providers.base import Provider
from convtui.records.interim import Interim, interim_in
from convtui.records.models import Termination, Warned
from convtui.scenario.scenario import Scenario
from convtui.simulators.base import EndConversation, UserAction, UserSimulator
from convtui.text.boundary import span_of_time
from convtui.text_checks.reading import Noticed
from convtui.text_checks.text_checks import TextChecks, notice_leak, notice_role


@dataclass(slots=True)
class Utterance:
    """What somebody said, before the pipeline."""

    raw: str
    human: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    then: EndConversation | None = None
    truncated: bool = False
    draft: Literal["sent", "edited", "replaced"] | None = None
    """What a human did with the draft that there was."""
    incomplete: str = ""
    """Why the reply did not come to its end."""
    finish_reason: str | None = None
    parts: tuple[str, ...] = ()
    """The types of what came beside the text."""

    @property
    def interim(self) -> tuple[Interim, ...]:
        """What was said beside the tool calls of earlier rounds."""
        return interim_in(self.messages)


def part_types(reply: Reply) -> tuple[str, ...]:
    """The types of the parts of a reply that are no text, each once."""
    return tuple(dict.fromkeys(str(part.get("type")) for part in reply.parts))


@dataclass(slots=True, frozen=True)
class TurnResult:
    """How a turn came out: who goes on, or why the session ends."""

    result: Literal["commit", "retry", "skip", "end"]
    termination: Termination | None = None


class AskAgainError(Exception):
    """The turn begins again: another attempt, with other `params` where some were given."""

    def __init__(self, params: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.params = dict(params or {})


class TakenBackError(Exception):
    """What was edited at stage `response` was taken back: the turn goes on from there."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.told = told


class EndsAfterAllError(Exception):
    """The override of an ending was taken back."""

    def __init__(self, termination: Termination) -> None:
        super().__init__()
        self.termination = termination


class SkipTurnError(Exception):
    """The turn is given up without being said."""


@dataclass(slots=True)
class TurnContext:
    """What lies between the parts of a turn: journal, gate, both sides."""

    journal: Journal
    gate: Gate
    caller: Caller
    state: ConversationState
    provider: Provider
    simulator: UserSimulator
    toolbox: Toolbox
    redact: Callable[[str], str] = str
    noticer: TextChecks = field(init=False)
    edits: Edits = field(init=False)
    """What was edited by hand in the turn in progress."""
    reconsider: Callable[[str], Awaitable[Utterance | UserAction]] | None = None
    """Holds at stage `response` of the turn in progress again, with what was there before it was
    edited; given what to say of it."""
    params: dict[str, Any] = field(default_factory=dict)
    """Parameters with which this attempt is asked for, laid over the side's own."""
    overridden: tuple[int, Termination, dict[str, Any]] | None = None
    """The ending that was overridden last, while nobody was asked since: `seq` of the record, the
    ending, and the place it was at."""

    def __post_init__(self) -> None:
        self.edits = Edits(self.journal)
        simulator, scenario = self.simulator, self.scenario
        sentinels = (
            simulator.end_sentinel,
            scenario.termination_signal,
            *simulator.termination_signals,
        )
        names = {"persona": simulator.name, "provider": self.provider.name}
        self.noticer = TextChecks(sentinels=sentinels, names=names)

    @property
    def scenario(self) -> Scenario:
        """The scenario that is being run."""
        return self.state.scenario

    def answer_common(self, release: Release) -> None:
        """The answers that every hold on a turn may have: ask again, skip."""
        if release.choice == AGAIN.id:
            params = release.edits.get("params")
            raise AskAgainError(params if isinstance(params, dict) else None)
        if release.choice == SKIP.id:
            raise SkipTurnError

    async def failed(
        self,
        error: ConversationError,
        *,
        stage: str = "response",
        drafts: list[dict[str, Any]] | None = None,
    ) -> Release:
        """Something failed: holds, or lets it fail when nobody watches."""
        if not self.gate.watched:
            raise error
        again = RETRY if stage not in ("request", "response") else AGAIN
        choices = (again, SUPPLY, SKIP, FAIL) if again is AGAIN else (again, SUPPLY, AGAIN, FAIL)
        release = await self.hold_on(
            error,
            stage,
            drafts or [{"field": "raw", "label": "raw reply", "text": ""}],
            choices,
        )
        if release.choice == FAIL.id:
            raise error
        return release

    def noticed(
        self,
        session: int,
        speaker: str,
        text: str,
        interim: Sequence[Interim],
        *,
        remember: bool = True,
    ) -> list[Noticed]:
        """What is to be noticed about a text, and about what was said beside its tool calls."""
        entries = self.noticer.notice(session, speaker, text, remember=remember)
        for part in interim:
            # "One moment, please" may be said in every turn: repetitions are not looked for.
            for entry in (notice_role(speaker, part.text), notice_leak(part.text)):
                if entry is not None:
                    entries.append({**entry, "round": part.round})
        return entries

    async def hold_on(
        self,
        error: ConversationError,
        stage: str,
        drafts: list[dict[str, Any]],
        choices: Sequence[Choice],
    ) -> Release:
        """Holds on an error; where a wait was asked for that is too long, it may be waited here.

        What follows such a wait is that the turn is asked for again.
        """
        asked = asked_to_wait(error)
        detail = str(error)
        if asked is not None:
            first, *others = choices
            label = f"wait {span_of_time(asked)}, then ask again"
            choices = (first, Choice(WAIT.id, label), *others)
        while True:
            release = await self.gate.wait(
                "error",
                self.point(stage),
                drafts,
                choices,
                detail=detail,
                error=describe_error(error, redact=self.redact),
            )
            if release.choice != WAIT.id or asked is None:
                return release
            if await self.caller.wait(asked, str(error)):
                return Release(AGAIN.id)
            detail = f"the wait was cancelled: {error}"

    def warn(self, code: str, message: str) -> None:
        """Records a warning on the turn in progress."""
        self.journal.emit_here(Warned, code=code, message=message)

    def point(self, stage: str) -> Point:
        """A stage of the turn in progress."""
        place = self.journal.place
        return Point(place.session, place.turn, stage, place.side, place.attempt)

    @property
    def number(self) -> int:
        """The number of the turn in progress."""
        return self.journal.place.turn or 0
