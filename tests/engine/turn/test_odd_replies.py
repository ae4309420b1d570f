"""Odd replies in a conversation: what the log has of them, and whose fault they are."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from convtui.engine.conversation.wiring import EngineModels
from convtui.log.reader import open_log
from convtui.models.base import Delta, Reply, ToolCallDelta
from convtui.printing.printer import Printer
from convtui.transcript.fault_rules import faults_of
from tests.builders.conversations import Bot, Ran, plant, run, scenario
from tests.fakes.openai_script import FakeReply, chunk
from tests.fakes.openai_server import OpenAIServerThread

OSLO, KIEL = '{"city": "Oslo"}', '{"city": "Kiel"}'


def find_trip(city: str) -> str:
    """Finds a trip."""
    return f"a boat to {city}"


def faults(ran: Ran) -> list[str]:
    """The faults of the provider's turn."""
    with open_log(ran.path) as log:
        (turn,) = [turn for turn in log.transcript.turns if turn.speaker == "provider"]
    return [f"{fault.side} {fault.rule}" for fault in faults_of(turn)]


async def talk(folder: Path, *lines: Any) -> Ran:
    bot = Bot(*lines, "done")
    return await run(scenario(bot, ["hi"], tools=[plant(find_trip)], max_turns=2), folder)


def pieces(*arguments: str, call_id: str | None = "a") -> list[Delta]:
    first, *more = arguments
    return [
        Delta(tool_calls=(ToolCallDelta(0, call_id, "find_trip", first),)),
        *(Delta(tool_calls=(ToolCallDelta(0, None, None, text),)) for text in more),
        Delta(finish_reason="tool_calls"),
    ]


async def test_a_doubtful_merge_is_on_record_and_the_harness_at_fault(tmp_path: Path) -> None:
    ran = await talk(tmp_path, pieces(OSLO, '{"town": "Kiel"}'))
    warning = ran.one("warning")
    assert warning["code"] == "tool_calls_doubtful"
    assert "find_trip: more came after complete arguments" in warning["message"]
    assert warning["call"] == ran.of("llm.request")[0]["seq"]
    assert {r["id"]: r["ok"] for r in ran.of("tool.returned")} == {"a": True, "call_0": False}
    assert faults(ran) == ["harness doubtful-merge"]


async def test_malformed_arguments_of_a_clear_call_are_the_models(tmp_path: Path) -> None:
    ran = await talk(tmp_path, pieces(OSLO[:9]))
    assert not ran.of("warning")
    assert faults(ran) == ["provider tool-arguments"]


async def test_parts_and_a_refusal_are_on_record(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "QUJD" * 500}}
    said = {"content": [image, {"type": "refusal", "refusal": "I cannot show more."}]}
    ran = await talk(tmp_path, [Delta(), said])
    response = ran.one("llm.response")
    assert (response["raw"], response["refused"]) == ("I cannot show more.", True)
    (part,) = response["parts"]
    assert part["type"] == "image_url"
    assert "2,022 characters" in part["image_url"]["url"]
    assert ran.said == ["hi", "I cannot show more."]


async def test_a_usual_reply_has_neither_in_the_log(tmp_path: Path) -> None:
    response = (await talk(tmp_path, Reply("fine"))).one("llm.response")
    assert not {"refused", "parts", "finish_reason"} & response.keys()


async def test_a_part_is_named_where_the_log_is_printed(tmp_path: Path) -> None:
    ran = await talk(tmp_path, [{"content": ["a", {"type": "image\x1b[2J", "x": 1}]}])
    screen = io.StringIO()
    printer = Printer(screen)
    for record in ran.records:
        printer.record(record)
    assert "part, not shown]" in screen.getvalue()
    assert "\x1b" not in screen.getvalue()


async def test_calls_that_share_index_and_id_run_each(tmp_path: Path, models: EngineModels) -> None:
    calls = [
        {"index": 0, "id": "call_0", "function": {"name": "find_trip", "arguments": arguments}}
        for arguments in (OSLO, KIEL)
    ]
    events = tuple(chunk({"tool_calls": [call]}) for call in calls)
    with OpenAIServerThread() as server:
        server.script(FakeReply(events=(*events, chunk({}, "tool_calls"))), FakeReply(text="Both."))
        params = {"api_base": server.url, "api_key": "sk-planted-01234"}
        provider = {"use": "openai/m", "params": params}
        what = scenario(None, ["hi"], tools=[plant(find_trip)], max_turns=2, config=provider)
        ran = await run(what, tmp_path, models=models)
        sent = server.requests[1].body["messages"]
    assert ran.said == ["hi", "Both."]
    assert [record["arguments"]["city"] for record in ran.of("tool.called")] == ["Oslo", "Kiel"]
    asked, *results = sent[-3:]
    assert [call["id"] for call in asked["tool_calls"]] == ["call_0", "call_0_2"]
    assert [(r["tool_call_id"], r["content"]) for r in results] == [
        ("call_0", "a boat to Oslo"), ("call_0_2", "a boat to Kiel"),
    ]  # fmt: skip
    assert not ran.of("warning")
    assert faults(ran) == []


async def test_a_stream_may_have_empty_pieces_of_none(tmp_path: Path) -> None:
    async def answer(messages: Any) -> AsyncIterator[Any]:
        for piece in (None, "Gate ", None, "4.", None):
            yield piece

    ran = await run(scenario(answer, ["hi"], max_turns=2), tmp_path)
    assert ran.of("turn.committed")[1]["text"] == "Gate 4."


async def test_an_empty_last_round_says_where_the_words_are(tmp_path: Path) -> None:
    told = [Delta(text="It leaves at 10:30."), *pieces(OSLO)]
    ran = await run(
        scenario(Bot(told, ""), ["hi"], tools=[plant(find_trip)], max_turns=2), tmp_path
    )
    assert ran.ended == ("interrupted", "harness")
    assert "all that was said stands beside its tool calls" in ran.termination.reason
