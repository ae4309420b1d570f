"""The base of all views made of lines: draws what is visible, measures the rest in slices.

A view has items, each several lines high. Heights start as estimates; visible items are measured at
once, the rest in slices of a few milliseconds, without moving what is visible.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from convtui.tui.drawing.clusters import anchored, separated
from convtui.tui.drawing.palette import Palette, palette_of
from convtui.tui.drawing.strips import PlacedStrips, placed, restyled
from convtui.tui.textual_compat import KeptLines
from convtui.tui.timers import call_once
from convtui.tui.widgets.copy_rows import CopyRow, copied
from convtui.tui.widgets.heights import Heights, row_to_show

_SLICE = 0.004
_PAUSE = 0.004
"""Seconds of measuring, and after them those that are left to all else."""
_QUIET = 0.05
"""Seconds that the first slice waits: what is seen is drawn before."""
_PROGRESS_EVERY = 0.25
"""Seconds between updates of the scroll bar while heights are measured."""
MAX_COPY_LINES = 100_000


class LineView(ScrollView, can_focus=True):
    """Items made of lines. Subclasses measure and draw them, and call `load()` and `holding()`."""

    DEFAULT_CSS = """
    LineView {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        background: $background;
        color: $foreground;
    }
    """
    ALLOW_SELECT: ClassVar[bool] = True
    CHUNK: ClassVar[int] = 256
    """Items measured between checks of the clock."""

    def __init__(
        self,
        *,
        palette: Palette | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._styles_cache = KeptLines()
        self._palette = palette
        self._base: Style | None = None
        self._strips = PlacedStrips()
        self._empty: tuple[tuple[int, Style], Strip] | None = None
        self._columns: int | None = None
        """The width of the lines while they are drawn: asking for it costs as much as a line."""
        self.heights = Heights()
        self._width = 0
        self._placing = False
        self._placed = (0, 0)
        """The first line and the height of the view when it was placed last."""
        self._timer: Timer | None = None
        self._measured_to = 0
        self._progress_at = 0.0
        self._measures_all = True
        self.stick_to_end = False
        """Whether the last line stays visible when lines are added."""
        self.follows = False
        """Whether scrolling to the end makes the view stick to it."""
        self.end_room: int | None = None
        """The least number of empty lines below the end while the view sticks to it.

        With a number, the view scrolls no further than it has to when lines are added, or when it
        gets lower or higher: what opens and closes below it moves no line. None is always the end.
        """
        self.most_room = 0
        """The most of such lines: more would hide what stands above for nothing."""

    # --- for subclasses

    def measure(self, item: int) -> int:
        """The exact height of an item."""
        raise NotImplementedError

    def measure_some(self, first: int, last: int) -> Sequence[int]:
        """The exact heights of the items `first` to `last - 1`; override for speed."""
        return [self.measure(item) for item in range(first, last)]

    def row(self, item: int, row: int) -> Strip:
        """One line, without background; cheapest if it is the same strip while nothing changes."""
        raise NotImplementedError

    def row_style(self, item: int, row: int) -> Style | None:
        """The background of a line, such as that of a selected item."""
        return None

    def copy_row(self, item: int, row: int) -> CopyRow:
        return CopyRow("".join(segment.text for segment in self.row(item, row)).rstrip())

    def all_text(self) -> str:
        """Everything, for the clipboard."""
        return self._copied(Selection(None, None))

    def restyle(self) -> None:
        """Drops cached drawings when colours or highlights change."""
        self.refresh()

    def rewrap(self) -> None:
        """Drops cached wrapping when the width changes."""

    def anchor_item(self) -> int | None:
        """The item that stays in place while heights change; None for the first visible one."""
        return None

    @property
    def shown_items(self) -> int:
        """The number of items that are not hidden."""
        return len(self.heights)

    def empty_row(self, y: int) -> Strip:
        return Strip.blank(self._width)

    # --- colours

    @property
    def palette(self) -> Palette:
        """The palette that was set, else the app's."""
        if self._palette is None:
            self._palette = palette_of(self.app)
        return self._palette

    @palette.setter
    def palette(self, palette: Palette) -> None:
        self._palette = palette
        self._base = None
        self.restyle()

    def notify_style_update(self) -> None:
        """Called by Textual when styles change."""
        super().notify_style_update()
        self._base = None
        self.refresh()

    # --- geometry

    @property
    def view_height(self) -> int:
        """The number of visible lines."""
        return int(self.scrollable_content_region.height)

    @property
    def view_width(self) -> int:
        """Cells per line; 0 until the first layout."""
        return self._width

    @property
    def line_count(self) -> int:
        """The total number of lines, partly estimated."""
        items = self.shown_items
        return self.heights.total if items >= len(self.heights) else self.heights.start(items)

    @property
    def measuring(self) -> bool:
        """Whether some heights are still estimates."""
        return self._timer is not None

    @property
    def measures_all(self) -> bool:
        """Whether items are measured that are not visible; without, their heights are guessed."""
        return self._measures_all

    @measures_all.setter
    def measures_all(self, value: bool) -> None:
        self._measures_all = value
        self._measure_later()

    def keep_room(self, least: int, most: int) -> None:
        """Sets the empty lines below the end, and gives up those that are too many."""
        self.end_room, self.most_room = least, most
        if self.stick_to_end and self._free_rows > self._most_room:
            self._settle(None)

    def load(self, count: int, estimate: int = 1) -> None:
        """Starts over with `count` items of about `estimate` lines."""
        self.heights = Heights(count, estimate)
        self._measured_to = 0
        self._place(0)
        # Nothing that was visible is left: no room is kept for it.
        self._placed = (self.line_count - self.view_height, self.view_height)
        self._settle(None if self.stick_to_end else (0, 0))
        self._measure_later()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Keeps what is visible in place while heights change inside the block."""
        anchor = self._anchor()
        yield
        self._settle(anchor)
        self._measure_later()

    def _anchor(self) -> tuple[int, int] | None:
        if self.stick_to_end:
            return None
        if not self.shown_items:
            return 0, 0
        top = round(self.scroll_y)
        item = self.anchor_item()
        if item is not None and 0 <= item < self.shown_items:
            row = self.heights.start(item) - top
            if -self.heights[item] < row < self.view_height:
                return item, row
        item, inner = self.heights.find(top)
        return item, -inner

    def _settle(self, anchor: tuple[int, int] | None) -> None:
        """Measures the visible items and scrolls so that `anchor` is in its row again."""
        items = self.shown_items
        if not self._width or not items:
            self._place(0)
            return
        height = self.view_height
        if anchor is None:
            item = items - 1
            row = height - self._exact(item) - self._room_below()
        else:
            item, row = min(anchor[0], items - 1), anchor[1]
        line, below = row, item
        while line < height and below < items:
            line += self._exact(below)
            below += 1
        line, above = row, item
        while line > 0 and above > 0:
            above -= 1
            line -= self._exact(above)
        self._place(self.heights.start(item) - row)

    def _room_below(self) -> int:
        """Empty lines to leave below the end, so that what is visible moves as little as can be."""
        if self.end_room is None:
            return 0
        return max(min(self.end_room, self._most_room), min(self._free_rows, self._most_room))

    @property
    def _free_rows(self) -> int:
        """Empty lines below the end if no line moved."""
        return self._placed[0] + self.view_height - self.line_count

    @property
    def _most_room(self) -> int:
        if self.end_room is None or not self.stick_to_end:
            return 0
        return min(max(self.end_room, self.most_room), self.view_height // 2)

    def _moved_by(self, lines: int) -> None:
        """Lines above the end were found to be more or fewer than it was thought."""
        self._placed = (self._placed[0] + lines, self._placed[1])

    def _exact(self, item: int) -> int:
        if not self.heights.is_exact(item):
            before = self.heights[item]
            self.heights.put(item, self.measure(item))
            self._moved_by(self.heights[item] - before)
        return self.heights[item]

    def _place(self, top: int, *, quiet: bool = False) -> None:
        """Scrolls to a line; `quiet` if the visible lines stay the same."""
        if not self.is_mounted:
            return
        total = self.line_count
        top = max(0, min(top, total - self.view_height + self._most_room))
        self._placed = (top, self.view_height)
        # What is scrolled past the end belongs to it.
        total = max(total, top + self.view_height) if top else total
        size = Size(self._width, total)
        # Bypass the reactive's setter, which would lay out the whole screen for each new line.
        self.set_reactive(Widget.virtual_size, size)
        if quiet:
            self.set_reactive(Widget.scroll_y, float(top))
            self.set_reactive(Widget.scroll_target_y, float(top))
            return
        self._show_place()
        self._placing = True
        try:
            self.scroll_target_y = top
            self.scroll_y = top
        finally:
            self._placing = False
        self.refresh()

    def _show_place(self) -> None:
        """Updates the scroll bar."""
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.window_virtual_size = self.virtual_size.height
            self.vertical_scrollbar.window_size = self.view_height
            self.vertical_scrollbar.position = self._placed[0]

    def validate_scroll_y(self, value: float) -> float:
        """Keeps the position in bounds, and where it is until a changed height is taken in."""
        resized = self.end_room is not None and self.view_height != self._placed[1]
        return value if resized else super().validate_scroll_y(value)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Measures what has become visible."""
        super().watch_scroll_y(old_value, new_value)
        if self._placing or round(old_value) == round(new_value):
            return
        if self.follows:
            self.stick_to_end = round(new_value) >= self.max_scroll_y
            self.stick_changed(self.stick_to_end)
        if self.shown_items:
            item, inner = self.heights.find(round(new_value))
            self._settle((item, -inner))

    def stick_changed(self, value: bool) -> None:
        """Called when scrolling reaches or leaves the end."""

    def scroll_lines(self, lines: int) -> None:
        """Scrolls without animation."""
        self.scroll_to(y=round(self.scroll_y) + lines, animate=False)

    def show_item(self, item: int) -> None:
        """Scrolls as little as needed to show an item; a distant one goes to the upper third."""
        if not self._width or not 0 <= item < self.shown_items:
            return
        start, size = self.heights.start(item), self._exact(item)
        row = row_to_show(start, size, round(self.scroll_y), self.view_height)
        if row is not None:
            self._settle((item, row))

    def needs_rewrap(self) -> bool:
        """Whether a changed view height affects the heights of items."""
        return False

    def on_resize(self, event: events.Resize) -> None:
        width = self.scrollable_content_region.width
        anchor = self._anchor() if self._width else None if self.stick_to_end else (0, 0)
        if width != self._width or self.needs_rewrap():
            self._width = width
            self._forget_heights()
        self._settle(anchor)
        self._measure_later()

    def _forget_heights(self) -> None:
        before = self.line_count
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self.rewrap()
        self.heights.invalidate()
        self._moved_by(self.line_count - before)
        self._measured_to = 0

    def remeasure(self) -> None:
        """Measures everything again: visible items at once, the rest in slices."""
        with self.holding():
            self._forget_heights()

    # --- measuring in the background

    def _measure_later(self) -> None:
        if self._timer is None and self._width and self._measures_all and self.is_mounted:
            self._measured_to = self.heights.next_estimate()
            if self._measured_to >= 0:
                self._progress_at = time.perf_counter()
                self._timer = call_once(self, _QUIET, self._measure_slice)

    def _measure_slice(self) -> None:
        self._timer = None
        if not self.is_mounted:
            return
        started = time.perf_counter()
        anchor, before = self._anchor(), self.line_count
        item = self.heights.next_estimate(max(0, self._measured_to))
        while item >= 0:
            last = min(item + self.CHUNK, len(self.heights))
            self.heights.put_many(item, self.measure_some(item, last))
            item = self.heights.next_estimate(last)
            if time.perf_counter() - started > _SLICE:
                break
        if item < 0:
            item = self.heights.next_estimate()
        self._measured_to = item
        self._moved_by(self.line_count - before)
        if item < 0:
            self._settle(anchor)
            return
        if anchor is not None:
            self._place(self.heights.start(anchor[0]) - anchor[1], quiet=True)
        else:
            self._place(self.line_count - self.view_height + self._room_below(), quiet=True)
        now = time.perf_counter()
        if now - self._progress_at > _PROGRESS_EVERY:
            self._progress_at = now
            self._show_place()
        self._timer = call_once(self, _PAUSE, self._measure_slice)

    # --- drawing

    def render_line(self, y: int) -> Strip:
        base = self._base
        if base is None:
            base = self._base = self.rich_style
        width = self._columns
        if width is None:
            width = self.scrollable_content_region.width
        if not self._width:
            return self._ground(width, base)  # drawn before it was told its size
        line = round(self.scroll_y) + y
        if line >= self.line_count:
            strip = self.empty_row(y)
            if not strip.text.strip():
                return self._ground(width, base)
            return strip.apply_style(base).crop_extend(0, width, base)
        item, row = self.heights.find(line)
        strip = self.row(item, row)
        under = self.row_style(item, row)
        if under is not None:
            base += under
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(line)) is not None:
            marked = restyled(separated(strip), *span, self.palette.style("mark:accent"))
            return placed(marked, base, width, line)
        return self._strips.get(strip, base, width, line)

    def _ground(self, width: int, base: Style) -> Strip:
        """An empty line: always the same one, which is framed and cut only once."""
        if self._empty is None or self._empty[0] != (width, base):
            self._empty = (width, base), Strip.blank(width, base)
        return self._empty[1]

    def render_lines(self, crop: Region) -> list[Strip]:
        """Called by Textual; anchors emoji after its filters, which would break them."""
        self._columns = self.scrollable_content_region.width
        try:
            return [anchored(strip) for strip in super().render_lines(crop)]
        finally:
            self._columns = None

    # --- selecting text

    def selection_updated(self, selection: Selection | None) -> None:
        """Called by Textual while text is selected."""
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Called by Textual: the selected text, as `copied()` has it."""
        everything = selection.start is None and selection.end is None
        return self.all_text() if everything else self._copied(selection), "\n"

    def _copied(self, selection: Selection) -> str:
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else self.line_count
        last = min(last, self.line_count - 1, first + MAX_COPY_LINES)
        rows = (self.copy_row(*self.heights.find(line)) for line in range(first, last + 1))
        return copied(rows, first, selection)
