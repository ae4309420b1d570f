"""What the readers of JSON formats share: typed access that says what is wrong, and kept events.

Everything in the files is untrusted: a value of the wrong kind is a `FileError` that names its
place, text that is no JSON as well.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from pydantic import ValidationError

from convtui.errors import FileError
from convtui.files.regular import open_regular
from convtui.log.formats.findings import Finding, finding_of
from convtui.records.models import Record, RecordDict
from convtui.records.times import time_of_stamp

MAX_DEPTH: Final = 100
"""Levels of nesting that a file may have; what writes logs again has to get through them too."""
MAX_LINE: Final = 64 << 20
"""Bytes that a line of a file may have."""
_SPACE: Final = re.compile(r"[ \t\r\n]*")
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


class ForeignEvent(Record):
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
        payload = super().payload()
        del payload["origin"], payload["event"]
        return {**payload, "type": f"{self.origin}.{self.event}"}


class JsonObject:
    """An object of a file. `where` is what a message begins with: file, line, key.

    Null is the same as absent. Everything raises `FileError` for a value of the wrong kind; where
    there is a list of `doubts`, it is noted there and the value is taken to be absent.
    """

    __slots__ = ("data", "doubts", "where")

    def __init__(self, data: Any, where: str, doubts: list[FileError] | None = None) -> None:
        if not isinstance(data, dict):
            raise FileError(f"{where}: must be an object, not {kind_of(data)}")
        self.data: dict[str, Any] = data
        self.where = where
        self.doubts = doubts

    def _doubt(self, error: FileError) -> None:
        if self.doubts is None:
            raise error
        self.doubts.append(error)

    def wrong(self, name: str, what: str) -> FileError:
        """The error for a value."""
        return FileError(f"{self.where}: {name} {what}")

    def _of(self, name: str, kinds: type | tuple[type, ...], expected: str) -> Any:
        value = self.data.get(name)
        if value is None:
            return None
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            self._doubt(self.wrong(name, f"must be {expected}, not {kind_of(value)}"))
            return None
        return value

    def text(self, name: str) -> str | None:
        """Text."""
        value: str | None = self._of(name, str, "text")
        return value

    def whole(self, name: str) -> int | None:
        """A whole number that is not negative."""
        value: int | None = self._of(name, int, "a whole number")
        if value is not None and value < 0:
            self._doubt(self.wrong(name, "must not be negative"))
            return None
        return value

    def number(self, name: str) -> float | None:
        """A number."""
        value = self._of(name, (int, float), "a number")
        return None if value is None else float(value)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        value: bool | None = self._of(name, bool, "true or false")
        return value

    def inner(self, name: str) -> JsonObject | None:
        """An object inside."""
        value = self.data.get(name)
        return None if value is None else self._inside(value, name)

    def _inside(self, value: Any, name: str) -> JsonObject | None:
        try:
            return JsonObject(value, f"{self.where}: {name}", self.doubts)
        except FileError as error:
            self._doubt(error)
            return None

    def items(self, name: str) -> list[Any]:
        """A list; empty when it is absent."""
        value: list[Any] = self._of(name, list, "a list") or []
        return value

    def objects(self, name: str) -> Iterator[JsonObject]:
        """The objects of a list, named by their place from 0."""
        for index, item in enumerate(self.items(name)):
            inside = self._inside(item, f"{name}[{index}]")
            if inside is not None:
                yield inside

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
        value = _decode_fast(raw)
    except (ValueError, RecursionError):
        # It knows neither byte order marks nor lone surrogates, and has words of its own.
        value = _decoded(raw, where)
    _measure(value, where)
    return value


def _decoded(raw: bytes, where: str) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{where}: is not UTF-8 (byte {error.start + 1})") from None
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.rstrip() else ""
        problem = f"{line}column {error.colno}: {error.msg}"
        if text.strip() and _is_cut_off(text, error):
            raise FileError(f"{where}: is cut off: the JSON is not complete ({problem})") from None
        raise FileError(f"{where}: is not JSON ({problem})") from None
    except RecursionError:
        raise FileError(f"{where}: is nested too deep") from None
    except ValueError as error:
        raise FileError(f"{where}: is not JSON ({error})") from None


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether text is missing at the end, rather than wrong before it."""
    end = text.rstrip()
    if error.msg.startswith("Unterminated string") or error.pos >= len(end):
        return True
    rest = end[error.pos :]
    if error.msg.startswith("Invalid \\u"):
        return len(rest) < 6
    return rest == "-" or any(word.startswith(rest) for word in ("true", "false", "null"))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
_decode_fast: Final = msgspec.json.Decoder().decode


def _measure(value: Any, where: str) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for item in level:
            kind = item.__class__
            if kind is str:
                continue
            if kind is dict:
                inner.extend(item.values())
            elif kind is list:
                inner.extend(item)
            elif (kind is float and not math.isfinite(item)) or (
                kind is int and not -_MAX_NUMBER < item < _MAX_NUMBER
            ):
                raise FileError(f"{where}: holds a number that is too large")
        if not inner:
            return
        level = inner
    raise FileError(f"{where}: is nested too deep")


def file_time(path: Path) -> datetime:
    """When a file was changed last. Raises `FileError` when it is gone."""
    try:
        return time_of_stamp(int(path.stat().st_mtime))
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error


def is_empty(path: Path) -> bool:
    """Whether a file has no bytes."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def files_of(
    path: Path, candidates: Callable[[Path], list[Path]], is_one: Callable[[Path], bool], what: str
) -> list[Path]:
    """The files that are read for a path: itself, or those of a folder, empty ones among them.

    Raises `FileError` for a folder without any.
    """
    if not path.is_dir():
        return [path]
    matches = [file for file in candidates(path) if is_one(file) or is_empty(file)]
    if not any(map(is_one, matches)):
        raise FileError(f"{path}: no {what} in this folder")
    return matches


def head_of(path: Path, size: int = 1 << 16) -> str:
    """The beginning of a file; empty when it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read(size).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file that is not blank."""

    number: int
    """From 1."""
    offset: int
    """Where it begins, in bytes."""
    raw: bytes
    """With its line end, if it has one; of a line above `MAX_LINE` only the beginning."""
    too_long: bool = False

    @property
    def torn(self) -> bool:
        """Whether it has no line end: it is the last one, and may not be whole."""
        return not self.raw.endswith(b"\n") and not self.too_long


def lines(path: Path, file: BinaryIO | None = None) -> Iterator[Line]:
    """The lines of a file that are not blank.

    `file` is what they are read from where that is not the file itself. Raises `FileError` for a
    file that cannot be read.
    """
    try:
        with open_regular(path) if file is None else file as source:
            number = offset = 0
            while raw := source.readline(MAX_LINE + 1):
                number += 1
                size = len(raw)
                too_long = size > MAX_LINE
                if too_long:
                    raw = raw[:64]
                    while (rest := source.readline(MAX_LINE + 1)) and not rest.endswith(b"\n"):
                        size += len(rest)
                    size += len(rest)
                if raw.strip():
                    yield Line(number, offset, raw, too_long)
                offset += size
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error


def values_in(line: Line, path: Path) -> tuple[list[Any], list[Finding]]:
    """The JSON values of a line, and what is wrong with it.

    A line should have one. Two that are glued together are both read, and so is what stands before
    a place where a line breaks off. Bytes that are not UTF-8 become U+FFFD.
    """
    if line.too_long:
        message = f"larger than {MAX_LINE >> 20} MB, which no line of this format is; left out"
        return [], [Finding(path, message, line.number)]
    where = f"{path}: line {line.number}"
    findings: list[Finding] = []
    raw = line.raw.rstrip(b"\r\n")
    try:
        return [parse_json(raw, where)], findings
    except FileError as error:
        problem = finding_of(error, path, line.number)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8-sig", "replace")
        message = f"is not UTF-8 (byte {error.start + 1}); what is not is shown as \ufffd"
        findings.append(Finding(path, message, line.number, "not_utf8"))
        with suppress(FileError):
            return [parse_json(text.encode(), where)], findings
    values = list(_glued(text, where))
    whole = sum(size for _, size in values) >= len(text.rstrip())
    if len(values) > 1 and whole:
        problem = Finding(
            path, f"{len(values)} JSON values on one line; all are read", line.number, "glued"
        )
    elif line.torn:
        rest = "what is whole of it is read" if values else "it is left out"
        message = f"the last line of the file is torn; {rest}"
        problem = Finding(path, message, line.number, "torn_line")
    elif values:
        ends = sum(size for _, size in values)
        message = f"is not JSON from column {ends + 1} on; what is before that is read"
        problem = Finding(path, message, line.number)
    else:
        problem = replace(problem, message=f"{problem.message}; left out")
    return [value for value, _ in values], [*findings, problem]


def _glued(text: str, where: str) -> Iterator[tuple[Any, int]]:
    """The objects at the beginning of a line, each with the characters that it takes."""
    position = 0
    while position < len(text):
        begin = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        if not text.startswith("{", begin):
            return
        try:
            value, end = _DECODER.raw_decode(text, begin)
            _measure(value, where)
        except (ValueError, RecursionError, FileError):
            return
        yield value, end - position
        position = end


def arguments_of(value: Any) -> dict[str, Any]:
    """`{arguments, raw_arguments}` of a `tool.called`, from an object, JSON text or anything."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {"arguments": value}
    if not isinstance(value, str):
        return {"raw_arguments": json.dumps(value)}
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        decoded = None
    return {"arguments": decoded if isinstance(decoded, dict) else None, "raw_arguments": value}
