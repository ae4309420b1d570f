"""Logs of Inspect: JSON and archives, old and new transcripts, runs that were not finished."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from backports.zstd import zipfile as zipfile_with_zstd

from convtui.cli.check import check_log
from convtui.errors import FileError
from convtui.log.formats.inspect import files
from convtui.log.formats.inspect.format import read
from convtui.log.formats.registry import format_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from tests import places
from tests.log.formats.told import imported

SAMPLES = places.SAMPLES / "inspect"
RUN = {
    "eval": {"run_id": "r1", "task": "ferries", "model": "acme/chat-1"},
    "status": "success",
    "plan": {},
}
TIMED_OUT = {"type": "timeout", "message": "too slow"}
CALL = {"id": "c1", "function": "find", "arguments": {"n": 1}, "type": "function"}


def sample(epoch: int = 1, **more: Any) -> dict[str, Any]:
    """A sample whose model thought, called a tool that failed, and answered."""
    thought = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "I look."}]
    return {
        "id": "ferry-1",
        "epoch": epoch,
        "input": "attachment://long",
        "messages": [
            {"id": "m0", "role": "user", "content": "attachment://long", "source": "input"},
            {"id": "m1", "role": "assistant", "content": thought, "tool_calls": [CALL]},
            {"role": "tool", "content": "no", "tool_call_id": "c1", "function": "find",
             "error": TIMED_OUT},
            {"id": "m3", "role": "assistant", "content": "None today."},
        ],
        "attachments": {"long": "Which ferries go today?"},
        "events": [
            {
                "event": "model", "model": "acme/chat-1", "timestamp": "2026-03-04T10:00:01Z",
                "completed": "2026-03-04T10:00:03Z", "working_time": 2.0,
                "output": {
                    "model": "chat-1", "usage": {"input_tokens": 9, "output_tokens": 4},
                    "choices": [{"message": {"id": "m1"}, "stop_reason": "tool_calls"}],
                },
            },
            {"event": "unknown_to_us"},
        ],
        "scores": {"match": {"value": "C"}},
        **more,
    }  # fmt: skip


def archive(path: Path, kind: Any, method: int, names: dict[str, Any]) -> Path:
    with kind.ZipFile(path, "w", compression=method) as file:
        for name, data in names.items():
            file.writestr(name, data if isinstance(data, str) else json.dumps(data))
    return path


def logs(path: Path, folder: Path) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == "inspect" and format_.read is not None
    done = [store(one, folder) for one in format_.read(path)]
    assert all(check_log(log) == [] for log in done)
    return done


def texts(log: Path) -> list[str]:
    with open_log(log) as opened:
        return [turn.text for turn in opened.transcript.turns]


def records(log: Path, kind: str) -> list[dict[str, Any]]:
    with open_log(log) as opened:
        return [record for record in opened.records() if record["type"] == kind]


SAID = ["Which ferries go today?", "None today."]


def test_every_sample_in_every_epoch_is_a_conversation(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**RUN, "samples": [sample(), sample(2)]}, indent=2))
    first, second = logs(path, tmp_path / "logs")
    assert texts(first) == texts(second) == SAID
    reply, last = records(first, "llm.response")
    assert (reply["reasoning"], reply["usage"]) == (
        "hm",
        {"prompt_tokens": 9, "completion_tokens": 4},
    )
    assert (reply["duration"], reply["model"], reply["t"]) == (2.0, "chat-1", 2.0)
    assert "usage" not in last
    (returned,) = records(first, "tool.returned")
    assert (returned["ok"], returned["name"]) == (False, "find")
    with open_log(second) as log:
        header = log.transcript.header
    assert (header["persona"], header["provider"]["model"]) == ("ferries", "acme/chat-1")
    assert (header["imported"]["epoch"], header["imported"]["scores"]["match"]["value"]) == (2, "C")


@pytest.mark.parametrize(
    ("kind", "method"),
    [(zipfile, zipfile.ZIP_DEFLATED), (zipfile_with_zstd, zipfile_with_zstd.ZIP_ZSTANDARD)],
)
def test_archives(kind: Any, method: int, tmp_path: Path) -> None:
    names = {
        "header.json": RUN,
        "samples/ferry-1_epoch_1.json": sample(),
        "samples/torn_epoch_1.json": "{",
        "summaries.json": [],
    }
    path = archive(tmp_path / "run.eval", kind, method, names)
    (log,) = logs(path, tmp_path / "logs")
    assert texts(log) == SAID
    (warned,) = records(log, "warning")
    assert "samples/torn_epoch_1.json" in warned["message"]


def test_a_run_that_was_not_finished(tmp_path: Path) -> None:
    names = {"_journal/start.json": RUN, "samples/ferry-1_epoch_1.json": sample()}
    path = archive(tmp_path / "run.eval", zipfile, zipfile.ZIP_DEFLATED, names)
    (log,) = logs(path, tmp_path / "logs")
    with open_log(log) as opened:
        assert opened.transcript.termination is not None
        assert "was not finished" in opened.transcript.termination["reason"]


def test_without_zstandard_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"header.json": RUN, "samples/a.json": sample()}
    method = zipfile_with_zstd.ZIP_ZSTANDARD
    path = archive(tmp_path / "run.eval", zipfile_with_zstd, method, names)
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.delattr(zipfile, "ZIP_ZSTANDARD", raising=False)
    with pytest.raises(FileError, match=r"Zstandard.*convtui\[inspect\]"):
        files.open_eval(path)


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({"error": {"message": "out of memory"}}, "failed", "out of memory"),
        ({"limit": {"type": "message", "limit": 30}}, "max_turns", "message 30"),
        ({"limit": {"type": "token", "limit": 9}}, "budget", "token 9"),
        ({"limit": {"type": "time", "limit": 9}}, "interrupted", "time 9"),
        ({}, "completed", "the sample was completed"),
    ],
)
def test_endings(more: dict[str, Any], kind: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**RUN, "samples": [sample(**more)]}))
    (log,) = logs(path, tmp_path / "logs")
    with open_log(log) as opened:
        termination = opened.transcript.termination
    assert termination is not None and termination["kind"] == kind
    assert words in termination["reason"]


def test_an_archive_with_a_name_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    names = {"header.json": RUN, "é.json": "{}"}
    path = archive(tmp_path / "a.eval", zipfile, zipfile.ZIP_DEFLATED, names)
    name = "é.json".encode()
    path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:]))
    with pytest.raises(FileError, match="no whole archive"):
        list(read(path))


def test_damaged_archives_are_refused_in_one_sentence(tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.eval", zipfile, zipfile.ZIP_DEFLATED, {"header.json": RUN})
    (tmp_path / "b.eval").write_bytes(whole.read_bytes()[:-30])
    archive(tmp_path / "c.eval", zipfile, zipfile.ZIP_DEFLATED, {"other.json": "{}"})
    for name in ("a.eval", "b.eval", "c.eval"):
        with pytest.raises(FileError):
            list(read(tmp_path / name))


def test_the_published_samples(tmp_path: Path) -> None:
    (log,) = logs(SAMPLES / "log_formats.json", tmp_path / "a")
    assert texts(log)[1] == "No"
    assert records(log, "llm.response")[0]["usage"] == {"prompt_tokens": 66, "completion_tokens": 2}
    (log,) = logs(SAMPLES / "log_tool_call_error.json", tmp_path / "b")
    assert [record["ok"] for record in records(log, "tool.returned")] == [False] * 11


# --- archives that releases have written


def test_an_archive_of_a_release_has_a_log_for_each_epoch(tmp_path: Path) -> None:
    samples, findings = imported(SAMPLES / "notes-0.3.285.eval", tmp_path, "inspect")
    assert (len(samples), findings) == (2, [])
    assert [one.header["imported"]["epoch"] for one in samples] == [1, 2]
    for one in samples:
        assert one.said == [
            ("persona", "What is in notes.txt?"),
            ("provider", "notes.txt says alpha; missing is not there."),
            ("persona", "And now?"),
            ("provider", "It still says alpha."),
        ]
        assert one.prompts() == [1001, 1002, 1003, 1004]
        assert one.results() == [("look", True), ("look", False), ("asked", True)]
        assert one.all("llm.response")[0]["reasoning"] == "List them first."
        scores = one.header["imported"]["scores"]
        assert scores["includes"]["value"] == "C"


def test_an_archive_from_before_zstandard_says_the_same(tmp_path: Path) -> None:
    old, findings = imported(SAMPLES / "notes-0.3.58.eval", tmp_path / "old", "inspect")
    new, _ = imported(SAMPLES / "notes-0.3.285.eval", tmp_path / "new", "inspect")
    assert findings == []
    assert [one.said for one in old] == [one.said for one in new]
    assert [one.prompts() for one in old] == [one.prompts() for one in new]
    assert [one.results() for one in old] == [one.results() for one in new]
    ending = old[0].records[-1]["termination"]
    assert (ending["kind"], ending["reason"]) == (
        "max_turns",
        "the limit of the sample was reached: message 10",
    )


def test_what_a_tool_failed_with_is_its_result(tmp_path: Path) -> None:
    (one, _), _ = imported(SAMPLES / "notes-0.3.285.eval", tmp_path, "inspect")
    assert one.all("tool.returned")[1]["result"] == "no such file"


def test_calls_of_models_that_are_no_message_are_kept_at_their_place(tmp_path: Path) -> None:
    (one, _), _ = imported(SAMPLES / "notes-0.3.285.eval", tmp_path, "inspect")
    (aside,) = one.all("inspect.model")
    assert aside["data"]["model"] == "mockllm/helper"
    assert aside["data"]["message"]["content"] == "It says alpha."
    assert aside["data"]["usage"]["input_tokens"] == 1009
    kinds = [record["type"] for record in one.records]
    before = [kind for kind in kinds[: kinds.index("inspect.model")] if kind == "llm.response"]
    assert len(before) == 2


def test_an_archive_of_a_run_that_was_killed_has_what_was_done(tmp_path: Path) -> None:
    (one,), findings = imported(SAMPLES / "notes-0.3.285-killed.eval", tmp_path, "inspect")
    assert findings == [] and one.turns[-1][1] == "notes.txt says alpha; missing is not there."
    assert one.records[-1]["termination"]["reason"] == "the run was not finished; this sample was"


def test_a_sample_whose_run_was_cancelled_did_not_fail(tmp_path: Path) -> None:
    sample = {"input": "hi", "messages": [], "error": {"message": "CancelledError('scope')"}}
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"status": "cancelled", "eval": {}, "samples": [sample]}))
    (one,), _ = imported(path, tmp_path / "logs", "inspect")
    ending = one.records[-1]["termination"]
    assert (ending["kind"], ending["reason"]) == ("interrupted", "the run was cancelled")


def test_the_size_of_a_limit_is_a_number_as_a_person_writes_it(tmp_path: Path) -> None:
    sample = {"input": "hi", "messages": [], "limit": {"type": "token", "limit": 2000.0}}
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"status": "success", "eval": {}, "samples": [sample]}))
    (one,), _ = imported(path, tmp_path / "logs", "inspect")
    assert one.records[-1]["termination"]["reason"].endswith("was reached: token 2000")


def test_a_log_on_a_single_line_is_one_all_the_same(tmp_path: Path) -> None:
    data = json.loads((SAMPLES / "log_formats.json").read_text())
    path = tmp_path / "log.json"
    path.write_text(json.dumps(data))
    (one,), _ = imported(path, tmp_path / "logs", "inspect")
    assert len(one.said) == 2


@pytest.mark.parametrize("name", ["notes-0.3.285.eval", "notes-0.3.58.eval"])
def test_an_archive_that_is_cut_off_is_said_to_be_so(name: str, tmp_path: Path) -> None:
    whole = (SAMPLES / name).read_bytes()
    path = tmp_path / "run.eval"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="is cut off or damaged"):
        imported(path, tmp_path / "logs", "inspect")
