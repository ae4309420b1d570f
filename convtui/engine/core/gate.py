"""The gate: the one place where a conversation waits.

Pause, step, breakpoint, error, budget, take-over and ending are reasons of a hold; a hold is
answered by a release. The engine asks `pass_through()` at every stage and awaits nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from convtui.engine.core.journal import Journal
from convtui.errors import CommandRefused, InterruptedRunError
from convtui.records.models import STAGES, DebugHeld, DebugReleased, HoldReason, RecordDict

GateState = Literal["running", "pausing", "held", "closed"]
RunMode = Literal["run", "pause", "step_turn", "step_stage"]


@dataclass(slots=True, frozen=True)
class Choice:
    """One way to answer a hold."""

    id: str
    label: str


GO = Choice("go", "go on")
EDIT = Choice("edit", "edit")
DENY = Choice("deny", "deny")
AGAIN = Choice("again", "ask again")
SKIP = Choice("skip", "skip this turn")
SUPPLY = Choice("supply", "write it by hand")
RETRY = Choice("retry", "try again")
WAIT = Choice("wait", "wait, then ask again")
FAIL = Choice("fail", "let it fail")
KEEP = Choice("keep", "keep it")
OVERRIDE = Choice("override", "override")
END = Choice("end", "let it end")
SAY = Choice("say", "say it")
SIMULATE = Choice("simulate", "let the simulator speak")
HAND_BACK = Choice("hand_back", "hand back")
RAISE = Choice("raise", "raise the budget")
DRAFT = Choice("draft", "have a draft made")
REPLY = Choice("reply", "reply by hand")
STOP = Choice("stop", "stop by hand")
ABSTAIN = Choice("abstain", "abstain by hand")
REPLAY = Choice("replay", "replay the conversation into it")
CONTINUE = Choice("continue", "go on without")
WITHOUT_STATE = Choice("continue", "go on without its state")
UNDO = Choice("undo", "undo")
REDO = Choice("redo", "redo")


@dataclass(slots=True, frozen=True)
class Point:
    """A stage of a turn, as the gate knows it."""

    session: int | None
    turn: int | None
    stage: str
    side: str | None = None
    attempt: int | None = None

    @property
    def of_turn(self) -> tuple[int | None, int | None, int | None]:
        """Identifies the turn and attempt."""
        return (self.session, self.turn, self.attempt)


@dataclass(slots=True, frozen=True)
class Release:
    """The answer to a hold; `edits` maps a draft's field to its new text."""

    choice: str
    edits: dict[str, Any] = field(default_factory=dict)
    by: Literal["human", "policy"] = "human"
    held: tuple[HoldReason, str] | None = None
    """The reason and the detail of the hold that it answers; None where nothing was held."""


PASSED = Release("go", by="policy")


@dataclass(slots=True)
class Hold:
    """A wait in progress."""

    number: int
    reason: HoldReason
    point: Point
    choices: tuple[Choice, ...]
    answer: asyncio.Future[Release]
    record: RecordDict


class Gate:
    """Decides where to hold, waits there, and takes the answer.

    `watched` says whether somebody is there to answer; without one `policy` decides. `publish` is
    called with the state and the hold's record whenever either changes. `breaks` is asked at each
    stage for a breakpoint that fires there and answers with its text, or None; `may_break` says
    whether there are any. `paused` holds at
    the first stage, or at the first from stage `not_before` on; `paused_because` is said there.
    `waits` is called when a hold begins to wait for its answer; it may cancel the conversation.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        watched: bool,
        on_pause: str = "end",
        publish: Callable[[GateState, RecordDict | None], None] = lambda state, hold: None,
        breaks: Callable[[Point], str | None] = lambda point: None,
        may_break: Callable[[], bool] = lambda: True,
        paused: bool = False,
        paused_because: str = "",
        not_before: str | None = None,
        holds_endings: bool = True,
        waits: Callable[[], None] = lambda: None,
    ) -> None:
        self._journal = journal
        self._not_before = STAGES.index(not_before) if not_before in STAGES else None
        self.watched = watched
        self.holds_endings = holds_endings
        """Whether every ending holds where it is watched."""
        self.on_pause = on_pause
        self._publish = publish
        self._waits = waits
        self._breaks = breaks
        self._may_break = may_break
        self._mode: RunMode = "pause" if paused else "run"
        self._paused_because = paused_because
        self._stepped_from: tuple[int | None, int | None, int | None] | None = None
        self._holds = 0
        self.hold: Hold | None = None
        self.state: GateState = "running"

    @property
    def may_hold(self) -> bool:
        """Whether a hold may come at all: somebody watches, or there are breakpoints."""
        return self.watched or self._may_break()

    # --- the engine's side

    async def pass_through(
        self,
        point: Point,
        *,
        drafts: Callable[[], list[dict[str, Any]]] = list,
        choices: Sequence[Choice] = (GO,),
        because: HoldReason | None = None,
        detail: str = "",
    ) -> Release:
        """Holds until released where that is due; always, given a reason in `because`."""
        reason, text = (because, detail) if because else self._wants_hold(point)
        if reason is None:
            return PASSED
        release = await self.wait(reason, point, drafts(), choices, detail=text)
        decides = reason in ("breakpoint", "tool_approval")
        if decides and not self.watched and self.on_pause != "continue":
            raise InterruptedRunError(text)
        return release

    def stop_for_human(self, point: Point) -> str:
        """Counts a stage at which a human is asked as the stop of a pause or a step.

        Returns the breakpoint that fires there, or an empty string.
        """
        broke = self._breaks(point) or ""
        if not self._is_before(point):
            if self._mode == "pause":
                self._mode = "run"
            self._stepped_from = point.of_turn
        return broke

    def hold_next(self) -> None:
        """Holds at the next stage, as a step does."""
        self._mode = "step_stage"

    def _wants_hold(self, point: Point) -> tuple[HoldReason | None, str]:
        broke = self._breaks(point)
        if broke is not None:
            return "breakpoint", broke
        if not self.watched or self._is_before(point):
            return None, ""
        if self._mode == "pause":
            because, self._paused_because = self._paused_because, ""
            return "pause", because
        if self._mode == "step_stage":
            return "step", ""
        if self._mode == "step_turn" and point.of_turn != self._stepped_from:
            return "step", ""
        return None, ""

    def _is_before(self, point: Point) -> bool:
        """Whether `point` comes before the first stage that may be held."""
        if self._not_before is None:
            return False
        if point.stage in STAGES and STAGES.index(point.stage) < self._not_before:
            return True
        self._not_before = None
        return False

    async def wait(
        self,
        reason: HoldReason,
        point: Point,
        drafts: list[dict[str, Any]],
        choices: Sequence[Choice],
        *,
        detail: str = "",
        error: dict[str, Any] | None = None,
        unattended: Release | None = None,
    ) -> Release:
        """Holds here and waits for the answer.

        With nobody watching the answer is `unattended`, by default the first choice.
        """
        self._holds += 1
        number = self._holds
        seq = self._journal.emit(
            DebugHeld(
                session=point.session,
                turn=point.turn,
                side=point.side,
                attempt=point.attempt,
                hold=number,
                reason=reason,
                stage=point.stage,
                detail=detail,
                drafts=drafts,
                choices=[{"id": choice.id, "label": choice.label} for choice in choices],
                error=error,
            )
        )
        if self.watched:
            release = await self._wait_for_answer(number, reason, point, tuple(choices), seq)
            release = self._with_secrets(release, drafts)
        else:
            release = unattended or Release(choices[0].id, by="policy")
        release = replace(release, held=(reason, detail))
        self._journal.emit(
            DebugReleased(
                session=point.session,
                turn=point.turn,
                side=point.side,
                attempt=point.attempt,
                hold=number,
                choice=release.choice,
                by=release.by,
            )
        )
        return release

    def _with_secrets(self, release: Release, drafts: list[dict[str, Any]]) -> Release:
        """The answer, with the secrets put back that its drafts had masked."""
        texts = {draft.get("field"): draft.get("text") for draft in drafts}
        edits = dict(release.edits)
        for name, edited in edits.items():
            text = texts.get(name)
            if isinstance(edited, str) and isinstance(text, str):
                edits[name] = self._journal.restored(edited, text)
        return replace(release, edits=edits)

    async def _wait_for_answer(
        self,
        number: int,
        reason: HoldReason,
        point: Point,
        choices: tuple[Choice, ...],
        seq: int,
    ) -> Release:
        answer: asyncio.Future[Release] = asyncio.get_running_loop().create_future()
        record = self._journal.transcript.hold or {"hold": number, "seq": seq}
        self.hold = Hold(number, reason, point, choices, answer, record)
        self._set("held")
        self._waits()
        try:
            return await answer
        finally:
            self.hold = None
            self._set("pausing" if self._mode == "pause" else "running")

    def _set(self, state: GateState) -> None:
        self.state = state
        self._publish(state, self.hold.record if self.hold else None)

    def close(self) -> None:
        """Ends the gate: nothing holds any more."""
        self.state = "closed"

    # --- the debugger's side

    def pause(self) -> None:
        """Holds at the next stage; a call in flight goes on."""
        self._refuse_when_closed()
        if self.state == "held":
            raise CommandRefused("it is held already")
        self._mode = "pause"
        self._paused_because = ""
        self._set("pausing")

    def _refuse_when_closed(self) -> None:
        if self.state == "closed":
            raise CommandRefused("the conversation is over")

    def go(self, mode: RunMode) -> None:
        """Runs, or steps. Answers the hold that is there when its first choice is to go on.

        Raises `CommandRefused` when the hold needs a decision.
        """
        hold = self.hold
        if hold is None:
            self._refuse_when_closed()
            self._mode = mode
            turn = self._journal.current
            self._stepped_from = (turn.session, turn.turn, turn.attempt)
            if self.state == "pausing" and mode == "run":
                self._set("running")
            return
        if hold.reason not in ("pause", "step", "breakpoint", "ending"):
            raise CommandRefused(
                f"this hold needs a decision ({hold.reason}): choose "
                + ", ".join(choice.label for choice in hold.choices)
            )
        self._mode = mode
        self._stepped_from = hold.point.of_turn
        self._answer(hold, Release(hold.choices[0].id))

    def release(self, number: int, choice: str, edits: dict[str, Any]) -> None:
        """Answers a hold by its number.

        Raises `CommandRefused` for an old hold or a choice that it does not offer.
        """
        hold = self.hold
        if hold is None or hold.number != number:
            raise CommandRefused("that hold is over")
        if choice not in {offered.id for offered in hold.choices}:
            offered = ", ".join(offer.id for offer in hold.choices)
            raise CommandRefused(f"this hold does not offer {choice!r}; it offers {offered}")
        # An answer to a hold that a pause or a step made means "and then run", except for what
        # holds again by itself.
        if choice in (GO.id, END.id) and hold.reason in ("pause", "step", "breakpoint", "ending"):
            self._mode = "run"
        self._answer(hold, Release(choice, dict(edits)))

    @staticmethod
    def _answer(hold: Hold, release: Release) -> None:
        if not hold.answer.done():
            hold.answer.set_result(release)
