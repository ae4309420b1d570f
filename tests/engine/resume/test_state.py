"""Going on: after every record of a log, with held replies, over endings, with state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import LogError, ProviderError, UsageError
from convtui.log.detail import read_raw
from convtui.log.reader import digest_until, open_log
from convtui.log.requests import rebuild
from convtui.providers.base import RestoreState, SignalMatch
from convtui.records.models import RecordDict, decode
from convtui.transcript.fold import OPEN
from tests.builders.conversations import (
    Bot,
    FakeModels,
    Ran,
    calls,
    costing,
    findings,
    resume,
    run,
    scenario,
)


class Steady(Bot):
    """What it says follows from what it was sent, so that every way through gives the same."""

    def __init__(self, **more: Any) -> None:
        super().__init__(signals=["[X]", "[END]"], tools=[look], **more)

    async def respond(self, request: Any) -> Any:
        from convtui.providers.pieces import delta_of

        self.requests.append(request)
        said = [m["content"] for m in request.messages if m["role"] == "user"]
        answers = sum(m["role"] == "assistant" and "tool_calls" not in m for m in request.messages)
        last = request.messages[-1]
        if last["role"] == "tool":
            yield delta_of(f"found {last['content']}")
        elif said[-1] == "look":
            yield delta_of(calls(("look", "{}")))
        elif said[-1] == "drop":
            yield delta_of("[X] no")
        elif said[-1] == "finish":
            yield delta_of("well [END]")
        else:
            yield delta_of(f"{answers}: {said[-1]}")

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        return signals[0].signal == "[X]"

    def post_process_response(self, text: str) -> str:
        return text.replace("[END]", "").strip()


def look() -> str:
    """Looks something up."""
    return "it"


SCRIPT = ["hi", "look", "drop", "more", "finish"]


def steady(**fields: Any) -> Any:
    return scenario(Steady(), SCRIPT, sessions=["a", "b"], on_discard="skip", **fields)


def cut(path: Path, lines: int, folder: Path) -> Path:
    """The first lines of a log, as a kill would leave them."""
    folder.mkdir(exist_ok=True)
    part = folder / f"cut{lines}.jsonl"
    part.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]))
    return part


def turns_of(path: Path) -> list[tuple[int, str, str]]:
    """Everything that was committed, seeded turns included."""
    with open_log(path) as log:
        return [
            (turn.session, turn.speaker, turn.text)
            for turn in log.transcript.turns
            if turn.status == "committed"
        ]


async def test_resuming_after_every_record_loses_and_repeats_nothing(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    expected = turns_of(whole.path)
    assert len(expected) == 18
    over = len(whole.types) - 1 - whole.types[::-1].index("session.ended")
    for lines in range(1, over + 1):
        part = cut(whole.path, lines, tmp_path / "cut")
        before = turns_of(part)
        child = await resume(part, tmp_path / "child", steady())
        assert findings(child.path) == []
        assert turns_of(child.path) == expected, f"after record {lines}: {whole.types[lines - 1]}"
        assert turns_of(child.path)[: len(before)] == before
        assert child.types[:2] == ["header", "history.seeded"]
        assert child.ended == whole.ended
        # A grandchild of a child that died at once knows as much.
        more = 2 + 2 * (lines // 3 % 3)
        if lines % 3 == 0 and more < len(child.records) - 1:
            stump = cut(child.path, more, tmp_path / f"stump{lines}")
            grandchild = await resume(stump, tmp_path / "grandchild", steady())
            assert turns_of(grandchild.path) == expected, (lines, more)
            assert grandchild.ended == whole.ended


async def test_no_hook_of_the_past_is_repeated(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    started = [n for n, r in enumerate(whole.records) if r["type"] == "turn.started"]
    second = next(n for n in started if whole.records[n]["session"] == 2)
    bot = Steady()
    what = scenario(bot, SCRIPT, sessions=["a", "b"], on_discard="skip")
    await resume(cut(whole.path, second + 1, tmp_path / "cut"), tmp_path, what)
    assert bot.calls == ["setup", "enter b", "cleanup"]
    ended = whole.types.index("session.ended")
    bot = Steady()
    what = scenario(bot, SCRIPT, sessions=["a", "b"], on_discard="skip")
    await resume(cut(whole.path, ended + 1, tmp_path / "cut"), tmp_path, what)
    assert bot.calls == ["setup", "finish b", "enter b", "cleanup"]
    reset = whole.types.index("session.reset")
    bot = Steady()
    what = scenario(bot, SCRIPT, sessions=["a", "b"], on_discard="skip")
    await resume(cut(whole.path, reset + 1, tmp_path / "cut"), tmp_path, what)
    assert bot.calls == ["setup", "enter b", "cleanup"]


async def test_the_child_names_its_parent_with_a_digest(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    part = cut(whole.path, 12, tmp_path / "cut")
    child = await resume(part, tmp_path, steady())
    (parent,) = child.one("header")["parents"]
    assert parent["id"] == whole.one("header")["id"]
    assert (parent["file"], parent["seq"]) == (str(part), 11)
    assert parent["sha256"] == digest_until(part, 11)[0]
    assert child.one("header")["origin"] == "continue"
    assert child.one("header")["change"] == {"kind": "resume", "session": 1, "turn": 2}


async def test_the_next_request_holds_the_whole_history(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    requests = whole.of("llm.request")
    with open_log(whole.path) as log:
        wanted = rebuild(requests[3], log.reader.by_seq)
    part = cut(whole.path, requests[3]["seq"], tmp_path / "cut")
    bot = Steady()
    await resume(part, tmp_path, scenario(bot, SCRIPT, sessions=["a", "b"], on_discard="skip"))
    assert bot.sent[0] == wanted
    assert {m["role"] for m in wanted} == {"user", "assistant", "tool"}


async def test_a_received_reply_is_not_asked_for_again(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("one", "two"), ["a", "b"]), tmp_path)
    response = whole.of("llm.response")[1]
    part = cut(whole.path, response["seq"] + 1, tmp_path / "cut")
    bot = Bot("never")
    child = await resume(part, tmp_path, scenario(bot, ["a", "b"]))
    assert child.said == ["two"]
    assert bot.answered == 0
    reused = child.of("llm.response")[0]
    assert reused["reused"] == {"log": whole.one("header")["id"], "seq": response["seq"]}
    again = await resume(part, tmp_path, scenario(Bot("new"), ["a", "b"]), reuse_reply=False)
    assert again.said == ["new"]
    assert again.of("turn.started")[0]["turn"] == 4


async def test_an_edited_reply_goes_on_as_edited(tmp_path: Path) -> None:
    whole = await run(
        scenario(Bot("one"), ["a"]), tmp_path, paused=True,
        plan=["step_stage", "step_stage", "step_stage", "step_stage", "step_stage",
              ("edit", {"raw": "better"})],
    )  # fmt: skip
    edited = whole.one("debug.edited")
    part = cut(whole.path, edited["seq"] + 1, tmp_path / "cut")
    child = await resume(part, tmp_path, scenario(Bot("never"), ["a"]))
    assert child.said == ["better"]


async def test_a_held_reply_is_held_again_on_reload(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("raw [t]"), ["a"]), tmp_path)
    response = whole.one("llm.response")
    part = cut(whole.path, response["seq"] + 1, tmp_path / "cut")

    class Mended(Bot):
        def post_process_response(self, text: str) -> str:
            return text.replace("[t]", "").strip()

    bot = Mended("never")
    child = await resume(
        part, tmp_path, scenario(bot, ["a"]), kind="reload", held=True, plan=["go"]
    )
    assert child.driver.where[0] == ("pause", "response")
    assert child.said == ["raw"]
    assert bot.answered == 0


async def test_a_reply_held_when_the_screen_went_away_is_not_lost(tmp_path: Path) -> None:
    whole = await run(
        scenario(Bot("precious"), ["a"], breakpoints=["~stage response & ~speaker provider"]),
        tmp_path,
        plan=[("stop", {"reason": "gone"})],
    )  # fmt: skip
    assert whole.ended == ("interrupted", "human")
    bot = Bot("never")
    child = await resume(whole.path, tmp_path, scenario(bot, ["a"]))
    assert child.said == ["precious"]
    assert bot.answered == 0


async def test_a_failed_hook_is_mended_without_asking_again(tmp_path: Path) -> None:
    class Broken(Bot):
        def post_process_response(self, text: str) -> str:
            raise ValueError("oops")

    whole = await run(scenario(Broken("dear"), ["a", "b"]), tmp_path)
    assert whole.ended == ("failed", "provider")
    bot = Bot("next")
    child = await resume(whole.path, tmp_path, scenario(bot, ["a", "b"]))
    assert child.said == ["dear", "b", "next"]


async def test_what_a_human_took_over_stays_taken_over(tmp_path: Path) -> None:
    def take(desk: Any, hold: RecordDict) -> None:
        desk.carry_out("take_over", {"side": "persona"})

    whole = await run(
        scenario(Bot(), ["a", "b"]), tmp_path, paused=True,
        plan=[take, ("say", {"text": "mine"}), ("stop", {})],
    )  # fmt: skip
    child = await resume(
        whole.path, tmp_path, scenario(Bot(), ["a", "b"]),
        plan=[("say", {"text": "again mine"}), ("stop", {})],
    )  # fmt: skip
    assert child.one("debug.took_over")["side"] == "persona"
    assert child.said[0] == "again mine"


# --- rewinding, and conversations that are over


async def test_rewinding_goes_on_from_before_a_turn(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("one", "two"), ["a", "b", "c"]), tmp_path)
    third = next(r for r in whole.of("turn.started") if r["turn"] == 3)
    bot = Bot("other")
    child = await resume(
        whole.path, tmp_path, scenario(bot, ["a", "b", "c"]), seq=third["seq"] - 1, kind="rewind"
    )
    assert [text for _, _, text in turns_of(child.path)] == [
        "a", "one", "b", "other", "c", "other",
    ]  # fmt: skip
    assert child.of("turn.started")[0]["turn"] == 3


@pytest.mark.parametrize("seq", [None, 10_000])
async def test_a_conversation_that_is_over_has_nothing_to_resume(
    tmp_path: Path, seq: int | None
) -> None:
    whole = await run(scenario(Bot(), ["a"]), tmp_path)
    with pytest.raises(UsageError, match=r"is over \(completed: .*nothing to resume"):
        await resume(whole.path, tmp_path, seq=seq)


async def test_going_on_after_an_ending(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("[END]", signals=["[END]"]), ["a", "b"]), tmp_path)
    assert whole.ended == ("early_termination", "provider")
    child = await resume(whole.path, tmp_path, scenario(Bot("on"), ["a", "b"]), kind="go_on")
    assert child.said == ["b", "on"]


async def test_a_higher_limit_goes_on(tmp_path: Path) -> None:
    script = ["a", "b", "c"]
    whole = await run(scenario(Bot(), script, max_turns=2), tmp_path)
    with pytest.raises(UsageError, match="give a higher --max-turns"):
        await resume(whole.path, tmp_path, scenario(Bot(), script, max_turns=2))
    child = await resume(whole.path, tmp_path, scenario(Bot(), script, max_turns=4))
    assert child.said == ["b", "fine"]
    assert child.ended == ("max_turns", "harness")


async def test_a_higher_budget_goes_on_and_counts_what_was_used(tmp_path: Path) -> None:
    script = ["a", "b", "c", "d"]

    def what(tokens: int) -> Any:
        return scenario(Bot(costing("x", 6)), script, budget={"tokens": tokens})

    whole = await run(what(10), tmp_path)
    assert whole.ended == ("budget", "harness")
    with pytest.raises(UsageError, match="because of its budget; raise it"):
        await resume(whole.path, tmp_path, what(10))
    child = await resume(whole.path, tmp_path, what(20))
    assert child.one("budget.crossed")["used"] == 24
    assert child.one("history.seeded")["counters"]["usage"]["provider"]["prompt_tokens"] == 12


async def test_a_session_ended_by_a_limit_is_not_opened_again_when_another_follows(
    tmp_path: Path,
) -> None:
    whole = await run(scenario(Bot(), ["a"] * 5, sessions=["a", "b"], max_turns=2), tmp_path)
    first = whole.types.index("session.ended")
    part = cut(whole.path, first + 1, tmp_path / "cut")
    child = await resume(part, tmp_path, scenario(Bot(), ["a"] * 5, max_turns=2))
    assert [s for s, _, _ in turns_of(child.path)] == [1, 1, 2, 2]


async def test_a_crash_before_the_ending_was_written_is_held_on_when_watched(
    tmp_path: Path,
) -> None:
    what = scenario(Bot("[END]", "on", signals=["[END]"]), ["a", "b"])
    whole = await run(what, tmp_path)
    committed = whole.of("turn.committed")[1]
    part = cut(whole.path, committed["seq"] + 1, tmp_path / "cut")
    child = await resume(part, tmp_path, what)
    assert child.said == []
    assert child.ended == ("early_termination", "provider")
    watched = await resume(
        part, tmp_path, scenario(Bot("on", signals=["[END]"]), ["a", "b"]), plan=["override"]
    )
    assert watched.driver.where[0] == ("ending", "terminate")
    assert watched.said == ["b", "on"]


async def test_an_overridden_ending_does_not_come_back(tmp_path: Path) -> None:
    what = scenario(Bot("[END]", signals=["[END]"]), ["a", "b"])
    whole = await run(what, tmp_path, plan=["override", ("stop", {})])
    overrode = whole.one("debug.overrode")
    part = cut(whole.path, overrode["seq"] + 2, tmp_path / "cut")
    child = await resume(part, tmp_path, scenario(Bot("on"), ["a", "b"]))
    assert child.said[:2] == ["b", "on"]


async def test_a_persona_that_was_done_is_not_asked_again(tmp_path: Path) -> None:
    def what() -> Any:
        return scenario(
            Bot(),
            persona={"name": "A", "prompt": "p", "model": "fake/user", "opening": "hi"},
        )

    whole = await run(what(), tmp_path, models=FakeModels(user=["bye <end>"]))
    done = whole.one("user.ended")
    part = cut(whole.path, done["seq"] + 1, tmp_path / "cut")
    models = FakeModels(user=["never"])
    child = await resume(part, tmp_path, what(), models=models)
    assert child.ended == ("completed", "simulator")
    assert models.clients["user"].sent == []


# --- state


async def test_restore_is_given_everything(tmp_path: Path) -> None:
    class Remembers(Bot):
        last_response_metadata = {"conversation_id": "c-7"}  # noqa: RUF012

        async def restore(self, state: RestoreState) -> None:
            self.calls.append("restore")
            self.state = state

    whole = await run(scenario(Remembers(), ["a", "b"], sessions=["x", "y"]), tmp_path)
    last = whole.of("turn.started")[-2]
    part = cut(whole.path, last["seq"], tmp_path / "cut")
    bot = Remembers()
    child = await resume(part, tmp_path, scenario(bot, ["a", "b"], sessions=["x", "y"]))
    assert bot.calls[:3] == ["setup", "enter y", "restore"]
    state = bot.state
    assert (state.sessions, state.session) == (["x", "y"], 2)
    assert [t.text for t in state.histories[1]] == ["a", "fine", "b", "fine"]
    assert state.conversation_id == "c-7"
    assert child.one("provider.restored")["mode"] == "restore"


async def test_a_failing_restore_holds_when_watched(tmp_path: Path) -> None:
    class Fragile(Bot):
        tries = 0

        async def restore(self, state: RestoreState) -> None:
            self.tries += 1
            if self.tries == 1:
                raise OSError("busy")

    whole = await run(scenario(Fragile(), ["a", "b"]), tmp_path)
    part = cut(whole.path, whole.of("turn.committed")[1]["seq"] + 1, tmp_path / "cut")
    headless = await resume(part, tmp_path, scenario(Fragile(), ["a", "b"]))
    assert headless.ended == ("failed", "provider")
    watched = await resume(part, tmp_path, scenario(Fragile(), ["a", "b"]), plan=["retry"])
    assert watched.driver.where[0] == ("error", "restore")
    assert watched.said == ["b", "fine"]


async def test_a_stateful_provider_is_never_continued_in_silence(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("one", "two"), ["a", "b", "c"]), tmp_path)
    part = cut(whole.path, whole.of("turn.committed")[3]["seq"] + 1, tmp_path / "cut")

    def what(*lines: str) -> Any:
        return scenario(Bot(*lines, stateful=True), ["a", "b", "c"])

    headless = await resume(part, tmp_path, what("x"))
    assert headless.ended == ("interrupted", "harness")
    assert [r["code"] for r in headless.of("warning")] == ["cannot_restore"]
    replayed = await resume(part, tmp_path, what("one", "TWO", "x"), plan=["replay"])
    assert replayed.driver.where[0] == ("cannot_restore", "restore")
    restored = replayed.one("provider.restored")
    assert restored["mode"] == "replayed"
    assert restored["drift"] == [
        {"session": 1, "turn": 4, "what": "text", "recorded": "two", "replayed": "TWO"},
    ]
    assert replayed.said == ["c", "x"]


async def test_replaying_what_a_provider_said_first(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("hello", "two", first_speaker="provider"), ["a", "b"]), tmp_path)
    part = cut(whole.path, whole.of("turn.committed")[2]["seq"] + 1, tmp_path / "cut")
    bot = Bot("hello", "two", first_speaker="provider", stateful=True)
    child = await resume(part, tmp_path, scenario(bot, ["a", "b"]), plan=["replay"])
    assert "drift" not in child.one("provider.restored")
    assert bot.sent[0][0]["role"] == "user", "it was asked with the start prompt"


# --- damage


async def test_a_damaged_record_refuses_with_its_number(tmp_path: Path) -> None:
    whole = await run(scenario(Bot(), ["a"]), tmp_path)
    lines = whole.path.read_bytes().splitlines(keepends=True)
    place = whole.types.index("turn.committed")
    record = decode(lines[place])
    del record["speaker"]
    lines[place] = json.dumps(record).encode() + b"\n"
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b"".join(lines[: place + 3]))
    with pytest.raises(LogError, match=rf"record {place} \(turn.committed\) is damaged"):
        await resume(broken, tmp_path)


async def test_a_torn_tail_does_not_keep_from_resuming(tmp_path: Path) -> None:
    whole = await run(scenario(Bot("one", "two"), ["a", "b"]), tmp_path)
    data = whole.path.read_bytes()
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(data[: len(data) * 2 // 3])
    child: Ran = await resume(torn, tmp_path / "child", scenario(Bot("x"), ["a", "b"]))
    assert child.ended == ("completed", "simulator")
    assert findings(child.path) == []


async def test_what_a_human_wrote_is_kept_like_a_reply(tmp_path: Path) -> None:
    def over(desk: Any, _: Any) -> None:
        desk.carry_out("take_over", {"side": "provider"})
        desk.carry_out("run", {})

    what = scenario(Bot("no", "fine"), ["a", "b"])
    whole = await run(what, tmp_path, paused=True, plan=[over, ("say", {"text": "by hand"})])
    wrote = whole.of("human.wrote")[0]
    assert (wrote["text"], wrote["side"], wrote["turn"]) == ("by hand", "provider", 2)
    part = cut(whole.path, wrote["seq"] + 1, tmp_path / "cut")
    with open_log(part) as log:
        turn = log.transcript.turns[-1]
        assert (turn.text, turn.status) == ("by hand", OPEN)
        assert read_raw(log.reader.single, turn) == "by hand"
    child = await resume(part, tmp_path / "c", what, plan=["hand_back"])
    assert child.of("human.wrote")[0]["reused"]["seq"] == wrote["seq"]
    committed = child.of("turn.committed")[0]
    assert (committed["text"], committed["human"]) == ("by hand", True)
    assert child.of("llm.response")[0]["turn"] == 4, "nobody is asked for that turn"
    # One that dies at once still has it.
    stump = cut(child.path, child.types.index("session.started") + 1, tmp_path / "stump")
    again = await resume(stump, tmp_path / "d", what, plan=["hand_back"])
    assert again.said[0] == "by hand"


async def test_what_was_supplied_for_a_failed_call_is_kept(tmp_path: Path) -> None:
    what = scenario(Bot(ProviderError("away"), "fine"), ["a", "b"])
    whole = await run(what, tmp_path, plan=[("supply", {"raw": "by hand"})])
    part = cut(whole.path, whole.one("debug.edited")["seq"] + 1, tmp_path / "cut")
    child = await resume(part, tmp_path / "c", scenario(Bot("fine"), ["a", "b"]), plan=[])
    assert child.said[0] == "by hand"
    assert child.of("turn.committed")[0]["edited"] is True


async def test_a_hold_after_going_back_says_so_until_it_is_left(tmp_path: Path) -> None:
    what = scenario(Bot("one", "two"), ["a", "b", "c"])
    whole = await run(what, tmp_path)
    before = next(r for r in whole.of("turn.started") if r["turn"] == 3)["seq"] - 1
    child = await resume(
        whole.path,
        tmp_path / "c",
        what,
        seq=before,
        kind="rewind",
        held=True,
        plan=["step_turn", "run"],
    )
    first, second = child.driver.holds[:2]
    assert (first["reason"], first["detail"]) == ("pause", "held after the rewind")
    assert second.get("detail", "") == ""
