"""The two status lines of the debugger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from convtui.tui.screens.debugger.context import DebuggerContext, ShownConversation
from convtui.tui.widgets import status
from convtui.tui.widgets.statusline import StatusLine
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class StatusFeed:
    """Says what is going on in the line at the top, and how far it has come in the other."""

    def __init__(
        self,
        context: DebuggerContext,
        view: TranscriptView,
        lines: tuple[StatusLine, StatusLine],
        *,
        first: Callable[[], list[str]],
        notes: Iterable[Callable[[], list[str]]],
    ) -> None:
        """`first` says what comes before the figures, `notes` what comes after them."""
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._top, self._bottom = lines
        self._first = first
        self._more_notes = tuple(notes)
        self._began: float | None = None
        self._followups: status.Followups | None = None

    def changed_source(self) -> None:
        """Another source is shown."""
        self._began = None

    def show(self) -> None:
        """Brings both lines up to date."""
        conversation = self._conversation
        replay, handle = conversation.replay, conversation.handle
        persona, provider = conversation.sides
        if handle is not None:
            now = status.live_status(
                handle,
                busy_with=conversation.busy_with,
                kill_key=self._context.keymap.shown("run.kill_engine"),
            )
        else:
            assert replay is not None
            now = status.replay_status(replay)
        self._top.show_status(now, persona=persona, provider=provider)
        self._bottom.show_figures(
            status.figures(
                conversation.transcript,
                scenario=conversation.scenario,
                followups=self._counted(),
                position=conversation.source.limit,
                elapsed=self.elapsed(),
                notes=self.notes(),
                first=self._first(),
            )
        )

    def _counted(self) -> status.Followups | None:
        """The follow-ups of the conversation that is shown."""
        scenario, transcript = self._conversation.scenario, self._conversation.transcript
        if status.responder_of(scenario) is None:
            return None
        if self._followups is None or self._followups.transcript is not transcript:
            whole = scenario.get("persona_memory") == "conversation"
            self._followups = status.Followups(transcript, whole=whole)
        return self._followups

    def elapsed(self) -> float | None:
        """Seconds since a conversation that goes on began."""
        transcript = self._conversation.transcript
        going = self._conversation.source.live and not self._conversation.over
        if not going or not transcript.records:
            return None
        if self._began is None:
            self._began = time.monotonic() - transcript.last_t
        return time.monotonic() - self._began

    def notes(self) -> list[str]:
        """What else there is to know of what is shown."""
        return [note for notes in (self._view_notes, *self._more_notes) for note in notes()]

    def _view_notes(self) -> list[str]:
        view, conversation = self._view, self._conversation
        notes = []
        if view.mode != "shown":
            notes.append(f"showing {view.mode}")
        if conversation.source.live and not conversation.over and not view.follow:
            notes.append("not following")
        return notes


def damage_notes(conversation: ShownConversation) -> list[str]:
    """How many damages there are in the log."""
    replay = conversation.replay
    if replay is None or not replay.findings:
        return []
    count = len(replay.findings)
    return [f"{count} damage{'s' if count > 1 else ''} in the log"]
