"""Traces of OpenTelemetry: attributes of each convention, requests that repeat what was said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convtui.cli.check import check_log
from convtui.log.formats.registry import format_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from tests import places

T0 = 1_772_618_400  # 2026-03-04T10:00:00Z


def typed(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, list):
        return {"arrayValue": {"values": [typed(item) for item in value]}}
    if isinstance(value, dict):
        pairs = [{"key": key, "value": typed(item)} for key, item in value.items()]
        return {"kvlistValue": {"values": pairs}}
    return {"stringValue": value}


def span(second: int, trace: str = "t1", events: Any = (), **attributes: Any) -> dict[str, Any]:
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    return {
        "traceId": trace,
        "spanId": f"s{second}",
        "startTimeUnixNano": str((T0 + second) * 10**9),
        "endTimeUnixNano": str((T0 + second + 1) * 10**9),
        "attributes": [{"key": f"gen_ai.{key}", "value": typed(v)} for key, v in named.items()],
        "events": list(events),
    }


def save(path: Path, *spans: dict[str, Any]) -> Path:
    resource = {"attributes": [{"key": "service.name", "value": typed("ferry-bot")}]}
    trace = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}
    path.write_text(json.dumps(trace))
    return path


def logs(path: Path, folder: Path) -> list[Path]:
    format_ = format_for(path)
    assert format_.name == "otel" and format_.read is not None
    done = [store(one, folder) for one in format_.read(path)]
    assert all(check_log(log) == [] for log in done)
    return done


def turns(log: Path) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        return [(turn.speaker, turn.text) for turn in opened.transcript.turns]


def records(log: Path, kind: str) -> list[dict[str, Any]]:
    with open_log(log) as opened:
        return [record for record in opened.records() if record["type"] == kind]


def parts(role: str, *texts: Any) -> dict[str, Any]:
    made = [{"type": "text", "content": t} if isinstance(t, str) else t for t in texts]
    return {"role": role, "parts": made}


CALL = {"type": "tool_call", "id": "c1", "name": "find", "arguments": {"n": 1}}
BACK = {"type": "tool_call_response", "id": "c1", "response": {"boats": 2}}
SAID = [
    ("persona", "hi"),
    ("provider", "hello"),
    ("persona", "boats?"),
    ("provider", "Two."),
]


def test_requests_that_repeat_the_conversation_are_one(tmp_path: Path) -> None:
    hi, hello, boats = parts("user", "hi"), parts("assistant", "hello"), parts("user", "boats?")
    looked = parts("assistant", {"type": "reasoning", "content": "hm"}, CALL)
    back = parts("tool", BACK)
    usage = {"usage__input_tokens": 10, "usage__output_tokens": 3}
    system = json.dumps([{"type": "text", "content": "You sell tickets."}])

    def chat(second: int, given: list[Any], answer: Any, **more: Any) -> dict[str, Any]:
        return span(
            second,
            f"t{second}",
            operation__name="chat",
            conversation__id="conv-1",
            request__model="acme-1",
            system_instructions=system,
            input__messages=json.dumps(given),
            output__messages=[answer],
            **usage,
            **more,
        )

    path = save(
        tmp_path / "t.json",
        chat(4, [hi, hello, boats, looked, back], parts("assistant", "Two.")),
        chat(0, [hi], hello),
        chat(2, [hi, hello, boats], looked),
    )
    (log,) = logs(path, tmp_path / "logs")
    assert turns(log) == SAID
    assert [r["usage"]["prompt_tokens"] for r in records(log, "llm.response")] == [10, 10, 10]
    assert records(log, "llm.response")[1]["reasoning"] == "hm"
    (called,) = records(log, "tool.called")
    (returned,) = records(log, "tool.returned")
    assert (called["arguments"], returned["result"]) == ({"n": 1}, {"boats": 2})
    assert len(records(log, "otel.system")) == 1
    with open_log(log) as opened:
        header = opened.transcript.header
    assert header["imported"]["session_id"] == "conv-1"
    assert header["created_at"] == "2026-03-04T10:00:00+00:00"
    assert header["provider"]["name"] == "ferry-bot"


def test_the_older_conventions(tmp_path: Path) -> None:
    flat = {
        "prompt__0__role": "user", "prompt__0__content": "hi",
        "completion__0__role": "assistant", "completion__0__content": "hello",
        "completion__0__tool_calls__0__id": "c1", "completion__0__tool_calls__0__name": "find",
        "completion__0__tool_calls__0__arguments": '{"n": 1}',
    }  # fmt: skip
    tool = span(
        1, operation__name="execute_tool", tool__call__id="c1", tool__name="find",
        tool__call__result="two",
    )  # fmt: skip
    events = [
        {"name": "gen_ai.user.message",
         "attributes": [{"key": "content", "value": typed("boats?")}]},
        {"name": "gen_ai.choice",
         "attributes": [{"key": "message", "value": typed('{"content": "Two."}')}]},
    ]  # fmt: skip
    path = save(tmp_path / "t.json", span(0, **flat), tool, span(2, "t2", events))
    first, second = logs(path, tmp_path / "logs")
    assert turns(first)[0] == ("persona", "hi")
    assert records(first, "tool.called")[0]["arguments"] == {"n": 1}
    assert records(first, "tool.returned")[0]["result"] == "two"
    assert turns(second) == [("persona", "boats?"), ("provider", "Two.")]


def test_a_helper_in_a_trace_is_a_conversation_of_its_own(tmp_path: Path) -> None:
    def chat(second: int, asked: str, answered: str) -> dict[str, Any]:
        given = json.dumps([parts("user", asked)])
        return span(second, input__messages=given, output__messages=[parts("assistant", answered)])

    path = save(tmp_path / "t.json", chat(0, "hi", "hello"), chat(1, "you are a helper", "done"))
    assert [turns(log) for log in logs(path, tmp_path / "logs")] == [
        [("persona", "hi"), ("provider", "hello")],
        [("persona", "you are a helper"), ("provider", "done")],
    ]


def test_traces_one_a_line(tmp_path: Path) -> None:
    said = span(0, prompt__0__role="user", prompt__0__content="hi")
    one = json.loads(save(tmp_path / "t.json", said).read_text())
    path = tmp_path / "t.jsonl"
    path.write_text(f"{json.dumps(one)}\n{json.dumps(one)}\n")
    (log,) = logs(path, tmp_path / "logs")
    assert turns(log) == [("persona", "hi")]


def test_the_published_sample(tmp_path: Path) -> None:
    (log,) = logs(places.SAMPLES / "openai/sample_otel_json_traces.json", tmp_path)
    assert turns(log)[0] == ("persona", "List files in the current directory.")
    assert [r["name"] for r in records(log, "tool.called")] == ["list_dir"]
    with open_log(log) as opened:
        assert opened.transcript.totals["provider"].tokens == 375
