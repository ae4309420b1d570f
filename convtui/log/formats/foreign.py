"""What the readers of JSON formats share: typed access that says what is wrong, and kept events.

Everything in the files is untrusted: a value of the wrong kind is a `FileError` that names its
place, text that is no JSON as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import ValidationError

from convtui.errors import FileError
from convtui.events import Record, RecordDict

MAX_DEPTH: Final = 100
"""Levels of nesting that a file may have; what writes logs again has to get through them too."""
MAX_LINE: Final = 64 << 20
"""Bytes that a line of a file may have."""
_MAX_NUMBER: Final = 1 << 64
_KINDS: Final = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class Foreign(Record):
    """An event of another tool that is nothing in our words.

    It stands in a log under `<format>.<type>`, so that it is never taken for a record of ours, with
    what it carried as `data`.
    """

    origin: str
    """The name of the format."""
    event: str
    """Its type there."""
    data: Any = None

    def payload(self) -> RecordDict:
        """As every record's, with the type of the event as its own."""
        found = super().payload()
        del found["origin"], found["event"]
        return {**found, "type": f"{self.origin}.{self.event}"}


class Fields:
    """An object of a file. `where` is what a message begins with: file, line, key.

    Null is the same as absent. Everything raises `FileError` for a value of the wrong kind.
    """

    __slots__ = ("data", "where")

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise FileError(f"{where}: must be an object, not {kind_of(data)}")
        self.data: dict[str, Any] = data
        self.where = where

    def wrong(self, name: str, what: str) -> FileError:
        """The error for a value."""
        return FileError(f"{self.where}: {name} {what}")

    def _of(self, name: str, kinds: type | tuple[type, ...], said: str) -> Any:
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise self.wrong(name, f"must be {said}, not {kind_of(value)}")
        return value

    def text(self, name: str) -> str | None:
        """Text."""
        found: str | None = self._of(name, str, "text")
        return found

    def whole(self, name: str) -> int | None:
        """A whole number that is not negative."""
        found: int | None = self._of(name, int, "a whole number")
        if found is not None and found < 0:
            raise self.wrong(name, "must not be negative")
        return found

    def number(self, name: str) -> float | None:
        """A number."""
        found = self._of(name, (int, float), "a number")
        return None if found is None else float(found)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        found: bool | None = self._of(name, bool, "true or false")
        return found

    def inner(self, name: str) -> Fields | None:
        """An object inside."""
        value = self.data.get(name)
        return None if value is None else Fields(value, f"{self.where}: {name}")

    def items(self, name: str) -> list[Any]:
        """A list; empty when it is absent."""
        found: list[Any] = self._of(name, list, "a list") or []
        return found

    def objects(self, name: str) -> Iterator[Fields]:
        """The objects of a list, named by their place from 0."""
        for place, item in enumerate(self.items(name)):
            yield Fields(item, f"{self.where}: {name}[{place}]")

    def rest(self, *known: str) -> dict[str, Any]:
        """What is there beside the known names."""
        return {key: value for key, value in self.data.items() if key not in known}


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    return _KINDS.get(type(value), type(value).__name__)


def in_words(error: ValidationError) -> str:
    """The first thing that is wrong with a record, and where."""
    wrong = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg'].lower()}"


def parse_json(raw: bytes, where: str) -> Any:
    """The value of a JSON text in UTF-8.

    Raises `FileError` for what is none, is nested deeper than `MAX_DEPTH`, or holds numbers that
    no JSON text can hold.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{where}: is not UTF-8 (byte {error.start + 1})") from None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} " if "\n" in text else ""
        raise FileError(
            f"{where}: is not JSON ({place}column {error.colno}: {error.msg})"
        ) from None
    except RecursionError:
        raise FileError(f"{where}: is nested too deep") from None
    except ValueError as error:
        raise FileError(f"{where}: is not JSON ({error})") from None
    _measure(value, where)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _measure(value: Any, where: str) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
            elif (isinstance(item, float) and not math.isfinite(item)) or (
                isinstance(item, int) and not -_MAX_NUMBER < item < _MAX_NUMBER
            ):
                raise FileError(f"{where}: holds a number that is too large")
        if not inner:
            return
        level = inner
    raise FileError(f"{where}: is nested too deep")


def parse_time(text: str | None) -> datetime | None:
    """The time that an RFC 3339 text names, in UTC; None for what names none.

    A time without an offset is taken to be UTC. The year 1 is how Go writes "never".
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year > 1 else None


def file_time(path: Path) -> datetime:
    """When a file was changed last. Raises `FileError` when it is gone."""
    try:
        return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    except (OSError, OverflowError, ValueError) as error:
        raise FileError(f"{path}: cannot be read: {error}") from error


def head_of(path: Path, size: int = 1 << 16) -> str:
    """The beginning of a file; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    except OSError:
        return ""


def lines(path: Path, file: BinaryIO | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file that are not blank, counted from 1, each with its line end if it has one.

    `file` is what they are read from where that is not the file itself. Raises `FileError` for a
    file that cannot be read and for a line above `MAX_LINE`.
    """
    try:
        with path.open("rb") if file is None else file as source:
            number = 0
            while line := source.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise FileError(
                        f"{path}: line {number}: larger than {MAX_LINE >> 20} MB, which no line"
                        " of this format is"
                    )
                if line.strip():
                    yield number, line
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error


def arguments_of(value: Any) -> dict[str, Any]:
    """`{arguments, raw_arguments}` of a `tool.called`, from an object, JSON text or anything."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {"arguments": value}
    if not isinstance(value, str):
        return {"raw_arguments": json.dumps(value)}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        found = None
    return {"arguments": found if isinstance(found, dict) else None, "raw_arguments": value}
