"""The rows of a rath session file: a header, chunks, a trailer; one JSON object a line.

Lines end with a line feed and nothing else: U+2028 and U+0085 may stand in any text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from convtui.errors import FileError, did_you_mean
from convtui.log.formats.foreign import Fields, head_of, lines, parse_json

SCHEMA: Final = 1
PARTIAL: Final = ".__partial__"
"""What the name of a file ends with until its trailer is written."""
TRUNCATED: Final = "loop.truncated"
"""The name among the extras that says that all tool rounds were used up."""
ROW_TYPES: Final = ("header", "chunk", "trailer")
CHUNK_KINDS: Final = ("system", "user", "assistant", "tool_result")
LINEAGE_KINDS: Final = frozenset(
    {
        "unknown", "leaf_user", "leaf_system", "op_create", "op_session_loop", "op_fork",
        "op_detach", "op_merge", "op_session_compress",
    }
)  # fmt: skip
_RECORD_TYPE: Final = re.compile(r'"record_type"\s*:')
_LINE_BREAKS: Final = {ord(c): f"\\u{ord(c):04x}" for c in "\u0085\u2028\u2029"}

Extras: TypeAlias = list[tuple[str, Any]]


@dataclass(slots=True, frozen=True)
class Row:
    """One row, of a known type and in an allowed place. `line` counts from 1."""

    line: int
    type: Literal["header", "chunk", "trailer"]
    fields: Fields

    @property
    def kind(self) -> str:
        """A chunk's kind, one of `CHUNK_KINDS`."""
        return self.fields.text("kind") or ""

    @property
    def payload(self) -> Fields:
        """What a chunk carries."""
        return Fields(self.fields.data.get("payload"), f"{self.fields.where}: payload")


def is_session(path: Path) -> bool:
    """Whether a file looks like a session of rath, finished or partial."""
    if not is_named(path):
        return False
    first = head_of(path).split("\n", 1)[0]
    return first.startswith("{") and _RECORD_TYPE.search(first) is not None


def is_named(path: Path) -> bool:
    """Whether a file's name is one that rath gives."""
    return path.name.lower().removesuffix(PARTIAL).endswith(".jsonl")


def rows(path: Path) -> Iterator[tuple[Row | None, bytes]]:
    """The rows of a file and their lines; None for a last line without an end, which is torn.

    Raises `FileError`, with the line, for what is no row, for a row where it must not be, and for
    a file without a header.
    """
    header = 0
    for number, line in lines(path):
        where = f"{path}: line {number}"
        if not line.endswith(b"\n"):
            if not header:
                raise FileError(f"{where}: there is no header: the first line is torn")
            yield None, line
            return
        row = _row(Fields(parse_json(line.rstrip(b"\r\n"), where), where), number)
        if row.type != "header" and not header:
            raise FileError(f"{where}: a {row.type} stands before the header")
        if row.type == "header":
            if header:
                raise FileError(f"{where}: a second header (the first is in line {header})")
            header = number
        yield row, line
    if not header:
        raise FileError(f"{path}: line 1: there is no header: the file is empty")


def _row(fields: Fields, number: int) -> Row:
    kind = _known(fields, "record_type", ROW_TYPES)
    if kind == "header":
        _version(fields)
        return Row(number, "header", fields)
    if kind == "trailer":
        return Row(number, "trailer", fields)
    _known(fields, "kind", CHUNK_KINDS)
    row = Row(number, "chunk", fields)
    if "payload" not in fields.data:
        raise fields.wrong("payload", "is missing")
    _ = row.payload
    return row


def _known(fields: Fields, name: str, names: tuple[str, ...]) -> str:
    found = fields.text(name)
    if found is None:
        raise fields.wrong(name, "is missing")
    if found not in names:
        hint = did_you_mean(found, names)
        raise fields.wrong(name, f"{found[:40]!r} is not known{hint} (known: {', '.join(names)})")
    return found


def _version(header: Fields) -> None:
    version = header.whole("schema_version")
    if version is None:
        raise header.wrong("schema_version", "is missing")
    if version > SCHEMA:
        raise FileError(
            f"{header.where}: written by a newer rath (schema_version {version}, this convtui"
            f" reads {SCHEMA}): update convtui"
        )
    if version < SCHEMA:
        raise header.wrong("schema_version", f"{version} is not known (only {SCHEMA})")


def extras_of(fields: Fields, name: str) -> Extras:
    """Pairs of a name and a value. Raises `FileError` for anything else."""
    found: Extras = []
    for place, item in enumerate(fields.items(name)):
        if not (isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)):
            raise fields.wrong(f"{name}[{place}]", "must be a pair of a name and a value")
        found.append((item[0], item[1]))
    return found


def line_of(row: dict[str, Any]) -> bytes:
    """A row's line, newline included.

    What Python takes for the end of a line is escaped: rath's own loader splits there.
    """
    text = json.dumps(row, ensure_ascii=False).translate(_LINE_BREAKS)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        # Half of a surrogate pair: only an escape can say it.
        return json.dumps(row).encode() + b"\n"
