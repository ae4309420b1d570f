"""What a branch knows of its past: its time, and every turn, said or not."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import RateLimited
from convtui.log.inherited import inherited_notes
from convtui.log.notes import Notes
from convtui.log.parents import Ancestry
from convtui.log.reader import open_log
from convtui.printing.logs import print_log
from convtui.transcript.clock import elapsed
from convtui.transcript.fold import GONE, Flag, Transcript, Turn
from convtui.transcript.usage import used_by_side, whole_totals
from tests.builders.conversations import Bot, cut_turn, findings, resume, run, scenario
from tests.builders.conversations import costing as costs
from tests.engine.resume.test_state import cut, steady

FIELDS = (
    "session", "number", "speaker", "status", "text", "signals", "note", "error", "attempt",
    "latency", "prompt_tokens", "completion_tokens", "cost",
)  # fmt: skip
ELSEWHERE = int(Flag.SEEDED | Flag.REUSED | Flag.HELD | Flag.ENDED)


def transcript_of(path: Path) -> Transcript:
    with open_log(path) as log:
        return log.transcript


def seen(turn: Turn) -> tuple[Any, ...]:
    """A turn as anybody sees it, wherever its records are."""
    return (*(getattr(turn, name) for name in FIELDS), int(turn.flags) & ~ELSEWHERE)


def dropped(transcript: Transcript) -> list[tuple[str, str]]:
    return [(turn.address, turn.text) for turn in transcript.turns if turn.status == GONE]


async def test_a_child_shows_what_its_parent_showed(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    expected = [seen(turn) for turn in transcript_of(whole.path).turns]
    assert sum(state == GONE for _, _, _, state, *_ in expected) == 2
    over = len(whole.types) - 1 - whole.types[::-1].index("session.ended")
    for lines in range(1, over + 1, 3):
        part = cut(whole.path, lines, tmp_path / "cut")
        child = await resume(part, tmp_path / "child", steady())
        shown = transcript_of(child.path)
        assert findings(child.path) == []
        # What is asked for again takes another time.
        apart = {(t.session, t.number) for t in transcript_of(part).turns if t.status == "open"}
        now = [seen(turn) for turn in shown.turns]
        assert [s[:6] for s in now] == [s[:6] for s in expected], whole.types[lines - 1]
        before = {s[:2]: s for s in map(seen, transcript_of(part).turns)}
        for state in now:
            if state[:2] in before and state[:2] not in apart:
                assert state == before[state[:2]], whole.types[lines - 1]


async def test_a_grandchild_knows_as_much_as_its_parent(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    part = cut(whole.path, len(whole.types) - 4, tmp_path / "cut")
    child = await resume(part, tmp_path / "child", steady(), kind="go_on")
    stump = cut(child.path, 3, tmp_path / "stump")
    again = await resume(stump, tmp_path / "again", steady())
    one, two = transcript_of(child.path), transcript_of(again.path)
    assert dropped(one) == dropped(two) == dropped(transcript_of(whole.path))
    assert {s: t.as_dict() for s, t in whole_totals(one).items()} == {
        s: t.as_dict() for s, t in whole_totals(two).items()
    }


async def test_what_is_rewound_is_gone_and_what_is_before_it_stays(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    (first, text), *_ = dropped(transcript_of(whole.path))
    number = int(first.partition(":")[2])
    after = await cut_turn(whole, number + 1, tmp_path / "after", steady())
    seeded = [turn for turn in transcript_of(after.path).turns if turn.flags & Flag.SEEDED]
    assert (first, text) in [(t.address, t.text) for t in seeded if t.status == GONE]
    before = await cut_turn(whole, number, tmp_path / "before", steady())
    seeded = [turn for turn in transcript_of(before.path).turns if turn.flags & Flag.SEEDED]
    assert all(turn.status != GONE for turn in seeded)
    # The log of the parent still has everything about it.
    transcript = transcript_of(after.path)
    turn = next(turn for turn in transcript.turns if turn.status == GONE)
    ancestry = Ancestry()
    found = ancestry.find(transcript, turn, after.path)
    ancestry.close()
    assert found is not None and found[0] == whole.path
    assert found[1].last("turn.discarded") is not None


async def test_totals_go_on(tmp_path: Path) -> None:
    what = scenario(Bot(*(costs(f"reply {n}", 10) for n in range(4))), ["one", "two"])
    root = await run(what, tmp_path)
    child = await cut_turn(root, 3, tmp_path / "child", what)
    shown = transcript_of(child.path)
    total = whole_totals(shown)["provider"]
    assert total.calls == 2
    used = used_by_side(shown)["provider"]
    assert total.completion_tokens == used["completion_tokens"]
    assert total.seconds > shown.totals["provider"].seconds


async def test_a_turn_that_is_asked_again_keeps_its_retries(tmp_path: Path) -> None:
    what = scenario(Bot(RateLimited("slow down", retry_after=0), "up"), ["one"])
    root = await run(what, tmp_path)
    assert root.of("llm.retry")
    response = root.types.index("llm.response")
    part = cut(root.path, response + 1, tmp_path / "cut")
    child = await resume(part, tmp_path / "child", scenario(Bot("up"), ["one"]))
    turn = transcript_of(child.path).find(1, 2)
    assert turn is not None and turn.flags & Flag.RETRY and "retry:provider" in turn.codes
    assert turn.first >= 0 and not turn.flags & Flag.SEEDED


async def test_notes_on_a_dropped_turn_come_along(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    (first, _), *_ = dropped(transcript_of(whole.path))
    session, number = map(int, first.split(":"))
    Notes(whole.path).mark(session, number, True)
    child = await cut_turn(whole, number + 1, tmp_path / "child", steady())
    assert inherited_notes(child.path)[session, number][0].mark


async def test_show_prints_what_was_dropped(tmp_path: Path) -> None:
    whole = await run(steady(), tmp_path)
    (first, _), *_ = dropped(transcript_of(whole.path))
    child = await cut_turn(whole, int(first.partition(":")[2]) + 1, tmp_path / "child", steady())
    whole.path.unlink()
    out = StringIO()
    with open_log(child.path) as log:
        print_log(log, out, StringIO(), width=None, color=False, plain=True)
    text = out.getvalue()
    assert "and 1 that was not said" in text
    assert f"{first} provider: [X] no" in text
    assert "discarded: signal [X] by should_discard_response" in text


@pytest.mark.parametrize("field", ["past", "clock"])
async def test_a_log_of_an_older_version_says_that_it_does_not_know(
    tmp_path: Path, field: str
) -> None:
    whole = await run(steady(), tmp_path)
    child = await cut_turn(whole, 7, tmp_path / "child", steady())
    seeded = {n: v for n, v in child.one("history.seeded").items() if n != field}
    transcript = Transcript()
    transcript.apply(child.one("header"))
    transcript.apply(seeded)
    assert transcript.past_known == (field == "clock")
    assert transcript.counts["(malformed)"] == 0


async def test_the_clock_of_a_branch_goes_on(tmp_path: Path) -> None:
    what = scenario(Bot(), ["one", "two"])
    root = await run(what, tmp_path)
    before = next(r["t"] for r in root.of("turn.started") if r["turn"] == 3)
    child = await cut_turn(root, 3, tmp_path / "child", what)
    seeded = child.one("history.seeded")
    assert 0 < seeded["clock"]["running"] <= before
    part = cut(child.path, 2, tmp_path / "cut")
    grandchild = await resume(part, tmp_path / "grandchild", what)
    total = seeded["clock"]["running"] + transcript_of(part).last_t
    shown = transcript_of(grandchild.path)
    assert abs(elapsed(shown).running - total - shown.last_t) < 0.001
    # The turns of the past are where they were on the whole conversation's clock.
    times = [elapsed(shown, turn.started).running for turn in shown.turns]
    assert times == sorted(times) and times[0] < before
