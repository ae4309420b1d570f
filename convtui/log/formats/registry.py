"""The formats of other tools that come in and go out: one module for each, imported when used.

A module of a format has a constant `FORMAT`; its name is in `NAMES` here. That is all there is to
adding one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError, UsageError, did_you_mean
from convtui.events import Record
from convtui.log.reader import Log

NAMES: Final = ("vera", "waza", "oharness", "rath")
"""Every known format, in the order in which files are shown to them."""


@dataclass(slots=True)
class Imported:
    """A conversation as the files of another tool tell it, ready to be written as a log.

    What the files do not say is absent. `records` are those between header and trailer, each with
    the seconds since `created_at` at which it happened; `id` follows from the files' contents, so
    that the same conversation is not imported twice. Of long files `records` are read while they
    are gone through, and `termination` is known after that.
    """

    id: str
    created_at: datetime
    persona: str
    provider: dict[str, Any]
    """`{spec, name, kind}` and `model` where it is known, as in a log's header."""
    records: Iterable[tuple[float, Record]]
    sources: list[Path]
    told: dict[str, Any] = field(default_factory=dict)
    """What else the files say; the header's `imported`."""
    termination: dict[str, Any] | None = None


@dataclass(slots=True, frozen=True)
class Written:
    """What an export wrote; `notes` are sentences on what the format has no place for."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class Format:
    """A format: how to recognise it, read it and write it.

    `detect` looks at the beginning only and never raises; `read` gives one conversation after the
    other and raises `FileError` for a file it cannot make sense of; `write` puts a log below a
    folder and never overwrites.
    """

    name: str
    description: str
    detect: Callable[[Path], bool] | None = None
    read: Callable[[Path], Iterator[Imported]] | None = None
    write: Callable[[Log, Path], Written] | None = None


def formats(names: Iterable[str] = NAMES) -> Iterator[Format]:
    """The formats of these names."""
    for name in names:
        found: Format = import_module(f"convtui.log.formats.{name}").FORMAT
        yield found


def reader_for(path: Path, name: str | None = None) -> Callable[[Path], Iterator[Imported]]:
    """What reads `path`: the named format, else the first that recognises it.

    Raises `UsageError` for an unknown name and `FileError` for what nobody recognises.
    """
    if not path.exists():
        raise FileError(f"{path}: there is no such file or folder")
    if name is not None:
        found = by_name(name)
        if found.read is None:
            raise UsageError(f"{name} can be written, not read")
        return found.read
    for known in formats():
        if known.read is not None and known.detect is not None and known.detect(path):
            return known.read
    listed = "; ".join(f"{known.name}: {known.description}" for known in formats())
    raise FileError(f"{path}: in no format that is known ({listed}); name it with --from")


def by_name(name: str) -> Format:
    """The format of this name. Raises `UsageError`."""
    if name not in NAMES:
        raise UsageError(
            f"{name!r} is no format{did_you_mean(name, NAMES)} (known: {', '.join(NAMES)})"
        )
    return next(formats([name]))
