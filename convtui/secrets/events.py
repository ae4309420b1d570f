"""Takes secrets out of the body of a streamed response, where each event has a piece of a text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from convtui.secrets.redactor import Redactor
from convtui.secrets.shapes import REDACTED, Span


@dataclass(slots=True)
class _Piece:
    """One text of one event."""

    line: int
    holder: Any
    key: Any
    text: str


def masked_events(text: str, redactor: Redactor) -> str:
    """`text` without secrets, also those that are spread over several events.

    Events are lines of JSON, with or without `data:` before them; the texts that stand at one place
    of them are looked at as one text. Lines without a secret stay as they are.
    """
    if "\n" not in text or not ("data:" in text or text.lstrip().startswith("{")):
        return redactor.text(text)
    lines = text.split("\n")
    heads: dict[int, tuple[str, Any]] = {}
    texts: dict[tuple[Any, ...], list[_Piece]] = {}
    for number, line in enumerate(lines):
        head, event = _event(line)
        if isinstance(event, (dict, list)):
            heads[number] = head, event
            for path, holder, key in _texts(event):
                texts.setdefault(path, []).append(_Piece(number, holder, key, holder[key]))
    changed: set[int] = set()
    for pieces in texts.values():
        if len(pieces) > 1:
            whole = "".join(piece.text for piece in pieces)
            changed |= _take_out(pieces, redactor.spans(whole))
    for number in changed:
        head, event = heads[number]
        ending = "\r" if lines[number].endswith("\r") else ""
        lines[number] = head + json.dumps(event, separators=(",", ":")) + ending
    return redactor.text("\n".join(lines))


def _event(line: str) -> tuple[str, Any]:
    head = line[: len(line) - len(line.lstrip())]
    rest = line.strip()
    if rest.startswith("data:"):
        body = rest[5:].lstrip()
        head += rest[: len(rest) - len(body)]
        rest = body
    if not rest.startswith(("{", "[")):
        return head, None
    try:
        return head, json.loads(rest)
    except (ValueError, RecursionError):
        return head, None


def _texts(event: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Every text of an event with its address, its container and its key there."""
    if len(path) > 16:
        return
    items: Iterator[tuple[Any, Any]]
    if isinstance(event, dict):
        items = iter(event.items())
    elif isinstance(event, list):
        items = iter(enumerate(event))
    else:
        return
    for key, value in items:
        if isinstance(value, str):
            if value:
                yield (*path, key), event, key
        else:
            yield from _texts(value, (*path, key))


def _take_out(pieces: list[_Piece], spans: list[Span]) -> set[int]:
    """Redacts the spans of the joined text that cross the end of a piece."""
    changed: set[int] = set()
    starts: list[int] = []
    size = 0
    for piece in pieces:
        starts.append(size)
        size += len(piece.text)
    for first, last in reversed(spans):
        over = [
            (start, piece)
            for start, piece in zip(starts, pieces, strict=True)
            if start < last and first < start + len(piece.text)
        ]
        if len(over) < 2:
            continue
        for index, (start, piece) in enumerate(over):
            begin, end = max(0, first - start), min(len(piece.text), last - start)
            now = piece.holder[piece.key]
            # Spans go from the last to the first, so that what stands before is where it was.
            word = REDACTED if not index else ""
            piece.holder[piece.key] = now[:begin] + word + now[end:]
            changed.add(piece.line)
    return changed
