"""tau-bench and tau2: trials, endings, tools of both sides, folders and voices."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from convtui.cli.check import check_log
from convtui.log.formats.registry import format_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from convtui.printing.printer import Printer
from tests import places


def save(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1))
    return path


def logs(path: Path, folder: Path) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == "tau-bench" and format_.read is not None
    done = [store(one, folder) for one in format_.read(path)]
    assert all(check_log(log) == [] for log in done)
    return done


def turns(log: Path) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        return [(turn.speaker, turn.text) for turn in opened.transcript.turns]


def records(log: Path, kind: str) -> list[dict[str, Any]]:
    with open_log(log) as opened:
        return [record for record in opened.records() if record["type"] == kind]


def termination(log: Path) -> dict[str, Any]:
    with open_log(log) as opened:
        assert opened.transcript.termination is not None
        return dict(opened.transcript.termination)


def simulation(id: str = "s1", reason: str = "user_stop", **more: Any) -> dict[str, Any]:
    looked = {"id": "c1", "name": "get_line", "arguments": {"n": 1}, "requestor": "assistant"}
    restarted = {"id": "u1", "name": "restart", "arguments": {}}
    used = {"prompt_tokens": 7, "completion_tokens": 2}
    messages = [
        {"role": "assistant", "content": "Hi! How can I help?", "turn_idx": 0},
        {"role": "user", "content": "My data is slow.", "usage": {"prompt_tokens": 99}},
        {"role": "assistant", "content": None, "cost": 0.5, "usage": used, "tool_calls": [looked]},
        {"role": "tool", "id": "c1", "content": "no such line", "error": True},
        {"role": "assistant", "content": "Please restart it."},
        {"role": "user", "content": None, "tool_calls": [restarted]},
        {"role": "tool", "id": "u1", "content": "restarted", "requestor": "user"},
        {"role": "user", "content": "Works. ###STOP###"},
    ]
    return {"id": id, "task_id": "t7", "trial": 0, "termination_reason": reason,
            "start_time": "2026-03-04T10:00:00", "duration": 12.5, "reward_info": {"reward": 1.0},
            "messages": messages, **more}  # fmt: skip


RESULTS = {
    "timestamp": "2026-03-04T10:00:00",
    "info": {
        "agent_info": {"implementation": "llm_agent", "llm": "acme/a"},
        "user_info": {"implementation": "user_simulator", "llm": "acme/u"},
        "environment_info": {"domain_name": "telecom"},
    },
    "tasks": [{"id": "t7", "purpose": "slow data"}],
}
SAID = [
    ("provider", "Hi! How can I help?"),
    ("persona", "My data is slow."),
    ("provider", "Please restart it."),
    ("persona", "Works. ###STOP###"),
]


def test_the_published_sample_of_tau_bench(tmp_path: Path) -> None:
    done = logs(places.SAMPLES / "tau-bench/gpt-4o-airline.3of200.json", tmp_path)
    assert len(done) == 3
    headers = []
    for log in done:
        assert turns(log)[0][0] == "persona"
        with open_log(log) as opened:
            headers.append(opened.transcript.header)
    assert [header["imported"]["reward"] for header in headers] == [1.0, 0.0, 0.0]
    assert headers[0]["persona"] == "amelia_sanchez_4739"
    ended = termination(done[0])
    assert (ended["by"], ended["signal"]) == ("simulator", "###STOP###")
    assert len(records(done[0], "tau-bench.system")) == 1


def test_simulations_of_tau2(tmp_path: Path) -> None:
    other = simulation("s2", "max_steps", trial=1)
    path = save(tmp_path / "results.json", {**RESULTS, "simulations": [simulation(), other, 5]})
    first, second = logs(path, tmp_path / "logs")
    assert turns(first) == turns(second) == SAID
    assert (termination(first)["kind"], termination(first)["by"]) == ("completed", "simulator")
    assert termination(second)["kind"] == "max_turns"
    (called,) = records(first, "tool.called")
    (returned,) = records(first, "tool.returned")
    assert (called["name"], called["arguments"], returned["ok"]) == ("get_line", {"n": 1}, False)
    reply = records(first, "llm.response")[1]
    assert reply["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "cost": 0.5}
    assert records(first, "tau-bench.user_tool_call")[0]["data"][0]["name"] == "restart"
    assert records(first, "tau-bench.user_tool_result")[0]["data"]["content"] == "restarted"
    with open_log(first) as log:
        header = log.transcript.header
    assert (header["persona"], header["provider"]["model"]) == ("telecom t7", "acme/a")
    assert header["imported"]["task"]["purpose"] == "slow data"
    assert [r["message"] for r in records(second, "warning")] == [
        "simulations[2]: is no run, but a number; left out"
    ]


def test_a_folder_of_simulations(tmp_path: Path) -> None:
    save(tmp_path / "run" / "results.json", RESULTS)
    save(tmp_path / "run" / "simulations" / "s1.json", simulation())
    save(tmp_path / "run" / "simulations" / "s2.json", simulation("s2", trial=1))
    done = logs(tmp_path / "run", tmp_path / "logs")
    assert [turns(log) for log in done] == [SAID, SAID]
    with open_log(done[0]) as log:
        assert log.transcript.header["provider"]["model"] == "acme/a"


@pytest.mark.parametrize(
    ("reason", "kind", "by"),
    [
        ("agent_stop", "completed", "provider"),
        ("too_many_errors", "failed", "provider"),
        ("user_error", "failed", "simulator"),
        ("a new one", "completed", "harness"),
    ],
)
def test_endings_of_tau2(reason: str, kind: str, by: str, tmp_path: Path) -> None:
    (log,) = logs(save(tmp_path / "s.json", simulation(reason=reason)), tmp_path / "logs")
    assert (termination(log)["kind"], termination(log)["by"]) == (kind, by)


def test_voices_speak_in_turns(tmp_path: Path) -> None:
    def tick(number: int, user: str = "", agent: str = "", action: str = "") -> dict[str, Any]:
        taking = {"turn_taking_action": {"action": action}} if action else {}
        return {"tick_id": number, "user_chunk": {"content": user, **taking},
                "agent_chunk": {"content": agent}}  # fmt: skip

    ticks = [
        tick(0, agent="Hello"),
        tick(1, agent=" there."),
        tick(2, user="I want "),
        tick(3, user="a boat.", action="interrupt"),
        tick(4),
        tick(5, agent="Fine."),
    ]
    voices = simulation(messages=[], ticks=ticks)
    (log,) = logs(save(tmp_path / "s.json", voices), tmp_path / "logs")
    assert turns(log) == [
        ("provider", "Hello there."),
        ("persona", "I want a boat."),
        ("provider", "Fine."),
    ]
    assert records(log, "tau-bench.turn_taking")[0]["data"]["action"] == "interrupt"


def voices(*ticks: dict[str, Any]) -> dict[str, Any]:
    numbered = [
        {"tick_id": n, "timestamp": f"2026-03-04T10:00:{n:02}", "user_chunk": None, **tick}
        for n, tick in enumerate(ticks)
    ]
    return simulation(messages=None, ticks=numbered)


def heard(side: str, text: str, utterance: str = "u") -> dict[str, Any]:
    role = "user" if side == "user" else "assistant"
    return {f"{side}_chunk": {"role": role, "content": text, "utterance_ids": [utterance]}}


def test_tools_of_voices_are_called_and_return(tmp_path: Path) -> None:
    call = {"id": "c1", "name": "get_line", "arguments": {"n": 1}, "requestor": "assistant"}
    result = {"id": "c1", "role": "tool", "content": "no such line", "error": True,
              "requestor": "assistant"}  # fmt: skip
    path = save(
        tmp_path / "s.json",
        voices(
            heard("user", "Is my line up?"),
            heard("agent", "One moment."),
            {"agent_tool_calls": [call]},
            {"agent_tool_results": [result],
             "user_tool_calls": [{"name": "look"}], "user_tool_results": [{"content": "dark"}]},
            heard("agent", "There is no such line."),
        ),
    )  # fmt: skip
    (log,) = logs(path, tmp_path / "logs")
    assert turns(log) == [("persona", "Is my line up?"), ("provider", "There is no such line.")]
    first, last = records(log, "llm.response")
    assert (first["raw"], first["tool_calls"][0]["id"]) == ("One moment.", "c1")
    (returned,) = records(log, "tool.returned")
    assert (returned["ok"], returned["result"]) == (False, "no such line")
    assert records(log, "tau-bench.user_tool_call")[0]["data"] == [{"name": "look"}]
    assert records(log, "tau-bench.user_tool_result")[0]["data"] == [{"content": "dark"}]
    assert last["t"] == 4.0


def test_voices_that_speak_at_once_are_not_cut_to_pieces(tmp_path: Path) -> None:
    path = save(
        tmp_path / "s.json",
        voices(
            heard("user", "I want a boat"),
            {**heard("user", " to go"), **heard("agent", "Mhm.")},
            heard("user", " to sea.", "u"),
            heard("agent", "Fine.", "other"),
        ),
    )
    (log,) = logs(path, tmp_path / "logs")
    assert turns(log) == [
        ("persona", "I want a boat to go to sea."),
        ("provider", "Mhm. Fine."),
    ]


def test_results_lead_to_the_simulations_beside_them(tmp_path: Path) -> None:
    index = [{"id": "s1", "task_id": "t7", "trial": 0}]
    results = save(tmp_path / "run" / "results.json", {**RESULTS, "simulation_index": index})
    save(tmp_path / "run" / "simulations" / "s1.json", simulation())
    (log,) = logs(results, tmp_path / "logs")
    assert turns(log) == SAID


def test_what_else_tau2_says_of_a_simulation(tmp_path: Path) -> None:
    run = simulation(reason="context_window_exceeded", policy="Be brief.")
    run["messages"][0]["generation_time_seconds"] = 1.5
    (log,) = logs(save(tmp_path / "s.json", run), tmp_path / "logs")
    assert termination(log)["kind"] == "failed"
    assert records(log, "tau-bench.system")[0]["data"] == {"content": "Be brief."}
    assert records(log, "llm.response")[0]["duration"] == 1.5


@pytest.mark.parametrize(
    ("raw", "thought", "finish"),
    [
        ({"id": "r1", "model": "acme-2", "stop_reason": "end_turn",
          "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "x"}]},
         "hm", "end_turn"),
        ({"id": "r1", "model": "acme-2", "finish_reason": "stop",
          "message": {"role": "assistant", "reasoning_content": "hm"}}, "hm", "stop"),
        ({"id": "r1", "model": "acme-2"}, None, None),
    ],
)  # fmt: skip
def test_what_the_provider_answered_beside_the_text(
    raw: dict[str, Any], thought: str | None, finish: str | None, tmp_path: Path
) -> None:
    run = simulation()
    run["messages"][0]["raw_data"] = raw
    (log,) = logs(save(tmp_path / "s.json", run), tmp_path / "logs")
    first = records(log, "llm.response")[0]
    assert (first.get("reasoning"), first.get("finish_reason")) == (thought, finish)
    assert (first["model"], first["response_id"]) == ("acme-2", "r1")
    assert first["source"]["raw_data"] == raw


def test_a_time_without_a_zone_is_shown_as_one(tmp_path: Path) -> None:
    (log,) = logs(save(tmp_path / "s.json", simulation()), tmp_path / "logs")
    shown = io.StringIO()
    with open_log(log) as opened:
        printer = Printer(shown, None)
        for record in opened.records():
            printer.record(record)
    assert "2026-03-04 10:00:00 (no time zone in the file)" in shown.getvalue()
