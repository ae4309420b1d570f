"""What an unknown file looks like, in a few words, and which formats come nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convtui.log.formats.json_files import first_value
from convtui.log.formats.json_objects import head_of, kind_of
from convtui.text.boundary import visible_line

if TYPE_CHECKING:
    from convtui.log.formats.registry import Format

_KEYS: Final = 8
_NEAREST: Final = 2
_WIDTH: Final = 60


def sketch(path: Path, formats: Iterable[Format]) -> str:
    """A sentence on what is in a file or a folder, and the formats that have some of its keys."""
    if path.is_dir():
        return _of_folder(path)
    value = first_value(path)
    if value is None:
        head = head_of(path)
        if not head:
            return "the file is empty"
        if "\0" in head:
            return "it is no text"
        return f"it is text that begins with {visible_line(head, _WIDTH)!r}"
    keys = sorted(_keys(value))
    near = _nearest(set(keys), formats)
    also = f"; nearest to it: {', '.join(near)}" if near else ""
    return f"it holds {_shape(value)}{also}"


def _of_folder(path: Path) -> str:
    names = sorted(entry.name for entry in path.iterdir())
    if not names:
        return "the folder is empty"
    shown = ", ".join(visible_line(name, 30) for name in names[:_KEYS])
    return f"the folder holds {shown}" + (", ..." if len(names) > _KEYS else "")


def _shape(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object with {_named(value)}"
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return f"a list of objects with {_named(value[0])}"
    return kind_of(value)


def _named(value: Mapping[str, Any]) -> str:
    if not value:
        return "no keys"
    names = [visible_line(str(name), 30) for name in list(value)[:_KEYS]]
    return ", ".join(names) + (", ..." if len(value) > _KEYS else "")


def _keys(value: Any, depth: int = 3) -> set[str]:
    """The keys of a value and of what is in it, as far as `depth`."""
    if not depth:
        return set()
    if isinstance(value, Mapping):
        inner = set().union(*(_keys(each, depth - 1) for each in value.values()))
        return {str(name) for name in value} | inner
    if isinstance(value, list):
        return set().union(*(_keys(each, depth - 1) for each in value[:3]))
    return set()


def _nearest(keys: set[str], formats: Iterable[Format]) -> list[str]:
    shares = {
        format.name: len(keys & set(format.keys)) / len(format.keys)
        for format in formats
        if format.keys
    }
    ordered = sorted(shares, key=lambda name: -shares[name])
    return [name for name in ordered if shares[name] >= 0.5][:_NEAREST]
