"""The lines of an oharness event file: one event a line, one envelope for all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.foreign import Fields, head_of, lines, parse_json, parse_time

MAJOR: Final = 1
NAMESPACE: Final = "convtui."
"""What our own `user.log` events begin with; none of oharness' reserved ones."""
_VERSION: Final = re.compile(r"(\d{1,4})\.\d{1,4}")
_ENVELOPE: Final = re.compile(r'"run_id"\s*:')
_SEQ: Final = re.compile(r'"seq"\s*:')
_V: Final = re.compile(r'"v"\s*:')


@dataclass(slots=True, frozen=True)
class Event:
    """One event. `payload` is checked for being an object when it is asked for."""

    line: int
    seq: int
    run: str
    kind: str
    at: datetime | None
    fields: Fields

    @property
    def payload(self) -> Fields:
        """What it carries; empty where nothing is carried."""
        given = self.fields.data.get("payload")
        return Fields({} if given is None else given, f"{self.fields.where}: payload")

    @property
    def source(self) -> dict[str, Any]:
        """Where it stands in the file, as far as a reader of the log wants to know."""
        found: dict[str, Any] = {"seq": self.seq}
        for name in ("span_id", "parent", "redactions"):
            if self.fields.data.get(name) is not None:
                found[name] = self.fields.data[name]
        return found


def is_events(path: Path) -> bool:
    """Whether a file looks like oharness' events."""
    head = head_of(path)
    return (
        path.suffix.lower() == ".jsonl"
        and head.startswith("{")
        and all(p.search(head.split("\n", 1)[0]) for p in (_ENVELOPE, _SEQ, _V))
    )


def events(path: Path) -> Iterator[tuple[Event | None, bytes]]:
    """The events of a file and their lines; None for a last line that is torn.

    A line is torn when it is no JSON and has no line end: the writer died. Raises `FileError`
    for any other line that is no event.
    """
    for number, line in lines(path):
        where = f"{path}: line {number}"
        try:
            data = parse_json(line, where)
        except FileError:
            if line.endswith(b"\n"):
                raise
            if number == 1:
                raise
            yield None, line
            return
        yield _event(Fields(data, where), number), line


def _event(fields: Fields, number: int) -> Event:
    version = fields.text("v")
    found = _VERSION.fullmatch(version or "")
    if found is None:
        raise fields.wrong("v", f"must be a version (as 1.0), not {fields.data.get('v')!r}")
    if int(found[1]) > MAJOR:
        raise FileError(
            f"{fields.where}: written by a newer oharness (event schema {version}, this convtui"
            f" reads {MAJOR}.x): update convtui"
        )
    if int(found[1]) < MAJOR:
        raise FileError(f"{fields.where}: event schema {version} is not known (only {MAJOR}.x)")
    seq, run, kind = fields.whole("seq"), fields.text("run_id"), fields.text("type")
    for name, value in (("seq", seq), ("run_id", run), ("type", kind)):
        if value is None or value == "":
            raise fields.wrong(name, "is missing")
    assert seq is not None and run is not None and kind is not None
    written = fields.text("timestamp")
    at = parse_time(written)
    if written is not None and at is None:
        raise fields.wrong("timestamp", f"{written[:40]!r} is no time (RFC 3339)")
    return Event(number, seq, run, kind, at, fields)
