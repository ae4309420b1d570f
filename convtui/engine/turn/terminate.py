"""Stage `terminate`: the reason why a session ends, and the hold before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convtui.engine.core.edits import Edits
from convtui.engine.core.gate import END, OVERRIDE, UNDO, Choice
from convtui.engine.turn.context import TurnContext
from convtui.engine.turn.outcomes import Ended, TakenBack
from convtui.engine.turn.utterance import UserEnding
from convtui.errors import InterruptedRunError
from convtui.records.models import DebugOverrode, Termination
from convtui.simulators.base import CapExhausted, EndConversation, Stop
from convtui.transcript.ending_words import ending_phrase


@dataclass(slots=True, frozen=True)
class _Overridden:
    """An overridden ending."""

    seq: int
    """Of the record of the override."""
    termination: Termination
    turn: Mapping[str, Any]
    """The envelope fields of the turn that would have been the last."""


class TerminateStage:
    """Holds every ending in the debugger, where it can be overridden.

    An override can be undone until a side is asked again.
    """

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self._overridden: _Overridden | None = None

    async def passed(self, termination: Termination, edits: Edits) -> Ended | TakenBack | None:
        """Holds an ending; None when it is overridden and the conversation goes on.

        Raises `InterruptedRunError` for a signal that pauses, when unattended.
        """
        holds = self._context.holds
        pauses = self._pauses(termination.signal)
        if not holds.watched:
            return self._unwatched(termination, pauses=pauses)
        if not (pauses or holds.holds_endings):
            return Ended(termination)
        release = await holds.wait(
            "ending",
            "terminate",
            [{"field": "termination", "label": "ending", "text": termination.reason}],
            (END, OVERRIDE, *edits.choices),
            detail=f"{ending_phrase(termination.kind, termination.by)}: {termination.reason}",
        )
        if release.choice == UNDO.id:
            edit = edits.undo()
            edits.forget_undone()
            return TakenBack(edit.undone)
        if release.choice == OVERRIDE.id:
            journal = self._context.journal
            seq = journal.emit_here(
                DebugOverrode, what="ending", before=termination.as_dict(), after=None
            )
            self._overridden = _Overridden(seq, termination, journal.current.fields())
            return None
        return Ended(termination)

    def _pauses(self, signal: str | None) -> bool:
        return signal is not None and self._context.scenario.signal_action(signal) == "pause"

    def _unwatched(self, termination: Termination, *, pauses: bool) -> Ended | None:
        if not pauses:
            return Ended(termination)
        if self._context.holds.goes_on_unwatched:
            return None
        signal = termination.signal
        raise InterruptedRunError(f"signal {signal} pauses (on_signal)", signal)

    # --- undone at the next request

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Further choices of the hold at the next request."""
        if self._overridden is None:
            return ()
        return (Choice(UNDO.id, "undo the override of the ending"),)

    def undo(self) -> Ended:
        """Undoes the override of the last ending."""
        last = self._overridden
        assert last is not None
        self._overridden = None
        self._context.journal.emit(
            DebugOverrode(
                **last.turn,
                what="ending",
                before=None,
                after=last.termination.as_dict(),
                undoes=last.seq,
            )
        )
        return Ended(last.termination)

    def seal(self) -> None:
        """Makes the override final, because a side is asked."""
        self._overridden = None


def termination_of(action: UserEnding, at_turn: int) -> Termination:
    """The termination of a session that the simulated user ends after turn `at_turn`."""
    if isinstance(action, EndConversation):
        return user_is_done(action.reason, action.sentinel or None, at_turn)
    if isinstance(action, CapExhausted):
        return Termination(
            kind="cap_exhausted",
            by="responder",
            reason=action.reason,
            at_turn=at_turn,
            detail=_would_have_decided(action),
        )
    return Termination(
        kind="stopped" if isinstance(action, Stop) else "abstained",
        by=action.by,
        reason=action.reason,
        at_turn=at_turn,
    )


def user_is_done(reason: str, sentinel: str | None, at_turn: int) -> Termination:
    """The termination when the simulated user says that it is done."""
    return Termination(
        kind="completed", by="simulator", reason=reason, at_turn=at_turn, signal=sentinel
    )


def _would_have_decided(action: CapExhausted) -> dict[str, Any] | None:
    """What a responder without follow-ups would have decided, for the record of the ending."""
    decision = action.decision
    if decision is None:
        return None
    fields = {"kind": decision.kind, "arguments": decision.arguments, "reason": decision.reason}
    return {"would_have_decided": {name: value for name, value in fields.items() if value}}
