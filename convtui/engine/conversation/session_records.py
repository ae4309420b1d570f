"""Records where sessions start, end and are skipped."""

from __future__ import annotations

from convtui.engine.core.journal import Journal
from convtui.engine.core.state import ConversationState, SessionState
from convtui.records.models import SessionEnded, SessionStarted, Termination


class SessionRecords:
    """Writes `session.started` and `session.ended`, and keeps the current address in step."""

    def __init__(self, journal: Journal, state: ConversationState) -> None:
        self._journal = journal
        self._state = state
        self._started_at = 0.0

    def start(self, session: SessionState, *, continued: bool) -> None:
        """Records that a session starts, or goes on from the parent log."""
        self._journal.current.move_to(session.index)
        self._started_at = self._journal.writer.now()
        self._journal.emit(
            SessionStarted(
                session=session.index,
                session_type=session.session_type,
                first_speaker=session.first_speaker,
                max_turns=self._state.cap(session),
                continued=continued or None,
            )
        )

    def end(self, session: SessionState, termination: Termination) -> None:
        """Records how a session ended; none is open afterwards."""
        self._journal.emit(
            SessionEnded(
                session=session.index,
                session_type=session.session_type,
                termination=termination.as_dict(),
                turns=len(session.turns),
                duration=round(self._journal.writer.now() - self._started_at, 4),
            )
        )
        self._state.current = None
        self._journal.current.move_to(self._journal.current.session)

    def end_all(self, termination: Termination) -> None:
        """Ends the open session, if any, and skips those after it."""
        if self._journal.writer.broken is not None:
            return
        session = self._state.current
        index = 0
        if session is not None and not self._has_ended(session):
            index = session.index
            self.end(session, termination)
        elif self._state.sessions:
            index = max(self._state.sessions)
        self.skip_after(index, f"the conversation ended: {termination.kind}")

    def _has_ended(self, session: SessionState) -> bool:
        return any(
            recorded.termination and recorded.index == session.index
            for recorded in self._journal.transcript.sessions
        )

    def skip_after(self, index: int, reason: str) -> None:
        """Records that the sessions after session `index` are skipped."""
        for number, session_type in enumerate(self._state.prepared, 1):
            if number > index and number not in self._state.sessions:
                self._journal.emit(
                    SessionEnded(session=number, session_type=session_type, skipped=reason)
                )
