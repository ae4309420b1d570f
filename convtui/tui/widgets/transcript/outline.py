"""The outline: one tree of sessions, their turns as small cells, hooks, and branches."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.style import Style
from textual import events, on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from convtui.text.boundary import visible_line
from convtui.transcript.fold import Session, Transcript, Turn
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.strips import strip_of
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.line_view import LineView
from convtui.tui.widgets.transcript.legend import legend_rows
from convtui.tui.widgets.transcript.outline_tree import INDENT, OutlineTree

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Palette
    from convtui.tui.sources.branches import Branch
    from convtui.tui.widgets.transcript.outline_rows import Row

_ORIGIN = (0, 0)


class Outline(LineView):
    """An overview of a conversation of any length. Keys and clicks select turns and branches.

    With the focus it has a cursor of its own, a row or a turn of it; moving over a turn selects it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "open", show=False),
        Binding("escape", "leave", "back", show=False),
    ]

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
        self.open_log: Callable[[Path], object] = lambda path: None
        """Opens another log of the family."""
        self.leave: Callable[[], object] = lambda: None
        """Gives the focus back."""
        self.moved: Callable[[], object] = lambda: None
        """Is called when the cursor is on another row or turn: its keys do something else now."""
        self._tree = OutlineTree(transcript or Transcript())
        self._cursor = -1
        self._row: tuple[int, int] | None = None
        """The row of the cursor, as item and row, where it is not on a turn."""
        self._origin_log: Path | None = None

    # --- what is shown

    def set_origin(self, origin: str, state: str, role: str, log: Path | None = None) -> None:
        """Shows where the conversation comes from, and the state of its parent `log`."""
        self._tree.set_origin(origin, state, role)
        self._origin_log = log
        self._remeasure([0])

    def set_branches(self, branches: Sequence[Branch]) -> None:
        """Shows other logs of the family under the turns where they leave this one."""
        if list(branches) != list(self._tree.branches):
            self._tree.branches = branches
            self.remeasure()

    def toggle_hooks(self) -> bool:
        """Lists hooks that were fast and went well, or leaves them out; whether they are listed."""
        self._tree.all_hooks = not self._tree.all_hooks
        self.remeasure()
        self.refresh()
        return self._tree.all_hooks

    def set_transcript(self, transcript: Transcript) -> None:
        hooks = self._tree.all_hooks
        self._tree = OutlineTree(transcript)
        self._tree.all_hooks, self._tree.width = hooks, self.view_width
        self._cursor, self._row, self._origin_log = -1, None, None
        self.load(1 + len(transcript.sessions), 2)

    def refresh_turns(self, changed: Iterable[int]) -> None:
        """Updates changed and new turns, and sessions."""
        items = self._tree.refresh(changed)
        with self.holding():
            added = 1 + len(self._tree.transcript.sessions) - len(self.heights)
            self.heights.add_estimates(max(0, added), 2)
            self._measure(items)

    def rewrap(self) -> None:
        self._tree.width = self.view_width

    def _remeasure(self, items: Iterable[int]) -> None:
        with self.holding():
            self._measure(items)
        self.refresh()

    def _measure(self, items: Iterable[int]) -> None:
        for item in items:
            if 0 <= item < len(self.heights) and self._width:
                self.heights.put(item, self.measure(item))

    @property
    def has_more_than_turns(self) -> bool:
        """Whether it says what the transcript does not: several sessions, a parent, branches."""
        return self._tree.has_more_than_turns

    @property
    def cursor(self) -> int:
        """Index of the selected turn, or -1."""
        return self._cursor

    @cursor.setter
    def cursor(self, index: int) -> None:
        if index == self._cursor:
            return
        self._cursor, self._row = index, None
        self._show_cursor()
        self.refresh()

    def set_limit(self, limit: int | None, limit_turn: Turn | None = None) -> None:
        """Hides what comes after a turn."""
        tree = self._tree
        items = {tree.item_of_turn(index) for index in (tree.limit, limit) if index is not None}
        with self.holding():
            tree.limit, tree.limit_turn = limit, limit_turn
            self._measure(items)

    @property
    def shown_items(self) -> int:
        """The sessions up to the limit, and the calls before them."""
        count, tree = len(self.heights), self._tree
        if tree.limit is None or not tree.transcript.turns:
            return count
        return max(1, min(count, tree.item_of_turn(tree.limit) + 1))

    def measure(self, item: int) -> int:
        return self._tree.height(item)

    # --- drawing

    def row(self, item: int, row: int) -> Strip:
        cursor = self._cursor if self._row is None else -1
        spans = self._tree.spans(item, row, cursor)
        return strip_of(fit(spans, max(1, self.view_width)), self.palette)

    def _show_cursor(self) -> None:
        at = self._at
        if at is None or not self._width or not at[0] < len(self.heights):
            return
        line = self.heights.start(at[0]) + at[1]
        top, height = round(self.scroll_y), self.view_height
        if not top <= line < top + height:
            self._place(line - height // 2)
            self.refresh()

    @property
    def _at(self) -> tuple[int, int] | None:
        """The item and row of the cursor."""
        if self._row is not None:
            return self._row
        item = self._tree.item_of_turn(self._cursor)
        if not item:
            return None
        session = self._tree.transcript.sessions[item - 1]
        position = bisect_left(session.turns, self._cursor)
        return item, self._tree.rows(item).row_of_turn(position)

    def row_style(self, item: int, row: int) -> Style | None:
        chosen = self.has_focus and self._row == (item, row)
        return self.palette.background("selection") if chosen else None

    def copy_row(self, item: int, row: int) -> CopyRow:
        return CopyRow("".join(text for text, _ in self._tree.spans(item, row)).rstrip())

    def empty_row(self, y: int) -> Strip:
        """The message while there is nothing; the legend at the end, where there is room."""
        if self._tree.empty:
            text = visible_line(self.empty_message) if y == 1 else ""
            return strip_of(fit([(text, "muted")], self.view_width), self.palette)
        rows = legend_rows(self._tree.seen, self.view_width)
        number = y - (self.view_height - len(rows))
        if number >= 0 and self.line_count + len(rows) < self.view_height:
            return strip_of(fit(rows[number], self.view_width), self.palette)
        return Strip.blank(self.view_width)

    # --- moving, with the focus

    @on(events.Focus)
    @on(events.Blur)
    def _focus_changed(self) -> None:
        """The selected turn is the cursor again."""
        self._row = None
        self._show_cursor()
        self.refresh()

    def action_scroll_up(self) -> None:
        self._move(-1)

    def action_scroll_down(self) -> None:
        self._move(1)

    def action_scroll_left(self) -> None:
        """The turn before in this row; at a heading the session folds."""
        at = self._at
        if at is None or not at[0]:
            return
        session = self._tree.transcript.sessions[at[0] - 1]
        if at[1] == 0 and self._row is not None:
            self._fold(session, folded=True)
        elif self._row is None and self._cursor > session.turns[0]:
            self._select(self._cursor - 1)
        else:
            self._go((at[0], 0))

    def action_scroll_right(self) -> None:
        """The next turn of this session; at a heading the session unfolds."""
        at = self._at
        if at is None or not at[0]:
            return
        session = self._tree.transcript.sessions[at[0] - 1]
        if self._row is not None and session.index in self._tree.folded:
            self._fold(session, folded=False)
        elif self._row is None:
            following = self._cursor + 1
            if self._tree.item_of_turn(following) == at[0] and following < len(self._tree.signs):
                self._select(following)
        elif session.turns:
            self._select(session.turns[0])

    def action_choose(self) -> None:
        """Opens the branch or the parent, folds or unfolds at a session's heading.

        On a turn, which is selected already, it gives the focus back.
        """
        if self._row is None:
            self.leave()
            return
        item, row = self._row
        if item == 0:
            if self._origin_log is not None and row < len(self._tree.origin):
                self.open_log(self._origin_log)
            return
        session = self._tree.transcript.sessions[item - 1]
        what = self._tree.rows(item).at(row)
        if what is not None and what.kind == "branch":
            branch = self._tree.branches_of(session)[what.number][1]
            self.open_log(branch.path)
        elif what is not None and what.kind == "heading":
            self._fold(session, folded=session.index not in self._tree.folded)

    def action_leave(self) -> None:
        self.leave()

    @property
    def on(self) -> Literal["turn", "heading", "folded", "log"]:
        """What the cursor is on; `folded` is the heading of a folded session, `log` another log."""
        if self._row is None:
            return "turn"
        item, row = self._row
        if item == 0:
            return "log"
        session = self._tree.transcript.sessions[item - 1]
        what = self._tree.rows(item).at(row)
        if what is not None and what.kind == "branch":
            return "log"
        return "folded" if session.index in self._tree.folded else "heading"

    def _fold(self, session: Session, *, folded: bool) -> None:
        (self._tree.folded.add if folded else self._tree.folded.discard)(session.index)
        self._remeasure([self._tree.item_of_session(session.index)])
        self.moved()

    def _move(self, by: int) -> None:
        """The next row up or down that says something of its own."""
        at = self._at
        line = self.heights.start(at[0]) + at[1] if at is not None else -1
        column = self._column()
        while 0 <= line + by < self.line_count:
            line += by
            item, row = self.heights.find(line)
            self._exact(item)
            if self._stop(item, row, column):
                return

    def _column(self) -> int:
        """The column of the cursor's cell in its row."""
        at = self._at
        if self._row is not None or at is None:
            return 0
        session = self._tree.transcript.sessions[at[0] - 1]
        return bisect_left(session.turns, self._cursor) % self._tree.cell(session)[1]

    def _stop(self, item: int, row: int, column: int) -> bool:
        """Puts the cursor on a row; False where there is nothing to choose."""
        if item == 0:
            if row or not self._tree.origin or self._origin_log is None:
                return False
            self._go(_ORIGIN)
            return True
        session = self._tree.transcript.sessions[item - 1]
        what = self._tree.rows(item).at(row)
        if what is None or what.kind in ("call", "skipped", "coming"):
            return False
        if what.kind == "turns":
            last = min(self._tree.turns_of(session), what.number + self._tree.cell(session)[1]) - 1
            self._select(session.turns[min(what.number + column, last)])
        else:
            self._go((item, row))
        return True

    def _go(self, row: tuple[int, int]) -> None:
        self._row = row
        self._show_cursor()
        self.refresh()
        self.moved()

    def _select(self, index: int) -> None:
        self._cursor, self._row = index, None
        self._show_cursor()
        self.refresh()
        self.moved()
        self.post_message(self.TurnSelected(self, index))

    # --- the mouse

    def _what_is(self, line: int) -> tuple[int, Row | None]:
        if line >= self.line_count:
            return 0, None
        item, row = self.heights.find(line)
        return item, self._tree.rows(item).at(row) if item else None

    def turn_under(self, x: int, line: int) -> int | None:
        """Index of the turn whose cell is at a position, if any."""
        item, what = self._what_is(line)
        if what is None or what.kind != "turns":
            return None
        session = self._tree.transcript.sessions[item - 1]
        width, per_row = self._tree.cell(session)
        column = (x - INDENT) // width
        if x < INDENT or column >= per_row:
            return None
        cell = what.number + column
        return session.turns[cell] if cell < self._tree.turns_of(session) else None

    def on_click(self, event: events.Click) -> None:
        event.prevent_default()
        line = round(self.scroll_y) + event.y
        index = self.turn_under(event.x, line)
        if index is not None:
            self.post_message(self.TurnSelected(self, index))
        elif line < self.line_count:
            item, row = self.heights.find(line)
            if self._stop(item, row, 0) and self._row is not None:
                self.action_choose()
