"""The responder: exactly one decision, the first error kept, its own session, all outcomes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.conversation.commands import CommandHandler
from convtui.errors import BadModelRequest, ModelUnavailable
from convtui.log.reader import open_log
from convtui.log.requests import rebuild
from convtui.models.base import Delta, Reply, ToolCallDelta, Usage
from convtui.records.models import RecordDict, exit_code
from convtui.simulators.decisions import classify
from convtui.transcript.turns import Flag
from tests.builders.conversations import (
    Answer,
    Bot,
    FakeModel,
    FakeModels,
    Line,
    Ran,
    calls,
    resume,
    run,
    scenario,
)


def answer(text: str) -> Reply:
    return calls(("responder_reply", json.dumps({"answer": text})))


LLM = {"name": "Ann", "prompt": "a patient", "model": "fake/user"}
STOP = calls(("responder_stop", "{}"))


def abstain(reason: str) -> Reply:
    return calls(("responder_abstain", json.dumps({"reason": reason})))


def ida(max_followups: int = 3, **brief: Any) -> dict[str, Any]:
    brief = {"instructions": "Booking HT-9.", "max_followups": max_followups, **brief}
    return {"name": "Ida", "task": "Rebook me.", "model": "fake/user", "responder": brief}


def deciding(*lines: Line) -> FakeModels:
    return FakeModels(user=lines)


def user(models: FakeModels) -> FakeModel:
    return models.clients["user"]


async def talk(tmp_path: Path, *lines: Line, cap: int = 3, **fields: Any) -> tuple[Ran, FakeModel]:
    models = deciding(*lines)
    plan = fields.pop("plan", None)
    what = scenario(Bot("a1", "a2", "a3", "a4", "a5"), persona=ida(cap), **fields)
    return await run(what, tmp_path, models=models, plan=plan), user(models)


# --- outcomes


async def test_it_opens_with_the_task_and_replies_until_it_stops(tmp_path: Path) -> None:
    ran, model = await talk(tmp_path, answer("yes"), answer("the 9:15"), STOP)
    assert ran.said == ["Rebook me.", "a1", "yes", "a2", "the 9:15", "a3"]
    assert ran.ended == ("stopped", "responder")
    assert len(model.sent) == 3
    decisions = ran.of("user.decided")
    assert [d["kind"] for d in decisions] == ["reply", "reply", "stop"]
    first = decisions[0]
    assert first["side"] == "responder"
    assert first["tool"] == "responder_reply"
    assert first["arguments"] == {"answer": "yes"}
    assert (first["followup"], first["max_followups"]) == (1, 3)
    assert first["latency"] >= 0
    request = next(r for r in ran.records if r["seq"] == first["call"])
    assert request["type"] == "llm.request" and request["side"] == "responder"
    assert request["tools"] == ["responder_reply", "responder_stop", "responder_abstain"]


async def test_abstaining_is_an_error_of_its_own_kind(tmp_path: Path) -> None:
    ran, _ = await talk(tmp_path, abstain("the brief names no date"))
    assert ran.ended == ("abstained", "responder")
    assert ran.termination.reason == "the brief names no date"
    assert ran.said == ["Rebook me.", "a1"]
    assert exit_code(ran.termination.as_dict()) == 3


async def test_at_the_cap_it_is_asked_once_more_for_the_record(tmp_path: Path) -> None:
    ran, model = await talk(tmp_path, answer("one"), answer("two"), STOP, cap=2)
    assert ran.ended == ("cap_exhausted", "responder")
    assert ran.said == ["Rebook me.", "a1", "one", "a2", "two", "a3"]
    assert len(model.sent) == 3
    last = ran.of("user.decided")[-1]
    assert last["for_record"] is True and last["kind"] == "stop"
    assert ran.termination.detail == {"would_have_decided": {"kind": "stop"}}
    assert exit_code(ran.termination.as_dict()) == 0


@pytest.mark.parametrize(
    "last", [answer("three"), Reply("no tool"), ModelUnavailable("gone"), STOP]
)
async def test_whatever_it_says_at_the_cap_nothing_is_sent_and_nothing_fails(
    tmp_path: Path, last: Line
) -> None:
    ran, _ = await talk(tmp_path, answer("one"), answer("two"), last, cap=2)
    assert ran.ended == ("cap_exhausted", "responder")
    assert ran.said[-1] == "a3"


async def test_cap_exhausted_and_stopped_are_told_apart_where_it_was_done_at_the_cap(
    tmp_path: Path,
) -> None:
    """The last answer of the provider is judged, too."""
    done, _ = await talk(tmp_path / "a", answer("one"), STOP, cap=1)
    more, _ = await talk(tmp_path / "b", answer("one"), answer("more"), cap=1)
    assert done.termination.detail != more.termination.detail
    assert done.ended == more.ended == ("cap_exhausted", "responder")


# --- what is no decision


WRONG: dict[str, tuple[Line, str]] = {
    "none": (Reply("I think it went well."), "responder did not call a decision tool"),
    "empty": (Reply(""), "responder did not call a decision tool"),
    "blank answer": (
        calls(("responder_reply", '{"answer": "  "}')),
        "responder tool call invalid: responder_reply called with empty answer",
    ),
    "no answer": (
        calls(("responder_reply", "{}")),
        "responder tool call invalid: responder_reply called with empty answer",
    ),
    "blank reason": (
        calls(("responder_abstain", '{"reason": ""}')),
        "responder tool call invalid: responder_abstain called with empty reason",
    ),
    "undecodable": (
        calls(("responder_reply", '{"answer": "yes')),
        "responder tool call invalid: decode responder_reply arguments: ",
    ),
    "no object": (
        calls(("responder_stop", "[1]")),
        "responder tool call invalid: decode responder_stop arguments: ",
    ),
    "no text": (
        calls(("responder_reply", '{"answer": 7}')),
        "responder tool call invalid: decode responder_reply arguments: ",
    ),
    "twice": (
        calls(("responder_reply", '{"answer": "yes"}'), ("responder_stop", "{}")),
        "responder tool call invalid: responder called responder_stop after a decision was"
        " already recorded",
    ),
    "unknown": (
        calls(("responder_laugh", "{}")),
        "responder tool call invalid: responder_laugh is no decision tool",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_no_decision_fails_and_nothing_is_made_up(tmp_path: Path, name: str) -> None:
    line, message = WRONG[name]
    ran, _ = await talk(tmp_path, line)
    assert ran.ended == ("failed", "responder")
    assert ran.termination.reason.startswith(f"responder error: {message}")
    assert ran.termination.at_turn == 3
    assert (ran.termination.detail or {})["category"] == "responder"
    assert ran.said == ["Rebook me.", "a1"]
    decided = ran.one("user.decided")
    assert decided["kind"] == "error" and decided["valid"] is False
    assert decided["reason"].startswith(message)


async def test_the_first_error_is_kept_and_outranks_the_decision(tmp_path: Path) -> None:
    reply = calls(
        ("responder_reply", '{"answer": ""}'),
        ("responder_abstain", "{"),
        ("responder_reply", '{"answer": "fine"}'),
    )
    ran, _ = await talk(tmp_path, reply)
    decided = ran.one("user.decided")
    assert decided["reason"].endswith("responder_reply called with empty answer")
    assert [call.get("error") is None for call in decided["calls"]] == [False, False, True]
    assert decided["calls"][1]["raw_arguments"] == "{"


def test_the_first_decision_stays_visible_beside_the_second() -> None:
    decision = classify(
        calls(("responder_stop", "{}"), ("responder_reply", '{"answer": "no, wait"}'))
    )
    assert decision.kind == "error"
    assert [call["tool"] for call in decision.calls] == ["responder_stop", "responder_reply"]
    assert "error" not in decision.calls[0]


async def test_an_execution_error_without_a_decision(tmp_path: Path) -> None:
    ran, _ = await talk(tmp_path, BadModelRequest("the endpoint refuses it: context too long"))
    assert ran.ended == ("failed", "responder")
    assert ran.termination.reason.startswith(
        "responder error: responder execution failed: the endpoint refuses it"
    )
    assert ran.one("user.decided")["kind"] == "error"


def _pieces(name: str, arguments: str) -> Delta:
    return Delta(tool_calls=(ToolCallDelta(index=0, id="c1", name=name, arguments=arguments),))


async def test_an_execution_error_after_a_decision_leaves_the_decision_standing(
    tmp_path: Path,
) -> None:
    dies: list[Delta | BaseException] = [
        _pieces("responder_reply", '{"answer": "yes"}'),
        ModelUnavailable("cut off"),
    ]
    ran, model = await talk(tmp_path, dies, STOP)
    assert ran.said[2] == "yes"
    assert ran.ended == ("stopped", "responder")
    assert len(model.sent) == 2, "a decision that stands is not asked for again"
    response = next(r for r in ran.of("llm.response") if r["side"] == "responder")
    assert response["error"]["message"] == "cut off"


async def test_half_a_decision_does_not_stand(tmp_path: Path) -> None:
    dies: list[Delta | BaseException] = [
        _pieces("responder_reply", '{"answer": "y'),
        ModelUnavailable("cut off"),
    ]
    ran, model = await talk(tmp_path, dies, answer("yes"), STOP)
    assert ran.said[2] == "yes"
    assert len(model.sent) == 3
    assert ran.of("llm.retry")[0]["side"] == "responder"


# --- its session


async def test_the_brief_is_sent_once_and_the_session_goes_on(tmp_path: Path) -> None:
    _, model = await talk(tmp_path, answer("yes"), answer("no"), STOP)
    whole = json.dumps(model.sent[-1])
    assert whole.count("Booking HT-9.") == 1
    assert "Booking HT-9." in model.sent[0][0]["content"]
    assert [m["role"] for m in model.sent[1]] == ["user", "assistant", "tool", "user"]
    assert model.sent[1][: len(model.sent[0])] == model.sent[0]
    assert model.sent[2][: len(model.sent[1])] == model.sent[1]
    assert model.sent[1][1]["tool_calls"][0]["function"]["name"] == "responder_reply"
    assert "a2" in model.sent[1][-1]["content"] and "a1" not in model.sent[1][-1]["content"]


async def test_its_log_rebuilds_exactly_what_was_sent(tmp_path: Path) -> None:
    ran, model = await talk(tmp_path, answer("yes"), answer("no"), STOP)
    asked = [r for r in ran.of("llm.request") if r["side"] == "responder"]
    by_seq = {r["seq"]: r for r in ran.records}
    assert [rebuild(r, by_seq.__getitem__) for r in asked] == model.sent


async def test_its_usage_is_counted_apart(tmp_path: Path) -> None:
    reply = answer("yes")
    reply.usage = Usage(prompt_tokens=10, completion_tokens=2)
    ran, _ = await talk(tmp_path, reply, STOP)
    usage = ran.one("trailer")["totals"]["usage"]
    assert usage["responder"]["tokens"] == 12
    assert "tokens" not in usage.get("persona", {}) and "tokens" not in usage["provider"]


async def test_its_session_is_closed_once_on_every_way_out(tmp_path: Path) -> None:
    ends: list[tuple[str, Line]] = [
        ("stop", STOP),
        ("error", Reply("x")),
        ("dies", BadModelRequest("no")),
    ]
    for name, line in ends:
        ran, _ = await talk(tmp_path / name, answer("yes"), line)
        closed = ran.one("user.closed")
        assert closed["calls"] == 2 and closed["outcome"] == "ok"
        assert ran.types.index("user.closed") < ran.types.index("user.cleanup")


async def test_a_responder_that_was_never_asked_has_no_session_to_close(tmp_path: Path) -> None:
    what = scenario(Bot(RuntimeError("down")), persona=ida())
    ran = await run(what, tmp_path, models=deciding(STOP))
    assert ran.ended == ("failed", "provider")
    assert not ran.of("user.closed") and not ran.of("user.decided")


async def test_it_begins_anew_with_each_session_unless_it_remembers(tmp_path: Path) -> None:
    for memory, times, closings in (("session", 2, 2), ("conversation", 1, 1)):
        models = deciding(answer("yes"), STOP, answer("again"), STOP)
        what = scenario(Bot(), persona=ida(), sessions=["one", "two"], persona_memory=memory)
        ran = await run(what, tmp_path / memory, models=models)
        briefs = sum("Booking HT-9." in m[0]["content"] and len(m) == 1 for m in user(models).sent)
        assert briefs == times
        assert len(ran.of("user.closed")) == closings


async def test_two_conversations_do_not_share_a_session(tmp_path: Path) -> None:
    models = [deciding(answer("yes"), answer("no"), STOP) for _ in range(2)]
    ran = await asyncio.gather(
        *(
            run(scenario(Bot(), persona=ida()), tmp_path / str(n), models=each)
            for n, each in enumerate(models)
        )
    )
    assert ran[0].said == ran[1].said
    assert user(models[0]).sent == user(models[1]).sent


# --- by hand


def release(choice: str, **edits: Any) -> Answer:
    """Answers a hold with a choice that has the name of a command."""

    def answer(desk: CommandHandler, hold: RecordDict) -> None:
        arguments = {"hold": hold["hold"], "choice": choice, "edits": edits}
        desk.carry_out("release", arguments)

    return answer


def take_over(side: str) -> Answer:
    """Takes a side over, wherever it is held, and lets it come to that."""

    def answer(desk: CommandHandler, hold: RecordDict) -> None:
        desk.carry_out("take_over", {"side": side})
        if hold["side"] != side:
            desk.carry_out("run", {})

    return answer


async def test_an_answer_that_was_edited_is_told_to_it(tmp_path: Path) -> None:
    models = deciding(answer("yes"), STOP)
    what = scenario(Bot("a1", "a2"), persona=ida(), breakpoints=["~decision reply"])
    ran = await run(what, tmp_path, models=models, plan=[("reply", {"raw": "no, Sunday"})])
    assert ran.said[2] == "no, Sunday"
    own, forced = ran.of("user.decided")[:2]
    assert own["by"] == "responder" and own["arguments"] == {"answer": "yes"}
    assert forced["by"] == "human" and forced["arguments"] == {"answer": "no, Sunday"}
    committed = next(r for r in ran.of("turn.committed") if r["turn"] == 3)
    assert committed["human"] and committed["edited"]
    told = user(models).sent[1][-1]["content"]
    assert "no, Sunday" in told and "not sent" in told


async def test_a_decision_can_be_forced(tmp_path: Path) -> None:
    for kind, ending in (("stop", "stopped"), ("abstain", "abstained")):
        models = deciding(answer("yes"))
        what = scenario(Bot(), persona=ida(), breakpoints=["~decision reply"])
        plan = [release(kind, reason="enough"), "end"]
        ran = await run(what, tmp_path / kind, models=models, plan=plan)
        assert ran.ended == (ending, "human")
        assert ran.termination.reason == "enough"
        assert [d["by"] for d in ran.of("user.decided")] == ["responder", "human"]
        assert ran.driver.where[0] == ("breakpoint", "response")


async def test_a_stop_can_be_turned_into_a_reply(tmp_path: Path) -> None:
    models = deciding(STOP, STOP)
    what = scenario(Bot(), persona=ida(), breakpoints=["~decision stop"])
    ran = await run(what, tmp_path, models=models, plan=[("reply", {"raw": "one more"}), "go"])
    assert ran.said[2] == "one more"
    assert "one more" in user(models).sent[1][-1]["content"]


async def test_a_missing_decision_holds_and_can_be_made_by_hand(tmp_path: Path) -> None:
    models = deciding(Reply("hm"), STOP)
    plan = [("reply", {"raw": "yes please"})]
    ran = await run(scenario(Bot(), persona=ida()), tmp_path, models=models, plan=plan)
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["stage"]) == ("error", "response")
    assert [c["id"] for c in hold["choices"]] == [
        "again", "reply", "stop", "abstain", "skip", "fail",
    ]  # fmt: skip
    assert hold["drafts"][0]["decision"]["kind"] == "error"
    assert ran.said[2] == "yes please"
    assert ran.ended == ("stopped", "responder")


async def test_a_missing_decision_that_is_to_fail_is_asked_about_once(tmp_path: Path) -> None:
    ran = await run(
        scenario(Bot(), persona=ida()), tmp_path, models=deciding(Reply("hm")), plan=["fail"]
    )
    assert ran.driver.where == [("error", "response")]
    assert ran.ended == ("failed", "responder")


async def test_it_can_be_asked_again_with_an_edited_brief(tmp_path: Path) -> None:
    models = deciding(abstain("no date"), answer("Friday"), STOP)
    what = scenario(Bot(), persona=ida(), breakpoints=["~decision abstain"])
    plan = [("again", {"instructions": "Booking HT-9. On Friday."})]
    ran = await run(what, tmp_path, models=models, plan=plan)
    assert ran.said[2] == "Friday"
    first, second = ran.of("user.decided")[:2]
    assert (first["kind"], second["kind"]) == ("abstain", "reply")
    assert (first["attempt"], second["attempt"]) == (1, 2)
    assert first.get("brief_edited") is None and second["brief_edited"] is True
    edited = ran.one("debug.edited")
    assert edited["field"] == "brief" and edited["after"] == "Booking HT-9. On Friday."
    assert "On Friday" in user(models).sent[1][0]["content"]
    assert len(user(models).sent[1]) == 1, "what was not said is not part of its session"


async def test_past_the_cap_it_says_what_it_would_have_said(tmp_path: Path) -> None:
    models = deciding(answer("one"), answer("two"), STOP)
    what = scenario(Bot(), persona=ida(1))
    ran = await run(what, tmp_path, models=models, plan=["override"])
    assert ran.said[-2:] == ["two", "fine"]
    assert ran.ended == ("cap_exhausted", "responder")
    assert ran.termination.reason == "all 2 follow-ups are used up"
    assert len(user(models).sent) == 3, "it was not asked for it again"
    assert [m["role"] for m in user(models).sent[2]] == [
        "user", "assistant", "tool", "user", "assistant", "tool", "user",
    ]  # fmt: skip
    models = deciding(STOP)
    child = await resume(
        ran.path, tmp_path, what, seq=ran.of("turn.committed")[-1]["seq"], models=models
    )
    assert child.of("user.decided")[0]["followup"] == 3


async def test_an_end_that_was_overridden_is_not_asked_for_twice(tmp_path: Path) -> None:
    models = deciding(answer("one"), STOP, answer("well then"), STOP)
    ran = await run(scenario(Bot(), persona=ida()), tmp_path, models=models, plan=["override"])
    assert ran.said[-2] == "well then"
    asked = [messages[-1]["content"] for messages in user(models).sent]
    assert ["goes on all the same" in text for text in asked] == [False, False, True, False]
    first = deciding(STOP, answer("well then"), STOP)
    ran = await run(
        scenario(Bot(), persona=ida()), tmp_path / "first", models=first, plan=["override"]
    )
    assert "goes on all the same" in user(first).sent[1][0]["content"]


async def test_a_turn_whose_ending_was_overridden_waits_for_nothing(tmp_path: Path) -> None:
    models = deciding(answer("one"), STOP, answer("two"), STOP)
    ran = await run(scenario(Bot(), persona=ida()), tmp_path, models=models, plan=["override"])
    assert ran.said[-2:] == ["two", "fine"]
    with open_log(ran.path) as log:
        turns = [turn for turn in log.transcript.turns if turn.flags & Flag.WOULD_END]
        assert [(turn.status, turn.note) for turn in turns] == [("ended", "stop")]


# --- going on


async def test_its_session_is_taken_along(tmp_path: Path) -> None:
    what = scenario(Bot("a1", "a2", "a3"), persona=ida())
    ran = await run(what, tmp_path, models=deciding(answer("yes"), answer("no"), STOP))
    models = deciding(answer("other"), STOP)
    started = next(r for r in ran.of("turn.started") if r["turn"] == 5)
    child = await resume(
        ran.path, tmp_path, what, seq=started["seq"] - 1, kind="rewind", models=models
    )
    asked = user(models).sent[0]
    assert [m["role"] for m in asked] == ["user", "assistant", "tool", "user"]
    assert "Booking HT-9." in asked[0]["content"]
    assert "fine" not in asked[0]["content"] and "a2" in asked[-1]["content"]
    assert child.of("user.decided")[0]["followup"] == 2


async def test_an_edited_brief_is_taken_along(tmp_path: Path) -> None:
    what = scenario(Bot("a1", "a2"), persona=ida(), breakpoints=["~decision abstain"])
    plan: list[Answer] = [("again", {"instructions": "Booking HT-9. On Friday."})]
    ran = await run(
        what, tmp_path, plan=plan, models=deciding(abstain("no date"), answer("Friday"), STOP)
    )
    for turn, messages in ((5, 4), (3, 1)):
        models = deciding(STOP)
        started = next(r for r in ran.of("turn.started") if r["turn"] == turn)
        child = await resume(
            ran.path, tmp_path, scenario(Bot(), persona=ida()), seq=started["seq"] - 1,
            kind="rewind", models=models,
        )  # fmt: skip
        asked = user(models).sent[0]
        assert len(asked) == messages
        # Before the turn in which it was edited it had not been edited yet.
        assert ("On Friday" in asked[0]["content"]) is (turn == 5)
        assert child.of("user.decided")[0].get("brief_edited") is (True if turn == 5 else None)


async def test_a_changed_scenario_has_the_last_word_on_the_brief(tmp_path: Path) -> None:
    what = scenario(Bot("a1", "a2"), persona=ida())
    ran = await run(what, tmp_path, models=deciding(answer("yes"), STOP))
    started = next(r for r in ran.of("turn.started") if r["turn"] == 5)
    models = deciding(STOP)
    other = scenario(Bot(), persona=ida(instructions="Booking XY-1."))
    child = await resume(
        ran.path, tmp_path, other, seq=started["seq"] - 1, kind="rewind", models=models
    )
    asked = user(models).sent[0]
    assert len(asked) == 4
    assert "Booking XY-1." in asked[0]["content"] and "HT-9" not in json.dumps(asked)
    assert child.of("user.decided")[0]["brief_edited"] is True


async def test_a_decision_that_was_made_is_not_asked_for_again(tmp_path: Path) -> None:
    what = scenario(Bot("a1", "a2"), persona=ida())
    ran = await run(what, tmp_path, models=deciding(answer("yes"), STOP))
    decided = ran.of("user.decided")[0]
    models = deciding(STOP)
    child = await resume(ran.path, tmp_path, what, seq=decided["seq"], models=models)
    assert child.said[0] == "yes"
    reused = child.of("llm.response")[0]
    assert reused["side"] == "responder" and reused["reused"]["seq"] == decided["seq"] - 1
    assert len(user(models).sent) == 1
    # And the grandchild still knows the question that the grandparent asked.
    after = child.of("turn.committed")[-1]["seq"]
    models = deciding(STOP)
    await resume(child.path, tmp_path, what, seq=after, models=models)
    assert "Booking HT-9." in user(models).sent[0][0]["content"]
    assert [m["role"] for m in user(models).sent[0]] == ["user", "assistant", "tool", "user"]


async def test_a_forced_decision_is_taken_along(tmp_path: Path) -> None:
    what = scenario(Bot(), persona=ida(), breakpoints=["~decision reply"])
    ran = await run(
        what, tmp_path, models=deciding(answer("yes"), STOP), plan=[("reply", {"raw": "mine"})]
    )
    forced = ran.of("user.decided")[1]
    unbroken = scenario(Bot(), persona=ida())
    child = await resume(ran.path, tmp_path, unbroken, seq=forced["seq"], models=deciding(STOP))
    assert child.said[0] == "mine"


async def test_a_failed_decision_is_asked_for_again(tmp_path: Path) -> None:
    what = scenario(Bot(), persona=ida())
    ran = await run(what, tmp_path, models=deciding(Reply("hm")))
    assert ran.ended == ("failed", "responder")
    models = deciding(answer("yes"), STOP)
    child = await resume(ran.path, tmp_path, what, models=models)
    assert child.said[0] == "yes"


async def test_rewinding_forgets_what_was_said_after(tmp_path: Path) -> None:
    what = scenario(Bot("a1", "a2"), persona=ida())
    ran = await run(what, tmp_path, models=deciding(answer("yes"), answer("no"), STOP))
    models = deciding(STOP)
    started = next(r for r in ran.of("turn.started") if r["turn"] == 3)
    await resume(ran.path, tmp_path, what, seq=started["seq"] - 1, kind="rewind", models=models)
    assert len(user(models).sent[0]) == 1


# --- JSON


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"tool": "responder_reply", "arguments": {"answer": "yes"}}', "reply"),
        ('```json\n{"tool": "responder_stop", "arguments": {}}\n```', "stop"),
        ('{"tool": "responder_stop"}', "stop"),
        ('{"tool": "responder_abstain", "arguments": {"reason": "x"}}', "abstain"),
        ('{"tool": "responder_reply", "arguments": {"answer": " "}}', "error"),
        ('{"tool": "responder_reply", "arguments": "yes"}', "error"),
        ('{"tool": "responder_reply", "arguments": {"answer": "ye', "error"),
        ('{"tool": "responder_stop"} {"tool": "responder_stop"}', "stop"),
        (
            'I could {"tool": "responder_stop"}, but no: {"tool": "responder_reply",'
            ' "arguments": {"answer": "yes"}}',
            "reply",
        ),
        ('The brief says {Saturday}, so:\n{"tool": "responder_stop"}', "stop"),
        ('{"tool": "responder_stop"} is it, as in {this}.', "stop"),
        ('{"thoughts": "x", "action": {"tool": "responder_stop"}}', "stop"),
        ('[{"tool": "responder_stop", "arguments": {}}]', "stop"),
        ('{"name": "responder_stop", "arguments": {}}', "stop"),
        ('{"tool": "responder_reply", "arguments": {"answer": "Saturday,\nplease."}}', "reply"),
        ('{"tool": "responder_stop"} or {"tool": "responder_reply", "argum', "error"),
        (
            '<think>{"tool": "responder_stop"}</think>{"tool": "responder_reply",'
            ' "arguments": {"answer": "yes"}}',
            "reply",
        ),
        (
            '{"tool": "responder_stop"}\n</think>\n{"tool": "responder_reply",'
            ' "arguments": {"answer": "yes"}}',
            "reply",
        ),
        ('[THINK]{"tool": "responder_stop"}[/THINK]', "error"),
        ('<think>{"tool": "responder_stop"}', "error"),
        ('{"tool": "responder_reply", "arguments": {"answer": "<think>hm</think>yes"}}', "reply"),
        ('{"tool": "responder_reply", "arguments": {"answer": "<think>hm</think>"}}', "error"),
        ("I would stop here.", "error"),
        ("", "error"),
        ("{{{{", "error"),
    ],
)
def test_a_json_answer_is_the_last_whole_decision(text: str, kind: str) -> None:
    assert classify(Reply(text), as_json=True).kind == kind


def test_a_decision_that_was_only_thought_is_on_record_and_decides_nothing() -> None:
    text = (
        '<think>{"tool": "responder_stop"}</think>'
        '{"tool": "responder_reply", "arguments": {"answer": "yes"}}'
    )
    decision = classify(Reply(text), as_json=True)
    assert decision.arguments == {"answer": "yes"}
    assert [call.get("inside") for call in decision.calls] == ["reasoning", None]
    nothing = classify(Reply('<think>{"tool": "responder_stop"}'), as_json=True)
    assert "inside its reasoning" in (nothing.reason or "")


async def test_the_answer_of_a_decision_is_said_without_its_reasoning(tmp_path: Path) -> None:
    lines: list[Line] = [answer("<think>hm</think>Saturday."), STOP]
    ran, model = await talk(tmp_path, *lines)
    assert ran.said[2] == "Saturday."
    assert ran.of("turn.committed")[2]["reasoning_cut"] == len("<think>hm</think>")
    # What was said is what it had answered: the next question does not speak of another text.
    assert "was not sent as it was" not in model.sent[1][-1]["content"]


async def test_an_endpoint_without_tools_is_asked_for_json(tmp_path: Path) -> None:
    lines: list[Line] = [
        BadModelRequest("this model does not support tools"),
        Reply('{"tool": "responder_reply", "arguments": {"answer": "yes"}}'),
        Reply('{"tool": "responder_stop", "arguments": {}}'),
    ]
    ran, model = await talk(tmp_path, *lines)
    assert ran.said[2] == "yes"
    assert ran.ended == ("stopped", "responder")
    assert [w["code"] for w in ran.of("warning") if w["code"] == "responder_json"] == [
        "responder_json"
    ]
    assert '{"tool": "responder_stop"' in model.sent[1][-1]["content"]


# --- take-over


async def test_a_draft_is_made_when_asked_for_and_can_be_edited(tmp_path: Path) -> None:
    models = deciding(answer("Saturday would be fine"), STOP)
    what = scenario(Bot(), persona=ida())
    plan = [
        ("say", {"text": "hello"}),
        "draft",
        ("say", {"text": "Sunday would be fine"}),
        "hand_back",
    ]
    ran = await run(what, tmp_path, models=models, plan=[take_over("persona"), *plan], paused=True)
    assert ran.said[:4] == ["hello", "fine", "Sunday would be fine", "fine"]
    drafted = ran.driver.holds[3]
    assert drafted["drafts"][0]["text"] == "Saturday would be fine"
    assert drafted["drafts"][0]["draft"] is True
    committed = [r for r in ran.of("turn.committed") if r["speaker"] == "persona"]
    assert [r.get("draft") for r in committed] == [None, "edited"]
    assert all(r["human"] for r in committed)


async def test_a_draft_sent_as_it_is_and_one_let_through(tmp_path: Path) -> None:
    models = FakeModels(user=["one", "two", "three"])
    what = scenario(Bot(), persona=LLM, max_turns=6)

    plan = [
        take_over("persona"),
        "draft",
        ("say", {"text": "one"}),
        "draft",
        "simulate",
        "hand_back",
    ]
    ran = await run(what, tmp_path, models=models, plan=plan, paused=True)
    first, second, third = (r for r in ran.of("turn.committed") if r["speaker"] == "persona")
    assert (first["text"], first["draft"], first["human"]) == ("one", "sent", True)
    assert (second["text"], second.get("human")) == ("two", None)
    assert third["text"] == "three"
    assert len(user(models).sent) == 3, "a draft is not asked for twice"


async def test_the_provider_can_be_taken_over_with_its_own_draft(tmp_path: Path) -> None:
    bot = Bot("own words")
    plan = [take_over("provider"), "draft", ("say", {"text": "nothing alike: 12345"}), "hand_back"]
    ran = await run(scenario(bot, ["a", "b"]), tmp_path, plan=plan, paused=True)
    said = [r for r in ran.of("turn.committed") if r["speaker"] == "provider"]
    assert (said[0]["text"], said[0]["human"], said[0]["draft"]) == (
        "nothing alike: 12345", True, "replaced",
    )  # fmt: skip
    assert said[1].get("human") is None
    assert len(bot.requests) == 2


async def test_a_draft_that_fails_loses_nothing(tmp_path: Path) -> None:
    bot = Bot(RuntimeError("down"), "up")
    plan = [take_over("provider"), "draft", ("say", {"text": "by hand"}), "hand_back"]
    ran = await run(scenario(bot, ["a", "b"]), tmp_path, plan=plan, paused=True)
    assert "down" in ran.driver.holds[2]["detail"]
    assert ran.said[1] == "by hand"


async def test_a_draft_that_would_end_is_told_and_can_be_let_be(tmp_path: Path) -> None:
    models = deciding(STOP)
    plan = [take_over("persona"), "simulate", "draft", "simulate"]
    ran = await run(scenario(Bot(), persona=ida()), tmp_path, models=models, plan=plan, paused=True)
    assert "would stop here" in ran.driver.holds[3]["detail"]
    assert ran.ended == ("stopped", "responder")
    assert len(user(models).sent) == 1


async def test_a_human_can_stop_or_abstain_for_the_responder(tmp_path: Path) -> None:
    plan = [take_over("persona"), "simulate", ("abstain", {"reason": "cannot know"})]
    ran = await run(
        scenario(Bot(), persona=ida()), tmp_path, models=deciding(STOP), plan=plan, paused=True
    )
    assert ran.ended == ("abstained", "human")
    assert ran.one("user.decided")["by"] == "human"


# --- the log


async def test_the_log_folds_and_checks(tmp_path: Path) -> None:
    ran, _ = await talk(tmp_path, answer("yes"), STOP)
    with open_log(ran.path) as log:
        assert not log.findings
        turns = log.transcript.turns
        assert turns[2].text == "yes" and turns[2].note == "reply"
        assert log.transcript.totals["responder"].calls == 2


@pytest.mark.parametrize(
    "written",
    [
        {"tool": "responder_reply", "arguments": {"answer": "Saturday."}},
        {"name": "responder_reply", "parameters": {"answer": "Saturday."}},
        {"type": "function", "name": "responder_reply", "arguments": '{"answer": "Saturday."}'},
        {"name": "responder_reply", "input": {"answer": "Saturday."}},
        {"function": {"name": "responder_reply", "args": {"answer": "Saturday."}}},
        {"tool": "responder_reply", "answer": "Saturday."},
    ],
)
def test_a_written_call_has_its_arguments_where_models_put_them(written: dict[str, Any]) -> None:
    decision = classify(Reply(json.dumps(written)), as_json=True)
    assert (decision.kind, decision.arguments) == ("reply", {"answer": "Saturday."})


def test_arguments_that_are_no_object_are_refused() -> None:
    for arguments in ("Saturday.", ["Saturday."], 7):
        text = json.dumps({"tool": "responder_reply", "arguments": arguments})
        decision = classify(Reply(text), as_json=True)
        assert decision.kind == "error"
        assert "an object was expected" in (decision.reason or "")
