"""Lines of any length, read in pieces."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from convtui.log import lines
from convtui.log.lines import pieces_of
from convtui.log.reader import digest_until
from convtui.log.spans import session_spans
from tests.builders.logs import sample, write_log


def test_a_line_that_is_too_long_is_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 4)
    pieces = list(pieces_of(BytesIO(b"ab\n\nabcdefg\nxyz\nto")))
    assert pieces == [
        (b"ab\n", True), (b"\n", True), (b"abcd", False), (b"efg\n", False), (b"xyz\n", True),
        (b"to", False),
    ]  # fmt: skip


def test_what_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_log(tmp_path / "run.jsonl", sample())
    whole = log.read_bytes()
    spans, digest = session_spans(log), digest_until(log, 3)
    longest = max(len(line) for line in whole.splitlines(keepends=True))
    monkeypatch.setattr(lines, "MAX_LINE", longest)
    log.write_bytes(whole + b"\0" * 5 * longest)
    assert session_spans(log) == spans
    assert digest_until(log, 3) == digest
    log.write_bytes(whole + b'{"seq":3,"session":1,' + b" " * longest + b"\n")
    assert session_spans(log) == spans
