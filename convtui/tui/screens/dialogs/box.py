"""The frame of a dialog: as wide as what it holds, with its keys where they can all be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from convtui.tui.drawing.wrap import count_lines

FRAME = 4
"""Cells that the frame takes of the width: a border and a space on each side."""
_TITLE = 6
"""Cells that a border needs beside the text in it: corners, lines and spaces."""
NARROWEST, WIDEST = 40, 110


def width_of(texts: Iterable[str], *, widest: int = WIDEST, least: int = NARROWEST) -> int:
    """The width of a dialog around lines of text."""
    longest = max((cell_len(line) for text in texts for line in text.splitlines()), default=0)
    return max(least, min(widest, longest + FRAME + 2))


def heights_of(texts: Sequence[str], width: int, room: int, *, least: int) -> list[int]:
    """The rows of boxes for texts: what each needs, or a fair part of the room.

    Each has at least `least`; together they are higher than `room` where that is not enough.
    """
    needed = [max(least, count_lines(text, width)) for text in texts]
    if sum(needed) <= room:
        return needed
    heights = [least] * len(needed)
    left = room - sum(heights)
    while left > 0:
        for index, wanted in enumerate(needed):
            if heights[index] < wanted and left > 0:
                heights[index] += 1
                left -= 1
    return heights


def key_rows(keys: str, width: int) -> list[str]:
    """Keys on lines of a width; a key and what it does stay together."""
    rows: list[str] = []
    for part in keys.split("  "):
        longer = f"{rows[-1]}  {part}" if rows else part
        if rows and cell_len(longer) <= width:
            rows[-1] = longer
        else:
            rows.append(part)
    return rows


class FoldedKeys(Widget):
    """Keys on as many lines as they need."""

    DEFAULT_CSS = "FoldedKeys { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }"
    keys = reactive("", layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(key_rows(self.keys, width))

    def render(self) -> Content:
        return Content("\n".join(key_rows(self.keys, self.size.width)))


class DialogBox(Vertical):
    """A frame with a title above and keys below; keys that do not fit there fold inside."""

    can_focus = False
    DEFAULT_CSS = """
    DialogBox { width: 64; max-width: 96%; height: auto; max-height: 96%; border: round $accent;
                background: $surface; padding: 0 1; }
    """

    def __init__(self, title: str, keys: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = Content(title)
        self._title = title
        self._keys = keys
        self._folded = FoldedKeys()

    def compose(self) -> ComposeResult:
        yield from super().compose()
        yield self._folded

    @property
    def keys(self) -> str:
        """What the keys do, such as `enter choose  esc stay`."""
        return self._keys

    @keys.setter
    def keys(self, keys: str) -> None:
        self._keys = keys
        self._show_keys()

    def on_mount(self) -> None:
        self._show_keys()

    def on_resize(self) -> None:
        self._show_keys()

    def _show_keys(self) -> None:
        inside = cell_len(self._keys) + _TITLE > self.outer_size.width > 0
        self.border_subtitle = Content("" if inside else self._keys)
        self._folded.display = inside
        self._folded.keys = self._keys

    def hold(self, texts: Iterable[str], *, widest: int = WIDEST) -> None:
        """Makes it as wide as `texts`, its title and its keys need."""
        edges = (self._title, self._keys)
        self.styles.width = width_of([*texts, *edges], widest=widest)

    def room(self, screen: Size) -> Size:
        """The cells inside the frame where the dialog is as large as the screen lets it be."""
        folded = len(key_rows(self._keys, max(8, self.outer_size.width - FRAME - 2)))
        rows = screen.height * 96 // 100 - 2 - (folded if self._folded.display else 0)
        return Size(max(8, self.outer_size.width - FRAME), max(3, rows))
