"""Replies that did not come to their end have a name, and error texts are errors."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.calls.finish import FinishJudge
from convtui.log.reader import open_log
from convtui.models.base import Delta, Reply
from convtui.printing.logs import print_log
from convtui.transcript.fault_rules import faults_of
from convtui.transcript.turns import Flag
from tests.builders.conversations import Bot, FakeModels, Line, Ran, resume, run, scenario
from tests.engine.rehook.test_replayed_hooks import again
from tests.engine.turn.test_rounds import matching

ANN = {"name": "Ann", "prompt": "a patient", "model": "fake/user", "opening": "hi"}


async def said_by_model(tmp_path: Path, *lines: Line, **fields: Any) -> Ran:
    """A conversation whose persona is a model with these lines."""
    models = FakeModels(user=[*lines, Reply("<end>", finish_reason="stop")])
    fields.setdefault("on_empty", "keep")
    return await run(scenario(Bot(), persona=ANN, **fields), tmp_path, models=models)


@pytest.mark.parametrize(
    ("reply", "reasons"),
    [
        (Reply("Half a", finish_reason="length"), ["length"]),
        (Reply("Half a", finish_reason="max_tokens"), ["length"]),
        (Reply("Half a", finish_reason="MAX_TOKENS"), ["length"]),
        (Reply("", finish_reason="content_filter"), ["content_filter"]),
        (Reply("", finish_reason="SAFETY"), ["content_filter"]),
        (Reply("I cannot.", finish_reason="refusal"), ["refusal"]),
        (Reply("I cannot.", finish_reason="stop", refused=True), ["refusal"]),
        (Reply("", reasoning="The answer: 4", finish_reason="stop"), ["reasoning_only"]),
        (Reply("<think>The answer: 4</think>", finish_reason="stop"), ["reasoning_only"]),
        (Reply("<think>The answer", finish_reason="length"), ["reasoning_only", "length"]),
        (Reply("Half a", finish_reason="ERROR_LIMIT"), ["length"]),
        (Reply("Half a", finish_reason="LANGUAGE"), ["content_filter"]),
        (Reply("Half a", finish_reason="IMAGE_SAFETY"), ["content_filter"]),
        (Reply("Half a", finish_reason="FinishReason.SAFETY"), ["content_filter"]),
        (Reply("Half a", finish_reason="ERROR_TOXIC"), ["content_filter"]),
        (Reply("Half a", finish_reason="ERROR"), ["stream_died"]),
        (Reply("Half a", finish_reason="abort"), ["stream_died"]),
        (Reply("Half a", finish_reason="insufficient_system_resource"), ["stream_died"]),
        (Reply("Half a", finish_reason="MALFORMED_FUNCTION_CALL"), ["stream_died"]),
        (Reply("Fine.", finish_reason="COMPLETE"), []),
        (Reply("Fine.", finish_reason="FINISH_REASON_STOP"), []),
        (Reply("Fine."), ["no_finish"]),
        (Reply("Fine.", finish_reason="stop"), []),
        (Reply("Fine.", finish_reason="end_turn"), []),
        (Reply("Fine.", finish_reason="tool_calls"), []),
    ],
)
async def test_every_reason_has_a_name(tmp_path: Path, reply: Reply, reasons: list[str]) -> None:
    ran = await said_by_model(tmp_path, reply)
    response = next(r for r in ran.of("llm.response") if r["side"] == "persona")
    assert response.get("incomplete") == (reasons[0] if reasons else None)
    with open_log(ran.path) as log:
        turn = log.transcript.turns[2]
        assert bool(turn.flags & Flag.INCOMPLETE) is bool(reasons)
        out = io.StringIO()
        print_log(log, out, io.StringIO())
    for reason in reasons:
        assert matching(ran, f"~incomplete {reason}") == ["1:3"]
    assert ("incomplete:" in out.getvalue()) is bool(reasons)


async def test_a_stream_that_dies_for_good_is_incomplete(tmp_path: Path) -> None:
    bot = Bot([Delta(text="Half a"), ConnectionError("gone")])
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert matching(ran, "~incomplete stream_died") == ["1:2"]


async def test_own_code_need_give_no_finish_reason(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("fine")), tmp_path)
    assert matching(ran, "~incomplete") == []
    ran = await run(scenario(Bot(Reply("Half a", finish_reason="length"))), tmp_path / "b")
    assert matching(ran, "~incomplete length") == ["1:2", "1:4", "1:6"]


def judged(*finish: str | None) -> tuple[list[str], list[str]]:
    notes: list[str] = []
    judge = FinishJudge()
    reasons = [
        judge.judge("provider", Reply("x", finish_reason=reason), died=False, own_code=False,
                    silent=notes.append)
        for reason in finish
    ]  # fmt: skip
    return reasons, notes


def test_an_endpoint_that_never_gives_one_is_noted_once() -> None:
    assert judged(None, None, None) == (["no_finish", "", ""], judged(None, None)[1])
    assert len(judged(None, None, None)[1]) == 1
    # One that gave a reason before means something by giving none.
    assert judged("stop", None, None) == (["", "no_finish", "no_finish"], [])


async def test_which_kind_of_nothing_it_was_is_said(tmp_path: Path) -> None:
    lines = {
        "": "reply is empty (on_empty",
        "<think>hm</think>": "there is reasoning and no reply",
    }
    for number, (line, words) in enumerate(lines.items()):
        reply = Reply(line, finish_reason="stop")
        ran = await said_by_model(tmp_path / str(number), reply, on_empty="pause")
        assert ran.ended == ("interrupted", "harness")
        assert words in ran.termination.reason
    cut = Reply("", finish_reason="content_filter")
    ran = await said_by_model(tmp_path / "cut", cut, on_empty="fail")
    assert "content filter" in ran.termination.reason


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(""), ""),
        (Reply(" \n"), ""),
        (Reply("\u200b"), "'\\u200b' has no letter and no digit"),
        (Reply("\N{THUMBS UP SIGN}"), "'\N{THUMBS UP SIGN}' has no letter and no digit"),
        (Reply("", parts=[{"type": "image_url"}]), "there is no text in it, only image_url"),
        (Reply("<think>hm</think>"), "there is reasoning and no reply"),
    ],
)
async def test_an_empty_reply_that_ended_a_run_is_shown(
    tmp_path: Path, reply: Reply, words: str
) -> None:
    ran = await run(scenario(Bot(reply)), tmp_path)
    assert ran.ended == ("interrupted", "harness")
    assert words in ran.termination.reason
    assert matching(ran, "~empty") == ["1:2"]
    assert matching(ran, "~fault provider") == ["1:2"]
    assert matching(ran, "~fault harness") == []
    out = io.StringIO()
    with open_log(ran.path) as log:
        print_log(log, out, io.StringIO())
    assert re.search(r"1:2 provider: +\S", out.getvalue())
    assert "rule empty-reply" in out.getvalue()


async def test_an_empty_reply_that_fails_the_run_is_found(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(""), on_empty="fail"), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert matching(ran, "~empty") == ["1:2"]
    assert matching(ran, "~fault provider") == ["1:2"]


async def test_where_nobody_spoke_there_is_no_empty_reply(tmp_path: Path) -> None:
    failed = await run(scenario(Bot(ValueError("no"))), tmp_path / "a")
    assert failed.ended == ("failed", "provider")
    assert matching(failed, "~empty") == []
    done = await said_by_model(tmp_path / "b", Reply("<end>", finish_reason="stop"))
    assert done.ended == ("completed", "simulator")
    assert matching(done, "~empty") == []


async def test_a_reply_of_reasoning_alone_that_is_kept_counts_as_empty(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("<think>hm</think>"), on_empty="keep"), tmp_path)
    assert "1:2" in matching(ran, "~empty")


async def test_a_branch_knows_that_a_turn_was_incomplete(tmp_path: Path) -> None:
    ran = await said_by_model(tmp_path, Reply("Half a", finish_reason="length"))
    committed = ran.of("turn.committed")[2]
    assert committed["incomplete"] == "length"
    models = FakeModels(user=["<end>"])
    child = await resume(ran.path, tmp_path, seq=committed["seq"], models=models)
    assert matching(child, "~incomplete length") == ["1:3"]


async def test_breakpoints_and_faults_know_it(tmp_path: Path) -> None:
    reply = Reply("Half a", finish_reason="length")
    ran = await said_by_model(tmp_path, reply, breakpoints=["~incomplete"])
    assert (ran.one("debug.held")["turn"], ran.one("debug.held")["reason"]) == (3, "breakpoint")
    ran = await said_by_model(tmp_path / "b", reply)
    with open_log(ran.path) as log:
        (fault,) = faults_of(log.transcript.turns[2])
    assert (fault.side, fault.rule) == ("simulator", "incomplete-reply")


# --- the text of an error


ERROR = "Error generating response: All connection attempts failed"


async def test_the_text_of_an_error_is_kept_and_flagged_where_nobody_watches(
    tmp_path: Path,
) -> None:
    ran = await run(scenario(Bot(ERROR), ["hi"]), tmp_path)
    assert ran.ended[0] == "completed"
    assert ran.of("turn.committed")[1]["error_text"] == ERROR
    assert matching(ran, "~error") == ["1:2"]
    assert matching(ran, "~fault provider") == ["1:2"]
    out = io.StringIO()
    with open_log(ran.path) as log:
        print_log(log, out, io.StringIO())
    assert "the text of an error" in out.getvalue()


@pytest.mark.parametrize("metadata", [{"error": "refused"}, {"status": 503}, {"success": False}])
async def test_metadata_tell_of_an_error_too(tmp_path: Path, metadata: dict[str, Any]) -> None:
    ran = await run(scenario(Bot(Reply("Well ...", metadata=metadata)), ["hi"]), tmp_path)
    assert matching(ran, "~error") == ["1:2"]


async def test_it_fails_where_that_is_set(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(ERROR), ["hi"], on_error_text="fail"), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert "All connection attempts failed" in ran.termination.reason


async def test_it_pauses_where_somebody_watches(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(ERROR, "Gate 4."), ["hi"]), tmp_path, plan=["again", "end"])
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"], hold["turn"]) == ("error_text", "commit", 2)
    assert ran.said[1] == "Gate 4."
    assert matching(ran, "~error") == []

    plan = [("supply", {"text": "by hand"}), "end"]
    ran = await run(scenario(Bot(ERROR), ["hi"]), tmp_path / "b", plan=plan)
    assert ran.said[1] == "by hand"
    assert "error_text" not in ran.of("turn.committed")[1]

    ran = await run(scenario(Bot(ERROR), ["hi"]), tmp_path / "c", plan=["keep", "end"])
    assert ran.said[1] == ERROR
    assert ran.one("debug.overrode")["what"] == "error_text"
    assert matching(ran, "~error") == ["1:2"]

    ran = await run(scenario(Bot(ERROR), ["hi"]), tmp_path / "d", plan=["fail"])
    assert ran.ended == ("failed", "provider")


async def test_pausing_where_nobody_watches_ends_it(tmp_path: Path) -> None:
    what = scenario(Bot(ERROR), ["hi"], on_error_text="pause")
    ran = await run(what, tmp_path)
    assert ran.ended == ("interrupted", "harness")
    ran = await run(what, tmp_path / "b", on_pause="continue")
    assert ran.said[1] == ERROR


async def test_a_declared_signal_in_it_does_what_signals_do(tmp_path: Path) -> None:
    bot = Bot("[[ERROR]] upstream failed", signals=["[[ERROR]]"])
    ran = await run(scenario(bot, ["hi"]), tmp_path, plan=["end"])
    assert [hold["reason"] for hold in ran.driver.holds] == ["ending"]
    assert matching(ran, "~error") == ["1:2"]


async def test_what_a_human_types_is_no_error_text(tmp_path: Path) -> None:
    def take_over(desk: Any, hold: Any) -> None:
        desk.carry_out("take_over", {"side": "provider"})
        desk.carry_out("release", {"hold": hold["hold"], "choice": "go", "edits": {}})

    what = scenario(Bot("fine"), ["hi"], breakpoints=["~speaker persona & ~stage commit"])
    plan = [take_over, ("say", {"text": ERROR}), "end"]
    ran = await run(what, tmp_path, plan=plan)
    assert "error_text" not in ran.of("turn.committed")[1]


async def test_rehook_says_which_replies_were_cut_off(tmp_path: Path) -> None:
    bot = Bot(Reply("Half a", finish_reason="length"), "Whole.")
    ran = await run(scenario(bot, ["a", "b"]), tmp_path)
    assert again(ran.path, Bot(), tmp_path)["incomplete"] == [[1, 2, 1, "length"]]
