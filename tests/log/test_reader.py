"""Reading logs: every damage is a named finding with its line, nothing else is raised."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convtui.errors import LogError
from convtui.log import reader as reader_module
from convtui.log.reader import LogReader, digest_until, open_log
from convtui.log.writer import LogWriter
from convtui.records.models import Warned, encode
from tests.builders.logs import as_records, header, sample, write_log


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    return write_log(tmp_path / "whole.jsonl", sample()).read_bytes()


def findings(tmp_path: Path, data: bytes) -> list[tuple[str, int]]:
    """The findings in a file of these bytes."""
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(data)
    with open_log(path) as log:
        assert all(str(finding).startswith(f"line {finding.line}: ") for finding in log.findings)
        return [(finding.code, finding.line) for finding in log.findings]


def lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def test_a_whole_log_has_no_findings(tmp_path: Path, whole: bytes) -> None:
    assert findings(tmp_path, whole) == []


def test_a_torn_tail(tmp_path: Path, whole: bytes) -> None:
    count = len(lines(whole))
    assert findings(tmp_path, whole[:-5]) == [("torn_line", count), ("no_trailer", count)]


def test_a_missing_trailer(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)[:-1]
    assert findings(tmp_path, b"".join(rest)) == [("no_trailer", len(rest))]


def test_a_gap(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)
    del rest[5]
    codes = findings(tmp_path, b"".join(rest))
    assert codes == [("seq_gap", 6), ("wrong_count", len(rest))]


def test_two_trailers_and_what_comes_after(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)
    late = encode({"seq": len(rest) + 1, "t": 9, "type": "warning", "message": "late"})
    codes = findings(tmp_path, whole + rest[-1] + late)
    assert ("two_trailers", len(rest) + 1) in codes
    assert ("after_trailer", len(rest) + 2) in codes


def test_bad_json_in_the_middle_costs_one_record(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)
    rest[4] = b'{"seq": 4, "t"\n'
    assert findings(tmp_path, b"".join(rest)) == [("bad_json", 5)]
    rest[4] = b"[1, 2]\n"
    assert findings(tmp_path, b"".join(rest)) == [("bad_json", 5)]
    rest[4] = b"\xff\xfe\x00garbage\n"
    assert findings(tmp_path, b"".join(rest)) == [("bad_json", 5)]
    rest[4] = b'{"a":' * 100_000 + b"\n"
    assert findings(tmp_path, b"".join(rest)) == [("bad_json", 5)]
    rest[4] = b'{"a":' + b"9" * 10_000 + b"}\n"
    assert findings(tmp_path, b"".join(rest)) == [("bad_json", 5)]


def test_blank_lines_and_a_second_header(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)
    codes = findings(tmp_path, b"".join([*rest[:3], b"\n", *rest[3:]]))
    assert codes == [("blank_line", 4), ("wrong_count", len(rest) + 1)]
    codes = findings(tmp_path, b"".join([*rest[:3], rest[0], *rest[3:]]))
    assert ("second_header", 4) in codes
    codes = findings(tmp_path, b"\n" + whole)
    assert codes == [("blank_line", 1), ("wrong_count", len(rest) + 1)]


def test_a_record_without_a_type(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)
    rest[4] = encode({"seq": 4, "t": 0})
    assert findings(tmp_path, b"".join(rest)) == [("no_type", 5)]


def test_a_huge_line_is_passed_over(
    tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_LINE", 1 << 21)
    rest = lines(whole)
    rest[4] = encode({"seq": 4, "type": "x", "text": "x" * (4 << 20)})
    codes = [code for code, _ in findings(tmp_path, b"".join(rest))]
    assert codes[0] == "huge_line"
    with open_log(tmp_path / "damaged.jsonl") as log:
        assert log.transcript.complete


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"\x00\x01\x02\x03", "no convtui log"),
        (b"hello there\n", "no convtui log"),
        (b'{"seq": 0\n', "line 1 is not JSON"),
        (b'{"seq": 0, "type": "x"}\n', "line 1 is not a convtui header"),
        (b'\n{"seq": 0, "type": "x"}\n', "line 2 is not a convtui header"),
        (b'{"seq": 0, "type": "header", "for', "its header has not been written to the end"),
    ],
)
def test_what_is_no_log_cannot_be_opened(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "not.jsonl"
    path.write_bytes(data)
    with pytest.raises(LogError, match=says):
        open_log(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="there is no such log; `convtui runs` lists"):
        open_log(tmp_path / "nope.jsonl")
    with pytest.raises(LogError, match="this is a folder"):
        open_log(tmp_path)


def test_versions(tmp_path: Path) -> None:
    newer = write_log(tmp_path / "newer.jsonl", [header(version="2.0")])
    with pytest.raises(LogError, match=r"newer convtui .*update convtui"):
        open_log(newer)
    minor = write_log(tmp_path / "minor.jsonl", [header(version="1.9", more="kept")])
    with open_log(minor) as log:
        assert log.findings == []
        assert log.transcript.header["more"] == "kept"
    odd = write_log(tmp_path / "odd.jsonl", [header(version="one")])
    with open_log(odd) as log:
        assert [f.code for f in log.findings] == ["bad_version"]


def test_unknown_types_and_fields_are_kept(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)
    rest[4] = encode({"seq": 4, "t": 0, "type": "from.tomorrow", "shiny": [1]})
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(rest))
    with open_log(path) as log:
        assert log.findings == []
        assert log.reader.read(4)["shiny"] == [1]
        assert log.transcript.counts["from.tomorrow"] == 1


def test_while_it_is_written_the_tail_is_not_yet(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "a.jsonl")
    writer.write(header())
    with LogReader(writer.path) as reader:
        reader.advance()
        assert reader.finish() == []
        assert reader.running
        writer.write(Warned(message="more"))
        assert reader.transcript.records == 1
        reader.advance()
        assert reader.transcript.records == 2
        writer.close(None, {})
        reader.advance()
        assert reader.finish() == []
        assert not reader.running


def test_a_line_that_arrives_in_pieces(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(whole[:100])
    with LogReader(path) as reader, path.open("ab", buffering=0) as file:
        for start in range(100, len(whole), 37):
            reader.advance()
            file.write(whole[start : start + 37])
        reader.advance()
        assert reader.finish() == []
        for ordinal, record in enumerate(as_records(sample())):
            assert reader.read(ordinal)["type"] == record["type"]


def test_single_records_and_ranges(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", sample())
    with open_log(path) as log:
        reader = log.reader
        assert reader.by_seq(3)["seq"] == 3
        assert [r["seq"] for r in reader.read_range(2, 4)] == [2, 3, 4]
        assert list(reader.read_range(10_000, 10_001)) == []
        with pytest.raises(ValueError, match="no record 999"):
            reader.by_seq(999)


def test_records_are_found_behind_damage(tmp_path: Path, whole: bytes) -> None:
    rest = lines(whole)
    rest[4] = b'{"a":' * 100_000 + b"\n"
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(rest))
    with open_log(path) as log:
        assert log.reader.by_seq(7)["seq"] == 7
        assert len(list(log.records())) == len(rest) - 1
        with pytest.raises(ValueError, match="no record 4"):
            log.reader.by_seq(4)


def test_digests(tmp_path: Path, whole: bytes) -> None:
    import hashlib

    path = tmp_path / "whole.jsonl"
    size = sum(map(len, lines(whole)[:6]))
    assert digest_until(path, 5) == (hashlib.sha256(whole[:size]).hexdigest(), size)
    with pytest.raises(LogError, match="no record 999"):
        digest_until(path, 999)


def open_damaged(path: Path, data: bytes) -> None:
    """Opens, folds and reads what is there; only `LogError` may come."""
    path.write_bytes(data)
    try:
        log = open_log(path)
    except LogError:
        return
    with log:
        list(log.records())
        for ordinal in range(min(log.transcript.records, 50)):
            log.reader.read(ordinal)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_byte_flips_never_raise_anything_but_a_log_error(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        index = data.draw(st.integers(0, len(damaged) - 1))
        damaged[index] = data.draw(st.integers(0, 255))
    open_damaged(tmp_path / "flip.jsonl", bytes(damaged))


def test_any_truncation_opens_or_says_why(tmp_path: Path, whole: bytes) -> None:
    chance = random.Random(7)
    lengths = sorted({chance.randrange(len(whole)) for _ in range(200)})
    for length in lengths:
        open_damaged(tmp_path / "cut.jsonl", whole[:length])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.data())
def test_shuffled_doubled_and_lost_lines_never_raise(
    tmp_path: Path, whole: bytes, data: st.DataObject
) -> None:
    rest = lines(whole)
    picked = data.draw(st.lists(st.integers(0, len(rest) - 1), max_size=len(rest) * 2))
    open_damaged(tmp_path / "mixed.jsonl", b"".join([rest[0], *(rest[n] for n in picked)]))
