"""Files of JSON whose kind the name does not tell: one value, a list of them, or one a line."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.files.regular import read_regular
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_objects import head_of, lines, parse_json, values_in

MAX_FILE: Final = 512 << 20
"""Bytes that a file may have that is read as a whole."""
SUFFIXES: Final = (".json", ".jsonl", ".ndjson")
_HEAD: Final = 1 << 18
_STEPS: Final = 64
_STRING_OR_BRACKET: Final = re.compile(
    r'"[^"\\]*(?:\\.[^"\\]*)*(?:(?P<end>")|\\?\Z)|[{}\[\]]', re.DOTALL
)


@dataclass(slots=True, frozen=True)
class Item:
    """A JSON value of a file, with the line that it is on and words for where it stands."""

    value: Any
    line: int | None
    address: str


def is_json(path: Path) -> bool:
    """Whether the name of a file says that it holds JSON."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def by_line(path: Path) -> bool:
    """Whether a file has a JSON value on each of its lines, by its first two."""
    first, _, rest = head_of(path, _HEAD).partition("\n")
    if path.suffix.lower() == ".json" and not rest.strip():
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return False
    return True


def first_value(path: Path) -> Any:
    """What a file holds first, for `detect`: the value of its first line, or the whole.

    Of a file that is too long to be looked at as a whole, the beginning of its value as far as it
    can be completed; None for what is no JSON. Never raises.
    """
    if not is_json(path):
        return None
    head = head_of(path, _HEAD)
    first = head.partition("\n")[0]
    for text in (head, first):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            continue
    return _completed(head)


def _completed(text: str) -> Any:
    """The value that text begins, with what is open closed after the last whole item of it."""
    ends = list(_last_ends(text))
    closing = _closing_at(text, sorted(ends))
    for end in ends:
        try:
            return json.loads(text[:end] + closing[end])
        except (ValueError, RecursionError):
            continue
    return None


def _last_ends(text: str) -> Iterator[int]:
    """Where a value may be whole, up to there: the last places first."""
    cut = len(text)
    for _ in range(_STEPS):
        cut = max(text.rfind(sign, 0, cut) for sign in ",{[")
        if cut < 0:
            return
        yield cut if text[cut] == "," else cut + 1


def _closing_at(text: str, ends: list[int]) -> dict[int, str]:
    """What closes all that is open in JSON text which ends there, for some ends, first to last."""
    found: dict[int, str] = {}
    left = deque(ends)
    open_: list[str] = []
    for token in _STRING_OR_BRACKET.finditer(text):
        while left and left[0] <= token.start():
            found[left.popleft()] = "".join(reversed(open_))
        if not left:
            break
        sign = text[token.start()]
        if sign == '"':
            whole = token["end"] is not None
            while left and (left[0] < token.end() or (left[0] == token.end() and not whole)):
                found[left.popleft()] = '"' + "".join(reversed(open_))
        elif sign in "{[":
            open_.append("}" if sign == "{" else "]")
        elif open_:
            open_.pop()
    return found | dict.fromkeys(left, "".join(reversed(open_)))


def items(path: Path, damage: list[Finding]) -> Iterator[Item]:
    """The values of a file: one for each line, or the one that it is as a whole.

    What cannot be read of a file with lines is put into `damage`. Raises `FileError`.
    """
    if by_line(path):
        for line in lines(path):
            values, findings = values_in(line, path)
            damage += findings
            for value in values:
                yield Item(value, line.number, f"line {line.number}")
        return
    yield Item(whole(path), None, "")


def whole(path: Path) -> Any:
    """The one value of a file. Raises `FileError`."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise FileError(f"{path}: larger than {MAX_FILE >> 20} MB, and it is read as a whole")
        raw = read_regular(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from error
    return parse_json(raw, str(path))


def files_below(folder: Path, detect: Callable[[Path], bool]) -> list[Path]:
    """The JSON files of a folder, and of those in it, that `detect` recognises, by their names."""
    return sorted(path for path in folder.rglob("*.json*") if is_json(path) and detect(path))
