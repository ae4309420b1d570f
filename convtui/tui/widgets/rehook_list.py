"""What a rehook changed, a line each: runs, their replies, sessions that end elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from convtui.analysis.rehook import Changed, Report
from convtui.text import visible_line
from convtui.tui.palette import Palette, Span
from convtui.tui.widgets.line_view import CopyRow, LineView, strip_of
from convtui.tui.widgets.marks import fit


@dataclass(slots=True, frozen=True)
class Item:
    """A line of the list: a run, one of its replies, or a session of it that ends elsewhere."""

    log: Path
    change: Changed | None = None
    session: int = 0
    """The session that ends elsewhere."""
    words: str = ""
    """How it does."""


def items_of(report: Report) -> list[Item]:
    """The list, run by run; runs without a change are left out."""
    endings: dict[Path, list[Item]] = {}
    for path, session, words in report.endings():
        endings.setdefault(path, []).append(Item(path, session=session, words=words))
    changes: dict[Path, list[Item]] = {}
    for change in report.changes:
        changes.setdefault(change.log, []).append(Item(change.log, change))
    found: list[Item] = []
    # Where a filter left nothing of a run, where it ends is told all the same.
    for path in dict.fromkeys([*changes, *endings]):
        found += [Item(path), *changes.get(path, ()), *endings.get(path, ())]
    return found


class RehookList(LineView):
    """Draws what is on the screen of any number of lines; one of them is selected."""

    cursor = reactive(-1, init=False, repaint=False)
    """Index of the selected line, -1 while there is none."""

    class Selected(Message):
        """Another line was selected."""

    def __init__(self, *, palette: Palette | None = None, id: str | None = None) -> None:
        super().__init__(palette=palette, id=id)
        self.items: list[Item] = []

    def show(self, items: Sequence[Item]) -> None:
        """Shows these, from the first reply on."""
        self.items = list(items)
        self.cursor = -1
        self.load(len(self.items), 1)
        self.go_to(next((i for i, item in enumerate(self.items) if item.change is not None), 0))

    @property
    def selected(self) -> Item | None:
        """The selected line."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    # --- moving

    def go_to(self, index: int) -> None:
        """Selects a line and brings it to sight."""
        if self.items:
            self.cursor = max(0, min(index, len(self.items) - 1))
            self.show_item(self.cursor)

    def watch_cursor(self, old: int, new: int) -> None:
        """Tells who listens."""
        self.refresh()
        if old != new:
            self.post_message(self.Selected())

    def anchor_item(self) -> int | None:
        """The selected line stays where it is."""
        return self.cursor if self.cursor >= 0 else None

    def action_scroll_up(self) -> None:
        """The line before."""
        self.go_to(self.cursor - 1)

    def action_scroll_down(self) -> None:
        """The line after."""
        self.go_to(self.cursor + 1)

    def action_page_up(self) -> None:
        """A page up."""
        self.go_to(self.cursor - max(1, self.view_height - 1))

    def action_page_down(self) -> None:
        """A page down."""
        self.go_to(self.cursor + max(1, self.view_height - 1))

    def on_click(self, event: events.Click) -> None:
        """Selects what is under the mouse."""
        event.prevent_default()
        line = round(self.scroll_y) + event.y
        if 0 <= line < len(self.items):
            self.cursor = line

    # --- for the base

    def on_resize(self, event: events.Resize) -> None:
        """The selected line stays in sight."""
        super().on_resize(event)
        self.show_item(self.cursor)

    def measure(self, item: int) -> int:
        """One line."""
        return 1

    def row(self, item: int, row: int) -> Strip:
        """One line, with the selection's mark."""
        mark = Segment("▌" if item == self.cursor else " ", self.palette.style("accent"))
        spans = fit(_spans(self.items[item]), max(10, self.view_width - 2))
        return Strip([mark, *strip_of(spans, self.palette)])

    def row_style(self, item: int, row: int) -> Style | None:
        """The light of the selected line."""
        return self.palette.background("selection") if item == self.cursor else None

    def copy_row(self, item: int, row: int) -> CopyRow:
        """One line for the clipboard."""
        return CopyRow(" " + "".join(text for text, _ in _spans(self.items[item])).rstrip(), 1)

    def empty_row(self, y: int) -> Strip:
        """Nothing below the last one."""
        return Strip.blank(self.view_width)


def _spans(item: Item) -> list[Span]:
    change = item.change
    if change is None and item.words:
        return [
            ("  ■ ", "discard bold"),
            (f"session {item.session} ", "text"),
            (visible_line(item.words, 200), "discard"),
        ]
    if change is None:
        return [(visible_line(item.log.name, 200), "text bold")]
    failed = change.error is not None
    spans: list[Span] = [
        ("  ✗ " if failed else "  ! ", "error bold" if failed else "warning bold"),
        (f"{change.address:<8} ", "muted"),
    ]
    if change.counterfactual:
        # Before what changed: it must be seen also where a line is cut.
        spans += [("≈ counterfactual ", "reasoning"), (" ", "text")]
    if change.place:
        # Where to look comes first: the message may be cut.
        spans.append((f"{visible_line(change.place, 60)} ", "error bold"))
    said = "; ".join(change.words())
    spans.append((visible_line(said, 400), "error" if failed else "text"))
    if change.by_hand:
        spans.append((f"  by hand then: {', '.join(change.by_hand)}", "human"))
    return spans
