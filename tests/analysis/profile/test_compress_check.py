"""Before and after a compression: what is counted where, and what cannot be known."""

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
    """A log that goes on from another; `before` are calls of its own before it is compressed."""
    end = ending("completed", "provider", 2)
    body = session(1, "work", tool_turns([*before, *outcomes]), end)
    records: list[Record] = conversation(body, end=end)
    if kind == "compress" and recorded:
        made = ContextCompressed(session=1, summary="All so far.", upto=2, rows_in=18)
        starts = [place for place, each in enumerate(records) if each.TYPE == "turn.started"]
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
    found = check_compression(child(tmp_path / "b.jsonl", parent, [T, T, F, T, T, T, T, T]))
    assert found.has_compression
    assert (counted(found.pre), counted(found.post)) == ((2, 8), (1, 8))
    assert found.preserved is True
    assert "within the tolerance" in found.why
    assert found.compressed["rows_in"] == 18
    data = as_dict(found)
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
    found = check_compression(child(tmp_path / "b.jsonl", parent, [F, T, T, T, T, T]))
    # A fifth more than nothing is nothing: one failure must not settle it.
    assert found.preserved is None
    assert "may be chance" in found.why
    much = tool_log(tmp_path / "c.jsonl", [T] * 30)
    assert check_compression(child(tmp_path / "d.jsonl", much, [F] * 20)).preserved is False
    assert check_compression(child(tmp_path / "e.jsonl", parent, [T])).preserved is True


def test_a_side_without_calls_is_unknown(tmp_path: Path) -> None:
    none = tool_log(tmp_path / "a.jsonl", [])
    found = check_compression(child(tmp_path / "b.jsonl", none, [F, T]))
    assert (found.has_compression, found.preserved) == (True, None)
    assert found.why == "no tool call before it is on record"
    some = tool_log(tmp_path / "c.jsonl", [F, T])
    found = check_compression(child(tmp_path / "d.jsonl", some, []))
    assert (found.preserved, found.why) == (None, "no tool call after it is on record")
    found = check_compression(child(tmp_path / "e.jsonl", some, [None, None]))
    assert found.preserved is None
    assert found.why == "how the tool calls after it went is not on record"


def test_few_calls_are_said(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T, T, T, T])
    found = check_compression(child(tmp_path / "b.jsonl", parent, [F]))
    assert found.preserved is False
    assert found.notes == ["there is only one call after it: the next one could turn the answer"]


def test_a_parent_that_is_gone_or_altered_makes_it_unknown(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T])
    path = child(tmp_path / "b.jsonl", parent, [T, T])
    text = parent.read_bytes()
    parent.write_bytes(text.replace(b"boom", b"bang"))
    found = check_compression(path)
    assert (found.has_compression, found.pre, found.preserved) == (True, None, None)
    assert "altered" in found.why
    assert counted(found.post) == (0, 2)
    parent.unlink()
    assert "is not there" in check_compression(path).why
    # Of a branch of unknown origin not even that is known.
    parent.write_bytes(text)
    branch = child(tmp_path / "c.jsonl", parent, [T], kind="fork", origin="continue")
    parent.unlink()
    found = check_compression(branch)
    assert (found.has_compression, found.preserved) == (None, None)
    assert as_dict(found)["pre_compression_profile"] is None


def test_no_compression(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F, T])
    branch = child(tmp_path / "b.jsonl", parent, [F], kind="fork", origin="continue")
    for path in (parent, branch):
        found = check_compression(path)
        assert (found.has_compression, found.preserved, found.pre) == (False, None, None)
    failed = child(tmp_path / "c.jsonl", parent, [F], recorded=False)
    assert check_compression(failed).has_compression is False


def test_calls_of_logs_that_go_on_from_it(tmp_path: Path) -> None:
    first = tool_log(tmp_path / "a.jsonl", [F])
    second = child(tmp_path / "b.jsonl", first, [T], kind="resume", origin="continue")
    summary = child(tmp_path / "c.jsonl", second, [])
    third = child(tmp_path / "d.jsonl", summary, [T, T], kind="resume", origin="continue")
    fourth = child(tmp_path / "e.jsonl", third, [F], kind="reload", origin="continue")
    found = check_compression(fourth)
    assert (counted(found.pre), counted(found.post)) == ((1, 2), (1, 3))
    assert found.pre is not None
    assert found.post is not None
    assert [path.name for path in found.pre.logs] == ["a.jsonl", "b.jsonl"]
    assert [path.name for path in found.post.logs] == ["c.jsonl", "d.jsonl", "e.jsonl"]
    first.unlink()
    found = check_compression(fourth)
    assert counted(found.pre) == (0, 1)
    assert any("still earlier is not counted" in note for note in found.notes)


def test_the_parent_counts_as_far_as_it_went(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [T, T, F, F])
    with open_log(parent) as log:
        upto = [r["seq"] for r in log.records() if r["type"] == "turn.committed"][3]
    found = check_compression(child(tmp_path / "b.jsonl", parent, [T], upto=upto))
    assert counted(found.pre) == (0, 2)


def test_it_goes_back_to_the_compression_before(tmp_path: Path) -> None:
    first = tool_log(tmp_path / "a.jsonl", [F] * 7)
    second = child(tmp_path / "b.jsonl", first, [T, F])
    found = check_compression(child(tmp_path / "c.jsonl", second, [T]))
    assert (counted(found.pre), counted(found.post)) == ((1, 2), (0, 1))


def test_a_compression_in_the_middle_of_a_log(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F])
    found = check_compression(child(tmp_path / "b.jsonl", parent, [T, T], before=[F, F, T]))
    assert (counted(found.pre), counted(found.post)) == ((3, 4), (0, 2))


def test_logs_that_name_each_other_come_to_an_end(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "a.jsonl", [F])
    path = child(tmp_path / "b.jsonl", parent, [T], kind="fork", origin="continue")
    shutil.copy(path, parent)
    found = check_compression(path)
    assert found.has_compression is None
    assert "altered" in found.why


def test_what_is_no_log_is_said(tmp_path: Path) -> None:
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
    found = check_compression(paths["bbbb22"])
    # By exit codes: the words would call all eight calls before it failures.
    assert (counted(found.pre), counted(found.post)) == ((2, 8), (1, 1))
    assert (found.has_compression, found.preserved) == (True, False)
    assert check_compression(paths["aaaa11"]).has_compression is False
