"""How a conversation ends: the termination of each failure, and the end of the log."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Literal

from convtui.engine.conversation.session_records import SessionRecords
from convtui.engine.core.journal import Journal
from convtui.engine.core.state import ConversationState
from convtui.errors import ConversationError, InterruptedRunError
from convtui.protocol import describe_error
from convtui.records.models import ConversationEnded, Termination, TerminationBy

_BY_CATEGORY: Final[dict[str, TerminationBy]] = {
    "user_simulator": "simulator",
    "responder": "responder",
    "tool": "harness",
}
"""Whose failure an error is; the provider's where its category is not listed."""
_OF_EITHER_SIDE: Final = frozenset({"llm", "provider", "hook"})
"""Categories of errors that are the simulator's on the persona's side."""


class Endings:
    """Makes terminations and closes the log.

    `inherited` counts the turns that the log began with.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        state: ConversationState,
        sessions: SessionRecords,
        redact: Callable[[str], str],
        inherited: int,
    ) -> None:
        self._journal = journal
        self._state = state
        self._sessions = sessions
        self._redact = redact
        self._inherited = inherited
        self._forcing = threading.Lock()

    # --- terminations

    def interrupted(self, by: TerminationBy, reason: str) -> Termination:
        """The run was stopped by a human or by the harness."""
        return Termination(kind="interrupted", by=by, reason=reason, at_turn=self._at_turn)

    def unattended(self, error: InterruptedRunError) -> Termination:
        """The run reached a hold that nobody watches."""
        return Termination(
            kind="interrupted",
            by="harness",
            reason=str(error),
            at_turn=self._at_turn,
            signal=error.signal,
        )

    def failed(self, error: ConversationError) -> Termination:
        """A side, a tool or a hook failed."""
        by = _BY_CATEGORY.get(error.category, "provider")
        if self._journal.current.side == "persona" and error.category in _OF_EITHER_SIDE:
            by = "simulator"
        category = "user_simulator" if by == "simulator" else error.category
        detail = describe_error(error, redact=self._redact)
        return Termination(
            kind="failed",
            by=by,
            reason=self._redact(str(error)).split("\n", 1)[0],
            at_turn=self._at_turn,
            detail={**detail, "category": category},
        )

    def broken(self, reason: str) -> Termination:
        """The engine itself failed."""
        return Termination(
            kind="failed",
            by="harness",
            reason=reason,
            at_turn=self._at_turn,
            detail={"category": "internal"},
        )

    @property
    def _at_turn(self) -> int:
        return self._journal.current.turn or 0

    # --- the end of the log

    def close_log(self, termination: Termination) -> None:
        """Writes how the conversation ended, then the trailer.

        A log that is closed or broken already is left as it is.
        """
        writer = self._journal.writer
        if writer.closed or writer.broken is not None:
            writer.abandon()
            return
        self._write_end(termination)

    def force_close(
        self,
        reason: str,
        *,
        kind: Literal["interrupted", "failed"] = "interrupted",
        by: Literal["human", "harness", "provider"] = "human",
    ) -> None:
        """Closes the log when the event loop cannot: provider code blocks or broke it.

        Thread-safe; the reason of the first call counts. A log without records is deleted.
        """
        writer = self._journal.writer
        with self._forcing:
            if not writer.count:
                writer.abandon()
                writer.path.unlink(missing_ok=True)
            if writer.closed:
                return
            termination = Termination(kind=kind, by=by, reason=reason, at_turn=self._at_turn)
            self._sessions.end_all(termination)
            self._write_end(termination)

    def _write_end(self, termination: Termination) -> None:
        # What was printed last comes before the end.
        self._journal.current.move_to(None)
        self._journal.emit(ConversationEnded(termination=termination.as_dict()))
        self._journal.close(termination.as_dict(), self._totals())

    def _totals(self) -> dict[str, Any]:
        transcript = self._journal.transcript
        return {
            "turns": sum(len(session.turns) for session in self._state.sessions.values()),
            "inherited_turns": self._inherited,
            "discarded": transcript.counts.get("turn.discarded", 0),
            "sessions": len(transcript.sessions),
            "seconds": round(self._journal.writer.now(), 4),
            "usage": {side: totals.as_dict() for side, totals in transcript.totals.items()},
        }
