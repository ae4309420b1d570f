"""waza's results and transcripts come in: one conversation for every run of every task.

Read are `results.json` (schema 1.0 and every later 1.x; old files name no version) and the
transcript of one task that `--transcript-dir` writes. The persona's name is that of the task: waza
has none for its simulated user. What belongs to a run and not to its conversation (grades, usage,
digest, the responder's summary) is in the header under `imported`; what belongs to all runs
together (summary, metrics) is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from convtui.errors import FileError
from convtui.files.regular import read_regular
from convtui.log.formats.json_files import first_value
from convtui.log.formats.json_objects import JsonObject, file_time, files_of, head_of, parse_json
from convtui.log.formats.registry import Format, Imported, imported_provider
from convtui.log.formats.waza.records import USER, WazaReader
from convtui.records.times import parse_time, zone_of
from convtui.records.values import drop_none

MAX_FILE: Final = 256 << 20
"""Bytes that a file may have: it is read as a whole."""
MAJOR: Final = 1
_LOG_TYPES: Final = frozenset(
    {"session_start", "task_start", "grader_result", "task_complete", "error", "session_complete"}
)
_READ_ELSEWHERE: Final = ("transcript", "tool_events", "final_output", "prompt", "responder")
Kind = Literal["results", "task", "session log"]


def detect(path: Path) -> bool:
    """Whether a file is one of waza's, or a folder holds some."""
    if path.is_dir():
        return any(_kind_of(file) is not None for file in _files(path))
    return _kind_of(path) is not None


def _kind_of(path: Path) -> Kind | None:
    if path.suffix.lower() not in (".json", ".jsonl"):
        return None
    head = head_of(path)
    if not head.startswith("{"):
        return None
    if _is_session_log(head):
        return "session log"
    if path.suffix.lower() == ".jsonl":
        return None
    # Keys of the file itself: those of other tools are named so further inside.
    value = first_value(path)
    keys = set(value) if isinstance(value, dict) else set()
    if keys & {"eval_id", "eval_name"} or {"tasks", "config"} <= keys:
        return "results"
    return "task" if {"task_id", "task_name"} <= keys else None


def _is_session_log(head: str) -> bool:
    try:
        first = json.loads(head.split("\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(first, dict)
        and {"timestamp", "type"} <= set(first)
        and isinstance(first["type"], str)
        and first["type"] in _LOG_TYPES
    )


def _files(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.suffix.lower() in (".json", ".jsonl")]
    return sorted(path for path in files if path.is_file())


def read(path: Path) -> Iterator[Imported]:
    """The conversations of a file, or of a folder's files in the order of their names.

    Raises `FileError` for what is no JSON, has no runs, or is too new.
    """
    for file in files(path):
        yield from _read_file(file)


def files(path: Path) -> list[Path]:
    """The files that are read for a path. Raises `FileError` for a folder without any."""
    return files_of(path, _files, _holds_runs, "results and no transcripts of waza")


def _holds_runs(path: Path) -> bool:
    return _kind_of(path) in ("results", "task")


def _read_file(path: Path) -> Iterator[Imported]:
    if _kind_of(path) == "session log":
        raise FileError(
            f"{path}: waza's session log holds summaries of tasks and none of their messages: there"
            " is no conversation in it; import the results (waza run --output) or the transcripts"
            " (--transcript-dir)"
        )
    doubts: list[FileError] = []
    top = JsonObject(_load(path), str(path), doubts)
    if "tasks" in top.data or "eval_id" in top.data:
        yield from _results(path, top, doubts)
    elif "task_id" in top.data or "task_name" in top.data:
        yield from _transcripts(path, top)
    else:
        raise FileError(
            f"{path}: no file of waza: neither results (eval_id, tasks) nor the transcript of a"
            " task (task_id, task_name, transcript)"
        )


def _load(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_FILE:
            raise FileError(f"{path}: larger than {MAX_FILE >> 20} MB, which no file of waza is")
        raw = read_regular(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_json(raw, str(path))


@dataclass(slots=True, frozen=True)
class _Known:
    """What is known of a conversation beside its run."""

    created: datetime
    task: str | None
    provider: str | None
    model: str | None
    details: dict[str, Any]


def _version(top: JsonObject) -> str | None:
    version = top.text("schemaVersion")
    if version is None:
        return None
    if not re.fullmatch(r"\d{1,4}(\.\d{1,4}){0,2}", version):
        raise top.wrong("schemaVersion", f"{version!r} is no version (as 1.4)")
    if int(version.split(".")[0]) != MAJOR:
        raise FileError(
            f"{top.where}: schemaVersion is {version}, this convtui reads {MAJOR}.x: update convtui"
            " or have waza write that version"
        )
    return version


def _results(path: Path, top: JsonObject, doubts: list[FileError]) -> Iterator[Imported]:
    version = _version(top)
    config = top.inner("config") or JsonObject({}, top.where)
    model = config.text("model_id")
    skill = top.text("skill")
    at, whence = _created(path, parse_time(top.text("timestamp")), "timestamp")
    evaluation = {key: top.data.get(key) for key in ("eval_id", "eval_name", "skill", "config")}
    for task in top.objects("tasks"):
        name = task.text("display_name") or task.text("test_id")
        for position, run in enumerate(task.objects("runs"), 1):
            number = run.whole("run_number")
            details = {
                "format": "waza",
                "schema_version": version,
                "created_at_from": whence,
                "created_at_zone": zone_of(top.text("timestamp")),
                "eval": drop_none(evaluation),
                "task": task.rest("runs"),
                "run": position if number is None else number,
            }
            identity = [
                evaluation,
                top.data.get("timestamp"),
                task.rest("runs"),
                position,
                run.data,
            ]
            # What is wrong with the file as a whole goes with its first conversation.
            run.doubts = list(doubts)
            doubts.clear()
            yield _imported(path, run, _Known(at, name, model or skill, model, details), identity)
    if doubts:
        raise doubts[0]


def _transcripts(path: Path, top: JsonObject) -> Iterator[Imported]:
    """The trials of a task, which stand one after the other in its transcript."""
    session = top.inner("session")
    model = session.text("model") if session is not None else None
    at, whence = _created(path, parse_time(top.text("started_at")), "started_at")
    name = top.text("task_name") or top.text("task_id")
    trials = _trials(top)
    for number, trial in enumerate(trials, 1):
        details = {
            "format": "waza",
            "created_at_from": whence,
            "created_at_zone": zone_of(top.text("started_at")),
            "task": {key: top.data.get(key) for key in ("task_id", "task_name") if key in top.data},
            "run": number if len(trials) > 1 else None,
        }
        known = _Known(at, name, model, model, details)
        identity = [top.data] if len(trials) == 1 else [top.data, number]
        yield _imported(path, trial, known, identity)


def _trials(top: JsonObject) -> list[JsonObject]:
    """A transcript, cut where the task's prompt is given again.

    What is said of all trials together (how long they took, the last words) goes with the last.
    """
    events = top.items("transcript")
    prompt = top.data.get("prompt")
    begins = [
        index
        for index, event in enumerate(events)
        if isinstance(event, dict)
        and event.get("type") in USER
        and event.get("content", event.get("message")) == prompt
    ]
    if len(begins) < 2:
        return [top]
    ends = [*begins[1:], len(events)]
    parts = [events[0 if not index else first : end]
             for index, (first, end) in enumerate(zip(begins, ends, strict=True))]  # fmt: skip
    of_all = top.rest("transcript", "duration_ms", "final_output")
    trials = [{**of_all, "transcript": part} for part in parts]
    trials[-1] = {**trials[-1], **{k: v for k, v in top.data.items() if k == "final_output"}}
    return [JsonObject(trial, top.where, top.doubts) for trial in trials]


def _created(path: Path, at: datetime | None, name: str) -> tuple[datetime, str]:
    return (at, name) if at is not None else (file_time(path), "file's date")


def _imported(path: Path, run: JsonObject, known: _Known, identity: list[Any]) -> Imported:
    reader = WazaReader(run, path)
    details = dict(known.details)
    details["result"] = run.rest(*_READ_ELSEWHERE, "run_number", "task_id", "task_name")
    for name in ("responder", "final_output", "prompt"):
        details[name] = run.data.get(name)
    return Imported(
        id=hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32],
        created_at=known.created,
        persona=known.task or "unknown task",
        provider=imported_provider(known.provider or "unknown", known.model),
        records=reader.records,
        sources=[path],
        details=drop_none(details),
        termination=reader.termination,
    )


FORMAT = Format(
    name="waza",
    description="waza results (results.json) and transcripts of its tasks, single or a folder",
    detect=detect,
    read=read,
    files=files,
    keys=("eval_id", "tasks", "runs", "task_id", "transcript"),
)
