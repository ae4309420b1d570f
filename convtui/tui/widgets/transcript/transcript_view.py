"""The transcript: every turn of a conversation of any length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer

from convtui.transcript.fold import INTERESTING, OPEN, Flag, Transcript, Turn
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.palette import Palette, plain
from convtui.tui.drawing.strips import strip_of
from convtui.tui.drawing.wrap import Wrapped
from convtui.tui.timers import call_once
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.line_view import LineView
from convtui.tui.widgets.transcript.geometry import Geometry
from convtui.tui.widgets.transcript.session_rows import (
    Frame,
    SessionFrames,
    head_rows,
    plain_turn,
)

if TYPE_CHECKING:
    from convtui.tui.widgets.transcript.marks import TurnExtras
    from convtui.tui.widgets.transcript.summaries import Summary
    from convtui.tui.widgets.transcript.summary_lines import SummaryLines
    from convtui.tui.widgets.transcript.turn_lines import Content, TurnLines
    from convtui.tui.widgets.transcript.turn_search import Query, TurnSearch

Mode = Literal["shown", "raw", "diff"]
_KEPT = 400
_SYNC_LIMIT = 500
_GAP_FROM = 20
_NO_FRAME = Frame()
_TOOL = int(Flag.TOOL)


class TranscriptView(LineView):
    """Draws the visible turns, selects one, follows the end, searches."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_turn", "open turn", show=False),
    ]

    cursor = reactive(-1, init=False, repaint=False)
    """Index of the selected turn, or -1."""

    class TurnSelected(Message):
        """Another turn was selected."""

        def __init__(self, view: TranscriptView, turn_index: int) -> None:
            super().__init__()
            self.view = view
            self.turn_index = turn_index

        @property
        def control(self) -> TranscriptView:
            return self.view

    class TurnOpened(TurnSelected):
        """Enter or a double click on a turn."""

    class SearchProgress(Message):
        """The number of matches so far."""

        def __init__(self, count: int, done: bool) -> None:
            super().__init__()
            self.count = count
            self.done = done

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
        """Shown while there are no turns."""
        self.text_of: Callable[[Turn, Mode], Content | None] | None = None
        """Returns the text of a turn in modes other than `shown`; called for visible turns only."""
        self.extras_of: Callable[[Turn], TurnExtras | None] | None = None
        """Returns details from the log; called for visible turns only."""
        self.has_detail: Callable[[Turn], bool] | None = None
        """Whether `extras_of` can answer at once."""
        self.flags_of: Callable[[Turn], int] | None = None
        """Returns a turn's flags as corrected by hand."""
        self.follows = True
        self.stick_to_end = True
        self._transcript = transcript or Transcript()
        self._geometry = Geometry(80, 2, 1)
        self._cache: dict[int, TurnLines] = {}
        self._generation = 0
        self._mode: Mode = "shown"
        self._limit: int | None = None
        self._limit_turn: Turn | None = None
        self._noted: frozenset[int] = frozenset()
        self._frames = SessionFrames(self._transcript)
        self._largest = 0
        self._counted = 0
        self._search: TurnSearch | None = None
        self._search_timer: Timer | None = None
        self._summaries: list[Summary] = []
        self._blocks: dict[int, SummaryLines] = {}

    # --- what is shown

    @property
    def transcript(self) -> Transcript:
        return self._transcript

    def set_transcript(self, transcript: Transcript) -> None:
        """Shows another conversation, from its end when following, else from its start."""
        self.search(None)
        self._summaries = []
        self._blocks.clear()
        self._transcript = transcript
        self._limit = self._limit_turn = None
        self._noted = frozenset()
        self._cache.clear()
        self._frames = SessionFrames(transcript)
        self._frames.update()
        self._largest = self._counted = 0
        self._count_digits()
        self._make_geometry()
        self.set_reactive(TranscriptView.cursor, -1)
        self.load(len(transcript.turns), 6)
        if transcript.turns:
            self.cursor = len(transcript.turns) - 1 if self.stick_to_end else 0

    def refresh_turns(self, changed: Iterable[int]) -> None:
        """Updates changed and new turns; cheap enough for 20 calls a second."""
        turns = self._transcript.turns
        count = len(turns)
        with self.holding():
            known = len(self.heights)
            touched = {index for index in changed if 0 <= index < known}
            framed = self._frames.update()
            if framed:
                self._generation += 1
                self._blocks.clear()
                touched |= framed
            added = count - known
            self._append(added)
            for number, index in enumerate(touched):
                if index in self._cache:
                    self._cache[index].key = ()
                if index < len(self.heights) and number < _SYNC_LIMIT and self._width:
                    self.heights.put(index, self.measure(index))
            if 0 < added <= _SYNC_LIMIT and self._width:
                for index in range(count - added, count):
                    self.heights.put(index, self.measure(index))
        if self._search is not None:
            for index in touched:
                self._search.retest(turns[index], index)
            self._continue_search()
        if added > 0 and (self.stick_to_end or self.cursor < 0):
            self.cursor = self.shown_items - 1

    def _append(self, added: int) -> None:
        if added <= 0:
            return
        self.heights.add_estimates(added, 6)
        self._count_digits()
        if len(str(self._largest)) > self._geometry.digits:
            self._make_geometry()
            self.heights.invalidate()

    def set_noted(self, noted: frozenset[int]) -> None:
        """Sets the turns that have a row for a mark or a note."""
        changed = noted ^ self._noted
        if not changed:
            return
        self._noted = noted
        for index in changed & self._cache.keys():
            self._cache[index].key = ()
        if len(changed) > _SYNC_LIMIT:
            self.remeasure()
            return
        with self.holding():
            for index in changed:
                if index < len(self.heights) and self._width:
                    self.heights.put(index, self.measure(index))

    def turn_at(self, index: int) -> Turn:
        """The turn as shown: at the limit it may be as of an earlier stage."""
        if index == self._limit and self._limit_turn is not None:
            return self._limit_turn
        return self._transcript.turns[index]

    def set_limit(self, limit: int | None, limit_turn: Turn | None = None) -> None:
        """Hides what comes after a turn; `limit_turn` is that turn as of a stage."""
        with self.holding():
            old = self._limit
            self._limit, self._limit_turn = limit, limit_turn
            for index in {old, limit} - {None}:
                if index is not None and 0 <= index < len(self.heights):
                    if index in self._cache:
                        self._cache[index].key = ()
                    if self._width:
                        self.heights.put(index, self.measure(index))
        last = self.shown_items - 1
        if self.stick_to_end or self.cursor > last:
            self.cursor = last

    @property
    def shown_items(self) -> int:
        count = len(self.heights)
        return count if self._limit is None else max(0, min(count, self._limit + 1))

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode != self._mode:
            self._mode = mode
            self._generation += 1
            self.remeasure()

    @property
    def summaries(self) -> list[Summary]:
        """The summaries shown in place of their turns."""
        return self._summaries

    @summaries.setter
    def summaries(self, summaries: list[Summary]) -> None:
        if summaries != self._summaries:
            self._summaries = list(summaries)
            self._blocks.clear()
            self.remeasure()
            self.cursor = self.cursor  # a hidden turn's selection moves to its summary
            self._settle(None if self.stick_to_end else self._anchor())
            self.refresh()

    def summary_at(self, index: int) -> Summary | None:
        """The summary that replaces a turn, if one does."""
        if not self._summaries:
            return None
        matches = (item for item in self._summaries if item.first <= index <= item.last)
        return next(matches, None)

    def validate_cursor(self, index: int) -> int:
        """Selects a summary as a whole."""
        summary = self.summary_at(index)
        return index if summary is None else summary.first

    @property
    def follow(self) -> bool:
        """Whether the view stays at the end when turns are added."""
        return self.stick_to_end

    @follow.setter
    def follow(self, follow: bool) -> None:
        self.stick_to_end = follow
        if follow and self.shown_items:
            self.cursor = self.shown_items - 1
            self._settle(None)

    # --- moving

    def move(self, delta: int) -> None:
        """Moves the selection by `delta` turns."""
        index = max(0, self.cursor)
        summary = self.summary_at(index)
        if summary is not None and delta > 0:
            index = summary.last
        target = self.summary_at(index + delta)
        self.go_to(index + delta if target is None else target.first)

    def go_to(self, index: int) -> None:
        """Selects a turn and scrolls to it; the last one switches following on."""
        last = self.shown_items - 1
        if last < 0:
            return
        index = max(0, min(index, last))
        summary = self.summary_at(index)
        if summary is not None and index not in (summary.first, last):
            # This very turn was asked for: show it instead of the summary.
            self.summaries = []
        self.stick_to_end = index == last or (summary is not None and summary.last == last)
        self.cursor = index
        if self.stick_to_end:
            self._settle(None)
        else:
            self.show_item(index)
        self.refresh()

    def find_interesting(self, direction: int = 1) -> int | None:
        """The next (or previous) turn with an event of interest, hidden ones included."""
        wanted = int(INTERESTING)
        index = self.cursor + direction
        while 0 <= index < len(self.heights):
            turn = self.turn_at(index)
            flags = int(turn.flags) if self.flags_of is None else self.flags_of(turn)
            if flags & wanted:
                return index
            index += direction
        return None

    def page(self, direction: int) -> None:
        """Scrolls by a page, and moves the selection along."""
        if not self.shown_items:
            return
        self.scroll_lines(direction * max(1, self.view_height - 2))
        top = round(self.scroll_y)
        first, row = self.heights.find(top)
        last = self.heights.find(top + max(0, self.view_height - 1))[0]
        last = min(last, self.shown_items - 1)
        if direction < 0:
            self.cursor = 0 if top == 0 else min(self.cursor, last)
            self.cursor = max(self.cursor, first)
        else:
            self.cursor = max(self.cursor, min(last, first + bool(row)))
            if top >= self.max_scroll_y:
                self.stick_to_end = True
                self.cursor = self.shown_items - 1

    def watch_cursor(self, old: int, new: int) -> None:
        self.refresh()
        if new >= 0 and new != old:
            self.post_message(self.TurnSelected(self, new))

    def stick_changed(self, value: bool) -> None:
        if value and self.shown_items:
            self.cursor = self.shown_items - 1

    def action_scroll_up(self) -> None:
        self.move(-1)

    def action_scroll_down(self) -> None:
        self.move(1)

    def action_scroll_home(self) -> None:
        self.go_to(0)

    def action_scroll_end(self) -> None:
        self.go_to(self.shown_items - 1)

    def action_page_up(self) -> None:
        self.page(-1)

    def action_page_down(self) -> None:
        self.page(1)

    def action_open_turn(self) -> None:
        if self.cursor >= 0:
            self.post_message(self.TurnOpened(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Selects the turn under the mouse; a double click opens it."""
        # Otherwise a double click selects the text of the whole transcript.
        event.prevent_default()
        line = round(self.scroll_y) + event.y
        if not self.shown_items or line >= self.line_count:
            return
        at_end = self.stick_to_end
        self.cursor = self.heights.find(line)[0]
        self.stick_to_end = at_end and self.cursor == self.shown_items - 1
        if event.chain == 2:
            self.action_open_turn()

    # --- searching

    def search(self, wanted: Query | None, highlight: re.Pattern[str] | None = None) -> None:
        """Searches turns in slices and highlights matches; None or "" ends the search.

        `highlight` is the pattern to highlight if `wanted` is not a text itself.
        """
        if self._search_timer is not None:
            self._search_timer.stop()
            self._search_timer = None
        self._search = None
        if wanted:
            from convtui.tui.widgets.transcript.turn_search import TurnSearch

            self._search = TurnSearch(wanted, highlight)
        self._generation += 1
        self.refresh()
        self._continue_search()

    @property
    def search_count(self) -> int:
        """The number of matches so far."""
        return 0 if self._search is None else len(self._search.matches)

    @property
    def search_position(self) -> int | None:
        """The number of the selected match, from 1; None if the selection is not one."""
        return None if self._search is None else self._search.ordinal(self.cursor)

    def find_match(self, direction: int = 1) -> int | None:
        """The next (or previous) match, wrapping around, hidden turns included."""
        return None if self._search is None else self._search.next(self.cursor, direction)

    def _continue_search(self) -> None:
        self._search_timer = None
        search = self._search
        if search is None or not self.is_mounted:
            return
        done = search.step(self._transcript.turns, len(self.heights), 0.006)
        self.post_message(self.SearchProgress(len(search.matches), done))
        if not done:
            self._search_timer = call_once(self, 0.001, self._continue_search)

    # --- the clipboard

    def copy_text(self, index: int | None = None) -> str:
        """The exact stored text of a turn, by default the selected one."""
        index = self.cursor if index is None else index
        return self.turn_at(index).text if 0 <= index < self.shown_items else ""

    def copy_transcript(self) -> str:
        """The whole transcript as plain text: turns, badges, sessions."""
        return "".join(
            plain_turn(self.turn_at(index), self._frame(index)) for index in range(self.shown_items)
        )

    def all_text(self) -> str:
        return self.copy_transcript()

    # --- LineView

    def restyle(self) -> None:
        self._cache.clear()
        self.refresh()

    def rewrap(self) -> None:
        self._make_geometry()

    def needs_rewrap(self) -> bool:
        """Gaps between turns depend on the view's height."""
        return (self._geometry.gap > 0) != (self.view_height >= _GAP_FROM)

    def anchor_item(self) -> int | None:
        return self.cursor if self.cursor >= 0 else None

    def _measure_later(self) -> None:
        # Raw and diff texts are in the file: they are measured when they become visible.
        if self._mode == "shown" or self.text_of is None:
            super()._measure_later()

    def measure(self, item: int) -> int:
        summary = self.summary_at(item)
        if summary is not None:
            return self._block(summary).height if item == summary.first else 0
        turn = self.turn_at(item)
        if turn.status == OPEN or self._mode != "shown" or turn.flags & _TOOL:
            return self._lines(item).height
        # What draws turns is not needed for the first frame.
        from convtui.tui.widgets.transcript.turn_lines import measure_turn

        rows = item in self._noted
        return (
            measure_turn(turn, self._geometry)
            + self._frame(item).height(self._geometry.width - 2)
            + rows
        )

    def measure_some(self, first: int, last: int) -> Sequence[int]:
        from convtui.tui.widgets.transcript.turn_lines import measure_turn

        geometry, with_frame = self._geometry, self._frames.by_turn
        turns = self._transcript.turns[first:last]
        heights = [measure_turn(turn, geometry) for turn in turns]
        for index, turn in enumerate(turns, first):
            if self._summaries and self.summary_at(index) is not None:
                heights[index - first] = self.measure(index)
                continue
            known = turn.flags & _TOOL and self.has_detail is not None and self.has_detail(turn)
            if known or index in with_frame or turn.status == OPEN or index == self._limit:
                heights[index - first] = self.measure(index)
            elif index in self._noted:
                heights[index - first] += 1
        return heights

    def row(self, item: int, row: int) -> Strip:
        """One line of a turn, with the selection mark."""
        summary = self.summary_at(item)
        if summary is not None:
            mark = Segment(glyphs.BAR, self.palette.style("accent"))
            block = self._block(summary)
            own = item == self.cursor and block.is_own(row)
            return Strip([mark if own else Segment(" "), *strip_of(block.spans(row), self.palette)])
        selected = item == self.cursor and self._is_own(item, row)
        return self._lines(item).strip(row, selected=selected)

    def row_style(self, item: int, row: int) -> Style | None:
        if item != self.cursor:
            return None
        summary = self.summary_at(item)
        own = self._is_own(item, row) if summary is None else self._block(summary).is_own(row)
        return self.palette.background("selection") if own else None

    def _is_own(self, item: int, row: int) -> bool:
        return self._lines(item).is_own(row, self.heights[item])

    def copy_row(self, item: int, row: int) -> CopyRow:
        summary = self.summary_at(item)
        if summary is not None:
            return CopyRow(" " + plain(self._block(summary).spans(row)), 1)
        return self._lines(item).copy_row(row)

    def show_empty(self, message: str) -> None:
        """Sets the message of an empty transcript."""
        if message != self.empty_message:
            self.empty_message = message
            self.refresh()

    def empty_row(self, y: int) -> Strip:
        """The message of an empty transcript, below sessions that have started."""
        if self.shown_items or not self._width:
            return Strip.blank(self._width)
        frame = self._frames.by_turn.get(-1)
        width = self._width - 2
        heads = [row for s, _ in frame.after for row in head_rows(s, width)] if frame else []
        if y < len(heads):
            return strip_of([(" ", "text"), *heads[y]], self.palette)
        lines = Wrapped(self.empty_message, max(10, min(60, self._width - 4))).lines()
        number = y - max(len(heads) + 1, (self.view_height - len(lines)) // 3)
        if not 0 <= number < len(lines):
            return Strip.blank(self._width)
        pad = (self._width - cell_len(lines[number])) // 2
        return strip_of([(" " * pad + lines[number], "muted")], self.palette)

    def _lines(self, item: int) -> TurnLines:
        turn = self.turn_at(item)
        lines = self._cache.get(item)
        key = (turn, turn.version, int(turn.flags), self._generation)
        if lines is None or lines.geometry is not self._geometry:
            if len(self._cache) >= _KEPT:
                for old in list(self._cache)[: _KEPT // 2]:
                    del self._cache[old]
            from convtui.tui.widgets.transcript.turn_lines import TurnLines

            lines = self._cache[item] = TurnLines(self._geometry, self.palette)
        if lines.key != key:
            content = None
            if self._mode != "shown" and self.text_of is not None:
                content = self.text_of(turn, self._mode)
            extra = self.extras_of(turn) if self.extras_of is not None else None
            search: re.Pattern[str] | None = self._search.highlight if self._search else None
            lines.update(turn, self._frame(item), extra, content, search)
            lines.key = key
        return lines

    def _block(self, summary: Summary) -> SummaryLines:
        block = self._blocks.get(summary.first)
        if block is None or block.geometry is not self._geometry:
            frame = Frame(
                self._frame(summary.first).before,
                [
                    end
                    for i in range(summary.first, summary.last + 1)
                    for end in self._frame(i).after
                ],
            )
            from convtui.tui.widgets.transcript.summary_lines import SummaryLines

            block = SummaryLines(summary, self._geometry, frame)
            self._blocks[summary.first] = block
        return block

    def _frame(self, item: int) -> Frame:
        frame = self._frames.by_turn.get(item, _NO_FRAME)
        if item == self._limit and self._limit_turn is not None and frame.after:
            return Frame(frame.before, [])
        return frame

    def _make_geometry(self) -> None:
        gap = 1 if self.view_height >= _GAP_FROM else 0
        self._geometry = Geometry(self._width or 80, len(str(self._largest)), gap)

    def _count_digits(self) -> None:
        turns = self._transcript.turns
        if len(turns) > self._counted:
            largest = max(turn.number for turn in turns[self._counted :])
            self._largest = max(self._largest, largest)
            self._counted = len(turns)
