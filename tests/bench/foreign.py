"""Transcripts of other tools, each a conversation of any length.

By hand: `python -m tests.bench.foreign folder --turns 10000`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.registry import by_name
from convtui.log.reader import open_log
from tests.bench import library
from tests.builders import hermes_files

BEGAN: Final = datetime(2026, 3, 4, 10, tzinfo=UTC)
_WORDS: Final = library.WORDS.split()
Row = dict[str, Any]


def texts(turns: int, seed: int = 1) -> list[str]:
    """What is said in so many turns: by the user, by the model, and so on."""
    dice = random.Random(seed)
    return [f"{turn}: {' '.join(dice.choices(_WORDS, k=40))}" for turn in range(turns)]


def messages(turns: int, seed: int = 1) -> list[Row]:
    """The same as chat messages."""
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts(turns, seed))]


def at(turn: int) -> str:
    """When a turn was."""
    return (BEGAN + timedelta(seconds=turn)).isoformat().replace("+00:00", "Z")


def as_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def as_lines(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def exported(folder: Path, turns: int, name: str) -> Path:
    """What our own export of a log writes."""
    # The first of those runs has failed.
    library.write(folder / "log", 2, turns=turns)
    write = by_name(name).write
    assert write is not None
    with open_log(folder / "log" / f"{library.name(1)}.jsonl") as log:
        first, *_ = write(log, folder / name).files
    return first


def waza(folder: Path, turns: int) -> Path:
    kinds = ("user.message", "assistant.message")
    events = [
        {"type": kinds[number % 2], "content": text} for number, text in enumerate(texts(turns))
    ]
    run = {
        "run_number": 1, "attempts": 1, "status": "passed", "duration_ms": turns,
        "transcript": events,
    }  # fmt: skip
    task = {"test_id": "t-1", "display_name": "Talk", "status": "passed", "runs": [run]}
    return as_json(
        folder / "results.json",
        {"schemaVersion": "1.4", "eval_id": "e-1", "skill": "agents", "timestamp": at(0),
         "config": {"model_id": "m-1"}, "tasks": [task]},
    )  # fmt: skip


def hermes(folder: Path, turns: int) -> Path:
    return hermes_files.database(
        folder / "state.db", [{"id": "s1"}], hermes_files.said(*messages(turns))
    )


def inspect(folder: Path, turns: int) -> Path:
    said = [{"id": f"m{number}", **message} for number, message in enumerate(messages(turns))]
    sample = {"id": "s-1", "epoch": 1, "input": said[0]["content"], "messages": said,
              "events": [], "scores": {"match": {"value": "C"}}}  # fmt: skip
    run = {"run_id": "r1", "task": "ferries", "model": "acme/chat-1"}
    log = {"eval": run, "status": "success", "plan": {}, "samples": [sample]}
    return as_json(folder / "log.json", log)


def promptfoo(folder: Path, turns: int) -> Path:
    said = messages(turns)
    response = {"output": said[-1]["content"], "metadata": {"messages": said}}
    result = {"testIdx": 0, "promptIdx": 0, "provider": {"id": "openai:m", "label": "bot"},
              "prompt": {"raw": "hi", "label": "p"}, "vars": {}, "response": response}  # fmt: skip
    results = {"version": 3, "timestamp": at(0), "results": [result]}
    return as_json(folder / "promptfoo.json", {"evalId": "e1", "results": results})


def tau(folder: Path, turns: int) -> Path:
    simulation = {"id": "s1", "task_id": "t7", "trial": 0, "termination_reason": "user_stop",
                  "start_time": "2026-03-04T10:00:00", "duration": 12.5,
                  "reward_info": {"reward": 1.0}, "messages": messages(turns)}  # fmt: skip
    info = {
        "agent_info": {"implementation": "llm_agent", "llm": "acme/a"},
        "user_info": {"implementation": "user_simulator", "llm": "acme/u"},
        "environment_info": {"domain_name": "telecom"},
    }
    return as_json(
        folder / "tau2.json",
        {"timestamp": at(0), "info": info, "tasks": [{"id": "t7"}], "simulations": [simulation]},
    )


def claude_code(folder: Path, turns: int) -> Path:
    rows = []
    for number, text in enumerate(texts(turns)):
        message: Row = {"role": "user", "content": text}
        if number % 2:
            usage = {"input_tokens": 10, "output_tokens": 3}
            message = {"role": "assistant", "content": [{"type": "text", "text": text}],
                       "id": f"msg{number}", "model": "m-1", "usage": usage,
                       "stop_reason": "end_turn"}  # fmt: skip
        rows.append({"type": message["role"], "uuid": f"u{number}", "sessionId": "s1",
                     "parentUuid": f"u{number - 1}" if number else None, "timestamp": at(number),
                     "message": message})  # fmt: skip
    return as_lines(folder / "claude-session.jsonl", rows)


def codex(folder: Path, turns: int) -> Path:
    meta = {"id": "01a22d5f", "timestamp": at(0), "cwd": "/tmp/notes", "cli_version": "0.118.0"}
    rows = [{"timestamp": at(0), "type": "session_meta", "payload": meta}]
    for number, text in enumerate(texts(turns)):
        role, kind = (("user", "input_text"), ("assistant", "output_text"))[number % 2]
        payload = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        rows.append({"timestamp": at(number), "type": "response_item", "payload": payload})
        told = {"type": "user_message" if role == "user" else "agent_message", "message": text}
        rows.append({"timestamp": at(number), "type": "event_msg", "payload": told})
    return as_lines(folder / "rollout-1.jsonl", rows)


def gemini(folder: Path, turns: int) -> Path:
    said = [
        {"id": f"m{number}", "timestamp": at(number), "type": ("user", "gemini")[number % 2],
         "content": [{"text": text}] if number % 2 == 0 else text}
        for number, text in enumerate(texts(turns))
    ]  # fmt: skip
    session = {"sessionId": "s1", "projectHash": "h", "startTime": at(0), "lastUpdated": at(turns)}
    return as_json(folder / "session-1.json", {**session, "messages": said})


def atif(folder: Path, turns: int) -> Path:
    steps = [
        {"step_id": number + 1, "timestamp": at(number), "source": ("user", "agent")[number % 2],
         "message": text}
        for number, text in enumerate(texts(turns))
    ]  # fmt: skip
    agent = {"name": "reader", "version": "1.0", "model_name": "acme/a-1"}
    trajectory = {"schema_version": "ATIF-v1.6", "session_id": "s1", "agent": agent}
    return as_json(folder / "trajectory.json", {**trajectory, "steps": steps})


def otel(folder: Path, turns: int) -> Path:
    """One request with all that was said before its answer."""
    said = [
        {"role": one["role"], "parts": [{"type": "text", "content": one["content"]}]}
        for one in messages(turns)
    ]
    named = {
        "operation.name": "chat",
        "conversation.id": "c1",
        "input.messages": json.dumps(said[:-1]),
        "output.messages": json.dumps(said[-1:]),
    }
    began = int(BEGAN.timestamp()) * 10**9
    span = {
        "traceId": "t1", "spanId": "s1",
        "startTimeUnixNano": str(began), "endTimeUnixNano": str(began + turns * 10**9),
        "attributes": [
            {"key": f"gen_ai.{name}", "value": {"stringValue": value}}
            for name, value in named.items()
        ],
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "ferry-bot"}}]}
    scopes = [{"spans": [span]}]
    trace = {"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]}
    return as_json(folder / "trace.json", trace)


def langsmith(folder: Path, turns: int) -> Path:
    """One request with all that was said before its answer."""
    *given, answer = messages(turns)
    run = {"id": "r1", "run_type": "llm", "name": "chat", "start_time": "2026-03-04T10:00:00",
           "inputs": {"messages": given},
           "outputs": {"choices": [{"message": answer, "finish_reason": "stop"}]}}  # fmt: skip
    return as_json(folder / "run.json", run)


def deepeval(folder: Path, turns: int) -> Path:
    case = {"scenario": "A user asks a lot.", "turns": messages(turns),
            "expected_outcome": "Answers.", "user_description": "Maya"}  # fmt: skip
    return as_json(folder / "dataset.json", [case])


def langwatch(folder: Path, turns: int) -> Path:
    result = {"success": True, "messages": messages(turns), "reasoning": "It answered.",
              "passed_criteria": [], "failed_criteria": []}  # fmt: skip
    return as_json(folder / "result.json", result)


def sharegpt(folder: Path, turns: int) -> Path:
    names = ("human", "gpt")
    said = [{"from": names[number % 2], "value": text} for number, text in enumerate(texts(turns))]
    return as_json(folder / "sharegpt.json", [{"id": "c1", "conversations": said}])


def _exporting(name: str) -> Callable[[Path, int], Path]:
    return lambda folder, turns: exported(folder, turns, name)


FILES: Final[Mapping[str, Callable[[Path, int], Path]]] = {
    "vera": _exporting("vera"),
    "waza": waza,
    "oharness": _exporting("oharness"),
    "rath": _exporting("rath"),
    "hermes": hermes,
    "hermes-trajectory": _exporting("hermes-trajectory"),
    "inspect": inspect,
    "promptfoo": promptfoo,
    "tau-bench": tau,
    "claude-code": claude_code,
    "codex": codex,
    "gemini-cli": gemini,
    "atif": atif,
    "otel": otel,
    "langsmith": langsmith,
    "deepeval": deepeval,
    "langwatch": langwatch,
    "sharegpt": sharegpt,
    "openai": _exporting("openai"),
}
"""By format: a function that writes one conversation of so many turns into a folder."""


def many(folder: Path, files: int, turns: int) -> Path:
    """A folder of many files of chat messages, no two alike."""
    folder.mkdir()
    for number in range(files):
        as_json(folder / f"chat-{number:04}.json", {"messages": messages(turns, seed=number)})
    return folder


def main() -> None:
    """Writes a file of every format."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--turns", type=int, default=10_000)
    options = parser.parse_args()
    for name, write in FILES.items():
        home = options.folder / name
        home.mkdir(parents=True)
        print(name, write(home, options.turns))


if __name__ == "__main__":
    main()
