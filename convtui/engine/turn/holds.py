"""Holds on the turn in progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from convtui.engine.calls.calls import Caller
from convtui.engine.calls.retrying import asked_to_wait
from convtui.engine.core.gate import (
    AGAIN,
    FAIL,
    GO,
    PASSED,
    SKIP,
    WAIT,
    Choice,
    Gate,
    Point,
    Release,
)
from convtui.engine.core.journal import Journal
from convtui.engine.turn.outcomes import AskAgain, GivenUp, Skipped
from convtui.errors import ConversationError
from convtui.protocol import describe_error
from convtui.records.models import HoldReason
from convtui.text.boundary import span_of_time


class Holds:
    """Passes the gate at the stages of the turn in progress."""

    def __init__(
        self, journal: Journal, gate: Gate, caller: Caller, redact: Callable[[str], str] = str
    ) -> None:
        self._journal = journal
        self._gate = gate
        self._caller = caller
        self._redact = redact

    @property
    def watched(self) -> bool:
        """Whether somebody can answer."""
        return self._gate.watched

    @property
    def may_hold(self) -> bool:
        """Whether a hold may come at all."""
        return self._gate.may_hold

    @property
    def holds_endings(self) -> bool:
        """Whether every ending holds, so that it can be overridden."""
        return self._gate.watched and self._gate.holds_endings

    @property
    def goes_on_unwatched(self) -> bool:
        """Whether an unattended conversation continues where it would have to hold."""
        return self._gate.on_pause == "continue"

    async def pass_through(
        self,
        stage: str,
        *,
        drafts: Callable[[], list[dict[str, Any]]] = list,
        choices: Sequence[Choice] = (GO,),
        because: HoldReason | None = None,
        detail: str = "",
    ) -> Release:
        """Holds at a stage where that is due; always, given a reason in `because`."""
        if because is None and not self._gate.may_hold:
            return PASSED
        return await self._gate.pass_through(
            self._point(stage), drafts=drafts, choices=choices, because=because, detail=detail
        )

    def stop_for_human(self, stage: str) -> str:
        """Counts a stage as the stop of a pause or a step; see `Gate.stop_for_human()`."""
        return self._gate.stop_for_human(self._point(stage))

    def hold_next(self) -> None:
        """Holds at the next stage, as a step does."""
        self._gate.hold_next()

    async def wait(
        self,
        reason: HoldReason,
        stage: str,
        drafts: list[dict[str, Any]],
        choices: Sequence[Choice],
        *,
        detail: str = "",
        error: dict[str, Any] | None = None,
        unattended: Release | None = None,
    ) -> Release:
        """Holds at a stage; see `Gate.wait()`."""
        return await self._gate.wait(
            reason,
            self._point(stage),
            drafts,
            choices,
            detail=detail,
            error=error,
            unattended=unattended,
        )

    async def on_error(
        self,
        error: ConversationError,
        stage: str,
        drafts: list[dict[str, Any]],
        choices: Sequence[Choice],
    ) -> Release | GivenUp:
        """Holds on an error; raises it when unattended, or when the answer is to let it fail.

        Where the error asks for a wait that is too long to be made automatically, the wait is
        offered as the second choice. The turn is asked for again after it.
        """
        if not self.watched:
            raise error
        seconds = asked_to_wait(error)
        detail = str(error)
        if seconds is not None:
            first, *others = choices
            label = f"wait {span_of_time(seconds)}, then ask again"
            choices = (first, Choice(WAIT.id, label), *others)
        while True:
            release = await self.wait(
                "error",
                stage,
                drafts,
                choices,
                detail=detail,
                error=describe_error(error, redact=self._redact),
            )
            if release.choice == FAIL.id:
                raise error
            if release.choice != WAIT.id or seconds is None:
                return given_up(release) or release
            if await self._caller.wait(seconds, str(error)):
                return AskAgain()
            detail = f"the wait was cancelled: {error}"

    def _point(self, stage: str) -> Point:
        turn = self._journal.current
        return Point(turn.session, turn.turn, stage, turn.side, turn.attempt)


def given_up(release: Release) -> GivenUp | None:
    """The outcome of the answers "ask again" and "skip"; None for any other answer."""
    if release.choice == AGAIN.id:
        return AskAgain(release.edits)
    if release.choice == SKIP.id:
        return Skipped()
    return None
