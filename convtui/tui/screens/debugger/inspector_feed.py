"""Feeds the inspector with the selected turn, read from the log on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from convtui.errors import LogError
from convtui.log.detail import Call, TurnDetail
from convtui.log.tool_uses import ToolUse, waiting_uses
from convtui.transcript.fold import Flag, Turn
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.debugger.repaints import Repaints
from convtui.tui.screens.debugger.turn_notes import TurnNotes
from convtui.tui.sources.break_marks import BreakMark
from convtui.tui.sources.budget import current_limits
from convtui.tui.sources.details import DetailCache
from convtui.tui.widgets import status
from convtui.tui.widgets.inspector.context import DECISION, Context
from convtui.tui.widgets.inspector.drift import drift_of
from convtui.tui.widgets.inspector.inspector import Inspector
from convtui.tui.widgets.transcript.marks import TurnExtras, extras_of
from convtui.tui.widgets.transcript.note_marks import has_row
from convtui.tui.widgets.transcript.transcript_view import Mode

MAX_TURNS_BACK = 40
"""Turns to search backwards for the last call of the responder."""

_HAS_EXTRAS = int(
    Flag.SIGNAL
    | Flag.DISCARDED
    | Flag.CHANGED
    | Flag.TOOL
    | Flag.TOOL_ERROR
    | Flag.DECISION
    | Flag.OUTPUT
    | Flag.RETRY
    | Flag.HUMAN
)
"""Flags of turns whose records say more than the transcript does."""
_NO_DETAIL = TurnDetail(0, 0, "", [])


class Results(Protocol):
    """Tool results shown in full."""

    def of(self, turn: Turn, log: Path | None) -> dict[int, tuple[str, str]]:
        """The full results of a turn by number, each as (problem, text)."""

    def key_hint(self, turn: Turn | None) -> str:
        """What the key does for a turn now."""


class InspectorFeed:
    """Fills the inspector, and gives the transcript what only the log has."""

    def __init__(
        self,
        context: DebuggerContext,
        inspector: Inspector,
        notes: TurnNotes,
        *,
        results: Results,
        breakpoint: Callable[[Turn], BreakMark | None],
        lineage: Callable[[], list[tuple[str, str, str]]],
        shown: Callable[[], bool],
        loaded: Callable[[], None],
        frames: Callable[[Callable[[], None]], Repaints],
    ) -> None:
        """`lineage` gives the Meta tab's rows on the parent log.

        `shown` says whether the inspector is visible; `loaded` draws, with the next frame, what has
        been read of a turn; `frames` has something done with the next one.
        """
        self._context = context
        self._conversation = context.conversation
        self._inspector = inspector
        self._notes = notes
        self._whole = results
        self._breakpoint = breakpoint
        self._lineage = lineage
        self._shown = shown
        self._loaded = loaded
        self._frames = frames(self._refresh_with_frame)
        self._details = DetailCache(context.conversation.source, self._detail_loaded)
        self._messages: dict[tuple[Path | None, int], list[Any] | str] = {}
        """By log and call; a string says why there are none yet."""

    @property
    def reading(self) -> bool:
        """Whether a requested read has not finished."""
        return self._details.reading

    def reset(self) -> None:
        """Starts over with another source."""
        self._details.close()
        self._details = DetailCache(self._conversation.source, self._detail_loaded)
        self._messages.clear()

    def close(self) -> None:
        self._details.close()

    def refresh(self) -> None:
        """Shows what is known of the selected turn; the rest follows when it has been read."""
        if not self._shown():
            return
        turn = self._context.selected()
        detail = self._detail(turn) if turn is not None else None
        inspector = self._inspector
        held = self._conversation.hold
        held_here = held is not None and turn is not None and held.get("turn") == turn.number
        transcript, scenario = self._conversation.transcript, self._conversation.scenario
        setup = next((r for r in transcript.lifecycle if r.get("type") == "provider.setup"), {})
        hooks = setup.get("hooks")
        responder_turn = None
        if self._conversation.deciding and turn is not None and inspector.tab == DECISION:
            responder_turn = self._last_responder_turn(turn, detail)
        path = self._conversation.source.path
        inspector.show(
            detail,
            turn,
            Context(
                messages=partial(
                    self._call_messages, log=(responder_turn or detail or _NO_DETAIL).log
                ),
                totals=transcript.totals,
                inherited=transcript.inherited,
                limits=current_limits(transcript, scenario),
                whole=self._whole.of(turn, detail.log) if turn and detail else {},
                whole_key=self._whole.key_hint(turn),
                lineage=self._lineage(),
                log_file=str(path) if path is not None else "",
                conversation=transcript.id,
                hold=held if held_here else None,
                hooks=hooks if isinstance(hooks, dict) else {},
                copy_keys=self._copy_keys(),
                simulator=status.simulator_of(scenario),
                deciding=self._conversation.deciding,
                responder_detail=responder_turn,
                correction=self._notes.correction(turn) if turn is not None else None,
                noted=self._notes.on(turn) if turn is not None else None,
                drift=drift_of(transcript, turn) if turn is not None else None,
                warm=transcript.warm,
            ),
        )

    def _last_responder_turn(self, turn: Turn, detail: TurnDetail | None) -> TurnDetail | None:
        """The last turn before this one in which the responder was called."""
        if detail is None or any(call.side == "responder" for call in detail.calls):
            return None
        turns = self._conversation.transcript.turns
        for index in range(turn.index, max(-1, turn.index - MAX_TURNS_BACK), -1):
            if turns[index].flags & (Flag.DECISION | Flag.SEEDED):
                before = self._detail(turns[index])
                if before is not None and any(c.side == "responder" for c in before.calls):
                    return before
        return None

    def _copy_keys(self) -> str:
        keys = [
            f"{self._context.keymap.shown(f'copy.{kind}')} copies it as {what}"
            for kind, what in (("python", "a Python script"), ("curl", "a curl command"))
            if self._context.keymap.shown(f"copy.{kind}")
        ]
        return ", ".join(keys)

    def _detail(self, turn: Turn) -> TurnDetail | None:
        replay = self._conversation.replay
        if replay is not None and replay.stage is not None and turn.index == replay.position:
            return replay.partial_detail()
        if turn.first < 0 and not turn.flags & Flag.SEEDED:
            return TurnDetail(turn.session, turn.number, turn.speaker, [])
        return self._details.get(turn)

    def _detail_loaded(self, index: int) -> None:
        if self._context.mounted():
            self._conversation.source.changed.add(index)
            replay = self._conversation.replay
            if replay is not None and replay.loading:
                # Drawing all of it would select the newest turn, whose detail would be read, and so
                # on: half of the time went into frames. Turns are drawn with the progress.
                self._frames.request()
            else:
                self._loaded()

    def _refresh_with_frame(self) -> None:
        self._frames.begin()
        self.refresh()

    def extra(self, turn: Turn) -> TurnExtras | None:
        correction = self._notes.correction(turn)
        detail = self._detail(turn) if int(turn.flags) & _HAS_EXTRAS else None
        extra = extras_of(detail) if detail is not None else None
        waiting = self._waiting(turn)
        if waiting:
            extra = extra or TurnExtras()
            extra.uses += waiting
        if correction is not None:
            extra = extra or TurnExtras()
            extra.correction = correction
        noted = self._notes.on(turn)
        if noted is not None and has_row(noted, turn):
            extra = extra or TurnExtras()
            extra.noted = noted
        mark = self._breakpoint(turn)
        if mark is not None:
            extra = extra or TurnExtras()
            extra.breakpoint = mark
        return extra

    def has_detail(self, turn: Turn) -> bool:
        return self._details.has(turn)

    def _waiting(self, turn: Turn) -> list[ToolUse]:
        """The tool calls of a turn that are held before they run."""
        hold = self._conversation.hold
        if hold is None or hold.get("stage") != "tools" or hold.get("turn") != turn.number:
            return []
        if (hold.get("session") or 1) != turn.session:
            return []
        return waiting_uses(hold.get("drafts") or ())

    def text(self, turn: Turn, mode: Mode) -> str | Sequence[tuple[str, str]] | None:
        detail = self._detail(turn)
        if detail is None or detail.raw is None:
            return None
        if mode == "raw":
            return detail.all_raw
        from convtui.tui.drawing.word_diff import diff_spans, drawn_spans

        shown = detail.shown if detail.shown is not None else turn.text
        return drawn_spans(diff_spans(detail.raw, shown), self._inspector.palette)

    def _call_messages(self, call: Call, log: Path | None = None) -> list[Any]:
        key = (log, call.seq)
        messages = self._messages.get(key)
        if isinstance(messages, str):
            raise ValueError(messages)
        if messages is not None:
            return messages
        self._messages[key] = "the request is being read"

        async def read() -> None:
            try:
                self._messages[key] = await self._conversation.source.messages(call.request, log)
            except (LogError, ValueError, OSError, IndexError) as error:
                self._messages[key] = str(error) or type(error).__name__
            self.refresh()

        self._context.spawn(read())
        raise ValueError("the request is being read")
