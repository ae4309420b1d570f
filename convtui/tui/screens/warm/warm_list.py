"""The user's warm templates as rows."""

from __future__ import annotations

from collections.abc import Sequence

from convtui.errors import ConvtuiError
from convtui.printing.wording import made_on
from convtui.text.boundary import visible_line
from convtui.tui.documents.warm import Entry
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.tables import padded
from convtui.tui.widgets.row_list import RowList
from convtui.warm.store import WarmStore


class TemplateList(RowList[Entry]):
    """The templates, and the files that are none."""

    marked = ""
    """The name of the one that is marked."""

    def spans_of(self, item: Entry) -> Sequence[Span]:
        """Name, day, patterns, tags."""
        wide = max((len(each.name) for each in self.items), default=0)
        mark: list[Span] = [("[A] " if item.name == self.marked else "    ", "accent bold")]
        mark = mark if self.marked else []
        name = (padded(item.name, min(wide, 28)), "text bold")
        if item.stored is None:
            return [*mark, name, (f"  {glyphs.DISCARDED} cannot be read", "error")]
        template = item.stored.template
        count = len(template.patterns)
        tags = " ".join(f"#{tag}" for tag in template.tags)
        return [
            *mark,
            name,
            (f"  {made_on(template.created_at):<10}", "muted"),
            (f"  {count} pattern{'s' * (count != 1)}", "text"),
            (f"  {visible_line(tags, 60)}" if tags else "", "tool"),
            (f"  {visible_line(template.description, 120)}", "muted"),
        ]


def entries_of(store: WarmStore) -> list[Entry]:
    """The templates of a folder by name, unreadable files among them. Blocking."""
    found = []
    for name in store.names():
        try:
            found.append(Entry(name, store.load(name)))
        except ConvtuiError as error:
            found.append(Entry(name, None, str(error)))
    return found
