"""The lines of an oharness event file: one event a line, one envelope for all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from convtui.errors import FileError, NewerError
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.json_objects import JsonObject, Line, head_of, lines, values_in
from convtui.records.times import parse_time

MAJOR: Final = 1
_KNOWN: Final = f"{MAJOR}.0"
NAMESPACE: Final = "convtui."
"""What our own `user.log` events begin with; none of oharness' reserved ones."""
_VERSION: Final = re.compile(r"(\d{1,4})\.\d{1,4}")
_RUN_ID: Final = re.compile(r'"run_id"\s*:')
_SEQ: Final = re.compile(r'"seq"\s*:')
_V: Final = re.compile(r'"v"\s*:')


@dataclass(slots=True, frozen=True)
class Event:
    """One event. `payload` is checked for being an object when it is asked for."""

    line: int
    seq: int | None
    """None where the file has none that can be read."""
    run: str
    kind: str
    at: datetime | None
    fields: JsonObject

    @property
    def payload(self) -> JsonObject:
        """What it carries; empty where nothing is carried."""
        given = self.fields.data.get("payload")
        return JsonObject({} if given is None else given, f"{self.fields.where}: payload")

    @property
    def source(self) -> dict[str, Any]:
        """Where it stands in the file, as far as a reader of the log wants to know."""
        source: dict[str, Any] = {} if self.seq is None else {"seq": self.seq}
        for name in ("span_id", "parent", "redactions"):
            if self.fields.data.get(name) is not None:
                source[name] = self.fields.data[name]
        return source


def is_events(path: Path) -> bool:
    """Whether a file looks like oharness' events."""
    head = head_of(path)
    return (
        path.suffix.lower() == ".jsonl"
        and head.startswith("{")
        and all(p.search(head.split("\n", 1)[0]) for p in (_RUN_ID, _SEQ, _V))
    )


class Envelope(msgspec.Struct):
    """What stands around what an event carries."""

    v: str
    seq: int
    run_id: str
    type: str


_ENVELOPES: Final = msgspec.json.Decoder(Envelope)


def envelope_of(line: Line) -> Envelope | None:
    """The envelope of a line's event, in a fraction of the time that the event takes; None for
    what has to be looked at.
    """
    try:
        envelope = _ENVELOPES.decode(line.raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return envelope if envelope.v.startswith(f"{MAJOR}.") and envelope.type else None


def events(path: Path) -> Iterator[Event | Finding]:
    """What stands in the lines of a file. Raises `FileError` for a file that cannot be read, and
    `NewerError`.
    """
    for line in lines(path):
        yield from events_in(line, path)


def events_in(line: Line, path: Path) -> list[Event | Finding]:
    """What stands in a line: mostly one event.

    A line that is glued together has several, and what is wrong with a line stands beside them.
    Raises `NewerError`.
    """
    values, findings = values_in(line, path)
    in_line: list[Event | Finding] = []
    for value in values:
        doubts: list[FileError] = []
        try:
            where = f"{path}: line {line.number}"
            in_line.append(_event(JsonObject(value, where), line.number, doubts))
        except NewerError:
            raise
        except FileError as error:
            code = "bad_value" if isinstance(value, dict) else "bad_line"
            in_line.append(finding_of(error, path, line.number, code))
        in_line += [finding_of(doubt, path, line.number, "bad_value") for doubt in doubts]
    return [*in_line, *findings]


def _event(fields: JsonObject, number: int, doubts: list[FileError]) -> Event:
    """An event. What can be done without is among `doubts` where it is wrong."""
    lenient = JsonObject(fields.data, fields.where, doubts)
    _check_version(lenient, doubts)
    seq = lenient.whole("seq")
    if lenient.data.get("seq") is None:
        doubts.append(fields.wrong("seq", "is missing"))
    run, kind = fields.text("run_id"), fields.text("type")
    for name, value in (("run_id", run), ("type", kind)):
        if not value:
            raise fields.wrong(name, "is missing")
    assert run is not None and kind is not None
    written = lenient.text("timestamp")
    at = parse_time(written)
    if written is not None and at is None:
        doubts.append(fields.wrong("timestamp", f"{written[:40]!r} is no time (RFC 3339)"))
    return Event(number, seq, run, kind, at, fields)


def _check_version(fields: JsonObject, doubts: list[FileError]) -> None:
    """Raises `NewerError` for a later major version; anything else that is none is a doubt."""
    if fields.data.get("v") == _KNOWN:
        return
    version = fields.text("v")
    match = _VERSION.fullmatch(version or "")
    if match is None:
        if version is not None or fields.data.get("v") is None:
            doubts.append(fields.wrong("v", f"must be a version (as 1.0), not {version!r}"))
    elif int(match[1]) > MAJOR:
        raise NewerError(
            f"{fields.where}: written by a newer oharness (event schema {version}, this convtui"
            f" reads {MAJOR}.x): update convtui"
        )
    elif int(match[1]) < MAJOR:
        message = f"event schema {version} is not known (only {MAJOR}.x)"
        doubts.append(FileError(f"{fields.where}: {message}"))
