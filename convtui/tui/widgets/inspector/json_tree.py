"""JSON in the inspector: coloured, a line for each value, with objects and arrays that fold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from convtui.tui.drawing.palette import Span, plain
from convtui.tui.widgets.text_pane import Block, Document, Fold

STEP: Final = 2
_OPEN_LINES: Final = 16
"""Lines up to which an object or array is open from the start."""
_INLINE: Final = 40
"""Characters up to which one without others in it is on one line."""
_CHUNK: Final = 200
"""Items of an object or array that are shown at once."""
_PLURALS: Final = ("messages", "tools", "choices", "tool_calls")
"""Names of arrays that say what is in them."""
_LONGEST: Final = 1_000_000
"""Characters of a text that is read as JSON."""


def json_value(doc: Document, value: Any, key: str, *, indent: int = 0, role: str = "") -> Document:
    """Adds a value from JSON; a text stays as it is.

    `key` tells its folds from others of the document. `role` replaces the colours.
    """
    if isinstance(value, str):
        return doc.text(value, role or "text", indent=indent)
    doc.pieces += _Tree(indent, role).blocks(value, key, None, "", 0)
    return doc


def json_text(doc: Document, text: str, key: str, *, indent: int = 0, role: str = "") -> Document:
    """Adds a text, in colours if it is a JSON object or array."""
    found = parsed(text)
    return json_value(doc, text if found is None else found, key, indent=indent, role=role)


def parsed(text: str) -> dict[str, Any] | list[Any] | None:
    """The object or array that a text is; None for any other text, and for very long ones."""
    start = text[:64].lstrip()[:1]
    return _parsed(text) if start in ("{", "[") and len(text) < _LONGEST else None


@lru_cache(maxsize=16)
def _parsed(text: str) -> dict[str, Any] | list[Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


class _Tree:
    """Writes values as blocks, to the right of `indent`; in one role if there is one."""

    def __init__(self, indent: int, role: str) -> None:
        self._indent, self._role = indent, role

    def blocks(self, value: Any, key: str, name: str | None, comma: str, depth: int) -> list[Block]:
        """The blocks of a value: `name` and `comma` are what is before and after it."""
        start: list[Span] = []
        if name is not None:
            start = [(_dumped(name), "json:key"), (": ", "muted")]
        items = _items(value)
        if items is None:
            return self._lines([*start, *_scalar(value), (comma, "muted")], depth)
        inline = _inline(value)
        if inline is not None:
            return self._lines([*start, *inline, (comma, "muted")], depth)
        opening, closing = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
        count = f"... {_counted(value, name)}"
        block = self._lines([*start, (opening, "muted")], depth)[0]
        folded = [*start, (opening, "muted"), (count, "accent"), (closing + comma, "muted")]
        block.fold = Fold(
            key,
            self._coloured(folded),
            lambda: self._inside(value, key, closing + comma, depth),
            _fits(value, _OPEN_LINES),
        )
        return [block]

    def _inside(self, value: Any, key: str, closing: str, depth: int) -> list[Block]:
        return [*self._some(value, key, 0, depth + 1), *self._lines([(closing, "muted")], depth)]

    def _some(self, value: Any, key: str, first: int, depth: int) -> list[Block]:
        """The items from `first` on, and what opens those after them."""
        blocks: list[Block] = []
        size = len(value)
        named = isinstance(value, Mapping)
        last = first + _CHUNK
        items = islice(_items(value) or (), first, last) if named else _numbered(value, first, last)
        for number, (name, item) in enumerate(items, first):
            comma = "," if number + 1 < size else ""
            path = f"{key}.{name}"
            blocks += self.blocks(item, path, name if named else None, comma, depth)
        if last < size:
            more: list[Span] = [(f"... {size - last:,} more", "accent")]
            block = self._lines(more, depth)[0]
            block.fold = Fold(
                f"{key}+{last}", more, lambda: self._some(value, key, last, depth), False
            )
            blocks.append(block)
        return blocks

    def _coloured(self, spans: Sequence[Span]) -> list[Span]:
        return [(text, self._role or role) for text, role in spans]

    def _lines(self, spans: Sequence[Span], depth: int) -> list[Block]:
        """A line, as the blocks that a text of any length needs."""
        blocks = Document().spans(self._coloured(spans)).pieces
        for block in blocks:
            # The sign of a fold is to the left of its line.
            block.indent = self._indent + depth * STEP + STEP
            block.hang = STEP
        blocks[0].depth = depth * STEP
        return blocks


def _items(value: Any) -> Iterator[tuple[str, Any]] | None:
    """The items of an object or array by name or number; None for a scalar."""
    if isinstance(value, Mapping):
        return ((str(name), item) for name, item in value.items())
    if isinstance(value, list | tuple):
        return ((str(number), item) for number, item in enumerate(value))
    return None


def _numbered(value: Sequence[Any], first: int, last: int) -> Iterator[tuple[str, Any]]:
    return ((str(number), item) for number, item in enumerate(value[first:last], first))


def _counted(value: Any, name: str | None) -> str:
    size = len(value)
    many = "" if size == 1 else "s"
    if isinstance(value, Mapping):
        return f"{size:,} key{many}"
    word = name.removesuffix("s") if name in _PLURALS else "item"
    return f"{size:,} {word}{many}"


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _scalar(value: Any) -> list[Span]:
    if value is None or isinstance(value, bool):
        return [(_dumped(value), "json:literal")]
    if isinstance(value, int | float):
        return [(_dumped(value), "json:number")]
    return [(_dumped(value), "json:string")]


def _inline(value: Any) -> list[Span] | None:
    """An object or array on one line, if it is short and has no others in it."""
    if len(value) > _INLINE // 3:
        return None
    spans: list[Span] = []
    named = isinstance(value, Mapping)
    for name, item in _items(value) or ():
        if _items(item) is not None and len(item):
            return None
        if isinstance(item, str) and len(item) > _INLINE:
            return None
        spans += [(", ", "muted")] if spans else []
        spans += [(_dumped(name), "json:key"), (": ", "muted")] if named else []
        empty = "{}" if isinstance(item, Mapping) else "[]"
        spans += _scalar(item) if _items(item) is None else [(empty, "muted")]
        if len(plain(spans)) > _INLINE:
            return None
    opening, closing = ("{", "}") if named else ("[", "]")
    return [(opening, "muted"), *spans, (closing, "muted")]


def _fits(value: Any, most: int) -> bool:
    """Whether a value has at most `most` lines, without counting further than that."""
    left = [value]
    lines = 0
    while left:
        items = _items(left.pop())
        lines += 1
        if items is not None:
            inside = list(islice((item for _, item in items), most))
            left += inside
        if lines + len(left) > most:
            return False
    return True
