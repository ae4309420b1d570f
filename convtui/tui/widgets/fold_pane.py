"""A text pane whose folds are opened with keys and clicks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from rich.style import Style
from textual import events
from textual.message import Message

from convtui.tui.widgets.text_pane import Block, Document, TextPane

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Palette


class FoldPane(TextPane):
    """Shows a document; up and down go to its folds where some are visible, else they scroll."""

    class FoldsChanged(Message):
        """The pane has other folds, or another one is chosen."""

    def __init__(self, *, palette: Palette | None = None) -> None:
        self._opened: dict[str, bool] = {}
        self._everything = False
        self._chosen = ""
        """The key of the fold that the keys are on."""
        super().__init__(palette=palette)
        self._folds: list[int] = []

    # --- folds

    @property
    def has_folds(self) -> bool:
        return bool(self._folds)

    @property
    def cursor(self) -> int:
        """The block that the keys are on; -1 for none."""
        return next((n for n in self._folds if self._key(n) == self._chosen), -1)

    @property
    def is_open(self) -> bool:
        """Whether the chosen fold is open."""
        item = self.cursor
        return item >= 0 and not self.pieces[item].is_folded

    @property
    def everything_open(self) -> bool:
        return self._everything

    def _key(self, item: int) -> str:
        fold = self.pieces[item].fold
        return fold.key if fold is not None else ""

    def blocks_of(self, doc: Document) -> list[Block]:
        return doc.blocks(self._opened, everything=self._everything)

    def _reload(self, pieces: list[Block], anchor: tuple[int, int] | None) -> None:
        super()._reload(pieces, anchor)
        self._folds = [number for number, piece in enumerate(pieces) if piece.fold is not None]
        if self.has_focus and self.cursor < 0:
            self._chosen = self._key(self._first_visible()) if self._folds else ""
        self.post_message(self.FoldsChanged())

    def toggle(self, item: int = -1) -> None:
        """Opens or folds a block, or the chosen one; its line stays where it is."""
        item = self.cursor if item < 0 else item
        if item < 0:
            return
        piece = self.pieces[item]
        self._chosen = self._key(item)
        self._opened[self._chosen] = piece.is_folded
        row = self.heights.start(item) - round(self.scroll_y)
        self._reload(self.blocks_of(self.doc), (item, row))

    def toggle_all(self) -> None:
        """Opens every fold, or goes back to those that are open by themselves."""
        self._everything = not self._everything
        self._opened.clear()
        self._reload(self.blocks_of(self.doc), (0, 0))
        self._go_to(self.cursor if self.cursor >= 0 else self._first_visible())

    def go_to_fold(self, key: str) -> None:
        """Opens a fold and scrolls to it."""
        item = next((n for n in self._folds if self._key(n) == key), -1)
        if item < 0:
            return
        if self.pieces[item].is_folded:
            self.toggle(item)
        self._chosen = key
        self._settle((item, 0))
        self._changed()

    # --- moving

    def _visible(self) -> range:
        top = round(self.scroll_y)
        return range(top, top + self.view_height)

    def _first_visible(self) -> int:
        at = bisect_left(self._folds, self.heights.find(round(self.scroll_y))[0])
        item = self._folds[at] if at < len(self._folds) else -1
        return item if item >= 0 and self.heights.start(item) in self._visible() else -1

    def _go_to(self, item: int) -> None:
        self._chosen = self._key(item) if item >= 0 else ""
        self._changed()

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.FoldsChanged())

    def move(self, by: int) -> None:
        """Goes to the next fold in the view, else scrolls by a line."""
        item = self.cursor
        if item < 0 or self.heights.start(item) not in self._visible():
            self._go_to(self._first_visible() if by > 0 else self._last_visible())
            if self.cursor < 0:
                self.scroll_lines(by)
            return
        at = bisect_left(self._folds, item) + by
        following = self._folds[at] if 0 <= at < len(self._folds) else -1
        if following >= 0 and self.heights.start(following) in self._visible():
            self._go_to(following)
        else:
            self.scroll_lines(by)

    def _last_visible(self) -> int:
        last = self._visible()[-1:] or range(1)
        at = bisect_right(self._folds, self.heights.find(min(last[0], self.line_count - 1))[0])
        item = self._folds[at - 1] if at else -1
        return item if item >= 0 and self.heights.start(item) in self._visible() else -1

    def action_scroll_down(self) -> None:
        self.move(1)

    def action_scroll_up(self) -> None:
        self.move(-1)

    def on_focus(self) -> None:
        if self.cursor < 0:
            self._go_to(self._first_visible())
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Opens or folds the line that was clicked, unless text was selected."""
        line = round(self.scroll_y) + event.y
        if line >= self.line_count or self.text_selection is not None:
            return
        item = self.heights.find(line)[0]
        if self.pieces[item].fold is not None:
            self.toggle(item)

    # --- drawing

    def sign_role(self, item: int) -> str:
        return "mark:accent" if self._has_cursor(item) else "accent"

    def row_style(self, item: int, row: int) -> Style | None:
        return self.palette.background("selection") if self._has_cursor(item) else None

    def _has_cursor(self, item: int) -> bool:
        return bool(self._chosen) and self.has_focus and self._key(item) == self._chosen
