"""Compression: a summary in the place of the history, in a child log; the original is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import UsageError
from convtui.log.reader import open_log
from convtui.models.base import Reply
from convtui.protocol import ContinueFrom
from tests.builders.conversations import Bot, Line, Ran, calls, resume, run, scenario

SCRIPT = ["one", "two", "three"]


def look_up(code: str) -> str:
    """Looks up a code."""
    return f"found {code}"


async def half(tmp_path: Path, bot: Bot | None = None) -> tuple[Ran, Any]:
    """Two turns, and the conversation stopped after them."""
    what = scenario(bot or Bot("a1", "a2"), SCRIPT, max_turns=4)
    return await run(what, tmp_path), scenario(Bot("a1", "a2"), SCRIPT)


def going_on(*lines: Line) -> tuple[Bot, Any]:
    bot = Bot(*lines, system_prompt="You are a desk.", tools=[look_up])
    return bot, scenario(bot, SCRIPT)


async def test_the_summary_takes_the_place_of_the_history(tmp_path: Path) -> None:
    parent, _ = await half(tmp_path)
    before = hashlib.sha256(parent.path.read_bytes()).hexdigest()
    bot, what = going_on("they said one and two", "a3")
    child = await resume(parent.path, tmp_path, what, kind="compress")
    asked, answered = bot.requests
    assert [m["role"] for m in asked.messages] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert asked.tools == [], "no tool can be called in between"
    summary = "Summary of the conversation so far:\n\nthey said one and two"
    assert answered.messages == [
        {"role": "system", "content": "You are a desk."},
        {"role": "user", "content": summary},
        {"role": "user", "content": "three"},
    ]
    record = child.one("context.compressed")
    assert (record["rows_in"], record["rows_out"], record["upto"]) == (4, 1, 4)
    assert record["summary"] == "they said one and two"
    header = child.records[0]
    assert header["origin"] == "compress"
    assert header["change"]["kind"] == "compress"
    assert header["parents"][0]["id"] == parent.records[0]["id"]
    # What was said is all there, and the parent is as it was.
    assert [t["text"] for t in child.one("history.seeded")["turns"]] == ["one", "a1", "two", "a2"]
    assert hashlib.sha256(parent.path.read_bytes()).hexdigest() == before
    assert child.said == ["three", "a3"]


async def test_a_child_of_it_goes_on_from_the_summary(tmp_path: Path) -> None:
    parent, _ = await half(tmp_path)
    _, what = going_on("short", "a3")
    child = await resume(parent.path, tmp_path, what, kind="compress")
    third = next(r for r in child.of("turn.committed") if r["text"] == "three")
    bot, what = going_on("other")
    grandchild = await resume(child.path, tmp_path, what, seq=third["seq"])
    assert [m["content"] for m in bot.requests[0].messages][1:] == [
        "Summary of the conversation so far:\n\nshort",
        "three",
    ]
    assert grandchild.said[0] == "other"


async def test_rewinding_to_before_it_brings_the_whole_history_back(tmp_path: Path) -> None:
    """A seeded turn before the end of the summary cannot be cut out of a summary."""
    parent, _ = await half(tmp_path)
    bot, what = going_on("again")
    await resume(parent.path, tmp_path, what)
    assert len(bot.requests[0].messages) == 6


async def test_the_summary_is_what_the_provider_would_say(tmp_path: Path) -> None:
    parent, _ = await half(tmp_path)
    what = scenario(
        Bot(
            "<think>hm</think> short ", post_process_response=lambda raw: raw.split("</think>")[-1]
        ),
        SCRIPT,
    )
    child = await resume(parent.path, tmp_path, what, kind="compress")
    assert child.one("context.compressed")["summary"] == "short"


async def test_its_usage_counts_as_the_providers(tmp_path: Path) -> None:
    from tests.builders.conversations import costing

    parent, _ = await half(tmp_path)
    _, what = going_on(costing("short", 77), "a3")
    child = await resume(parent.path, tmp_path, what, kind="compress")
    assert child.one("trailer")["totals"]["usage"]["provider"]["prompt_tokens"] == 77


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (Reply("  "), "the summary is empty"),
        (calls(("look_up", '{"code": "1"}')), "called tools instead of summarising: look_up"),
        (Reply("half a sum", finish_reason="length"), "finish_reason length"),
        (Reply("", finish_reason="content_filter"), "finish_reason content_filter"),
        (RuntimeError("down"), "down"),
    ],
)
async def test_what_is_no_summary_changes_nothing(tmp_path: Path, line: Line, message: str) -> None:
    parent, _ = await half(tmp_path)
    _, what = going_on(line, "never")
    child = await resume(parent.path, tmp_path, what, kind="compress")
    assert child.ended == ("failed", "provider")
    assert message in child.termination.reason
    assert not child.of("context.compressed", "turn.started", "tool.called")
    # Watched, it can be tried again, or gone on without.
    bot, what = going_on(line, "short", "a3")
    child = await resume(
        parent.path, tmp_path / "again", what, kind="compress", plan=["retry", "end"]
    )
    assert child.driver.where[0] == ("error", "restore")
    assert child.one("context.compressed")["summary"] == "short"
    bot, what = going_on(line, "a3")
    child = await resume(
        parent.path, tmp_path / "without", what, kind="compress", plan=["continue", "end"]
    )
    assert child.said == ["three", "a3"]
    assert len(bot.requests[1].messages) == 6
    assert any(w["code"] == "not_compressed" for w in child.of("warning"))


async def test_it_can_stand_there_without_going_on(tmp_path: Path) -> None:
    parent, _ = await half(tmp_path)
    _, what = going_on("short")
    step = ContinueFrom(str(parent.path), kind="compress", stop=True)
    child = await run(what, tmp_path, continue_from=step)
    assert child.ended == ("interrupted", "harness")
    assert child.said == []
    bot, what = going_on("a3")
    last = await resume(child.path, tmp_path, what)
    assert last.said == ["three", "a3"]
    assert bot.requests[0].messages[1]["content"].endswith("short")


async def test_a_conversation_that_is_over_can_be_compressed_too(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("a1"), ["one"]), tmp_path)
    assert whole.termination.kind == "completed"
    _, what = going_on("short")
    step = ContinueFrom(str(whole.path), kind="compress", stop=True)
    child = await run(what, tmp_path, continue_from=step)
    assert child.one("context.compressed")["rows_in"] == 2


async def test_where_nothing_was_said_there_is_nothing_to_compress(tmp_path: Path) -> None:
    parent, what = await half(tmp_path)
    prepared = parent.one("sessions.prepared")
    step = ContinueFrom(str(parent.path), seq=prepared["seq"], kind="compress")
    with pytest.raises(UsageError, match="nothing to compress"):
        await run(what, tmp_path, continue_from=step)


async def test_the_log_of_it_opens_and_checks(tmp_path: Path) -> None:
    parent, _ = await half(tmp_path)
    _, what = going_on("short", "a3")
    child = await resume(parent.path, tmp_path, what, kind="compress")
    with open_log(child.path) as log:
        assert not log.findings
        assert [r["type"] for r in log.transcript.lifecycle].count("context.compressed") == 1
