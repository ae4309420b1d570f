"""The transcript: every turn of a conversation, however long it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Literal

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
from convtui.tui.drawing.palette import Palette, plain
from convtui.tui.drawing.wrap import Wrapped
from convtui.tui.timers import call_once
from convtui.tui.widgets.line_view import CopyRow, LineView, strip_of
from convtui.tui.widgets.transcript.marks import TurnExtras
from convtui.tui.widgets.transcript.session_rows import (
    Frame,
    SessionFrames,
    plain_turn,
    session_head,
)
from convtui.tui.widgets.transcript.summaries import Summary
from convtui.tui.widgets.transcript.summary_lines import SummaryLines
from convtui.tui.widgets.transcript.turn_lines import Content, Geometry, TurnLines, measure_turn
from convtui.tui.widgets.transcript.turn_search import TurnSearch, Wanted

Mode = Literal["shown", "raw", "diff"]
_KEPT = 400
_AT_ONCE = 500
_ROOMY = 20
_NO_FRAME = Frame()
_TOOL = int(Flag.TOOL)


class TranscriptView(LineView):
    """Draws the turns on the screen, selects one, follows the end, searches."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_turn", "open turn", show=False),
    ]

    cursor = reactive(-1, init=False, repaint=False)
    """Index of the selected turn, -1 while there is none."""

    class TurnSelected(Message):
        """Another turn was selected."""

        def __init__(self, view: TranscriptView, turn_index: int) -> None:
            super().__init__()
            self.view = view
            self.turn_index = turn_index

        @property
        def control(self) -> TranscriptView:
            """The sender."""
            return self.view

    class TurnOpened(TurnSelected):
        """Enter or a double click on a turn."""

    class SearchProgress(Message):
        """How many turns a search has found."""

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
        """What to do here, said while there are no turns."""
        self.text_of: Callable[[Turn, Mode], Content | None] | None = None
        """Gives the text of a turn in a mode other than shown; asked for visible turns only."""
        self.extra_of: Callable[[Turn], TurnExtras | None] | None = None
        """Gives what the log says beyond the summary; asked for visible turns only."""
        self.knows: Callable[[Turn], bool] | None = None
        """Whether `extra_of` would have an answer at once."""
        self.flags_of: Callable[[Turn], int] | None = None
        """Gives a turn's flags as they were corrected by hand."""
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
        """The conversation on the screen."""
        return self._transcript

    def set_transcript(self, transcript: Transcript) -> None:
        """Shows another conversation from its end when following, else from its beginning."""
        self.search(None)
        self._summaries = []
        self._blocks.clear()
        self._transcript = transcript
        self._limit = self._limit_turn = None
        self._noted = frozenset()
        self._cache.clear()
        self._frames = SessionFrames(transcript)
        self._frames.take()
        self._largest = self._counted = 0
        self._count_digits()
        self._make_geometry()
        self.set_reactive(TranscriptView.cursor, -1)
        self.load(len(transcript.turns), 6)
        if transcript.turns:
            self.cursor = len(transcript.turns) - 1 if self.stick_to_end else 0

    def refresh_turns(self, changed: Iterable[int]) -> None:
        """Takes in turns that changed or were appended. Cheap enough for 20 calls a second."""
        turns = self._transcript.turns
        count = len(turns)
        with self.holding():
            touched = {index for index in changed if 0 <= index < len(self.heights)}
            framed = self._frames.take()
            if framed:
                self._generation += 1
                self._blocks.clear()
                touched |= framed
            fresh = count - len(self.heights)
            for _ in range(fresh):
                self.heights.append(6, exact=False)
            if fresh > 0:
                self._count_digits()
                if len(str(self._largest)) > self._geometry.digits:
                    self._make_geometry()
                    self.heights.forget()
            for number, index in enumerate(touched):
                if index in self._cache:
                    self._cache[index].key = ()
                if index < len(self.heights) and number < _AT_ONCE and self._width:
                    self.heights.put(index, self.measure(index))
            if 0 < fresh <= _AT_ONCE and self._width:
                for index in range(count - fresh, count):
                    self.heights.put(index, self.measure(index))
        if self._search is not None:
            for index in touched:
                self._search.again(turns[index], index)
            self._search_on()
        if fresh > 0 and (self.stick_to_end or self.cursor < 0):
            self.cursor = self.shown_items - 1

    def set_noted(self, noted: frozenset[int]) -> None:
        """Which turns have a row for a mark or a note: those of which `extra_of` tells one."""
        changed = noted ^ self._noted
        if not changed:
            return
        self._noted = noted
        for index in changed & self._cache.keys():
            self._cache[index].key = ()
        if len(changed) > _AT_ONCE:
            self.remeasure()
            return
        with self.holding():
            for index in changed:
                if index < len(self.heights) and self._width:
                    self.heights.put(index, self.measure(index))

    def turn_at(self, index: int) -> Turn:
        """The turn as shown: the one at the limit may be an earlier stage of itself."""
        if index == self._limit and self._limit_turn is not None:
            return self._limit_turn
        return self._transcript.turns[index]

    @property
    def limit(self) -> int | None:
        """Index of the last turn to show; None for all."""
        return self._limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        self.set_limit(limit)

    @property
    def limit_turn(self) -> Turn | None:
        """The last turn as of a stage, when it is not shown as a whole."""
        return self._limit_turn

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
        """Turns up to the limit."""
        count = len(self.heights)
        return count if self._limit is None else max(0, min(count, self._limit + 1))

    @property
    def mode(self) -> Mode:
        """`shown`, `raw` or `diff`."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        if mode != self._mode:
            self._mode = mode
            self._generation += 1
            self.remeasure()

    @property
    def summaries(self) -> list[Summary]:
        """The summaries that are shown in the place of the turns that they stand for."""
        return self._summaries

    @summaries.setter
    def summaries(self, summaries: list[Summary]) -> None:
        if summaries != self._summaries:
            self._summaries = list(summaries)
            self._blocks.clear()
            self.remeasure()
            self.cursor = self.cursor  # one that is hidden now goes to what stands for it
            self._settle(None if self.stick_to_end else self._anchor())
            self.refresh()

    def summary_at(self, index: int) -> Summary | None:
        """The summary that a turn is shown as part of."""
        if not self._summaries:
            return None
        found = (each for each in self._summaries if each.first <= index <= each.last)
        return next(found, None)

    def validate_cursor(self, index: int) -> int:
        """A summary is selected as a whole."""
        found = self.summary_at(index)
        return index if found is None else found.first

    @property
    def follow(self) -> bool:
        """Whether the view stays at the end when turns come."""
        return self.stick_to_end

    @follow.setter
    def follow(self, follow: bool) -> None:
        self.stick_to_end = follow
        if follow and self.shown_items:
            self.cursor = self.shown_items - 1
            self._settle(None)

    # --- moving

    def move(self, delta: int) -> None:
        """Selects the turn `delta` turns further."""
        here = max(0, self.cursor)
        inside = self.summary_at(here)
        if inside is not None and delta > 0:
            here = inside.last
        there = self.summary_at(here + delta)
        self.go_to(here + delta if there is None else there.first)

    def go_to(self, index: int) -> None:
        """Selects a turn and brings it to sight; the last one switches following on."""
        last = self.shown_items - 1
        if last < 0:
            return
        index = max(0, min(index, last))
        inside = self.summary_at(index)
        if inside is not None and index not in (inside.first, last):
            # Somebody looks for this very turn.
            self.summaries = []
        self.stick_to_end = index == last or (inside is not None and inside.last == last)
        self.cursor = index
        if self.stick_to_end:
            self._settle(None)
        else:
            self.show_item(index)
        self.refresh()

    def next_interesting(self, direction: int = 1) -> bool:
        """Selects the next (or previous) turn with an event of interest; whether there is one."""
        wanted = int(INTERESTING)
        index = self.cursor + direction
        while 0 <= index < self.shown_items:
            turn = self.turn_at(index)
            flags = int(turn.flags) if self.flags_of is None else self.flags_of(turn)
            if flags & wanted:
                self.go_to(index)
                return True
            index += direction
        return False

    def page(self, direction: int) -> None:
        """Scrolls by a page; the selection comes along."""
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
        """Tells who listens."""
        self.refresh()
        if new >= 0 and new != old:
            self.post_message(self.TurnSelected(self, new))

    def stuck(self, value: bool) -> None:
        """Scrolled to the end or away from it."""
        if value and self.shown_items:
            self.cursor = self.shown_items - 1

    def action_scroll_up(self) -> None:
        """The turn before."""
        self.move(-1)

    def action_scroll_down(self) -> None:
        """The turn after."""
        self.move(1)

    def action_scroll_home(self) -> None:
        """The first turn."""
        self.go_to(0)

    def action_scroll_end(self) -> None:
        """The last turn; follows from there."""
        self.go_to(self.shown_items - 1)

    def action_page_up(self) -> None:
        """A page up."""
        self.page(-1)

    def action_page_down(self) -> None:
        """A page down."""
        self.page(1)

    def action_open_turn(self) -> None:
        """Says that the selected turn is to be opened."""
        if self.cursor >= 0:
            self.post_message(self.TurnOpened(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Selects the turn under the mouse; a double click opens it."""
        # Otherwise a double click would select the text of the whole transcript.
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

    def search(self, wanted: Wanted | None, highlight: re.Pattern[str] | None = None) -> None:
        """Looks for turns in slices, lights matches up; None and "" end it.

        `highlight` is what is lit in the text where `wanted` is no text itself.
        """
        if self._search_timer is not None:
            self._search_timer.stop()
            self._search_timer = None
        self._search = TurnSearch(wanted, highlight) if wanted else None
        self._generation += 1
        self.refresh()
        self._search_on()

    @property
    def search_count(self) -> int:
        """Turns found so far."""
        return 0 if self._search is None else len(self._search.matches)

    @property
    def search_position(self) -> int | None:
        """Which of the matches is selected, from 1."""
        return None if self._search is None else self._search.ordinal(self.cursor)

    def next_match(self, direction: int = 1) -> bool:
        """Selects the next (or previous) match, round the end; whether there is one."""
        found = None if self._search is None else self._search.next(self.cursor, direction)
        if found is None or found >= self.shown_items:
            return False
        self.go_to(found)
        return True

    def _search_on(self) -> None:
        self._search_timer = None
        search = self._search
        if search is None or not self.is_mounted:
            return
        done = search.step(self._transcript.turns, self.shown_items, 0.006)
        self.post_message(self.SearchProgress(len(search.matches), done))
        if not done:
            self._search_timer = call_once(self, 0.001, self._search_on)

    # --- the clipboard

    def copy_text(self, index: int | None = None) -> str:
        """The stored text of a turn (of the selected one), exact."""
        index = self.cursor if index is None else index
        return self.turn_at(index).text if 0 <= index < self.shown_items else ""

    def copy_transcript(self) -> str:
        """The whole transcript as plain text: turns, what happened to them, sessions."""
        return "".join(
            plain_turn(self.turn_at(index), self._frame(index)) for index in range(self.shown_items)
        )

    def all_text(self) -> str:
        """What "select all" copies."""
        return self.copy_transcript()

    # --- for the base

    def restyle(self) -> None:
        """Draws everything again in the palette that is set now."""
        self._cache.clear()
        self.refresh()

    def rewrap(self) -> None:
        """The width, the height or the mode has changed."""
        self._make_geometry()

    def needs_rewrap(self) -> bool:
        """Room is left between turns only where there is room."""
        return (self._geometry.gap > 0) != (self.view_height >= _ROOMY)

    def anchor_item(self) -> int | None:
        """The selected turn stays where it is."""
        return self.cursor if self.cursor >= 0 else None

    def _measure_later(self) -> None:
        # Other texts than the shown ones are in the file: they are measured when they are seen.
        if self._mode == "shown" or self.text_of is None:
            super()._measure_later()

    def measure(self, item: int) -> int:
        """The height of a turn with its frame."""
        inside = self.summary_at(item)
        if inside is not None:
            return self._block(inside).height if item == inside.first else 0
        turn = self.turn_at(item)
        if turn.status == OPEN or self._mode != "shown" or turn.flags & _TOOL:
            return self._lines(item).height
        rows = item in self._noted
        return measure_turn(turn, self._geometry) + self._frame(item).height + rows

    def measure_some(self, first: int, last: int) -> Sequence[int]:
        """The heights of neighbours."""
        geometry, with_frame = self._geometry, self._frames.by_turn
        turns = self._transcript.turns[first:last]
        found = [measure_turn(turn, geometry) for turn in turns]
        for index, turn in enumerate(turns, first):
            if self._summaries and self.summary_at(index) is not None:
                found[index - first] = self.measure(index)
                continue
            known = turn.flags & _TOOL and self.knows is not None and self.knows(turn)
            if known or index in with_frame or turn.status == OPEN or index == self._limit:
                found[index - first] = self.measure(index)
            elif index in self._noted:
                found[index - first] += 1
        return found

    def row(self, item: int, row: int) -> Strip:
        """One line of a turn, with the selection's mark."""
        inside = self.summary_at(item)
        if inside is not None:
            mark = Segment("▌", self.palette.style("accent"))
            block = self._block(inside)
            own = item == self.cursor and block.own(row)
            return Strip([mark if own else Segment(" "), *strip_of(block.spans(row), self.palette)])
        strip = self._lines(item).strip(row)
        frame = self._frame(item)
        lines = self.heights[item]
        own = len(frame.before) <= row < lines - len(frame.after) - self._geometry.gap
        if item == self.cursor and own:
            return Strip([Segment("▌", self.palette.style("accent")), *strip])
        return Strip([Segment(" "), *strip])

    def row_style(self, item: int, row: int) -> Style | None:
        """The light of the selected turn, of the one that is held."""
        if item != self.cursor:
            return None
        summary = self.summary_at(item)
        if summary is not None:
            own = self._block(summary).own(row)
            return self.palette.background("selection") if own else None
        frame = self._frame(item)
        inside = self.heights[item] - len(frame.after) - self._geometry.gap
        if len(frame.before) <= row < inside:
            return self.palette.background("selection")
        return None

    def copy_row(self, item: int, row: int) -> CopyRow:
        """One line for the clipboard."""
        inside = self.summary_at(item)
        if inside is not None:
            return CopyRow(" " + plain(self._block(inside).spans(row)), 1)
        return self._lines(item).copy_row(row)

    def empty_row(self, y: int) -> Strip:
        """The message of an empty transcript, below the sessions that have begun."""
        if self.shown_items or not self._width:
            return Strip.blank(self._width)
        frame = self._frames.by_turn.get(-1)
        heads = [session for session, _ in frame.after] if frame else []
        if y < len(heads):
            return strip_of([(" ", "text"), *session_head(heads[y], self._width - 2)], self.palette)
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
            lines = self._cache[item] = TurnLines(self._geometry, self.palette)
        if lines.key != key:
            content = None
            if self._mode != "shown" and self.text_of is not None:
                content = self.text_of(turn, self._mode)
            extra = self.extra_of(turn) if self.extra_of is not None else None
            search: re.Pattern[str] | None = self._search.highlight if self._search else None
            lines.update(turn, self._frame(item), extra, content, search)
            lines.key = key
        return lines

    def _block(self, summary: Summary) -> SummaryLines:
        found = self._blocks.get(summary.first)
        if found is None or found.geometry is not self._geometry:
            frame = Frame(
                self._frame(summary.first).before,
                [
                    end
                    for i in range(summary.first, summary.last + 1)
                    for end in self._frame(i).after
                ],
            )
            found = SummaryLines(summary, self._geometry, frame)
            self._blocks[summary.first] = found
        return found

    def _frame(self, item: int) -> Frame:
        frame = self._frames.by_turn.get(item, _NO_FRAME)
        if item == self._limit and self._limit_turn is not None and frame.after:
            return Frame(frame.before, [])
        return frame

    def _make_geometry(self) -> None:
        gap = 1 if self.view_height >= _ROOMY else 0
        self._geometry = Geometry(self._width or 80, len(str(self._largest)), gap)

    def _count_digits(self) -> None:
        turns = self._transcript.turns
        if len(turns) > self._counted:
            fresh = max(turn.number for turn in turns[self._counted :])
            self._largest = max(self._largest, fresh)
            self._counted = len(turns)
