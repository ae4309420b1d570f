"""Warm starts: what a template puts before the history, in every request and every log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.conversation.wiring import EngineModels
from convtui.errors import UsageError
from convtui.log.reader import open_log
from convtui.log.requests import digest, rebuild
from convtui.models.base import Message
from tests.builders.conversations import (
    Bot,
    FakeModels,
    Ran,
    calls,
    cut_turn,
    resume,
    run,
    scenario,
)
from tests.engine.rehook.test_replayed_hooks import again
from tests.fakes.openai_script import FakeCall, FakeReply
from tests.fakes.openai_server import OpenAIServerThread
from tests.fakes.strict_roles import wrong_order

SCRIPT = ["one", "two"]
ROLES = ["user", "assistant", "tool", "assistant"] * 2


@pytest.fixture(autouse=True)
def template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The template "agent" in the user's folder."""
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    path = tmp_path / "home" / "data" / "warm" / "agent.json"
    path.parent.mkdir(parents=True)
    patterns = [
        {"tool_name": "look_up", "arguments": {"code": "A7"}, "preceding_context": "Where is A7?"},
        {"tool_name": "book", "arguments": {}, "result_summary": "booked for {who}"},
    ]
    data = {"patterns": patterns, "system_prompt_addendum": "Be brief.", "slots": {"who": "Ada"}}
    path.write_text(json.dumps(data))
    return path


def look_up(code: str) -> str:
    """Looks up a code."""
    return f"found {code}"


def book() -> str:
    """Books."""
    return "booked"


def warm(bot: Bot, **fields: Any) -> Any:
    return scenario(bot, fields.pop("script", SCRIPT), warm=fields.pop("warm", "agent"), **fields)


def assert_warm(sent: list[Message], *, own: str = "") -> list[Message]:
    """That a request begins with the warm context; returns what follows it."""
    assert sent[0]["role"] == "system"
    assert sent[0]["content"] == f"{own}\n\n[WARM SESSION] Be brief.".strip()
    assert [m["role"] for m in sent[1:9]] == ROLES
    assert sent[1]["content"] == "Where is A7?"
    assert sent[7]["content"] == "booked for Ada"
    assert wrong_order(sent) == ""
    return sent[9:]


def rebuilt(ran: Ran, side: str = "provider") -> list[list[Any]]:
    """The messages of every request of a side, as the log has them, digests verified."""
    requests = []
    with open_log(ran.path) as log:
        for record in log.records():
            if record["type"] == "llm.request" and record["side"] == side:
                requests.append(rebuild(record, log.reader.by_seq))
                assert digest(requests[-1]) == record["sha256"]
    return requests


async def test_every_request_of_every_session_begins_with_the_template(tmp_path: Path) -> None:
    bot = Bot("a1", "a2", "a3", "a4", system_prompt="You are a desk.", tools=[look_up, book])
    ran = await run(warm(bot, sessions=["intake", "refund"]), tmp_path)
    assert ran.said == ["one", "a1", "two", "a2"] * 1 + ["one", "a3", "two", "a4"]
    rest = [assert_warm(sent, own="You are a desk.") for sent in bot.sent]
    assert [[m["content"] for m in messages] for messages in rest] == [
        ["one"],
        ["one", "a1", "two"],
        ["one"],
        ["one", "a3", "two"],
    ]
    assert rebuilt(ran) == bot.sent, "the log has exactly what was sent"


async def test_the_log_says_what_was_injected_once(tmp_path: Path, template: Path) -> None:
    ran = await run(warm(Bot("a1", "a2", tools=[look_up, book])), tmp_path)
    seeded = ran.one("context.seeded")
    assert ran.types.index("context.seeded") == 1, "before anything that can fail"
    assert (seeded["template"], seeded["file"]) == ("agent", str(template))
    assert (seeded["count"], seeded["patterns"], seeded["slots"]) == (8, 2, {"who": "Ada"})
    assert len(seeded["sha256"]) == 64
    assert [m["role"] for m in seeded["messages"]] == ROLES
    assert ran.records[0]["scenario"]["warm"]["use"] == "agent"
    first, second = ran.of("llm.request")
    assert len(first["append"]) == 10 and len(second["append"]) == 2, "growth stays linear"
    assert not ran.of("warning")


async def test_a_provider_that_speaks_first_is_asked_after_the_template(tmp_path: Path) -> None:
    bot = Bot("hello", "a2", tools=[look_up, book])
    ran = await run(warm(bot, first_speaker="provider"), tmp_path)
    assert ran.said[:2] == ["hello", "one"]
    assert [m["role"] for m in assert_warm(bot.sent[0])] == ["user"]
    assert [m["role"] for m in assert_warm(bot.sent[1])] == ["user", "assistant", "user"]


async def test_rounds_of_tools_stand_after_the_template(tmp_path: Path) -> None:
    bot = Bot(calls(("look_up", '{"code": "B"}')), "a1", tools=[look_up, book])
    await run(warm(bot, script=["one"]), tmp_path)
    assert [m["role"] for m in assert_warm(bot.sent[1])] == ["user", "assistant", "tool"]


async def test_the_simulated_user_never_sees_it(tmp_path: Path) -> None:
    models = FakeModels(user=["hi there", "and now?", "bye <END OF CONVERSATION>"])
    persona = {"name": "Maya", "simulator": "llm", "model": "fake/user", "prompt": "You are Maya."}
    bot = Bot("a1", "a2", tools=[look_up, book])
    ran = await run(warm(bot, persona=persona), tmp_path, models=models)
    assert ran.ended == ("early_termination", "persona")
    sent = json.dumps(models.clients["user"].sent)
    assert "A7" not in sent and "WARM" not in sent and "booked" not in sent
    assert all(assert_warm(sent) for sent in bot.sent)


async def test_tools_that_are_shown_and_not_offered_are_said(tmp_path: Path) -> None:
    ran = await run(warm(Bot("a1", "a2", tools=[look_up])), tmp_path)
    warning = ran.one("warning")
    assert warning["code"] == "warm_tools" and warning["message"].count("look_up") == 0
    assert "book" in warning["message"]


class Desk:
    """As VERA-MH's clients are: it gets the turns."""

    bespoke_termination_signals: tuple[str, ...] = ()

    async def start_conversation(self) -> str:
        return "hello"

    async def generate_response(self, conversation_history: list[dict[str, Any]] | None) -> str:
        assert all(turn["response"] != "Where is A7?" for turn in conversation_history or ())
        return "a"


async def test_a_class_that_gets_turns_alone_is_told_of(tmp_path: Path) -> None:
    from tests.builders.conversations import plant

    what = scenario(None, SCRIPT, warm="agent", config={"use": plant(Desk)})
    ran = await run(what, tmp_path)
    assert ran.one("warning")["code"] == "warm_unseen"


async def test_slots_are_filled_at_the_start(tmp_path: Path) -> None:
    bot = Bot("a1", tools=[look_up, book])
    chosen = {"use": "agent", "slots": {"who": "Bo"}, "max_patterns": 2}
    await run(warm(bot, warm=chosen, script=["one"]), tmp_path)
    assert bot.sent[0][7]["content"] == "booked for Bo"
    with pytest.raises(UsageError, match="has no slot 'wo', did you mean 'who'"):
        await run(warm(bot, warm={"use": "agent", "slots": {"wo": "Bo"}}), tmp_path)


async def test_a_template_that_cannot_be_used_is_refused_before_there_is_a_log(
    tmp_path: Path, template: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="no warm template 'agnt', did you mean 'agent'"):
        await run(warm(Bot("x"), warm="agnt"), out)
    template.write_text("{")
    with pytest.raises(UsageError, match="is not JSON"):
        await run(warm(Bot("x")), out)
    assert not out.exists()


# --- going on


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "changed"])
async def test_what_goes_on_keeps_what_it_began_with(
    tmp_path: Path, template: Path, gone: bool
) -> None:
    parent = await run(warm(Bot("a1", "a2"), max_turns=2), tmp_path)
    if gone:
        template.unlink()
    else:
        template.write_text('{"patterns": [], "system_prompt_addendum": "Shout."}')
    bot = Bot("a2", tools=[look_up, book])
    child = await resume(parent.path, tmp_path, warm(bot))
    assert [m["content"] for m in assert_warm(bot.sent[0])] == ["one", "a1", "two"]
    assert child.types[:3] == ["header", "history.seeded", "context.seeded"]
    same = ("template", "sha256", "messages", "addendum", "slots", "count")
    for name in same:
        assert child.one("context.seeded")[name] == parent.one("context.seeded")[name]
    again = Bot("a2", tools=[look_up, book])
    grandchild = await cut_turn(child, 4, tmp_path, warm(again))
    assert [m["content"] for m in assert_warm(again.sent[0])] == ["one", "a1", "two"]
    assert rebuilt(grandchild) == again.sent


async def test_a_conversation_is_rewound_to_its_first_turn_warm(tmp_path: Path) -> None:
    parent = await run(warm(Bot("a1", "a2")), tmp_path)
    bot = Bot("b1", "b2", tools=[look_up, book])
    child = await cut_turn(parent, 1, tmp_path, warm(bot))
    assert child.said == ["one", "b1", "two", "b2"]
    assert all(assert_warm(sent) for sent in bot.sent)


async def test_a_log_that_was_cut_off_anywhere_goes_on_as_warm_as_it_began(
    tmp_path: Path, template: Path
) -> None:
    whole = await run(warm(Bot("a1", "a2", tools=[look_up, book])), tmp_path / "whole")
    lines = whole.path.read_bytes().splitlines(keepends=True)
    child = await cut_turn(whole, 3, tmp_path / "child", warm(Bot("b2", tools=[look_up, book])))
    of_child = child.path.read_bytes().splitlines(keepends=True)
    template.write_text(template.read_text().replace("Ada", "changed since"))
    over = next(r["seq"] for r in whole.records if r["type"] == "session.ended")
    for count in range(2, over, 3):
        cut = tmp_path / f"cut{count}.jsonl"
        cut.write_bytes(b"".join(lines[:count]))
        bot = Bot("c", tools=[look_up, book])
        await resume(cut, tmp_path / "out", warm(bot))
        for sent in bot.sent:
            assert_warm(sent)
    # Nothing had been said, and nothing of the template: it is read as it is now.
    cut.write_bytes(lines[0])
    bot = Bot("c", tools=[look_up, book])
    await resume(cut, tmp_path / "out", warm(bot))
    assert bot.sent[0][7]["content"] == "booked for changed since"
    # Something had been said, but this log does not say after what.
    cut.write_bytes(b"".join(of_child[:2]))
    with pytest.raises(UsageError, match="go on with the log before it"):
        await resume(cut, tmp_path / "out", warm(bot))


async def test_another_template_is_refused_for_what_goes_on(tmp_path: Path) -> None:
    parent = await run(warm(Bot("a1"), max_turns=2), tmp_path)
    with pytest.raises(UsageError, match=r"keeps the warm context it began with \(agent\)"):
        await resume(parent.path, tmp_path, warm(Bot("a2"), warm="other"))
    cold = await run(scenario(Bot("a1"), SCRIPT, max_turns=2), tmp_path)
    with pytest.raises(UsageError, match=r"keeps the warm context it began with \(none\)"):
        await resume(cold.path, tmp_path, warm(Bot("a2")))
    # Nothing that is said again: the scenario of the log counts, or one that does not name any.
    child = await resume(parent.path, tmp_path, scenario(bot := Bot("a2"), SCRIPT))
    assert child.said == ["two", "a2"] and assert_warm(bot.sent[0])


async def test_a_summary_takes_the_place_of_the_history_not_of_the_template(
    tmp_path: Path,
) -> None:
    parent = await run(warm(Bot("a1", "a2"), max_turns=2), tmp_path)
    bot = Bot("they said one", "a2", tools=[look_up, book])
    child = await resume(parent.path, tmp_path, warm(bot), kind="compress")
    asked, answered = bot.sent
    assert [m["role"] for m in assert_warm(asked)] == ["user", "assistant", "user"]
    assert answered[:9] == asked[:9], "the same warm context stands before the summary"
    assert answered[9]["content"].endswith("they said one")
    record = child.one("context.compressed")
    assert (record["rows_in"], record["rows_out"]) == (2, 1), "the template is not counted"


async def test_a_provider_is_brought_back_with_the_template(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Stateful(Bot):
        async def restore(self, state: Any) -> None:
            seen.append(state)

    parent = await run(warm(Stateful("a1"), max_turns=2), tmp_path)
    await resume(parent.path, tmp_path, warm(Stateful("a2")))
    (state,) = seen
    assert [m["role"] for m in state.warm] == ROLES
    assert [turn.text for turn in state.histories[1]] == ["one", "a1"], "it is no history"


async def test_hooks_run_again_over_what_was_said_not_over_the_template(tmp_path: Path) -> None:
    ran = await run(warm(Bot("a1", "a2", tools=[look_up, book])), tmp_path)
    result = again(ran.path, Bot(), tmp_path)
    assert result["turns"] == [[1, 2, 1], [1, 4, 1]] and result["changed"] == []


@pytest.mark.parametrize("own", ["You are a desk.", ""])
async def test_a_record_of_a_warm_conversation_answers_one_that_is_as_warm(
    tmp_path: Path, own: str
) -> None:
    bot = Bot("a1", "a2", system_prompt=own, tools=[look_up, book])
    log = (await run(warm(bot), tmp_path / "then")).path
    config = {"use": f"recorded:{log}?strict"}
    again_warm = await run(scenario(None, SCRIPT, warm="agent", config=config), tmp_path)
    assert again_warm.said == ["one", "a1", "two", "a2"], "no drift"
    cold = await run(scenario(None, SCRIPT, config=config), tmp_path)
    assert cold.ended == ("failed", "provider") and "drift at 1:2" in cold.termination.reason


# --- over HTTP


def without_null(message: Message) -> Message:
    """A null is left out on its way."""
    return {key: value for key, value in message.items() if value is not None}


@pytest.mark.parametrize("own", ["You are a desk.", None])
async def test_a_strict_endpoint_takes_a_warm_conversation(
    tmp_path: Path, models: EngineModels, own: str | None
) -> None:
    replies = [
        FakeReply(tool_calls=(FakeCall("look_up", '{"code": "B"}'),)),
        FakeReply("a1"),
        FakeReply("a2"),
    ]
    (tmp_path / "desk.py").write_text(
        "def look_up(code: str) -> str:\n    return 'found ' + code\n\n\n"
        "def book() -> str:\n    return 'booked'\n"
    )
    with OpenAIServerThread(replies, strict_roles=True) as server:
        what = scenario(
            None,
            SCRIPT,
            warm="agent",
            tools=[f"{tmp_path / 'desk.py'}:look_up", f"{tmp_path / 'desk.py'}:book"],
            config={
                "use": "openai/provider-1",
                "params": {"api_base": server.url, "api_key": "none"},
                **({"system_prompt": own} if own else {}),
            },
        )
        ran = await run(what, tmp_path, models=models)
        bodies = [request.body for request in server.requests]
    assert ran.said == ["one", "a1", "two", "a2"]
    assert len(bodies) == 3
    for body in bodies:
        assert_warm(body["messages"], own=own or "")
    logged = [[without_null(message) for message in sent] for sent in rebuilt(ran)]
    assert logged == [[without_null(m) for m in body["messages"]] for body in bodies]


async def test_the_strict_endpoint_does_refuse(tmp_path: Path, models: EngineModels) -> None:
    with OpenAIServerThread(strict_roles=True) as server:
        what = scenario(
            None,
            ["hi"],
            config={
                "use": "openai/provider-1",
                "system_prompt": " ",
                "params": {"api_base": server.url, "api_key": "none"},
            },
        )
        ran = await run(what, tmp_path, models=models)
    assert ran.ended == ("failed", "provider")
    assert "content must not be empty" in ran.termination.reason
