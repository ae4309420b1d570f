"""The outline: sessions with their turns as small cells, and lifecycle calls between them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Any

from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from convtui.text.boundary import visible_line
from convtui.transcript.fold import Session, Transcript, Turn
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.widgets.line_view import CopyRow, LineView, strip_of
from convtui.tui.widgets.transcript.marks import fit, glyph

_CALLS = {
    "provider.setup": "setup",
    "sessions.prepared": "prepare_sessions",
    "session.entered": "enter_session",
    "session.reset": "reset",
    "provider.cleanup": "cleanup",
    "user.cleanup": "user cleanup",
    "user.closed": "user closed",
    "provider.restored": "restore",
    "provider.reload_failed": "reload failed",
    "context.seeded": "warm context",
    "context.compressed": "compressed",
    "budget.crossed": "budget crossed",
    "budget.raised": "budget raised",
    "debug.took_over": "took over",
    "debug.handed_back": "handed back",
}
_INDENT = 2


def call_spans(record: dict[str, Any]) -> list[Span]:
    """A lifecycle call on one line: name, outcome, duration."""
    kind = str(record.get("type"))
    spans: list[Span] = [(_CALLS.get(kind, visible_line(kind, 24)), "muted")]
    failed = record.get("outcome") == "failed" or kind == "provider.reload_failed"
    if record.get("outcome") is not None:
        spans.append((" failed" if failed else " ok", "error" if failed else "muted"))
    if kind == "context.seeded":
        name = visible_line(str(record.get("template") or ""), 24)
        count = len(record.get("messages") or ())
        # Short, because the heading of each session has it in full.
        return [("+ ", "accent bold"), (f"warm {name}", "text"), (f" ({count})", "muted")]
    if kind == "context.compressed":
        spans.append((f" to turn {record.get('upto', 0)}", "muted"))
    elif kind == "budget.raised" and isinstance(record.get("limit"), (int, float)):
        spans.append((f" {record['limit']:,g}", "muted"))
    elif kind == "provider.restored" and record.get("mode") == "replayed":
        drift = record.get("drift")
        spans[0] = ("replayed", "muted")
        if isinstance(drift, list) and drift:
            spans.append((f" ~ {len(drift)} drifted", "warning"))
    duration = record.get("duration")
    if isinstance(duration, (int, float)):
        spans.append((f" {seconds(duration).replace(' ', '')}", "muted"))
    return spans


def seconds(value: float) -> str:
    """A duration for display: `12 ms`, `3.4 s`, `2:05`."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 60 else f"{int(value) // 60}:{int(value) % 60:02}"


class Outline(LineView):
    """An overview of sessions and turns; a click selects a turn."""

    class TurnSelected(Message):
        def __init__(self, outline: Outline, turn_index: int) -> None:
            super().__init__()
            self.outline = outline
            self.turn_index = turn_index

        @property
        def control(self) -> Outline:
            return self.outline

    def __init__(
        self,
        transcript: Transcript | None = None,
        *,
        empty_message: str = "",
        palette: Palette | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(palette=palette, name=name, id=id, classes=classes)
        self.empty_message = empty_message
        self._transcript = transcript or Transcript()
        self._cursor = -1
        self._limit: int | None = None
        self._limit_turn: Turn | None = None
        self._signs = bytearray()
        self._calls: dict[int, list[dict[str, Any]]] = {}
        self._calls_taken = 0
        self._last_session = 0
        self._origin: list[list[Span]] = []

    def set_origin(self, origin: str, state: str, role: str) -> None:
        """Shows where the log comes from, and the state of its parent."""
        self._origin = []
        if origin:
            kind, at, address = origin.partition(" at ")
            self._origin.append([("^ ", "accent bold"), (kind + at + address, "text")])
            if len(origin) + 2 > 22 and at:
                self._origin[0][1] = (kind, "text")
                self._origin.append([(f"  at {address}", "text")])
        if state:
            self._origin.append([("  ", "muted"), (state, role)])
        with self.holding():
            if len(self.heights) and self._width:
                self.heights.put(0, self.measure(0))
        self.refresh()

    def set_transcript(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._cursor, self._limit, self._limit_turn = -1, None, None
        self._origin = []
        self._signs = bytearray(ord(glyph(turn)[0]) for turn in transcript.turns)
        self._calls = {}
        self._calls_taken = self._last_session = 0
        self._update_calls()
        self.load(1 + len(transcript.sessions), 2)

    def refresh_turns(self, changed: Iterable[int]) -> None:
        """Updates changed and new turns, and sessions."""
        turns = self._transcript.turns
        touched = self._update_calls()
        for index in changed:
            if 0 <= index < len(self._signs):
                self._signs[index] = ord(glyph(turns[index])[0])
        if len(turns) > len(self._signs):
            added = turns[len(self._signs) :]
            self._signs.extend(ord(glyph(turn)[0]) for turn in added)
            touched |= {turn.session for turn in added}
        with self.holding():
            for _ in range(1 + len(self._transcript.sessions) - len(self.heights)):
                self.heights.append(2, exact=False)
            items = {0, len(self._transcript.sessions)} | {
                self._item_of_session(s) for s in touched
            }
            for item in items:
                if item < len(self.heights) and self._width:
                    self.heights.put(item, self.measure(item))

    @property
    def has_more_than_turns(self) -> bool:
        """Whether it says what the transcript does not: several sessions, or a parent."""
        transcript = self._transcript
        return bool(self._origin) or max(len(transcript.sessions), len(transcript.prepared)) > 1

    @property
    def cursor(self) -> int:
        """Index of the highlighted turn, or -1."""
        return self._cursor

    @cursor.setter
    def cursor(self, index: int) -> None:
        if index == self._cursor:
            return
        self._cursor = index
        self._show_cursor()
        self.refresh()

    def set_limit(self, limit: int | None, limit_turn: Turn | None = None) -> None:
        """Hides what comes after a turn."""
        items = {self._item_of_turn(index) for index in (self._limit, limit) if index is not None}
        with self.holding():
            self._limit, self._limit_turn = limit, limit_turn
            for item in items:
                if 0 <= item < len(self.heights) and self._width:
                    self.heights.put(item, self.measure(item))

    @property
    def shown_items(self) -> int:
        """The sessions up to the limit, and the calls before them."""
        count = len(self.heights)
        if self._limit is None or not self._transcript.turns:
            return count
        return max(1, min(count, self._item_of_turn(self._limit) + 1))

    def _item_of_session(self, session: int) -> int:
        sessions = self._transcript.sessions
        if 0 < session <= len(sessions) and sessions[session - 1].index == session:
            return session
        return next((n for n, s in enumerate(sessions, 1) if s.index == session), 0)

    def _item_of_turn(self, index: int) -> int:
        turns = self._transcript.turns
        return self._item_of_session(turns[index].session) if 0 <= index < len(turns) else 0

    def _update_calls(self) -> set[int]:
        touched: set[int] = set()
        calls = self._transcript.lifecycle
        for record in calls[self._calls_taken :]:
            session = record.get("session")
            if isinstance(session, int):
                self._last_session = session
            self._calls.setdefault(self._last_session, []).append(record)
            touched.add(self._last_session)
        self._calls_taken = len(calls)
        return touched

    def _cell(self, session: Session) -> tuple[int, int]:
        """The width of a cell, and the number of cells per row."""
        last = self._transcript.turns[session.turns[-1]].number if session.turns else 1
        width = len(str(last)) + 3
        return width, max(1, (self.view_width - _INDENT + 1) // width)

    def _turns_of(self, session: Session) -> int:
        if self._limit is None:
            return len(session.turns)
        return bisect_right(session.turns, self._limit)

    def measure(self, item: int) -> int:
        if item == 0:
            return len(self._origin) + len(self._calls.get(0, ()))
        session = self._transcript.sessions[item - 1]
        _, per_row = self._cell(session)
        rows = -(-self._turns_of(session) // per_row)
        return 1 + len(self._calls.get(session.index, ())) + rows + bool(session.skipped)

    def row(self, item: int, row: int) -> Strip:
        return strip_of(fit(self._spans(item, row), max(1, self.view_width)), self.palette)

    def _spans(self, item: int, row: int) -> list[Span]:
        if item == 0:
            if row < len(self._origin):
                return self._origin[row]
            row -= len(self._origin)
            calls = self._calls.get(0, [])
            return call_spans(calls[row]) if row < len(calls) else []
        session = self._transcript.sessions[item - 1]
        if row == 0:
            return self._heading(session)
        row -= 1
        if session.skipped:
            if row == 0:
                why = visible_line(session.skipped, 80)
                return [("  skipped", "warning"), (f": {why}", "muted")]
            row -= 1
        calls = self._calls.get(session.index, [])
        before = 1 if calls and calls[0].get("type") == "session.entered" else 0
        if row < before:
            return [(" ", "muted"), *call_spans(calls[0])]
        row -= before
        width, per_row = self._cell(session)
        count = self._turns_of(session)
        rows = -(-count // per_row)
        if row >= rows:
            rest = row - rows + before
            return [(" ", "muted"), *call_spans(calls[rest])] if rest < len(calls) else []
        spans: list[Span] = [(" " * _INDENT, "muted")]
        for index in session.turns[row * per_row : min(count, (row + 1) * per_row)]:
            turn = self._turn(index)
            sign, role = glyph(turn)
            text = f"{sign} {turn.number:>{width - 3}}"
            number = "text" if sign != "." else "muted"
            if index == self._cursor:
                spans += [(text, "mark:accent"), (" ", "muted")]
            else:
                spans += [(text[0], f"{role} bold"), (text[1:] + " ", number)]
        return spans

    def _turn(self, index: int) -> Turn:
        if index == self._limit and self._limit_turn is not None:
            return self._limit_turn
        return self._transcript.turns[index]

    def _heading(self, session: Session) -> list[Span]:
        name = visible_line(session.session_type, 24)
        spans: list[Span] = [(f"{session.index} ", "accent bold"), (name, "text bold")]
        count = self._turns_of(session)
        if count:
            signs = self._signs[session.turns[0] : session.turns[count - 1] + 1]
            for sign, role in (("x", "discard"), ("!", "warning")):
                marked = signs.count(ord(sign))
                if marked:
                    spans.append((f"  {sign} {marked}", role))
        if session.termination is not None and self._limit is None:
            kind = visible_line(str(session.termination.get("kind", "")), 20)
            # Omit it rather than cut it: the transcript has it in full.
            if sum(cell_len(text) for text, _ in spans) + cell_len(kind) + 2 < self.view_width:
                spans.append((f"  {kind}", "muted"))
        return spans

    def _show_cursor(self) -> None:
        turns = self._transcript.turns
        if not 0 <= self._cursor < len(turns) or not self._width:
            return
        item = self._item_of_turn(self._cursor)
        if not 0 < item < len(self.heights):
            return
        session = self._transcript.sessions[item - 1]
        _, per_row = self._cell(session)
        calls = self._calls.get(session.index, [])
        before = 1 if calls and calls[0].get("type") == "session.entered" else 0
        cell = bisect_left(session.turns, self._cursor)
        row = 1 + bool(session.skipped) + before + cell // per_row
        line = self.heights.start(item) + row
        top, height = round(self.scroll_y), self.view_height
        if not top <= line < top + height:
            self._place(line - height // 2)
            self.refresh()

    def row_style(self, item: int, row: int) -> Style | None:
        return None

    def copy_row(self, item: int, row: int) -> CopyRow:
        return CopyRow("".join(text for text, _ in self._spans(item, row)).rstrip())

    def empty_row(self, y: int) -> Strip:
        """The message while there is nothing."""
        if y == 1 and not self._transcript.sessions and not self._calls:
            return strip_of(
                fit([(visible_line(self.empty_message), "muted")], self.view_width), self.palette
            )
        return Strip.blank(self.view_width)

    def turn_under(self, x: int, line: int) -> int | None:
        """Index of the turn whose cell is at a position, if any."""
        if line >= self.line_count:
            return None
        item, row = self.heights.find(line)
        if item == 0:
            return None
        session = self._transcript.sessions[item - 1]
        calls = self._calls.get(session.index, [])
        before = 1 if calls and calls[0].get("type") == "session.entered" else 0
        row -= 1 + bool(session.skipped) + before
        width, per_row = self._cell(session)
        column = (x - _INDENT) // width
        if row < 0 or x < _INDENT or column >= per_row:
            return None
        cell = row * per_row + column
        return session.turns[cell] if cell < self._turns_of(session) else None

    def on_click(self, event: events.Click) -> None:
        event.prevent_default()
        index = self.turn_under(event.x, round(self.scroll_y) + event.y)
        if index is not None:
            self.post_message(self.TurnSelected(self, index))
