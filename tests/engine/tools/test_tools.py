"""Tool rounds with Python callables: time, order, cancellation, long results, shadowed names."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from convtui import serial_tool
from convtui.engine.tools.tools import Toolbox
from convtui.errors import ToolError, UsageError
from convtui.log.names import tool_results_path
from convtui.log.tool_results import whole_result
from convtui.models.base import ToolCall
from convtui.models.calls import distinct
from convtui.records.models import RecordDict
from convtui.secrets.redactor import Redactor
from tests.builders.conversations import Bot, calls, prepare, run, scenario, until


def results(ran: Any) -> list[Any]:
    """The bodies of all results."""
    return [record.get("result") for record in ran.of("tool.returned")]


# --- error results


async def test_an_error_result_has_four_fields(tmp_path: Path) -> None:
    def broken() -> None:
        raise ValueError("no such table")

    bot = Bot(calls(("broken", ""), ("nope", "{}"), ("broken", "[")), "I see", tools=[broken])
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    by_id = {record["id"]: record["result"] for record in ran.of("tool.returned")}
    assert all(set(body) == {"ok", "error_kind", "message", "detail"} for body in by_id.values())
    assert by_id["c1"]["message"] == "ValueError: no such table"
    assert "test_tools.py" in by_id["c1"]["detail"], "the developer's own frames"
    assert by_id["c2"]["detail"] == "known: broken"
    assert by_id["c3"]["detail"] == "[", "what the model wrote"
    sent = [json.loads(m["content"]) for m in bot.sent[1][-3:]]
    assert sent == [by_id["c1"], by_id["c2"], by_id["c3"]]


async def test_a_value_that_is_no_json_is_told_by_its_repr(tmp_path: Path) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    values = [{1: float("nan")}, Odd(), {1: "one"}, b"raw", None]
    bot = Bot(calls(*[("give", "")] * 5), "ok", tools=[lambda: values.pop(0)])
    bot.tools[0].__name__ = "give"
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    bodies = results(ran)
    assert {"repr": "{1: nan}", "type": "dict"} in bodies
    assert {"repr": "<RuntimeError in __repr__>", "type": "Odd"} in bodies
    assert {"1": "one"} in bodies
    assert {"repr": "b'raw'", "type": "bytes"} in bodies
    assert "null" in {message["content"] for message in bot.sent[1]}


async def test_calls_without_an_id_or_with_the_same_one_are_told_apart(tmp_path: Path) -> None:
    same = [ToolCall("", "add", "1"), ToolCall("x", "add"), ToolCall("x", "add"), ToolCall("", "a")]
    ids = [tool_call.id for tool_call in distinct(same)]
    assert len(set(ids)) == 4
    assert ids[1] == "x"

    def echo(what: str) -> str:
        return what

    reply = calls(("echo", '{"what": "a"}'), ("echo", '{"what": "b"}'))
    for tool_call in reply.tool_calls:
        tool_call.id = "same"
    bot = Bot(reply, "ok", tools=[echo])
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    sent = bot.sent[1][-3:]
    assert [c["id"] for c in sent[0]["tool_calls"]] == [m["tool_call_id"] for m in sent[1:]]
    assert [m["content"] for m in sent[1:]] == ["a", "b"]
    assert len({record["id"] for record in ran.of("tool.called")}) == 2


# --- time and order


async def test_a_call_has_a_time_limit(tmp_path: Path) -> None:
    stopped = threading.Event()
    cancelled: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append("endless")
            raise

    def blocks() -> None:
        stopped.wait(20)

    def quick() -> str:
        return "done"

    bot = Bot(calls(("endless", ""), ("blocks", ""), ("quick", "")), "ok",
              tools=[endless, blocks, quick])  # fmt: skip
    ran = await run(scenario(bot, ["hi"], tool_timeout=0.05), tmp_path)
    stopped.set()
    kinds = {r["name"]: r.get("error_kind") for r in ran.of("tool.returned")}
    assert kinds == {"endless": "tool_timeout", "blocks": "tool_timeout", "quick": None}
    assert "tool_timeout" in bot.sent[1][-2]["content"]
    assert cancelled == ["endless"]
    assert ran.said == ["hi", "ok"]


async def test_serial_tools_run_one_after_the_other_others_beside_them(tmp_path: Path) -> None:
    running: set[str] = set()
    together: list[set[str]] = []

    async def work(name: str) -> str:
        running.add(name)
        together.append(set(running))
        await asyncio.sleep(0.01)
        running.discard(name)
        return name

    @serial_tool
    async def first() -> str:
        return await work("first")

    @serial_tool
    async def second() -> str:
        return await work("second")

    async def beside() -> str:
        return await work("beside")

    bot = Bot(calls(("first", ""), ("second", ""), ("first", ""), ("beside", "")), "ok",
              tools=[first, second, beside])  # fmt: skip
    await run(scenario(bot, ["hi"]), tmp_path)
    assert all(not {"first", "second"} <= names for names in together)
    assert {"first", "beside"} in together
    assert [m["content"] for m in bot.sent[1][-4:]] == ["first", "second", "first", "beside"]


async def test_cancelling_ends_the_tools_that_run_and_those_that_wait(tmp_path: Path) -> None:
    begun = asyncio.Event()

    @serial_tool
    async def waits() -> None:
        begun.set()
        await asyncio.Event().wait()

    bot = Bot(calls(("waits", ""), ("waits", "")), "so be it", tools=[waits])
    conversation, driver, _ = prepare(scenario(bot, ["hi"]), tmp_path, plan=["end"])
    records: list[RecordDict] = []
    conversation.journal.listen(lambda record, offset, line: records.append(record))
    task = asyncio.create_task(conversation.run())
    await asyncio.wait_for(begun.wait(), 20)
    assert conversation.caller.busy is not None, "the screen is told that something is in flight"
    assert driver.desk is not None
    driver.desk.carry_out("cancel", {})
    await asyncio.wait_for(task, 20)
    returned = [record for record in records if record["type"] == "tool.returned"]
    assert [record["error_kind"] for record in returned] == ["tool_cancelled"] * 2
    assert bot.answered == 2, "the model sees it and goes on"


async def test_stopping_the_conversation_cancels_its_tools(tmp_path: Path) -> None:
    ended: list[str] = []
    begun = asyncio.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    bot = Bot(calls(("waits", "")), tools=[waits])
    conversation, _, _ = prepare(scenario(bot, ["hi"]), tmp_path)
    task = asyncio.create_task(conversation.run())
    await asyncio.wait_for(begun.wait(), 20)
    conversation.stop("human", "enough")
    termination = await asyncio.wait_for(task, 20)
    await until(lambda: bool(ended))
    assert termination.kind == "interrupted"


# --- long results


async def test_a_long_result_is_cut_for_the_model_and_kept_whole_beside_the_log(
    tmp_path: Path,
) -> None:
    def report() -> str:
        return "key sk-verysecretvalue123 " + "x" * 500 + "the end"

    def rows() -> list[int]:
        return list(range(200))

    bot = Bot(calls(("report", ""), ("rows", "")), "long", tools=[report, rows])
    what = scenario(bot, ["hi"], max_tool_result=100)
    ran = await run(what, tmp_path, redactor=Redactor(["sk-verysecretvalue123"]))
    for record, beginning in zip(ran.of("tool.returned"), ("key", "[0, 1"), strict=False):
        assert record["truncated"] is True
        assert record["result"].startswith(beginning)
        assert record["result"].endswith("...(truncated)")
        assert len(record["result"]) <= 100 + len("...(truncated)")
        whole = whole_result(ran.path, record["seq"])
        assert whole is not None
    first, second = ran.of("tool.returned")
    assert str(whole_result(ran.path, first["seq"])).endswith("the end")
    assert json.loads(str(whole_result(ran.path, second["seq"]))) == list(range(200))
    assert first["size"] == len(report())
    assert len(bot.sent[1][-1]["content"]) < 120
    beside = tool_results_path(ran.path)
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert "verysecret" not in beside.read_text()
    assert whole_result(ran.path, 99999) is None


async def test_a_short_result_leaves_no_file(tmp_path: Path) -> None:
    bot = Bot(calls(("short", "")), "ok", tools=[lambda: "short"])
    bot.tools[0].__name__ = "short"
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert "truncated" not in ran.one("tool.returned")
    assert not tool_results_path(ran.path).exists()
    assert whole_result(ran.path, ran.one("tool.returned")["seq"]) is None


async def test_a_long_error_is_cut_and_kept_too(tmp_path: Path) -> None:
    def broken() -> None:
        raise ValueError("y" * 9000)

    bot = Bot(calls(("broken", "")), "I see", tools=[broken])
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    returned = ran.one("tool.returned")
    assert len(returned["result"]["message"]) < 4100
    assert returned["truncated"] is True
    whole = json.loads(str(whole_result(ran.path, returned["seq"])))
    assert whole["message"] == "ValueError: " + "y" * 9000


async def test_a_disk_that_refuses_long_results_is_said_once(tmp_path: Path) -> None:
    bot = Bot(calls(("big", ""), ("big", "")), "ok", tools=[lambda: "z" * 50])
    bot.tools[0].__name__ = "big"
    conversation, _, _ = prepare(scenario(bot, ["hi"], max_tool_result=10), tmp_path)
    tool_results_path(conversation.journal.writer.path).mkdir()
    records: list[RecordDict] = []
    conversation.journal.listen(lambda record, offset, line: records.append(record))
    await asyncio.wait_for(conversation.run(), 20)
    warned = [record for record in records if record["type"] == "warning"]
    assert [record["code"] for record in warned] == ["tool_results"]


# --- names


def test_two_tools_of_one_name_are_refused() -> None:
    def find() -> None: ...

    other = find
    with pytest.raises(ToolError, match=r"two tools are called 'find': the function .*find and"):
        Toolbox([find, other])


def test_what_a_responder_decides_with_is_no_tool() -> None:
    def responder_stop() -> None: ...

    with pytest.raises(ToolError, match="'responder_stop' is what a responder decides with"):
        Toolbox([responder_stop])


async def test_a_shadowed_name_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "trips.py").write_text("def seats() -> int:\n    return 1\n")

    def seats() -> int:
        return 2

    what = scenario(Bot(tools=[seats]), ["hi"], tools=[f"{tmp_path / 'trips.py'}:seats"])
    with pytest.raises(UsageError, match="two tools are called 'seats'"):
        await run(what, tmp_path)


def test_a_signature_without_a_schema_is_refused() -> None:
    def odd(stream: threading.Event) -> None: ...

    with pytest.raises(ToolError, match="tool odd: no schema"):
        Toolbox([odd])
