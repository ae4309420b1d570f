"""Turns: first words, endings, caps, discards, empty replies, tools, budget, retries, deadlines."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.calls.active_call import ActiveCall
from convtui.engine.calls.retrying import RetryRules
from convtui.engine.turn.context import Attempt
from convtui.errors import (
    AuthenticationFailed,
    ModelUnavailable,
    QuotaExceeded,
    RateLimited,
    TransientProviderError,
)
from convtui.models.base import Delta, Reply, ToolCallDelta
from convtui.providers.base import Request, SignalMatch
from tests.builders.conversations import (
    Bot,
    FakeModel,
    FakeModels,
    calls,
    costing,
    findings,
    run,
    scenario,
)

END = "<END OF CONVERSATION>"


def llm(**fields: Any) -> dict[str, Any]:
    return {"name": "Ann", "prompt": "a patient", "model": "fake/user", **fields}


class Drops(Bot):
    """Drops every reply with a signal."""

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        return True


def _alive(*types: type) -> int:
    return sum(type(thing) in types for thing in gc.get_objects())


async def test_what_a_turn_was_made_of_goes_with_it(tmp_path: Path) -> None:
    """Without a look for garbage, which a long conversation would be full of."""
    models = FakeModels(user=["one", "two", "three", "four"])
    gc.collect()
    before = _alive(ActiveCall, Attempt)
    gc.disable()
    try:
        await run(scenario(Bot(), persona=llm(), max_turns=8), tmp_path, models=models)
        assert _alive(ActiveCall, Attempt) == before
    finally:
        gc.enable()


# --- first words


async def test_the_opening_comes_first_then_the_script(tmp_path: Path) -> None:
    what = scenario(Bot(), persona={"name": "A", "opening": "hey", "script": ["one"]})
    assert (await run(what, tmp_path)).said == ["hey", "fine", "one", "fine"]


async def test_without_an_opening_the_script_begins(tmp_path: Path) -> None:
    assert (await run(scenario(Bot(), ["one"]), tmp_path)).said == ["one", "fine"]


async def test_an_llm_persona_begins_by_itself(tmp_path: Path) -> None:
    models = FakeModels(user=["hello there", "<end>"])
    ran = await run(scenario(Bot(), persona=llm()), tmp_path, models=models)
    assert ran.said == ["hello there", "fine"]
    assert models.clients["user"].sent[0][1]["role"] == "user"


async def test_a_provider_that_speaks_first_gets_the_start_prompt_as_its_only_message(
    tmp_path: Path,
) -> None:
    bot = Bot(first_speaker="provider")
    ran = await run(scenario(bot, ["one"], config={"start_prompt": "Begin!"}), tmp_path)
    assert bot.sent[0] == [{"role": "user", "content": "Begin!"}]
    assert bot.sent[1] == [
        {"role": "user", "content": "Begin!"},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": "one"},
    ]
    assert ran.said == ["fine", "one", "fine"]


async def test_a_first_message_is_said_without_a_call(tmp_path: Path) -> None:
    bot = Bot(first_speaker="provider")
    ran = await run(scenario(bot, ["one"], config={"first_message": "Welcome"}), tmp_path)
    assert ran.said == ["Welcome", "one", "fine"]
    assert len(bot.requests) == 1


# --- endings by words


async def test_the_personas_global_signal_is_said_and_ends(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["hi", f"bye {END} x"]), tmp_path)
    assert ran.said[-1] == f"bye {END} x"
    assert ran.ended == ("early_termination", "persona")
    assert ran.termination.signal == END
    assert ran.termination.at_turn == 3


async def test_the_provider_cannot_end_with_the_global_signal(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(END), ["hi", "so"]), tmp_path)
    assert ran.said == ["hi", END, "so", END]


async def test_an_end_sentinel_is_not_said_and_its_text_is_kept(tmp_path: Path) -> None:
    models = FakeModels(user=["thanks <END> bye"])
    what = scenario(Bot(), persona=llm(opening="hi"))
    ran = await run(what, tmp_path, models=models)
    assert ran.said == ["hi", "fine"]
    assert ran.one("user.ended")["dropped_text"] == "thanks  bye"
    assert ran.one("user.ended")["sentinel"] == "<END>"
    assert ran.ended == ("completed", "simulator")
    assert ran.termination.at_turn == 2


async def test_the_rest_beside_a_sentinel_can_be_said_first(tmp_path: Path) -> None:
    models = FakeModels(user=["thanks <end>"])
    what = scenario(Bot(), persona=llm(opening="hi", sentinel_keeps_text=True))
    ran = await run(what, tmp_path, models=models)
    assert ran.said == ["hi", "fine", "thanks"]
    assert ran.ended == ("completed", "simulator")


async def test_where_sentinel_and_global_signal_are_one_the_global_rule_wins(
    tmp_path: Path,
) -> None:
    models = FakeModels(user=[f"thanks {END}"])
    what = scenario(Bot(), persona=llm(opening="hi", end_sentinel=END))
    ran = await run(what, tmp_path, models=models)
    assert ran.said[-1] == f"thanks {END}"
    assert ran.ended == ("early_termination", "persona")


async def test_an_exhausted_script_ends_completed(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["a", "b"]), tmp_path)
    assert ran.ended == ("completed", "simulator")
    assert ran.termination.at_turn == 4


async def test_a_simulator_error_is_a_failure_with_the_real_turn(tmp_path: Path) -> None:
    models = FakeModels(user=[AuthenticationFailed("no key")])
    ran = await run(scenario(Bot(), persona=llm(opening="hi")), tmp_path, models=models)
    assert ran.ended == ("failed", "simulator")
    assert (ran.termination.detail or {})["category"] == "user_simulator"
    assert ran.termination.at_turn == 3


async def test_a_crash_on_the_personas_side_is_not_the_providers(tmp_path: Path) -> None:
    models = FakeModels(user=[RuntimeError("bug")])
    ran = await run(scenario(Bot(), persona=llm()), tmp_path, models=models)
    assert ran.ended == ("failed", "simulator")


# --- caps


@pytest.mark.parametrize(("cap", "turns"), [(1, 2), (2, 2), (3, 4), (4, 4), (5, 6)])
async def test_the_provider_has_the_last_word_persona_first(
    tmp_path: Path, cap: int, turns: int
) -> None:
    ran = await run(scenario(Bot(), ["x"] * 9, max_turns=cap), tmp_path)
    assert ran.one("session.started")["max_turns"] == turns
    assert len(ran.said) == turns
    assert ran.of("turn.committed")[-1]["speaker"] == "provider"
    assert ran.ended == ("max_turns", "harness")


@pytest.mark.parametrize(("cap", "turns"), [(1, 1), (2, 3), (3, 3), (4, 5)])
async def test_the_provider_has_the_last_word_provider_first(
    tmp_path: Path, cap: int, turns: int
) -> None:
    what = scenario(Bot(first_speaker="provider"), ["x"] * 9, max_turns=cap)
    ran = await run(what, tmp_path)
    assert ran.one("session.started")["max_turns"] == turns
    assert len(ran.said) == turns
    assert ran.of("turn.committed")[-1]["speaker"] == "provider"


async def test_the_cap_counts_committed_turns(tmp_path: Path) -> None:
    bot = Drops("[X]", "a", "[X]", "b", signals=["[X]"])
    ran = await run(scenario(bot, ["x"] * 9, max_turns=4, on_discard="retry 2"), tmp_path)
    assert ran.said == ["x", "a", "x", "b"]
    assert ran.ended == ("max_turns", "harness")
    assert ran.termination.at_turn == 6, "numbers count the discarded turns"


async def test_the_word_limit_is_checked_after_the_provider(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("a b"), ["c d e"] * 9, max_total_words=6), tmp_path)
    assert len(ran.said) == 4
    assert ran.ended == ("word_limit", "harness")
    assert ran.of("turn.committed")[-1]["speaker"] == "provider"


async def test_an_ending_by_signal_comes_before_the_caps(tmp_path: Path) -> None:
    bot = Bot("a [X]", signals=["[X]"])
    ran = await run(scenario(bot, ["hi"], max_turns=2, max_total_words=1), tmp_path)
    assert ran.ended == ("early_termination", "provider")


# --- discards


async def test_a_discarded_turn_keeps_its_number_and_its_evidence(tmp_path: Path) -> None:
    class Strips(Drops):
        def post_process_response(self, text: str) -> str:
            return text.replace("[X]", "").strip()

    ran = await run(scenario(Strips("sorry [X]", signals=["[X]"]), ["hi"]), tmp_path)
    dropped = ran.one("turn.discarded")
    assert (dropped["turn"], dropped["text"], dropped["raw"]) == (2, "sorry", "sorry [X]")
    assert dropped["signals"][0]["signal"] == "[X]"
    assert dropped["hook"] == "should_discard_response"
    assert ran.said == ["hi"]
    assert ran.ended == ("discarded", "provider")
    assert ran.termination.at_turn == 2


async def test_a_discard_can_be_asked_again(tmp_path: Path) -> None:
    bot = Drops("[X]", "good", signals=["[X]"])
    ran = await run(scenario(bot, ["hi"], on_discard="retry 1"), tmp_path)
    assert ran.said == ["hi", "good"]
    assert bot.sent[0] == bot.sent[1], "it is not told what it said before"
    assert [r["attempt"] for r in ran.of("turn.started")] == [1, 1, 2, 1]


async def test_when_the_attempts_are_used_up_it_ends_as_by_end(tmp_path: Path) -> None:
    bot = Drops("[X]", signals=["[X]"])
    ran = await run(scenario(bot, ["hi"], on_discard="retry 2"), tmp_path)
    assert [r["outcome"] for r in ran.of("turn.discarded")] == ["retry", "retry", "end"]
    assert ran.ended == ("discarded", "provider")


async def test_a_skipped_discard_lets_the_other_go_on_and_two_end(tmp_path: Path) -> None:
    bot = Drops("[X]", "good", signals=["[X]"])
    ran = await run(scenario(bot, ["one", "two"], on_discard="skip"), tmp_path)
    assert ran.said == ["one", "two", "good"]
    assert bot.sent[1] == [
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two"},
    ]
    bot = Drops("[X]", signals=["[X]"])
    ran = await run(scenario(bot, ["one", "two"], on_discard="skip"), tmp_path)
    assert [r["outcome"] for r in ran.of("turn.discarded")] == ["skip", "end"]
    assert ran.ended == ("discarded", "provider")


async def test_a_persona_may_declare_signals_too(tmp_path: Path) -> None:
    what = scenario(
        Bot(signals=["[P]"]),
        persona={"name": "A", "script": ["[P]", "[Q] bye"], "termination_signals": ["[Q]"]},
    )
    ran = await run(what, tmp_path)
    assert ran.ended == ("early_termination", "persona")
    assert ran.termination.signal == "[Q]"
    setup = ran.one("provider.setup")
    assert (setup["termination_signals"], setup["persona_signals"]) == (["[P]"], ["[Q]"])


@pytest.mark.parametrize(
    ("on_pause", "ended"),
    [("end", ("interrupted", "harness")), ("continue", ("completed", "simulator"))],
)
async def test_a_pausing_signal_with_nobody_watching(
    tmp_path: Path, on_pause: str, ended: tuple[str, str]
) -> None:
    bot = Bot("[X] said", signals=["[X]"])
    ran = await run(scenario(bot, ["hi"], on_signal={"[x]": "pause"}), tmp_path, on_pause=on_pause)
    assert ran.said == ["hi", "[X] said"]
    assert ran.ended == ended
    if on_pause == "end":
        assert ran.termination.signal == "[X]"


async def test_an_ignored_signal_is_recorded_as_would_have(tmp_path: Path) -> None:
    bot = Drops("[X] said", signals=["[X]"])
    ran = await run(scenario(bot, ["hi"], on_signal={"[X]": "ignore"}), tmp_path)
    assert ran.of("turn.committed")[1]["would_have"] == "end"
    assert ran.ended == ("completed", "simulator")


# --- empty replies


async def test_empty_replies_pause(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(""), ["hi"]), tmp_path)
    assert ran.ended == ("interrupted", "harness")
    assert "empty" in ran.termination.reason
    ran = await run(scenario(Bot(" … "), ["hi"]), tmp_path, on_pause="continue")
    assert ran.of("turn.committed")[1]["empty"] is True


async def test_empty_replies_are_asked_again(tmp_path: Path) -> None:
    bot = Bot("", "", "well")
    ran = await run(scenario(bot, ["hi"], on_empty="retry"), tmp_path)
    assert ran.said == ["hi", "well"]
    assert [r["attempt"] for r in ran.of("turn.started")] == [1, 1, 2, 3, 1]
    bot = Bot("")
    ran = await run(scenario(bot, ["hi"], on_empty="retry"), tmp_path)
    assert bot.answered == 4
    assert ran.ended == ("interrupted", "harness")


async def test_empty_replies_fail(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(""), ["hi"], on_empty="fail"), tmp_path)
    assert ran.ended == ("failed", "provider")
    ran = await run(scenario(Bot(), [" "], on_empty="fail"), tmp_path)
    assert ran.ended == ("failed", "simulator")


async def test_a_question_mark_of_the_persona_is_flagged_and_said(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("well"), ["?"], on_empty="fail"), tmp_path)
    assert ran.said == ["?", "well"]
    assert ran.of("turn.committed")[0]["empty"] is True


async def test_tools_of_the_scenario_are_called(tmp_path: Path) -> None:
    (tmp_path / "trips.py").write_text("def seats(day: str) -> int:\n    return len(day)\n")
    bot = Bot(calls(("seats", '{"day": "Friday"}')), "six seats")
    what = scenario(bot, ["hi"], tools=[f"{tmp_path / 'trips.py'}:seats"])
    ran = await run(what, tmp_path)
    assert [r["result"] for r in ran.of("tool.returned")] == [6]
    assert ran.said == ["hi", "six seats"]


async def test_empty_replies_are_kept(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(""), ["hi"], on_empty="keep"), tmp_path)
    assert ran.said == ["hi", ""]
    assert ran.of("turn.committed")[1]["empty"] is True


# --- tools


def tool_bot(*lines: Any, **more: Any) -> Bot:
    done: list[str] = []

    async def wait_for_b() -> str:
        await event.wait()
        done.append("a")
        return "a"

    async def quick() -> str:
        done.append("b")
        event.set()
        return "b"

    def add(left: int, right: int = 1) -> dict[str, int]:
        return {"sum": left + right}

    def broken() -> None:
        raise ValueError("no such table")

    event = asyncio.Event()
    bot = Bot(*lines, tools=[wait_for_b, quick, add, broken], **more)
    bot.done = done  # type: ignore[attr-defined]
    return bot


async def test_calls_of_a_round_run_together_and_results_keep_their_order(tmp_path: Path) -> None:
    bot = tool_bot(calls(("wait_for_b", ""), ("quick", "{}")), "done")
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert bot.done == ["b", "a"]  # type: ignore[attr-defined]
    assert [r["result"] for r in ran.of("tool.returned")] == ["b", "a"], "as they came back"
    assert ran.of("tool.called")[0]["arguments"] == {}, "no text means no arguments"
    sent = bot.sent[1]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
    assert [m["tool_call_id"] for m in sent[2:]] == ["c1", "c2"]
    assert [m["content"] for m in sent[2:]] == ["a", "b"]
    assert ran.said == ["hi", "done"]
    assert [r.get("round") for r in ran.of("llm.request")] == [None, 2]


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("add", '{"left": 1', "invalid_tool_arguments"),
        ("add", "[1]", "invalid_tool_arguments"),
        ("add", '{"left": "x"}', "invalid_tool_arguments"),
        ("add", '{"left": 1, "wrong": 2}', "invalid_tool_arguments"),
        ("nope", "{}", "unknown_tool"),
        ("broken", "", "tool_execution_exception"),
    ],
)
async def test_a_failing_call_is_a_result_that_the_model_sees(
    tmp_path: Path, name: str, arguments: str, kind: str
) -> None:
    bot = tool_bot(calls((name, arguments)), "I see")
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    returned = ran.one("tool.returned")
    assert (returned["ok"], returned["error_kind"]) == (False, kind)
    assert returned["result"]["error_kind"] == kind
    assert kind in bot.sent[1][-1]["content"]
    assert ran.said == ["hi", "I see"]


async def test_tool_messages_stay_in_the_history(tmp_path: Path) -> None:
    bot = tool_bot(calls(("add", '{"left": 2}')), "3", "bye")
    await run(scenario(bot, ["hi", "so"]), tmp_path)
    assert [m["role"] for m in bot.sent[2]] == ["user", "assistant", "tool", "assistant", "user"]


async def test_the_persona_sees_no_tool_messages(tmp_path: Path) -> None:
    models = FakeModels(user=["<end>"])
    bot = tool_bot(calls(("add", '{"left": 2}'), text="secret plan"), "three")
    await run(scenario(bot, persona=llm(opening="hi")), tmp_path, models=models)
    sent = models.clients["user"].sent[0]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]
    assert "secret plan" not in str(sent)
    assert "sum" not in str(sent)


async def test_finish_reason_tool_calls_without_calls_is_flagged(tmp_path: Path) -> None:
    bot = tool_bot(Reply("hm", finish_reason="tool_calls"))
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert [r["code"] for r in ran.of("warning")] == ["no_tool_calls"]
    assert bot.answered == 1
    assert ran.said == ["hi", "hm"]


async def test_used_up_rounds_are_a_truncation(tmp_path: Path) -> None:
    bot = tool_bot(calls(("add", '{"left": 2}')))
    ran = await run(scenario(bot, ["hi"], max_tool_rounds=3), tmp_path)
    assert bot.answered == 3
    assert ran.of("turn.committed")[1]["truncated"] is True
    assert ran.one("trailer")["truncated"] is True
    assert ran.ended == ("completed", "simulator"), "an empty truncated turn does not pause"


async def test_tool_call_pieces_without_an_index_are_kept_apart(tmp_path: Path) -> None:
    stream = [
        Delta(tool_calls=(ToolCallDelta(id="a", name="add", arguments='{"left"'),)),
        Delta(tool_calls=(ToolCallDelta(arguments=": 1}"),)),
        Delta(tool_calls=(ToolCallDelta(id="b", name="add", arguments='{"left": 5}'),)),
    ]
    ran = await run(scenario(tool_bot(stream, "ok"), ["hi"]), tmp_path)
    assert [r["result"] for r in ran.of("tool.returned")] == [{"sum": 2}, {"sum": 6}]


# --- budget


@pytest.mark.parametrize("action", ["pause", "stop"])
async def test_a_crossed_budget_ends_and_keeps_the_reply(tmp_path: Path, action: str) -> None:
    bot = Bot(costing("a", 6), costing("b", 6), costing("c", 6))
    what = scenario(bot, ["x"] * 9, budget={"tokens": 10, "on_exceeded": action})
    ran = await run(what, tmp_path)
    assert ran.said == ["x", "a", "x", "b"]
    assert ran.ended == ("budget", "harness")
    crossed = ran.one("budget.crossed")
    assert (crossed["what"], crossed["limit"], crossed["used"]) == ("tokens", 10, 12)


async def test_a_budget_fires_once(tmp_path: Path) -> None:
    bot = Bot(costing("a", 6, 0.3))
    what = scenario(bot, ["x"] * 5, budget={"cost": 0.5, "on_exceeded": "warn"})
    ran = await run(what, tmp_path)
    assert len(ran.of("budget.crossed")) == 1
    assert ran.ended == ("completed", "simulator")


async def test_a_crossed_budget_stops_tool_rounds(tmp_path: Path) -> None:
    reply = calls(("add", '{"left": 1}'))
    reply.usage = costing("", 50).usage
    bot = tool_bot(reply)
    ran = await run(scenario(bot, ["x"], budget={"tokens": 10, "on_exceeded": "stop"}), tmp_path)
    assert bot.answered == 1
    assert ran.ended == ("budget", "harness")


async def test_unknown_usage_does_not_cross_a_budget(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["x"], budget={"tokens": 1}), tmp_path)
    assert ran.ended == ("completed", "simulator")


# --- retries and deadlines


async def test_transient_failures_are_tried_four_times(tmp_path: Path) -> None:
    bot = Bot(ModelUnavailable("503"), RateLimited("429"), TransientProviderError("busy"), "ok")
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert ran.said == ["hi", "ok"]
    assert [r["n"] for r in ran.of("llm.retry")] == [1, 2, 3]
    assert len(ran.of("llm.request")) == 1, "it is one call"
    bot = Bot(ModelUnavailable("503"))
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert bot.answered == 4
    assert ran.ended == ("failed", "provider")
    assert ran.one("llm.failed")["error"]["type"] == "ModelUnavailable"


@pytest.mark.parametrize(
    "error", [AuthenticationFailed("x"), QuotaExceeded("x"), ValueError("x"), TimeoutError("x")]
)
async def test_nothing_else_is_tried_again(tmp_path: Path, error: Exception) -> None:
    bot = Bot(error)
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert bot.answered == 1
    assert not ran.of("llm.retry")
    assert ran.ended == ("failed", "provider")


def test_waiting_honours_retry_after_and_has_full_jitter() -> None:
    rules = RetryRules()
    assert rules.delay(1, RateLimited("x", retry_after=2.5)) == 2.5
    for attempt, most in ((1, 0.75), (2, 1.5), (3, 3.0), (9, 8.0)):
        waits = [rules.delay(attempt, RateLimited("x")) for _ in range(200)]
        assert all(0 <= wait <= most for wait in waits)
        assert max(waits) > most / 2 > min(waits)


async def test_a_dropped_stream_leaves_its_text_in_the_log(tmp_path: Path) -> None:
    from convtui.errors import StreamDropped

    bot = Bot([Delta(text="half"), StreamDropped("gone")], "whole")
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert ran.one("llm.retry")["partial"] == "half"
    assert ran.said == ["hi", "whole"]


async def test_the_deadline_is_ours(tmp_path: Path) -> None:
    class Hangs(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            self.answered += 1
            yield Delta(text="so far")
            await asyncio.Event().wait()

    ran = await run(scenario(Hangs(), ["hi"], turn_timeout=0.01), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert "turn_timeout" in ran.termination.reason
    assert ran.one("llm.failed")["partial"] == "so far"
    assert not ran.of("llm.retry"), "what own code has begun is not begun again"


async def test_a_model_that_is_late_is_asked_again(tmp_path: Path) -> None:
    class Late(FakeModel):
        async def stream(self, messages: Any, **_: Any) -> AsyncIterator[Delta]:
            self.sent.append(list(messages))
            yield Delta(text="so far")
            await asyncio.Event().wait()

    models = FakeModels()
    models.clients["user"] = Late("user", [])
    what = scenario(Bot(), persona=llm(), turn_timeout=0.01, retry={"attempts": 2, "base_delay": 0})
    ran = await run(what, tmp_path, models=models)
    assert len(models.clients["user"].sent) == 2
    assert ran.ended == ("failed", "simulator")
    assert ran.one("llm.failed")["error"]["type"] == "ModelTimeout"


# --- what providers may do wrong


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (None, "None instead of text: is a `return` missing?"),
        (b"bytes", "decode it first"),
        (7, "returned int instead of text"),
    ],
)
async def test_a_reply_that_is_no_text_is_named(tmp_path: Path, line: Any, says: str) -> None:
    async def generate(messages: Any) -> Any:
        return line

    class Simple(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            from convtui.providers.base import Provider

            async for delta in Provider.respond(self, request):
                yield delta

    ran = await run(scenario(Simple(generate_response=generate), ["hi"]), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert says in ran.termination.reason


@pytest.mark.parametrize(
    "error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), BaseException("odd")]
)
async def test_whatever_a_provider_raises_is_its_failure(
    tmp_path: Path, error: BaseException
) -> None:
    ran = await run(scenario(Bot(error), ["hi"]), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert ran.one("llm.failed")
    assert findings(ran.path) == []


async def test_respond_may_return_instead_of_yielding(tmp_path: Path) -> None:
    class Returns(Bot):
        async def respond(self, request: Request) -> Any:  # type: ignore[override]
            return "at once"

    assert (await run(scenario(Returns(), ["hi"]), tmp_path)).said == ["hi", "at once"]


async def test_a_provider_may_change_the_messages_it_was_given(tmp_path: Path) -> None:
    from convtui.log.reader import open_log
    from convtui.log.requests import digest, rebuild

    class Meddles(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            self.seen = [dict(m) for m in request.messages]
            for message in request.messages:
                message["content"] = "changed"
            request.messages.clear()
            yield Delta(text="ok")

    bot = Meddles()
    ran = await run(scenario(bot, ["a", "b"]), tmp_path)
    assert [m["content"] for m in bot.seen] == ["a", "ok", "b"]
    with open_log(ran.path) as log:
        for request in ran.of("llm.request"):
            assert digest(rebuild(request, log.reader.by_seq)) == request["sha256"]


async def test_hook_errors_fail_the_conversation_by_name(tmp_path: Path) -> None:
    class Broken(Bot):
        def post_process_response(self, text: str) -> str:
            raise IndexError("list index out of range")

    ran = await run(scenario(Broken("kept"), ["hi"]), tmp_path)
    assert ran.ended == ("failed", "provider")
    detail = ran.termination.detail or {}
    assert (detail["category"], detail["hook"]) == ("hook", "post_process_response")
    assert ran.one("llm.response")["raw"] == "kept"


@pytest.mark.parametrize(
    ("hook", "value", "says"),
    [
        ("extract_signals", None, "extract_signals returned NoneType"),
        ("extract_signals", [3], "a int among its signals"),
        ("post_process_response", None, "is a `return` missing?"),
    ],
)
async def test_hooks_that_return_nonsense_are_named(
    tmp_path: Path, hook: str, value: Any, says: str
) -> None:
    ran = await run(scenario(Bot("x", **{hook: lambda *_: value}), ["hi"]), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert says in ran.termination.reason


async def test_async_hooks_are_named(tmp_path: Path) -> None:
    async def later(text: str) -> str:
        return text

    ran = await run(scenario(Bot(post_process_response=later), ["hi"]), tmp_path)
    assert "must be a plain `def`" in ran.termination.reason


async def test_signals_may_be_given_as_declared_strings(tmp_path: Path) -> None:
    bot = Bot("oh [END]", extract_signals=lambda raw: ["[end]"])
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    (match,) = ran.of("signals.extracted")[1]["matches"]
    assert match == {"signal": "[end]", "matched": "[END]", "start": 3, "end": 8}
    assert ran.ended == ("early_termination", "provider")


async def test_a_retry_and_a_discard_are_told_apart_and_never_multiply(tmp_path: Path) -> None:
    busy = TransientProviderError("busy")
    bot = Drops(busy, "[ERROR] upstream failed", "well", signals=["[ERROR]"])
    ran = await run(scenario(bot, ["hi"], on_discard="retry 2"), tmp_path)
    assert ran.said == ["hi", "well"]
    assert bot.answered == 3
    (again,) = ran.of("llm.retry")
    (dropped,) = ran.of("turn.discarded")
    # The call is made again within turn 2; the reply that arrived is dropped, and the same side
    # is asked again as turn 3.
    assert (again["turn"], again["n"], again["attempt"]) == (2, 1, 1)
    assert (dropped["turn"], dropped["outcome"], dropped["attempt"]) == (2, "retry", 1)
    (said,) = (r for r in ran.of("turn.committed") if r["speaker"] == "provider")
    assert (said["turn"], said["attempt"]) == (3, 2)


async def test_loading_is_no_part_of_a_calls_time(tmp_path: Path) -> None:
    class Loads(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            await asyncio.sleep(1)
            yield Delta(begins=True)
            yield Delta(text="there")

    ran = await run(scenario(Loads(), ["hi"], turn_timeout=20), tmp_path)
    assert ran.said == ["hi", "there"]
    response = ran.one("llm.response")
    assert response["duration"] < 0.9 and response["ttft"] < 0.9
