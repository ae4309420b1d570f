"""The tree that the rows of a session are: each names the row before it.

A prompt that was edited, or a reply that was asked for again, begins a branch. Results of tools
that ran side by side do not, although they name one row: nothing was decided there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from convtui.records.values import as_list, as_object, as_text


@dataclass(slots=True, eq=False)
class Row:
    """A row of a file, as far as its place in the tree matters; `order` is its place in it."""

    data: Mapping[str, Any]
    line: int
    order: int
    children: list[Row] = field(default_factory=list)
    parent: Row | None = None
    last: int = 0
    """The order of the last row below it, or its own."""
    prompts: bool = False
    """Whether a user speaks in it or below it."""

    @property
    def type(self) -> str:
        """What it says that it is."""
        return as_text(self.data.get("type"))

    @property
    def message(self) -> dict[str, Any]:
        """Its message; empty where it has none."""
        return as_object(self.data.get("message"))

    @property
    def reply_id(self) -> str:
        """The reply of the model that it is a part of."""
        return as_text(self.message.get("id")) if self.type == "assistant" else ""

    @property
    def is_prompt(self) -> bool:
        """Whether a user speaks in it, and not a tool."""
        if self.type != "user" or self.data.get("isMeta") is True:
            return False
        content = self.message.get("content")
        if isinstance(content, str):
            return bool(content.strip())
        kinds = [as_object(block).get("type") for block in as_list(content)]
        return bool(kinds) and "tool_result" not in kinds


@dataclass(slots=True)
class Branch:
    """The rows of one way through the tree, in the order of the file."""

    rows: list[Row]
    of: Branch | None = None
    """The branch that it left; None for the one that the session goes on with."""
    at: Row | None = None
    """Its first row of its own."""


def grow(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[Row]:
    """The rows of a file, `(line, row)`, with what is above and below each of them."""
    placed = [Row(data, line, order) for order, (line, data) in enumerate(rows)]
    by_id = {as_text(row.data.get("uuid")): row for row in placed if row.data.get("uuid")}
    for row in placed:
        above = by_id.get(as_text(row.data.get("parentUuid")))
        # A row that names a later one, or itself, would make a circle.
        if above is not None and above.order < row.order:
            row.parent = above
            above.children.append(row)
    for row in reversed(placed):
        row.last = max([row.order, *(child.last for child in row.children)])
        row.prompts = row.is_prompt or any(child.prompts for child in row.children)
    return placed


def branches(rows: list[Row]) -> Iterator[Branch]:
    """The ways through the rows: first the one that goes on to the end, then those that were left.

    Rows without a parent stand one after the other.
    """
    forks = [(row, rival) for row in rows for rival in _rivals(row)]
    below = {rival.order: _below(rival) for _, rival in forks}
    left = set().union(*below.values())
    trunk = Branch([row for row in rows if row.order not in left])
    yield trunk
    for parent, rival in forks:
        own = set(below[rival.order])
        for _, other in forks:
            if other is not rival and other.order in own:
                own -= below[other.order]
        above = _above(parent)
        before = {row.order for row in rows[: rival.order] if _belongs(row, above)}
        yield Branch([row for row in rows if row.order in own | before], trunk, rival)


def _rivals(parent: Row) -> list[Row]:
    """The rows after this one that the session did not go on with."""
    begins = [child for child in parent.children if _begins_a_branch(child, parent)]
    if len(begins) < 2:
        return []
    kept = max(begins, key=lambda child: child.last)
    return [child for child in begins if child is not kept]


def _begins_a_branch(child: Row, parent: Row) -> bool:
    if child.is_prompt or (child.prompts and parent.type == "user"):
        return True
    again = child.type == "assistant" and parent.is_prompt
    return again and bool(child.reply_id)


def _below(row: Row) -> set[int]:
    orders: set[int] = set()
    todo = [row]
    while todo:
        here = todo.pop()
        orders.add(here.order)
        todo += here.children
    return orders


def _above(row: Row | None) -> set[int]:
    orders: set[int] = set()
    while row is not None:
        orders.add(row.order)
        row = row.parent
    return orders


def _belongs(row: Row, above: set[int]) -> bool:
    """Whether a row is on a way through the tree, or a result of a tool right beside it."""
    if row.order in above:
        return True
    return row.parent is not None and row.parent.order in above and not row.prompts
