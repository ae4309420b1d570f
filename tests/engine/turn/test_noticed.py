"""What the heuristics notice while a conversation runs, and breakpoints on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.filters.filter import decide, parse
from convtui.log.reader import open_log
from convtui.transcript.fold import Flag
from tests.builders.conversations import Answer, Bot, FakeModels, Ran, run, scenario

LLM = {"name": "Ida", "simulator": "llm", "model": "fake/user", "prompt": "You are Ida."}


@pytest.mark.parametrize(
    ("expression", "reply", "where"),
    [
        ("~role & ~speaker provider", "User: I want my money back", "commit"),
        ("~role other-label", "User: I want my money back", "commit"),
        ("~role asks-as-user", "I lost my ticket and I want my money back.", "commit"),
        ("~fault provider", "User: I want my money back", "commit"),
        ("~fault provider", "<think>hm</think>Well.", "commit"),
        ("~leak reasoning-tag", "<think>hm</think>Well.", "commit"),
        ("~repeat & ~speaker provider", "It leaves at nine in the evening.", "commit"),
        ("~repeat same-words & ~speaker provider", "It leaves at nine in the evening.", "commit"),
        ("~echo", "And what does a cabin cost now?", "commit"),
        ("~label own-name", "Bot: it leaves at nine.", "commit"),
    ],
)
async def test_a_breakpoint_fires_before_it_is_said(
    tmp_path: Path, expression: str, reply: str, where: str
) -> None:
    ran = await run(
        scenario(
            Bot("It leaves at nine in the evening.", reply),
            ["When?", "And what does a cabin cost now?"],
        ),
        tmp_path,
        breakpoints=[expression],
        plan=[],
    )
    held = [each for each in ran.driver.holds if each["reason"] == "breakpoint"]
    assert [(each["turn"], each["stage"]) for each in held] == [(4, where)]
    assert held[0]["detail"] == f"breakpoint 1: {expression}"


async def test_a_breakpoint_on_farewells_fires_at_the_third(tmp_path: Path) -> None:
    goodbyes = ["Thanks, goodbye!", "You too, take care!", "Bye!"]
    plan: list[Answer] = ["go"]
    ran = await run(
        scenario(Bot("You're welcome, goodbye!", "Bye now!"), goodbyes),
        tmp_path,
        breakpoints=["once: ~farewell"],
        plan=plan,
    )
    held = [each for each in ran.driver.holds if each["reason"] == "breakpoint"]
    assert [each["turn"] for each in held] == [3]
    assert flagged(ran, "farewell") == {3: "only-goodbyes", 4: "only-goodbyes", 5: "only-goodbyes",
                                        6: "only-goodbyes"}  # fmt: skip
    assert found(ran, "~fault simulator") == [3, 5], "who answers is not to blame"


def flagged(ran: Ran, flag: str) -> dict[int, str]:
    """The rules of a flag by turn."""
    return {
        record["turn"]: entry["rule"]
        for record in ran.of("turn.committed")
        for entry in record.get("flags") or ()
        if entry["flag"] == flag
    }


def found(ran: Ran, expression: str) -> list[int]:
    """The turns that a filter finds in the log when it is read later."""
    asked = parse(expression)
    with open_log(ran.path) as log:
        transcript = log.transcript
        return [t.number for t in transcript.turns if decide(asked.on_turn(t, transcript))]


async def test_sentinels_in_force_are_the_personas_own_and_the_global_one(tmp_path: Path) -> None:
    lines = ["Done. &lt;over&gt;", "Done. [END OF CHAT]", "Done. &lt;end&gt;", "Done. \\<QUIT\\>"]
    models = FakeModels(user=[*lines, "<over>"])
    persona = {**LLM, "end_sentinel": "<over>", "termination_signals": ["<quit>"]}
    what = scenario(Bot("a", "b", "c", "d"), persona=persona, termination_signal="[END OF CHAT]")
    ran = await run(what, tmp_path / "a", models=models)
    assert flagged(ran, "sentinel") == {1: "near-sentinel"}
    assert ran.termination.signal == "[END OF CHAT]", "written as it is, it ends"

    what = scenario(Bot("a", "b", "c", "d"), persona=persona, termination_signal="<END OF CHAT>")
    ran = await run(what, tmp_path / "b", models=FakeModels(user=[*lines, "<over>"]))
    assert flagged(ran, "sentinel") == dict.fromkeys((1, 3, 7), "near-sentinel"), (
        "<end> means nothing here"
    )
    assert found(ran, "~sentinel") == [1, 3, 7]
    assert found(ran, "~fault simulator") == [1, 3, 7]
    assert ran.ended == ("completed", "simulator")


async def test_a_scripted_persona_has_no_sentinel_of_its_own(tmp_path: Path) -> None:
    ran = await run(scenario(Bot(), ["Done. &lt;end&gt;"]), tmp_path)
    assert flagged(ran, "sentinel") == {}


async def test_the_sides_names_are_known(tmp_path: Path) -> None:
    models = FakeModels(user=["Ida: hello", "**Bot:** hello", "Kim: hello", "<end>"])
    ran = await run(scenario(Bot("a", "Ida: b", "c"), persona=LLM), tmp_path, models=models)
    assert flagged(ran, "label") == {1: "own-name", 4: "other-name"}
    assert flagged(ran, "role") == {3: "other-label"}


async def test_a_persona_that_turns_counsellor(tmp_path: Path) -> None:
    turned = (
        "I notice that you ask very specific questions. I want to pause and ask you directly: are"
        " you safe right now? I am not here to judge, I just want to make sure you are okay. There"
        " are hotlines that you can call at any time."
    )
    models = FakeModels(user=["I feel low and nobody listens.", turned, "<end>"])
    bot = Bot("What would help?", "No, I am an AI language model made by Anthropic.")
    ran = await run(scenario(bot, persona=LLM), tmp_path, models=models)
    assert flagged(ran, "role") == {3: "counsels"}
    assert found(ran, "~role counsels & ~fault simulator") == [3]


# --- an empty reply that nobody dealt with


@pytest.mark.parametrize("empty", ["", "   \n", "<think>hm</think>"])
@pytest.mark.parametrize("before", [[], ["Can I change my crossing?"]])
async def test_an_empty_reply_of_the_persona_that_stops_the_run_is_the_simulators(
    tmp_path: Path, empty: str, before: list[str]
) -> None:
    models = FakeModels(user=[*before, empty])
    what = scenario(Bot("Of course."), persona=LLM, on_empty="pause")
    ran = await run(what, tmp_path, models=models)
    number = 2 * len(before) + 1
    assert ran.ended == ("interrupted", "harness")
    assert ran.termination.reason.startswith("the persona's reply is empty")
    assert "on_empty: pause" in ran.termination.reason
    assert found(ran, "~fault simulator") == [number]
    assert found(ran, "~empty") == [number]
    assert found(ran, "~fault harness") == found(ran, "~fault provider") == []
    with open_log(ran.path) as log:
        turn = log.transcript.turns[-1]
    assert turn.flags & Flag.EMPTY
    assert "end:empty" in turn.codes


@pytest.mark.parametrize("policy", ["pause", "retry"])
async def test_an_empty_reply_of_the_provider_that_stops_the_run_is_the_providers(
    tmp_path: Path, policy: str
) -> None:
    ran = await run(scenario(Bot("  "), ["hello"], on_empty=policy), tmp_path)
    assert ran.ended == ("interrupted", "harness")
    assert ran.termination.reason.startswith("the provider's reply is empty")
    assert found(ran, "~fault provider") == [2]
    assert found(ran, "~fault simulator") == found(ran, "~fault harness") == []


async def test_an_interruption_after_a_reply_that_says_something_stays_the_harness(
    tmp_path: Path,
) -> None:
    what = scenario(Bot("fine"), ["hello"], breakpoints=["~turn = 2 & ~stage commit"])
    ran = await run(what, tmp_path)
    assert ran.ended == ("interrupted", "harness")
    assert found(ran, "~fault harness") == [2]
    assert found(ran, "~fault provider") == found(ran, "~empty") == []


async def test_a_persona_that_ends_before_anything_was_said_is_the_simulators_fault(
    tmp_path: Path,
) -> None:
    ran = await run(scenario(Bot(), persona=LLM), tmp_path / "a", models=FakeModels(user=["<end>"]))
    assert ran.ended == ("completed", "simulator")
    assert found(ran, "~fault simulator") == [1]
    ran = await run(
        scenario(Bot(), persona=LLM), tmp_path / "b", models=FakeModels(user=["hi", "<end>"])
    )
    assert found(ran, "~fault") == []
    first = scenario(Bot("Welcome."), persona=LLM, first_speaker="provider")
    ran = await run(first, tmp_path / "c", models=FakeModels(user=["<end>"]))
    assert found(ran, "~fault") == [], "the provider had said something"
