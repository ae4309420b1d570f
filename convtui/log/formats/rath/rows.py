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

from convtui.errors import FileError, NewerError, did_you_mean, listed
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_objects import JsonObject, head_of, is_empty, lines, values_in

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
    """One row. `line` counts from 1."""

    line: int
    type: Literal["header", "chunk", "trailer", "unknown"]
    """`unknown` is an object that is no row, or stands where none may be."""
    fields: JsonObject

    @property
    def kind(self) -> str:
        """A chunk's kind, one of `CHUNK_KINDS`."""
        return self.fields.text("kind") or ""

    @property
    def payload(self) -> JsonObject:
        """What a chunk carries."""
        return JsonObject(self.fields.data.get("payload"), f"{self.fields.where}: payload")


def is_session(path: Path) -> bool:
    """Whether a file looks like a session of rath, finished or partial."""
    if not is_named(path):
        return False
    first = head_of(path).split("\n", 1)[0]
    return first.startswith("{") and _RECORD_TYPE.search(first) is not None


def is_named(path: Path) -> bool:
    """Whether a file's name is one that rath gives."""
    return path.name.lower().removesuffix(PARTIAL).endswith(".jsonl")


def rows(path: Path) -> Iterator[tuple[list[Row | Finding], bytes]]:
    """What stands in each line of a file, and the line.

    Mostly one row; a line that is glued together has several, and what is wrong with a line stands
    beside them. A row where it must not be is a row of no type (`unknown`), with a finding. Raises
    `FileError` for a file that cannot be read, is empty or has no row at all, and for a newer
    schema.
    """
    header = readable = 0
    first: Finding | None = None
    for line in lines(path):
        number = line.number
        values, findings = values_in(line, path)
        in_line: list[Row | Finding] = []
        for value in values:
            try:
                row = _row(JsonObject(value, f"{path}: line {number}"), number)
            except FileError as error:
                code = "bad_value" if isinstance(value, dict) else "bad_line"
                in_line.append(finding_of(error, path, number, code))
                if isinstance(value, dict):
                    in_line.append(
                        Row(number, "unknown", JsonObject(value, f"{path}: line {number}"))
                    )
                continue
            readable += 1
            if row.type == "header":
                try:
                    _version(row.fields)
                except NewerError:
                    raise
                except FileError as error:
                    in_line.append(finding_of(error, path, number, "bad_value"))
            if row.type == "header" and header:
                message = f"a second header (the first is in line {header}); it is passed over"
                in_line.append(Finding(path, message, number, "second_header"))
                row = Row(number, "unknown", row.fields)
            elif row.type == "header":
                header = number
            elif not header:
                message = f"there is no header: a {row.type} stands before it"
                in_line.append(Finding(path, message, number, "no_header"))
                header = -1
            in_line.append(row)
        in_line += findings
        first = first or next((row for row in in_line if isinstance(row, Finding)), None)
        yield in_line, line.raw
    if not readable:
        raise FileError(
            f"{path}: there is no header and no chunk that can be read: {_why(path, first)}"
        )


def _why(path: Path, first: Finding | None) -> str:
    if is_empty(path):
        return "the file is empty"
    return first.placed if first is not None else "this is no session of rath"


def _row(fields: JsonObject, number: int) -> Row:
    kind = _known(fields, "record_type", ROW_TYPES)
    if kind == "header":
        return Row(number, "header", fields)
    if kind == "trailer":
        return Row(number, "trailer", fields)
    _known(fields, "kind", CHUNK_KINDS)
    row = Row(number, "chunk", fields)
    if "payload" not in fields.data:
        raise fields.wrong("payload", "is missing")
    _ = row.payload
    return row


def _known(fields: JsonObject, name: str, names: tuple[str, ...]) -> str:
    value = fields.text(name)
    if value is None:
        raise fields.wrong(name, "is missing")
    if value not in names:
        hint = did_you_mean(value, names) or f"; known are {listed(names)}"
        raise fields.wrong(name, f"{value[:40]!r} is not known{hint}")
    return value


def _version(header: JsonObject) -> None:
    version = header.whole("schema_version")
    if version is None:
        raise header.wrong("schema_version", "is missing")
    if version > SCHEMA:
        raise NewerError(
            f"{header.where}: written by a newer rath (schema_version {version}, this convtui"
            f" reads {SCHEMA}): update convtui"
        )
    if version < SCHEMA:
        raise header.wrong("schema_version", f"{version} is not known (only {SCHEMA})")


def extras_of(fields: JsonObject, name: str, doubts: list[FileError]) -> Extras:
    """Pairs of a name and a value; anything else is a doubt."""
    extras: Extras = []
    for index, item in enumerate(fields.items(name)):
        if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str):
            extras.append((item[0], item[1]))
        else:
            wrong = fields.wrong(f"{name}[{index}]", "must be a pair of a name and a value")
            doubts.append(wrong)
    return extras


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
