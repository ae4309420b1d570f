"""What a rehook changed, a line each: runs, their replies, sessions that end elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convtui.analysis.rehook.changed import Changed
from convtui.analysis.rehook.report import RehookReport
from convtui.text.boundary import visible_line
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.palette import Span
from convtui.tui.widgets.row_list import RowList


@dataclass(slots=True, frozen=True)
class Item:
    """A line of the list: a run, one of its replies, or a session of it that ends elsewhere."""

    log: Path
    change: Changed | None = None
    session: int = 0
    """The session that ends elsewhere."""
    words: str = ""
    """How it does."""
    child: str = ""
    """The branch for which the run, a parent of it, was read."""


def items_of(report: RehookReport) -> list[Item]:
    """The list, run by run; runs without a change are left out."""
    endings: dict[Path, list[Item]] = {}
    for path, session, words in report.endings():
        endings.setdefault(path, []).append(Item(path, session=session, words=words))
    changes: dict[Path, list[Item]] = {}
    for change in report.changes:
        changes.setdefault(change.log, []).append(Item(change.log, change))
    children = report.children()
    found: list[Item] = []
    # Where a filter left nothing of a run, where it ends is told all the same.
    for path in dict.fromkeys([*changes, *endings]):
        found += [
            Item(path, child=children.get(path, "")),
            *changes.get(path, ()),
            *endings.get(path, ()),
        ]
    return found


class RehookList(RowList[Item]):
    """What has changed; the first reply is selected."""

    def show(self, items: Sequence[Item]) -> None:
        """Shows these, from the first reply on."""
        first = next((i for i, item in enumerate(items) if item.change is not None), 0)
        self.show_items(items, first)

    def spans_of(self, item: Item) -> Sequence[Span]:
        """A run, a reply, an ending."""
        return _spans(item)


def _spans(item: Item) -> list[Span]:
    change = item.change
    if change is None and item.words:
        return [
            (f"  {glyphs.STOP} ", "discard bold"),
            (f"session {item.session} ", "text"),
            (visible_line(item.words, 200), "discard"),
        ]
    if change is None:
        spans: list[Span] = [(visible_line(item.log.name, 200), "text bold")]
        if item.child:
            spans.append((f"  parent of {visible_line(item.child, 200)}", "muted"))
        return spans
    failed = change.error is not None
    spans = [
        (
            f"  {glyphs.DISCARDED if failed else glyphs.ERROR} ",
            "error bold" if failed else "warning bold",
        ),
        (f"{change.address:<8} ", "muted"),
    ]
    if change.counterfactual:
        # Before what changed: it must be seen also where a line is cut.
        spans += [("≈ counterfactual ", "reasoning"), (" ", "text")]
    if change.location:
        # Where to look comes first: the message may be cut.
        spans.append((f"{visible_line(change.location, 60)} ", "error bold"))
    said = "; ".join(change.words())
    spans.append((visible_line(said, 400), "error" if failed else "text"))
    if change.by_hand:
        spans.append((f"  by hand then: {', '.join(change.by_hand)}", "human"))
    return spans
