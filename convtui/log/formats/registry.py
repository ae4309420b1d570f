"""The formats of other tools that come in and go out: one module for each, imported when used.

The module of a format has a constant `FORMAT` and is listed in `_MODULES`. That is all there is to
adding one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol

from convtui.errors import FileError, UsageError, did_you_mean, listed
from convtui.files.near import no_file
from convtui.files.regular import is_dir, is_readable
from convtui.log.formats.findings import Finding
from convtui.log.reader import Log
from convtui.records.models import Record

_MODULES: Final = {
    "vera": "vera.format",
    "waza": "waza.format",
    "oharness": "oharness.format",
    "rath": "rath.format",
    "hermes": "hermes.format",
    "hermes-trajectory": "hermes.trajectory",
    "inspect": "inspect.format",
    "promptfoo": "promptfoo.format",
    "tau-bench": "tau.format",
    "claude-code": "claude_code.format",
    "codex": "codex.format",
    "gemini-cli": "gemini.format",
    "atif": "atif.format",
    "otel": "otel.format",
    "langsmith": "langsmith.format",
    "deepeval": "deepeval.format",
    "langwatch": "langwatch.format",
    "sharegpt": "sharegpt.format",
    "openai": "openai.format",
}
NAMES: Final = tuple(_MODULES)
"""Every known format, in the order in which files are shown to them."""


@dataclass(slots=True, frozen=True)
class ParentIn:
    """The conversation that an imported one goes back to, as its file tells it."""

    format: str
    session_id: str
    """Its id in the file, and in the header of its log."""
    id: str = ""
    """The id of its log; empty where the file does not have that conversation."""
    kind: str = "child"
    """What made the child: compress, fork, subagent, child; the header's `change`."""


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
    details: dict[str, Any] = field(default_factory=dict)
    """What else the files say; the header's `imported`."""
    termination: dict[str, Any] | None = None
    parent: ParentIn | None = None


def imported_provider(name: str, model: str | None) -> dict[str, Any]:
    """The provider of an imported conversation, of which only names are known."""
    provider = {"spec": "", "name": name, "kind": "imported"}
    return {**provider, "model": model} if model else provider


@dataclass(slots=True, frozen=True)
class Listed:
    """A conversation of a file that holds several, as a list shows it. Texts are exact."""

    id: str
    title: str = ""
    source: str = ""
    model: str = ""
    created_at: datetime | None = None
    messages: int | None = None
    ended: str = ""
    """Why it ended, in the file's own word."""
    parent: str = ""
    relation: str = ""
    """How it goes back to its parent."""


class Source(Protocol):
    """A file (or a folder) with conversations that can be chosen from; to be closed."""

    damage: list[Finding]
    """What could not be read and was passed over, and belongs to no conversation that was. Filled
    while it is read, and empty when that begins."""

    def listed(self) -> list[Listed]:
        """What is in it, in the order in which a list shows it. Raises `FileError`."""

    def read(self, wanted: Collection[str] | None = None) -> Iterator[Imported]:
        """The conversations with these ids, or all; parents before their children."""

    def close(self) -> None:
        """Lets go of the file."""


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
    folder and never overwrites. `source` is there where a file can hold many to choose from;
    `files` names the files of a folder that can be read one by one; empty ones are among them.
    `read_part(path, part, parts)` gives a part of the conversations of a folder whose files belong
    together, so that several processes can share it; parts count from 0.
    """

    name: str
    description: str
    detect: Callable[[Path], bool] | None = None
    read: Callable[[Path], Iterator[Imported]] | None = None
    write: Callable[[Log, Path], Written] | None = None
    source: Callable[[Path], Source] | None = None
    files: Callable[[Path], list[Path]] | None = None
    read_part: Callable[[Path, int, int], Iterator[Imported]] | None = None
    keys: tuple[str, ...] = ()
    """Keys of JSON by which a person would know it, to name it for files that nobody recognises."""
    generic: bool = False
    """Whether files of other tools may look the same: what they are called otherwise counts."""


def formats(names: Iterable[str] = NAMES) -> Iterator[Format]:
    """The formats of these names."""
    for name in names:
        format: Format = import_module(f"convtui.log.formats.{_MODULES[name]}").FORMAT
        yield format


def reader_for(path: Path, name: str | None = None) -> Callable[[Path], Iterator[Imported]]:
    """What reads `path`: see `format_for()`."""
    reader = format_for(path, name).read
    assert reader is not None
    return reader


def format_for(path: Path, name: str | None = None) -> Format:
    """The format that reads `path`: the named one, else the first that recognises it.

    Raises `UsageError` for an unknown name and `FileError` for what nobody recognises.
    """
    if not (is_dir(path) or is_readable(path)):
        raise FileError(no_file(path, what="file or folder"))
    if name is not None:
        return _named(path, name)
    known = _recognised(path)
    if known is not None:
        return known
    from convtui.log.formats.sketch import sketch

    raise FileError(
        f"{path}: in no format that is known: {sketch(path, formats())}. `convtui import"
        " --list-formats` says which there are; name one with --from"
    )


def _named(path: Path, name: str) -> Format:
    """The format of this name. Raises `UsageError` where the file is plainly of another one."""
    named = by_name(name)
    if named.read is None:
        raise UsageError(f"{name} can be written, not read")
    if named.detect is None or named.detect(path):
        return named
    other = _recognised(path)
    if other is None or other.generic or _tool(other.name) == _tool(name):
        return named
    raise UsageError(f"{path}: is in the format {other.name}, not {name}: leave --from out")


def _tool(name: str) -> str:
    """The tool that a format is of: some have several."""
    return name.partition("-")[0]


def _recognised(path: Path) -> Format | None:
    for known in formats():
        if known.read is not None and known.detect is not None and known.detect(path):
            return known
    return None


def by_name(name: str) -> Format:
    """The format of this name. Raises `UsageError`."""
    if name not in NAMES:
        raise UsageError(
            f"{name!r} is no format{did_you_mean(name, NAMES) or '.'} Known are {listed(NAMES)}."
        )
    return next(formats([name]))
