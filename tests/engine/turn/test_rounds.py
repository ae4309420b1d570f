"""What a model writes beside its tool calls is part of the turn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from convtui.filters.filter import decide, parse
from convtui.log.filter_lookup import LogLookup
from convtui.log.reader import open_log
from convtui.log.transcript_json import turn_detail
from convtui.printing.logs import print_log
from convtui.records.interim import Interim
from convtui.transcript.turns import Flag
from tests.builders.conversations import (
    Answer,
    Bot,
    FakeModels,
    Line,
    Ran,
    calls,
    resume,
    run,
    scenario,
)
from tests.engine.rehook.test_replayed_hooks import again

SIGNAL = "[[TRANSFER]]"
HAND_OVER = f"I hand you over. {SIGNAL}"


def find_trip(city: str) -> str:
    """Finds a trip."""
    return f"a trip to {city}"


def clerk(*texts: str, last: str = "One moment please.", **fields: Any) -> Bot:
    """Writes each text beside a tool call, then says the last."""
    rounds = [calls(("find_trip", '{"city": "Oslo"}'), text=text) for text in texts]
    fields.setdefault("signals", [SIGNAL])
    return Bot(*rounds, last, tools=[find_trip], **fields)


def matching(ran: Ran, expression: str) -> list[str]:
    with open_log(ran.path) as log:
        asked, lookup = parse(expression), LogLookup(log)
        return [
            turn.address
            for turn in log.transcript.turns
            if decide(asked.on_turn(turn, log.transcript, lookup))
        ]


def shown(ran: Ran) -> str:
    out, err = io.StringIO(), io.StringIO()
    with open_log(ran.path) as log:
        print_log(log, out, err)
    return out.getvalue()


async def test_a_signal_beside_a_tool_call_ends_the_session(tmp_path: Path) -> None:
    ran = await run(scenario(clerk(HAND_OVER)), tmp_path)
    assert ran.ended == ("early_termination", "provider")
    assert ran.termination.signal == SIGNAL
    (match,) = ran.of("signals.extracted")[1]["matches"]
    start = HAND_OVER.index(SIGNAL)
    assert (match["round"], match["start"], match["end"]) == (1, start, start + len(SIGNAL))
    # The user was told the last round only, and the record says what became of the rest.
    assert ran.said[1] == "One moment please."
    assert ran.of("turn.committed")[1]["interim"] == "show"


async def test_it_is_seen_wherever_a_turn_is_looked_at(tmp_path: Path) -> None:
    ran = await run(scenario(clerk("", "Let me <b>look</b>.", "Still looking.")), tmp_path)
    for expression in ("~said look", "~raw <b>look", "~raw still", "~interim", "still"):
        assert matching(ran, f"{expression} & ~turn = 2") == ["1:2"], expression
    assert "round 2, beside a tool call, not said: Let me <b>look</b>." in shown(ran)
    with open_log(ran.path) as log:
        turn = log.transcript.turns[1]
        assert turn.interim == (Interim(2, "Let me <b>look</b>."), Interim(3, "Still looking."))
        assert turn.flags & Flag.INTERIM
        detail = turn_detail(log, turn)
        assert detail.raw == "One moment please."
        assert detail.interim == list(turn.interim)


async def test_hooks_get_what_they_always_got(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    class Watching(Bot):
        def extract_signals(self, raw: str) -> list[Any]:
            seen.append(("signals", raw))
            return super().extract_signals(raw)

        def post_process_response(self, text: str) -> str:
            seen.append(("post_process", text))
            return text

    bot = Watching(calls(("find_trip", '{"city": "Oslo"}'), text="Let me look."), "Found it.",
                   tools=[find_trip])  # fmt: skip
    await run(scenario(bot, ["hi"]), tmp_path)
    assert seen == [
        ("signals", "Let me look."),
        ("signals", "Found it."),
        ("post_process", "Found it."),
    ]


async def test_it_is_said_where_that_is_set(tmp_path: Path) -> None:
    class Loud(Bot):
        def post_process_response(self, text: str) -> str:
            return text.replace(SIGNAL, "").strip().upper()

    lines: list[Line] = [
        calls(("find_trip", '{"city": "Oslo"}'), text="Let me look."),
        "Found it.",
    ]
    bot = Loud(*lines, *lines, tools=[find_trip])
    ran = await run(scenario(bot, ["a", "b"], interim="say"), tmp_path)
    assert ran.said[1] == "LET ME LOOK.\n\nFOUND IT."
    committed = ran.of("turn.committed")[1]
    assert (committed["interim"], committed["reply"]) == ("say", "FOUND IT.")
    assert committed["words"] == 5
    # Its own model does not read it twice.
    contents = [message.get("content") for message in bot.sent[2]]
    assert contents.count("Let me look.") == 1
    assert contents[-2] == "FOUND IT."
    with open_log(ran.path) as log:
        assert log.transcript.turns[1].interim == ()
    again_sent = await resume(ran.path, tmp_path, seq=ran.of("turn.committed")[2]["seq"])
    assert again_sent.of("history.seeded")[0]["turns"][1]["reply"] == "FOUND IT."


async def test_the_user_is_told_of_it_only_where_it_is_said(tmp_path: Path) -> None:
    persona = {"name": "Ann", "prompt": "a patient", "model": "fake/user", "opening": "hi"}
    for interim, told in (("show", "Found it."), ("say", "Let me look.\n\nFound it.")):
        models = FakeModels(user=["thanks", "<end>"])
        bot = clerk("Let me look.", last="Found it.")
        what = scenario(bot, persona=persona, interim=interim)
        await run(what, tmp_path / interim, models=models)
        assert models.clients["user"].sent[0][-1]["content"] == told


async def test_what_is_thought_beside_a_tool_call_is_noticed_with_its_round(tmp_path: Path) -> None:
    ran = await run(scenario(clerk("<think>hm</think>Let me look."), ["hi"]), tmp_path)
    (entry,) = ran.of("turn.committed")[1]["flags"]
    assert (entry["flag"], entry["round"]) == ("leak", 1)
    signal = f"<think>{SIGNAL}?</think>Let me look."
    ran = await run(scenario(clerk(signal), ["hi"]), tmp_path / "b")
    (match,) = ran.of("signals.extracted")[1]["matches"]
    # What a provider's own hook finds counts; that it was only thought is said.
    assert (match["inside"], match["round"]) == ("reasoning", 1)
    assert ran.ended == ("early_termination", "provider")


@pytest.mark.parametrize(
    ("expression", "stage"), [("~raw hand", "tools"), ("~signal", "post_process")]
)
async def test_breakpoints_know_it(tmp_path: Path, expression: str, stage: str) -> None:
    what = scenario(clerk(HAND_OVER), breakpoints=[expression])
    ran = await run(what, tmp_path, plan=["go", "end"])
    hold = ran.driver.holds[0]
    assert (hold["reason"], hold["turn"]) == ("breakpoint", 2)
    assert hold["stage"] in (stage, "signals", "response", "request")


async def test_an_edit_beside_a_tool_call_counts(tmp_path: Path) -> None:
    what = scenario(clerk(HAND_OVER), ["hi"], breakpoints=["~stage response & ~speaker provider"])
    plan: list[Answer] = [("edit", {"raw": "Let me look."}), "go", "end"]
    ran = await run(what, tmp_path, plan=plan)
    assert ran.of("debug.edited")[0]["before"] == HAND_OVER
    with open_log(ran.path) as log:
        assert log.transcript.turns[1].interim == (Interim(1, "Let me look."),)
    assert ran.of("signals.extracted")[1]["matches"] == []
    assert again(ran.path, clerk(), tmp_path)["changed"] == []


async def test_rehook_works_on_all_rounds(tmp_path: Path) -> None:
    ran = await run(scenario(clerk(HAND_OVER), ["hi"]), tmp_path)
    assert again(ran.path, clerk(), tmp_path)["changed"] == []
    (change,) = again(ran.path, clerk(signals=[]), tmp_path)["changed"]
    assert "signals" in change["kinds"] and "ending" in change["kinds"]
    assert change["before"]["signals"][0]["round"] == 1


async def test_a_log_of_before_is_compared_as_it_was_written(tmp_path: Path) -> None:
    ran = await run(scenario(clerk("Let me look."), ["hi"]), tmp_path)
    old = tmp_path / "old.jsonl"
    text = ran.path.read_text().replace('"version":"1.1"', '"version":"1.0"', 1)
    old.write_text(text.replace("Let me look.", HAND_OVER))
    assert again(old, clerk(), tmp_path)["changed"] == []


async def test_a_discarded_turn_keeps_it_and_another_attempt_has_its_own(tmp_path: Path) -> None:
    class Strict(Bot):
        def should_discard_response(self, signals: list[Any]) -> bool:
            return True

    bot = Strict(
        calls(("find_trip", '{"city": "Oslo"}'), text=HAND_OVER), "no", "yes",
        tools=[find_trip], signals=[SIGNAL],
    )  # fmt: skip
    ran = await run(scenario(bot, ["hi"], on_discard="retry 1"), tmp_path)
    assert ran.one("turn.discarded")["interim"] == "show"
    assert "interim" not in ran.of("turn.committed")[1]
    with open_log(ran.path) as log:
        dropped = next(turn for turn in log.transcript.turns if turn.status == "discarded")
        assert dropped.interim == (Interim(1, HAND_OVER),)
        assert log.transcript.turns[-1].interim == ()


async def test_a_branch_knows_what_was_said_beside_tool_calls(tmp_path: Path) -> None:
    ran = await run(scenario(clerk("Let me look."), ["a", "b"]), tmp_path)
    child = await resume(ran.path, tmp_path, seq=ran.of("turn.committed")[1]["seq"])
    with open_log(child.path) as log:
        assert log.transcript.turns[1].interim == (Interim(1, "Let me look."),)
    response = next(r for r in ran.of("llm.response") if r.get("round") == 2)
    held = await resume(ran.path, tmp_path, seq=response["seq"])
    with open_log(held.path) as log:
        turn = next(turn for turn in log.transcript.turns if turn.address == "1:2")
        assert turn.interim == (Interim(1, "Let me look."),)
