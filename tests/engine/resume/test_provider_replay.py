"""Replaying what was said into a provider that cannot be restored, and what it says otherwise."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import ProviderError
from convtui.log.reader import open_log
from convtui.log.replies import read_replies
from convtui.models.base import Delta, Reply
from convtui.printing.logs import print_log
from convtui.protocol import ContinueFrom
from convtui.providers.base import Request
from convtui.providers.pieces import delta_of
from convtui.transcript.fold import Flag
from convtui.tui.widgets.inspector.drift import drift_notes, drift_of, replaying, with_drift
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.marks import badges
from tests.builders.conversations import (
    Bot,
    Ran,
    calls,
    costing,
    findings,
    prepare,
    resume,
    run,
    scenario,
)
from tests.builders.waiting import WITHIN
from tests.engine.resume.test_state import cut, turns_of

SCRIPT = ["a", "b"]


class Counting(Bot):
    """Counts what it was ever asked, over its sessions; writes down everything that is called."""

    def __init__(self, word: str = "n", **more: Any) -> None:
        super().__init__(**{"stateful": True, **more})
        self.word = word

    def prepare_sessions(self, session_types: list[str]) -> list[str]:
        self.calls.append(f"prepare {' '.join(session_types)}")
        return session_types

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        self.requests.append(request)
        self.answered += 1
        said = request.messages[-1]["content"]
        self.calls.append(f"asked {request.session}:{request.turn} {said}")
        yield delta_of(f"{self.word}{self.answered}")

    def post_process_response(self, text: str) -> str:
        self.calls.append("post")
        return text


def counting(bot: Bot, **fields: Any) -> Any:
    return scenario(bot, SCRIPT, sessions=["x", "y"], **fields)


async def whole_run(tmp_path: Path) -> tuple[Ran, Counting]:
    bot = Counting()
    whole = await run(counting(bot), tmp_path)
    return whole, bot


def after(whole: Ran, committed: int, folder: Path) -> Path:
    """The log as it stood when so many turns were committed."""
    return cut(whole.path, whole.of("turn.committed")[committed - 1]["seq"] + 1, folder / "cut")


async def test_a_replayed_provider_goes_through_everything_in_its_order(tmp_path: Path) -> None:
    whole, first = await whole_run(tmp_path)
    for committed in range(1, 9):
        bot = Counting()
        child = await resume(
            after(whole, committed, tmp_path), tmp_path / "c", counting(bot), plan=["replay"]
        )
        assert bot.calls == first.calls, f"after {committed} turns"
        assert turns_of(child.path) == turns_of(whole.path)
        assert findings(child.path) == []
        restored = child.one("provider.restored")
        assert (restored["mode"], restored["answers"]) == ("replayed", committed // 2)
        assert "drift" not in restored
    assert first.calls[:5] == ["setup", "prepare x y", "enter x", "asked 1:2 a", "post"]
    assert first.calls[7:10] == ["finish y", "enter y", "asked 2:2 a"]


async def test_between_two_sessions_it_goes_through_the_first(tmp_path: Path) -> None:
    whole, first = await whole_run(tmp_path)
    for kind in ("session.ended", "session.reset", "session.entered", "session.started"):
        place = [n for n, r in enumerate(whole.records) if r["type"] == kind][0 if kind in
                 ("session.ended", "session.reset") else 1]  # fmt: skip
        bot = Counting()
        part = cut(whole.path, place + 1, tmp_path / "cut")
        await resume(part, tmp_path / "c", counting(bot), plan=["replay"])
        assert bot.calls == first.calls, kind


async def test_other_answers_are_told_and_the_record_stands(tmp_path: Path) -> None:
    whole, _ = await whole_run(tmp_path)
    bot = Counting(word="m")
    child = await resume(after(whole, 6, tmp_path), tmp_path / "c", counting(bot), plan=["replay"])
    drift = child.one("provider.restored")["drift"]
    assert [(d["session"], d["turn"], d["recorded"], d["replayed"]) for d in drift] == [
        (1, 2, "n1", "m1"), (1, 4, "n2", "m2"), (2, 2, "n3", "m3"),
    ]  # fmt: skip
    warned = [r for r in child.of("warning") if r["code"] == "drift"]
    assert [(r["session"], r["turn"]) for r in warned] == [(1, 2), (1, 4), (2, 2)]
    assert warned[0]["message"] == "drift at 1:2: it answers now: 'm1', on record: 'n1'"
    with open_log(child.path) as log:
        flagged = [t.address for t in log.transcript.turns if t.flags & Flag.WARNING]
        assert flagged == ["1:2", "1:4", "2:2"]
        assert log.transcript.prepared == ["x", "y"]
        assert [t.text for t in log.transcript.turns][:4] == ["a", "n1", "b", "n2"]
    history = [turn.text for turn in bot.requests[1].history]
    assert history == ["a", "n1", "b"], "it is sent what is on record"


async def test_drift_is_printed_and_shown(tmp_path: Path) -> None:
    whole, _ = await whole_run(tmp_path)
    child = await resume(
        after(whole, 6, tmp_path), tmp_path / "c", counting(Counting(word="m")), plan=["replay"]
    )
    out = io.StringIO()
    with open_log(child.path) as log:
        print_log(log, out, out)
        printed = out.getvalue()
        transcript = log.transcript
        assert drift_notes(transcript) == ["~ 3 of 3 drifted"]
        turn = transcript.find(1, 4)
        assert turn is not None
        assert ("~ drift", "warning") in badges(turn)
        assert ("warning", "warning") not in badges(turn)
        drift = drift_of(transcript, turn)
        shown = str(with_drift(Document(), drift))
        same = transcript.find(1, 3)
        assert same is not None
        assert drift_of(transcript, same) is None
        assert replaying(transcript) == ""
    assert "warning: drift at 1:4: it answers now: 'm2', on record: 'n2'" in printed
    assert "replayed what was said: 3 answers asked for again, 3 drifted from the record" in printed
    assert "~ drift: the provider's answer differs" in shown
    assert "[-n2-]{+m2+}" in shown
    # While it goes on, the status says how far it is.
    stump = cut(child.path, child.types.index("llm.response") + 1, tmp_path / "stump")
    with open_log(stump) as log:
        assert replaying(log.transcript) == "replaying the history, call 1 for 3 answers"


async def test_a_child_that_dies_while_replaying_has_lost_nothing(tmp_path: Path) -> None:
    whole, first = await whole_run(tmp_path)
    part = after(whole, 7, tmp_path)
    child = await resume(part, tmp_path / "c", counting(Counting()), plan=["replay"])
    until = child.types.index("provider.restored")
    for lines in range(2, until + 2):
        stump = cut(child.path, lines, tmp_path / f"stump{lines}")
        bot = Counting()
        plan: list[Any] = ["replay"] if lines <= until else []
        grandchild = await resume(stump, tmp_path / "g", counting(bot), plan=plan)
        assert turns_of(grandchild.path) == turns_of(whole.path), child.types[lines - 1]
        assert bot.calls == first.calls, child.types[lines - 1]


async def test_a_reply_that_waits_was_asked_for_as_well(tmp_path: Path) -> None:
    whole, first = await whole_run(tmp_path)
    reply = whole.of("llm.response")[2]
    part = cut(whole.path, reply["seq"] + 1, tmp_path / "cut")
    bot = Counting(word="m")
    child = await resume(part, tmp_path / "c", counting(bot), plan=["replay"])
    assert [call for call in bot.calls if call.startswith("asked")] == [
        call for call in first.calls if call.startswith("asked")
    ]
    drift = child.one("provider.restored")["drift"]
    assert drift[-1] == {
        "session": 2, "turn": 2, "what": "text", "recorded": "n3", "replayed": "m3",
    }  # fmt: skip
    assert child.said[0] == "n3"
    # Dead before it was committed: the next one knows of the reply that waits.
    stump = cut(child.path, child.types.index("provider.restored") + 1, tmp_path / "stump")
    grandchild = await resume(stump, tmp_path / "g", counting(Counting()), plan=[])
    assert turns_of(grandchild.path) == turns_of(whole.path)


async def test_tools_do_not_run_again(tmp_path: Path) -> None:
    ran: list[str] = []

    def look(what: str) -> str:
        """Looks something up."""
        ran.append(what)
        return f"{what}!"

    def shop(*lines: Any) -> Bot:
        return Bot(*lines, stateful=True, tools=[look])

    called = calls(("look", '{"what": "it"}'))
    what = scenario(shop(called, "found it", "bye"), ["hi", "so?"])
    whole = await run(what, tmp_path)
    assert ran == ["it"]
    part = after(whole, 2, tmp_path)
    bot = shop(called, "found it", "bye")
    same = await resume(part, tmp_path / "c", scenario(bot, ["hi", "so?"]), plan=["replay"])
    assert ran == ["it"]
    assert "drift" not in same.one("provider.restored")
    assert bot.sent[1] == [*whole.conversation.provider.sent[1]]  # type: ignore[attr-defined]
    other = await resume(
        part,
        tmp_path / "c",
        scenario(shop(calls(("look", '{"what": "that"}')), "found it", "bye"), ["hi", "so?"]),
        plan=["replay"],
    )
    (drift,) = other.one("provider.restored")["drift"]
    assert drift["what"] == "tools"
    assert drift["recorded"] == '-> look({"what": "it"})\nfound it'
    assert drift["replayed"] == '-> look({"what": "that"})\nfound it'
    assert ran == ["it"]


async def test_what_a_human_said_for_it_is_not_asked_for(tmp_path: Path) -> None:
    whole, _ = await whole_run(tmp_path)
    part = after(whole, 4, tmp_path)
    text = part.read_text()
    part.write_text(text.replace('"text":"n2"', '"text":"by hand","human":true'))
    bot = Counting()
    child = await resume(part, tmp_path / "c", counting(bot), plan=["replay"])
    assert [call for call in bot.calls if call.startswith("asked 1")] == ["asked 1:2 a"]
    assert child.one("provider.restored")["answers"] == 1
    part.write_text(text.replace('"text":"n2"', '"text":"by hand","edited":true'))
    child = await resume(part, tmp_path / "c", counting(Counting()), plan=["replay"])
    restored = child.one("provider.restored")
    assert restored["answers"] == 2
    assert "drift" not in restored, "an edited answer is no answer of the provider"


async def test_other_sessions_are_told_and_those_on_record_stand(tmp_path: Path) -> None:
    class Reorders(Counting):
        def prepare_sessions(self, session_types: list[str]) -> list[str]:
            return ["intake", *session_types]

    whole, _ = await whole_run(tmp_path)
    child = await resume(
        after(whole, 2, tmp_path), tmp_path / "c", counting(Reorders()), plan=["replay"]
    )
    (drift,) = child.one("provider.restored")["drift"]
    assert drift == {"what": "sessions", "recorded": "x, y", "replayed": "intake, x, y"}
    assert turns_of(child.path) == turns_of(whole.path)
    assert child.conversation.journal.transcript.prepared == ["x", "y"]


@pytest.mark.parametrize(
    ("plan", "ended", "drifted"),
    [
        (["replay", "retry"], "completed", None),
        (["replay", "continue"], "completed", ["error"]),
        (["replay", "fail"], "failed", None),
    ],
)
async def test_a_failing_replay_holds(
    plan: list[str], ended: str, drifted: list[str] | None, tmp_path: Path
) -> None:
    whole = await run(scenario(Bot("one", "two"), SCRIPT), tmp_path)
    bot = Bot(ProviderError("away"), "one", "two", stateful=True)
    if plan[1] == "continue":
        bot = Bot(ProviderError("away"), "two", stateful=True)
    child = await resume(
        after(whole, 3, tmp_path), tmp_path / "c", scenario(bot, SCRIPT), plan=[*plan]
    )
    assert child.driver.where[:2] == [("cannot_restore", "restore"), ("error", "restore")]
    assert "replaying 1:2" in child.driver.holds[1]["detail"]
    assert child.ended[0] == ended
    told = child.of("provider.restored")
    assert bool(told) == (ended == "completed")
    if told:
        found = [each["what"] for each in told[0].get("drift", [])]
        assert found == (drifted or [])


async def test_what_a_replay_uses_is_counted(tmp_path: Path) -> None:
    def bot() -> Bot:
        return Bot(costing("one", 10), costing("two", 10), Reply("x"), stateful=True)

    whole = await run(scenario(bot(), ["a", "b", "c"]), tmp_path)
    part = after(whole, 4, tmp_path)
    child = await resume(part, tmp_path / "c", scenario(bot(), ["a", "b", "c"]), plan=["replay"])
    assert child.conversation.journal.transcript.totals["provider"].prompt_tokens == 20
    stump = cut(child.path, child.types.index("provider.restored") + 1, tmp_path / "stump")
    again = await resume(stump, tmp_path / "g", scenario(bot(), ["a", "b", "c"]), plan=[])
    used = again.one("history.seeded")["counters"]["usage"]
    assert used["provider"]["prompt_tokens"] == 40


@pytest.mark.parametrize("kind", ["fork", "rewind", "reload", "restart", "resume", "go_on"])
async def test_a_stateful_provider_is_never_gone_on_with_in_silence(
    kind: str, tmp_path: Path
) -> None:
    """Neither the first time nor later, wherever it goes on, whatever was answered before."""
    whole, _ = await whole_run(tmp_path)
    stop = None if kind in ("restart", "reload", "resume", "go_on") else True
    for committed in range(1, 8):
        end = whole.of("turn.committed")[committed - 1]["seq"]
        log = after(whole, committed, tmp_path) if stop is None else whole.path
        fields: dict[str, Any] = {"kind": kind, "seq": end if stop else None}
        child = await resume(log, tmp_path / "c", counting(Counting()), plan=["continue"], **fields)
        assert child.driver.holds[0]["reason"] == "cannot_restore", (kind, committed)
        assert child.one("provider.restored")["mode"] == "unrestored"
        assert child.types.index("provider.restored") < child.types.index("turn.started")
        alone = await resume(log, tmp_path / "c", counting(Counting()), **fields)
        assert alone.ended == ("interrupted", "harness")
        assert [r["code"] for r in alone.of("warning")] == ["cannot_restore"]
        assert alone.of("turn.started") == []
    last = child.of("turn.committed")[0]["seq"]
    again = await resume(
        child.path, tmp_path / "g", counting(Counting()), plan=["continue"], seq=last, kind="fork"
    )
    assert again.driver.holds[0]["reason"] == "cannot_restore", "accepted once is not for ever"


async def test_a_replay_that_was_chosen_is_not_asked_about_again(tmp_path: Path) -> None:
    whole, _ = await whole_run(tmp_path)
    part = after(whole, 4, tmp_path)
    child = await resume(part, tmp_path / "c", counting(Counting()), plan=["replay"])
    assert child.one("provider.restored")["mode"] == "replayed"
    end = child.of("turn.committed")[0]["seq"]
    again = await resume(child.path, tmp_path / "d", counting(Counting()), plan=[], seq=end)
    assert "cannot_restore" not in [hold["reason"] for hold in again.driver.holds]
    assert again.one("provider.restored")["mode"] == "replayed"
    assert [r["code"] for r in again.of("warning")] == ["replaying"]
    # A log from before it was chosen does not say so: the screen does.
    before = await resume(
        whole.path,
        tmp_path / "e",
        counting(Counting()),
        plan=[],
        seq=whole.of("turn.committed")[3]["seq"],
        restored_by="replayed",
    )
    assert before.one("provider.restored")["mode"] == "replayed"


async def test_enter_never_gives_up_a_state(tmp_path: Path) -> None:
    whole, _ = await whole_run(tmp_path)
    bot = Counting()
    bot.stateful = None
    child = await resume(
        after(whole, 4, tmp_path), tmp_path / "c", counting(bot), plan=["continue"]
    )
    offered = [choice["id"] for choice in child.driver.holds[0]["choices"]]
    assert offered == ["replay", "continue", "fail"]


async def test_a_call_of_the_replay_can_be_cancelled(tmp_path: Path) -> None:
    class Slow(Counting):
        began: asyncio.Event
        go: asyncio.Event

        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            self.began.set()
            await self.go.wait()
            async for delta in super().respond(request):
                yield delta

    whole, first = await whole_run(tmp_path)
    bot = Slow()
    bot.began, bot.go = asyncio.Event(), asyncio.Event()
    parent = ContinueFrom(str(after(whole, 2, tmp_path)))
    conversation, driver, _ = prepare(
        counting(bot), tmp_path / "c", continue_from=parent, plan=["replay", "retry"]
    )
    task = asyncio.create_task(conversation.run())
    await asyncio.wait_for(bot.began.wait(), WITHIN)
    assert driver.desk is not None
    bot.go.set()
    driver.desk.carry_out("cancel", {})
    await asyncio.wait_for(task, WITHIN)
    assert driver.where[:2] == [("cannot_restore", "restore"), ("error", "restore")]
    assert bot.calls == first.calls
    assert turns_of(conversation.journal.writer.path) == turns_of(whole.path)


async def test_calls_of_a_replay_are_no_replies_of_turns(tmp_path: Path) -> None:
    whole, _ = await whole_run(tmp_path)
    child = await resume(
        after(whole, 4, tmp_path), tmp_path / "c", counting(Counting("m")), plan=["replay"]
    )
    found = read_replies(child.path)
    assert found.damaged == 0
    assert [reply.raw for reply in found.replies if reply.seeded] == ["n1", "n2"]
    assert [reply.raw for reply in found.replies if not reply.seeded] == ["m3", "m4"]
