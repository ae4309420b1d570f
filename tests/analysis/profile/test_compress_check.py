"""Checks of compressions: which calls count as before and after, and what remains unknown."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from convtui.analysis.profile.compress_check import Part, as_dict, check_compression
from convtui.errors import LogError
from convtui.log.formats.registry import reader_for
from convtui.log.formats.store import Parents, store
from convtui.log.reader import digest_until, open_log
from convtui.records.models import ContextCompressed, ParentRef, Record
from tests.builders.logs import conversation, ending, header, session, write_log
from tests.builders.tool_logs import tool_log, tool_turns
from tests.places import SAMPLES

T, F = True, False


def parent_ref(path: Path, upto: int | None = None) -> ParentRef:
    with open_log(path) as log:
        last = log.transcript.records - 1 if upto is None else upto
        return ParentRef(
            id=log.transcript.id, file=str(path), seq=last, sha256=digest_until(path, last)[0]
        )


def child(
    path: Path,
    parent: Path,
    outcomes: Sequence[bool | None],
    *,
    before: Sequence[bool | None] = (),
    kind: str = "compress",
    upto: int | None = None,
    origin: str = "compress",
    recorded: bool = True,
) -> Path:
    """A log that continues another; `before` are its own calls before the compression."""
    end = ending("completed", "provider", 2)
    body = session(1, "work", tool_turns([*before, *outcomes]), end)
    records: list[Record] = conversation(body, end=end)
    if kind == "compress" and recorded:
        made = ContextCompressed(session=1, summary="All so far.", upto=2, rows_in=18)
        starts = [index for index, record in enumerate(records) if record.TYPE == "turn.started"]
        records.insert(starts[2 * len(before)] if outcomes else len(records) - 3, made)
    records[0] = header(
        id=path.stem,
        origin=origin,
        parents=[parent_ref(parent, upto)],
        change={"kind": kind},
    )
    return write_log(path, records)


def counted(part: Part | None) -> tuple[int, int] | None:
    return None if part is None else (part.tally.failed, part.tally.calls)


def test_as_well_as_before(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T, F, T, T, T, T, T])
    check = check_compression(child(tmp_path / "b.jsonl", parent, [T, T, F, T, T, T, T, T]))
    assert check.has_compression
    assert (counted(check.pre), counted(check.post)) == ((2, 8), (1, 8))
    assert check.preserved is True
    assert "within the tolerance" in check.why
    assert check.compressed["rows_in"] == 18
    data = as_dict(check)
    assert data["pre_compression_profile"]["error_rate"] == 0.25
    assert data["pre_compression_profile"]["proficiency_gain"] == -1.0
    assert data["post_compression_profile"]["tool_call_count"] == 8
    assert data["proficiency_preserved"] is True


@pytest.mark.parametrize(("failed", "preserved"), [(5, True), (6, True), (7, False), (10, False)])
def test_the_tolerance_is_a_fifth(tmp_path: Path, failed: int, preserved: bool) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F] * 5 + [T] * 5)
    after = child(tmp_path / "b.jsonl", parent, [F] * failed + [T] * (10 - failed))
    assert check_compression(after).preserved is preserved


def test_nothing_failed_before(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [T] * 6)
    check = check_compression(child(tmp_path / "b.jsonl", parent, [F, T, T, T, T, T]))
    # A fifth more than zero is zero: a single failure must not decide.
    assert check.preserved is None
    assert "may be chance" in check.why
    much = tool_log(tmp_path / "c.jsonl", [T] * 30)
    assert check_compression(child(tmp_path / "d.jsonl", much, [F] * 20)).preserved is False
    assert check_compression(child(tmp_path / "e.jsonl", parent, [T])).preserved is True


def test_a_side_without_calls_is_unknown(tmp_path: Path) -> None:
    none = tool_log(tmp_path / "a.jsonl", [])
    check = check_compression(child(tmp_path / "b.jsonl", none, [F, T]))
    assert (check.has_compression, check.preserved) == (True, None)
    assert check.why == "no tool call before it is on record"
    some = tool_log(tmp_path / "c.jsonl", [F, T])
    check = check_compression(child(tmp_path / "d.jsonl", some, []))
    assert (check.preserved, check.why) == (None, "no tool call after it is on record")
    check = check_compression(child(tmp_path / "e.jsonl", some, [None, None]))
    assert check.preserved is None
    assert check.why == "how the tool calls after it went is not on record"


def test_few_calls_get_a_note(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T, T, T, T])
    check = check_compression(child(tmp_path / "b.jsonl", parent, [F]))
    assert check.preserved is False
    assert check.notes == ["there is only one call after it: the next one could turn the answer"]


def test_a_parent_that_is_gone_or_altered_makes_it_unknown(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T])
    path = child(tmp_path / "b.jsonl", parent, [T, T])
    text = parent.read_bytes()
    parent.write_bytes(text.replace(b"boom", b"bang"))
    check = check_compression(path)
    assert (check.has_compression, check.pre, check.preserved) == (True, None, None)
    assert "altered" in check.why
    assert counted(check.post) == (0, 2)
    parent.unlink()
    assert "is not there" in check_compression(path).why
    # Without the parent of a branch it is unknown whether there was a compression.
    parent.write_bytes(text)
    branch = child(tmp_path / "c.jsonl", parent, [T], kind="fork", origin="continue")
    parent.unlink()
    check = check_compression(branch)
    assert (check.has_compression, check.preserved) == (None, None)
    assert as_dict(check)["pre_compression_profile"] is None


def test_no_compression(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T])
    branch = child(tmp_path / "b.jsonl", parent, [F], kind="fork", origin="continue")
    for path in (parent, branch):
        check = check_compression(path)
        assert (check.has_compression, check.preserved, check.pre) == (False, None, None)
    failed = child(tmp_path / "c.jsonl", parent, [F], recorded=False)
    assert check_compression(failed).has_compression is False


def test_calls_of_logs_that_go_on_from_it(tmp_path: Path) -> None:
    first = tool_log(tmp_path / "a.jsonl", [F])
    second = child(tmp_path / "b.jsonl", first, [T], kind="resume", origin="continue")
    summary = child(tmp_path / "c.jsonl", second, [])
    third = child(tmp_path / "d.jsonl", summary, [T, T], kind="resume", origin="continue")
    fourth = child(tmp_path / "e.jsonl", third, [F], kind="reload", origin="continue")
    check = check_compression(fourth)
    assert (counted(check.pre), counted(check.post)) == ((1, 2), (1, 3))
    assert check.pre is not None
    assert check.post is not None
    assert [path.name for path in check.pre.logs] == ["a.jsonl", "b.jsonl"]
    assert [path.name for path in check.post.logs] == ["c.jsonl", "d.jsonl", "e.jsonl"]
    first.unlink()
    check = check_compression(fourth)
    assert counted(check.pre) == (0, 1)
    assert any("still earlier is not counted" in note for note in check.notes)


def test_the_parent_counts_as_far_as_it_went(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [T, T, F, F])
    with open_log(parent) as log:
        upto = [r["seq"] for r in log.records() if r["type"] == "turn.committed"][3]
    check = check_compression(child(tmp_path / "b.jsonl", parent, [T], upto=upto))
    assert counted(check.pre) == (0, 2)


def test_it_goes_back_to_the_compression_before(tmp_path: Path) -> None:
    first = tool_log(tmp_path / "a.jsonl", [F] * 7)
    second = child(tmp_path / "b.jsonl", first, [T, F])
    check = check_compression(child(tmp_path / "c.jsonl", second, [T]))
    assert (counted(check.pre), counted(check.post)) == ((1, 2), (0, 1))


def test_a_compression_in_the_middle_of_a_log(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F])
    check = check_compression(child(tmp_path / "b.jsonl", parent, [T, T], before=[F, F, T]))
    assert (counted(check.pre), counted(check.post)) == ((3, 4), (0, 2))


def test_logs_that_name_each_other_come_to_an_end(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F])
    path = child(tmp_path / "b.jsonl", parent, [T], kind="fork", origin="continue")
    shutil.copy(path, parent)
    check = check_compression(path)
    assert check.has_compression is None
    assert "altered" in check.why


def test_a_missing_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LogError):
        check_compression(tmp_path / "none.jsonl")


def test_an_imported_compression_chain(tmp_path: Path) -> None:
    source = SAMPLES / "hermes" / "export_v0.13.0.jsonl"
    parents = Parents(tmp_path)
    paths = {}
    for imported in reader_for(source)(source):
        log = store(imported, tmp_path, None, parents)
        parents.add(imported, log)
        paths[imported.details["session_id"][-6:]] = log
    check = check_compression(paths["bbbb22"])
    # By exit codes: the keyword rule would count all eight earlier calls as failures.
    assert (counted(check.pre), counted(check.post)) == ((2, 8), (1, 1))
    assert (check.has_compression, check.preserved) == (True, False)
    assert check_compression(paths["aaaa11"]).has_compression is False
