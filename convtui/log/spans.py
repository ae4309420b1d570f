"""The byte range of each session in a log."""

from __future__ import annotations

from pathlib import Path

from convtui.files.regular import open_regular
from convtui.log.lines import pieces_of
from convtui.records.codec import RecordDict, decode
from convtui.records.fields import FieldChecker


def session_spans(path: Path) -> dict[int, dict[str, int]]:
    """`{first_seq, last_seq, start, end}` by session number, from first to last record.

    `start` and `end` are byte offsets; `end` is after the last line. Damaged lines are skipped.
    """
    spans: dict[int, dict[str, int]] = {}
    fields = FieldChecker()
    offset = 0
    with open_regular(path) as file:
        for line, whole in pieces_of(file):
            start, offset = offset, offset + len(line)
            if not whole or b'"session":' not in line:
                continue
            record = _record(line)
            fields.mend(record, line)
            if record.get("session") is None:
                continue
            session, seq = record["session"], record["seq"]
            span = spans.setdefault(session, {"first_seq": seq, "last_seq": seq, "start": start})
            span["last_seq"] = seq
            span["end"] = offset
    return spans


def _record(line: bytes) -> RecordDict:
    try:
        return decode(line)
    except (ValueError, RecursionError):
        return {}
