"""What the debugger shows of the selected turn, read from its log when it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from convtui.errors import LogError
from convtui.log.detail import Call, TurnDetail
from convtui.log.tool_uses import ToolUse, waiting_uses
from convtui.transcript import Flag, Turn
from convtui.tui import status
from convtui.tui.budget import inherited, limits_now
from convtui.tui.details import DetailCache
from convtui.tui.drift import drift_of
from convtui.tui.screens.tracing import Tracing
from convtui.tui.widgets.inspector_tabs import RESPONDER, Context
from convtui.tui.widgets.marks import Extra, extra_of
from convtui.tui.widgets.note_marks import has_row
from convtui.tui.widgets.transcript_view import Mode

LOOK_BACK = 40
"""Turns that are looked through for the last one in which the responder was asked."""

_TOLD_BY_LOG = int(
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
"""What happened to a turn of which the log says more than its summary."""
_NO = TurnDetail(0, 0, "", [])


class Inspecting(Tracing):
    """The inspector's context, and the records of the turns on the screen."""

    _details: DetailCache
    _messages: dict[tuple[Path | None, int], list[Any] | str]
    """By log and call; a text says why there are none yet."""

    def source_changed(self) -> None:
        """Something is new: it is drawn with the next frame."""
        raise NotImplementedError

    def refresh_inspector(self) -> None:
        """Shows what is known of the selected turn; the rest follows when it has been read."""
        if not self.inspecting:
            return
        turn = self.selected
        detail = self._detail(turn) if turn is not None else None
        inspector = self.inspector
        held = self.hold
        mine = held is not None and turn is not None and held.get("turn") == turn.number
        scenario = self.transcript.header.get("scenario")
        setup = next(
            (r for r in self.transcript.lifecycle if r.get("type") == "provider.setup"), {}
        )
        hooks = setup.get("hooks")
        asked = None
        if self.deciding and turn is not None and inspector.tab == RESPONDER:
            asked = self._asked(turn, detail)
        path = self.source.path
        inspector.show(
            detail,
            turn,
            Context(
                messages=partial(self._call_messages, log=(asked or detail or _NO).log),
                totals=self.transcript.totals,
                inherited=inherited(self.transcript),
                limits=limits_now(self.transcript, scenario if isinstance(scenario, dict) else {}),
                whole=self.whole_results(turn, detail.log) if turn and detail else {},
                whole_key=self._whole_key(turn),
                lineage=self.lineage,
                log_file=str(path) if path is not None else "",
                conversation=self.transcript.id,
                hold=held if mine else None,
                hooks=hooks if isinstance(hooks, dict) else {},
                copy_keys=self._copy_keys(),
                simulator=status.simulator_of(scenario),
                deciding=self.deciding,
                asked=asked,
                correction=self.correction_of(turn) if turn is not None else None,
                noted=self.note_of(turn) if turn is not None else None,
                drift=drift_of(self.transcript, turn) if turn is not None else None,
                warm=self.transcript.warm,
            ),
        )

    def _asked(self, turn: Turn, detail: TurnDetail | None) -> TurnDetail | None:
        """The last turn before this one in which the responder was asked."""
        if detail is None or any(call.side == "responder" for call in detail.calls):
            return None
        turns = self.transcript.turns
        for index in range(turn.index, max(-1, turn.index - LOOK_BACK), -1):
            if turns[index].flags & (Flag.DECISION | Flag.SEEDED):
                before = self._detail(turns[index])
                if before is not None and any(c.side == "responder" for c in before.calls):
                    return before
        return None

    def _whole_key(self, turn: Turn | None) -> str:
        key = self.keymap.shown("inspector.whole")
        if not key or turn is None:
            return ""
        again = (turn.session, turn.number) in self._whole_turns
        return f"{key} shows what was cut {'cut again' if again else 'in full'}"

    def _copy_keys(self) -> str:
        keys = [
            f"{self.keymap.shown(f'copy.{kind}')} copies it as {words}"
            for kind, words in (("python", "a Python script"), ("curl", "a curl command"))
            if self.keymap.shown(f"copy.{kind}")
        ]
        return ", ".join(keys)

    def _detail(self, turn: Turn) -> TurnDetail | None:
        replay = self.replay
        if replay is not None and replay.stage is not None and turn.index == replay.position:
            return replay.partial_detail()
        if turn.first < 0 and not turn.flags & Flag.SEEDED:
            return TurnDetail(turn.session, turn.number, turn.speaker, [])
        return self._details.get(turn)

    def _detail_loaded(self, index: int) -> None:
        if self.is_mounted:
            self.source.changed.add(index)
            self.source_changed()

    def _extra(self, turn: Turn) -> Extra | None:
        correction = self.correction_of(turn)
        detail = self._detail(turn) if int(turn.flags) & _TOLD_BY_LOG else None
        extra = extra_of(detail) if detail is not None else None
        waiting = self._waiting(turn)
        if waiting:
            extra = extra or Extra()
            extra.uses += waiting
        if correction is not None:
            extra = extra or Extra()
            extra.correction = correction
        noted = self.note_of(turn)
        if noted is not None and has_row(noted, turn):
            extra = extra or Extra()
            extra.noted = noted
        return extra

    def _known(self, turn: Turn) -> bool:
        return self._details.knows(turn)

    def _waiting(self, turn: Turn) -> list[ToolUse]:
        """The tool calls of a turn that are held before they run."""
        hold = self.hold
        if hold is None or hold.get("stage") != "tools" or hold.get("turn") != turn.number:
            return []
        if (hold.get("session") or 1) != turn.session:
            return []
        return waiting_uses(hold.get("drafts") or ())

    def _text(self, turn: Turn, mode: Mode) -> str | Sequence[tuple[str, str]] | None:
        detail = self._detail(turn)
        if detail is None or detail.raw is None:
            return None
        if mode == "raw":
            return detail.all_raw
        from convtui.tui.diff import diff_spans

        shown = detail.shown if detail.shown is not None else turn.text
        return diff_spans(detail.raw, shown)

    def _call_messages(self, call: Call, log: Path | None = None) -> list[Any]:
        key = (log, call.seq)
        found = self._messages.get(key)
        if isinstance(found, str):
            raise ValueError(found)
        if found is not None:
            return found
        self._messages[key] = "the request is being read"

        async def read() -> None:
            try:
                self._messages[key] = await self.source.messages(call.request, log)
            except (LogError, ValueError, OSError, IndexError) as error:
                self._messages[key] = str(error) or type(error).__name__
            self.refresh_inspector()

        self.spawn(read())
        raise ValueError("the request is being read")
