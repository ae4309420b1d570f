"""Updates the two status lines of the debugger, and the facts in the transcript's frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from convtui.text.counts import counted
from convtui.tui.drawing.frames import UNFRAMED, entitle
from convtui.tui.sources.budget import UsedUpTo
from convtui.tui.widgets import status

if TYPE_CHECKING:
    from convtui.tui.screens.debugger.context import DebuggerContext, ShownConversation
    from convtui.tui.widgets.statusline import StatusLine
    from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class StatusFeed:
    """Shows the state in the top line, and the figures in the bottom line."""

    def __init__(
        self,
        context: DebuggerContext,
        view: TranscriptView,
        lines: tuple[StatusLine, StatusLine],
    ) -> None:
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._top, self._bottom = lines
        self._first: Callable[[], list[str]] = list
        self._more_notes: tuple[Callable[[], list[str]], ...] = ()
        self._facts = ""
        """What stands in the frame of the transcript."""
        self._followups: status.Followups | None = None
        self._used: UsedUpTo | None = None

    def add_notes(
        self, *, first: Callable[[], list[str]], notes: Iterable[Callable[[], list[str]]]
    ) -> None:
        """`first` says which match is selected, `notes` what comes after the figures."""
        self._first = first
        self._more_notes = tuple(notes)

    def show(self) -> None:
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
                followups=self._count_followups(),
                position=conversation.source.limit,
                now=self.now(),
                notes=self.notes(),
                first=self._unframed(),
                used_up_to=self._used_at_cursor(),
            )
        )

    def _unframed(self) -> list[str]:
        """What is said of the view, where the transcript has no frame; else puts it there."""
        said = [*self._first(), *self._view_notes()]
        framed = not self._view.screen.has_class(UNFRAMED)
        facts = " · ".join(said) if framed else ""
        if facts != self._facts:
            self._facts = facts
            entitle(self._view, "transcript", facts)
        return [] if framed else said

    def _used_at_cursor(self) -> Callable[[str], float | None] | None:
        """What was used up to a recording's cursor; None where everything is shown."""
        conversation = self._conversation
        replay, transcript = conversation.replay, conversation.transcript
        if replay is None or replay.position is None:
            return None
        if self._used is None or self._used.transcript is not transcript:
            self._used = UsedUpTo(transcript)
        return partial(self._used.at, index=replay.position, partial=replay.limit_turn)

    def _count_followups(self) -> status.Followups | None:
        scenario, transcript = self._conversation.scenario, self._conversation.transcript
        if status.responder_of(scenario) is None:
            return None
        if self._followups is None or self._followups.transcript is not transcript:
            whole = scenario.get("persona_memory") == "conversation"
            self._followups = status.Followups(transcript, whole=whole)
        return self._followups

    def now(self) -> float | None:
        """The time on the log's own clock: of a live conversation, or at the cursor of a replay."""
        conversation, transcript = self._conversation, self._conversation.transcript
        if conversation.replay is not None:
            return conversation.replay.cursor_time
        handle = conversation.handle
        if handle is None or conversation.over or not transcript.records:
            return None
        return handle.log_time

    def notes(self) -> list[str]:
        return [note for notes in self._more_notes for note in notes()]

    def _view_notes(self) -> list[str]:
        view, conversation = self._view, self._conversation
        notes = []
        if view.mode != "shown":
            notes.append(f"showing {view.mode}")
        if conversation.source.live and not conversation.over and not view.follow:
            notes.append("not following")
        return notes


def damage_notes(conversation: ShownConversation) -> list[str]:
    """The number of damaged places in the log, if any."""
    replay = conversation.replay
    if replay is None or not replay.findings:
        return []
    count = len(replay.findings)
    return [f"{counted(count, 'damaged place')} in the log"]
