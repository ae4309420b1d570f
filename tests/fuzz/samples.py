"""What is damaged: logs of every record type, and files of every format that comes in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from convtui.log.formats.registry import by_name
from convtui.log.notes import Notes
from convtui.log.reader import open_log
from convtui.log.tool_results import ToolResultsFile
from tests.builders.hermes_files import call, database, reply, result, said, user
from tests.builders.logs import sample, write_log
from tests.builders.rich_log import rich_log
from tests.fuzz.readers import (
    FILE_READERS,
    LOG_READERS,
    NOTE_READERS,
    RESULT_READERS,
    WIRE_READERS,
    Reader,
)
from tests.places import RUNS, SAMPLES


class Sample(NamedTuple):
    """A file, what reads such a one, and the name it must have."""

    name: str
    data: bytes
    readers: Sequence[Reader]
    ending: str = ".jsonl"


def logs(folder: Path) -> list[Sample]:
    """Logs: one with every field, an everyday one, and those that come with the program."""
    paths = [rich_log(folder / "rich.jsonl"), write_log(folder / "sample.jsonl", sample())]
    paths += sorted(p for p in RUNS.glob("*.jsonl") if not p.name.endswith(".wire.jsonl"))
    samples = [Sample(f"log {path.stem}", path.read_bytes(), LOG_READERS) for path in paths]
    # The everyday ones differ little.
    return [*samples, *samples[:2], *samples[:2], *_beside(folder)]


def _beside(folder: Path) -> list[Sample]:
    """Files that stand beside logs."""
    notes = Notes(folder / "sample.jsonl")
    notes.mark(1, 1, True)
    notes.note(1, 2, "look at this")
    notes.correct_flag(1, 2, "role", True)
    notes.correct_fault(1, 3, "harness")
    notes.tag("nightly")
    whole = ToolResultsFile(folder / "sample.jsonl")
    whole.add(12, "c1", "search", "x" * 3000)
    wire = RUNS / "litellm.jsonl.wire.jsonl"
    return [
        Sample("notes", notes.path.read_bytes(), NOTE_READERS),
        Sample("wire", wire.read_bytes(), WIRE_READERS),
        Sample("tool results", whole.path.read_bytes(), RESULT_READERS),
    ]


def files(folder: Path) -> list[Sample]:
    """Files of other tools, most of them as the exports here write them."""
    samples = []
    log = write_log(folder / "exported.jsonl", sample())
    for name in ("vera", "oharness", "rath", "hermes-trajectory"):
        write = by_name(name).write
        assert write is not None
        for source in (log, RUNS / "discarded.jsonl", RUNS / "litellm.jsonl"):
            out = folder / name / source.stem
            with open_log(source) as opened:
                written = write(opened, out)
            # A whole run is a folder for VERA-MH; one transcript of it comes in by itself.
            path = next(p for p in written.files if p.suffix in (".jsonl", ".txt"))
            ending = "".join(path.suffixes[-2:]) if name == "hermes-trajectory" else path.suffix
            samples.append(Sample(f"{name} {source.stem}", path.read_bytes(), FILE_READERS, ending))
    samples.append(Sample("hermes database", _hermes(folder), FILE_READERS, ".db"))
    samples.append(Sample("waza", _waza(), FILE_READERS, ".json"))
    samples.append(Sample("hermes session", _hermes_session(), FILE_READERS, ".json"))
    samples.append(Sample("hermes export", _hermes_export(), FILE_READERS, ".jsonl"))
    samples += [
        Sample(name, (SAMPLES / name).read_bytes(), FILE_READERS, Path(name).suffix)
        for name in _PUBLISHED
    ]
    return samples


_PUBLISHED = (
    "atif/trajectory.json",
    "claude-code/simonw_sample_session.jsonl",
    "codex/rollout-0.118.0-1.jsonl",
    "codex/rollout-0.171.0-1.jsonl",
    "deepeval/test_run.json",
    "gemini-cli/session-0.36.0.json",
    "gemini-cli/session-0.61.0.jsonl",
    "inspect/log_tool_call_error.json",
    "inspect/notes-0.3.58.eval",
    "langsmith/langchain.jsonl",
    "langsmith/responses.jsonl",
    "langwatch/events.jsonl",
    "openai/messages_ai-sdk-5.json",
    "openai/sample_generic_session.json",
    "openai/sample_otel_json_traces.json",
    "promptfoo/production-logs.first2sessions.jsonl",
    "sharegpt/glaive_toolcall_en_demo.3of300.json",
)


_TALK = said(
    user("find it"),
    reply("I look.", call("c1", "search", '{"q": "x"}')),
    result("c1", '{"found": 1}'),
    reply("Found.", reasoning="hm"),
)


def _hermes(folder: Path) -> bytes:
    session = {"id": "s1", "model": "m", "end_reason": "user_exit", "title": "A talk"}
    path = database(folder / "state.db", [session], _TALK)
    return path.read_bytes()


def _hermes_session() -> bytes:
    messages = [
        {"role": "user", "content": "find it"},
        {"role": "assistant", "content": "I look.", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "assistant", "content": [{"type": "text", "text": "Found."}]},
    ]  # fmt: skip
    data = {"session_id": "s1", "model": "m", "platform": "cli", "messages": messages,
            "session_start": "2026-03-04T05:06:07", "last_updated": "2026-03-04T05:07:07",
            "system_prompt": "You find things.", "message_count": 4}  # fmt: skip
    return json.dumps(data).encode()


def _hermes_export() -> bytes:
    data = json.loads(_hermes_session())
    line = {"id": "s1", "source": "cli", "model": "m", "started_at": 1776000000.0,
            "ended_at": 1776000100.0, "end_reason": "user_exit",
            "messages": data["messages"]}  # fmt: skip
    return json.dumps(line).encode() + b"\n" + json.dumps({**line, "id": "s2"}).encode() + b"\n"


def _waza() -> bytes:
    talk = [
        {"type": "user.message", "content": "Add an agent"},
        {"type": "assistant.message", "content": "I will.", "toolRequests": [
            {"toolCallId": "a", "name": "read", "arguments": {"n": 1}}]},
        {"type": "tool.execution_start", "toolCallId": "a", "toolName": "read", "arguments": {}},
        {"type": "tool.execution_complete", "toolCallId": "a", "success": True,
         "result": {"content": "x"}},
        {"type": "assistant.message", "content": "Done."},
    ]  # fmt: skip
    run = {"run_number": 1, "status": "passed", "duration_ms": 1500, "final_output": "Done.",
           "transcript": talk, "validations": {"a": {"score": 1.0, "passed": True}},
           "session_digest": {"total_turns": 1, "usage": {"input_tokens": 5}}}  # fmt: skip
    task = {"test_id": "t1", "display_name": "T", "status": "passed", "runs": [run]}
    return json.dumps(
        {"eval_id": "e1", "schema_version": "1.4", "timestamp": "2026-03-04T05:06:07Z",
         "skill": "s", "config": {"model_id": "m"}, "tasks": [task]}
    ).encode()  # fmt: skip
