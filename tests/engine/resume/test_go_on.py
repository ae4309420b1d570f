"""Going on after a session that is closed, in a child; and endings that are overridden in place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.log.formats.registry import reader_for
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from convtui.transcript.fold import Flag
from convtui.tui.widgets.transcript.marks import badges
from tests.builders.conversations import Bot, Ran, findings, resume, run, scenario
from tests.engine.resume.test_state import turns_of
from tests.places import SAMPLES

SCRIPT = ["a", "b"]


def ends(**fields: Any) -> Any:
    return scenario(Bot("[END] bye", "on", signals=["[END]"]), SCRIPT, **fields)


def would_end(path: Path) -> dict[str, str]:
    """The turns at which a log shows that it would have ended, with the badge."""
    with open_log(path) as log:
        return {
            turn.address: text
            for turn in log.transcript.turns
            if turn.flags & Flag.WOULD_END
            for text, _ in badges(turn)
            if text.startswith("would ")
        }


def last_of(whole: Ran, session: int) -> int:
    """The last record of the last committed turn of a session."""
    turn = [r["turn"] for r in whole.of("turn.committed") if r["session"] == session][-1]
    return max(
        int(r["seq"])
        for r in whole.records
        if r.get("session") == session and r.get("turn") == turn
    )


async def test_a_fork_after_the_last_turn_of_a_closed_session_holds_its_ending(
    tmp_path: Path,
) -> None:
    """Watched, what ended the session is held again; overridden, it goes on in the child."""
    whole = await run(ends(sessions=["x", "y"]), tmp_path)
    before = whole.path.read_bytes()
    # Session 1 ended early; session 2 was held after it.
    assert [s for s, _, _ in turns_of(whole.path)] == [1, 1, 2, 2, 2, 2]
    bot = Bot("more", signals=["[END]"])
    what = scenario(bot, SCRIPT, sessions=["x", "y"])
    child = await resume(
        whole.path, tmp_path / "c", what, seq=last_of(whole, 1), kind="fork", plan=["override"]
    )
    assert child.driver.where[0] == ("ending", "terminate")
    assert child.driver.holds[0]["turn"] == 2
    assert turns_of(child.path)[:4] == [
        (1, "persona", "a"), (1, "provider", "[END] bye"), (1, "persona", "b"),
        (1, "provider", "more"),
    ]  # fmt: skip
    assert bot.calls == ["setup", "enter x", "finish y", "enter y", "cleanup"]
    assert [r["session"] for r in child.of("session.ended")] == [1, 2]
    assert would_end(child.path) == {"1:2": "would have ended here"}
    assert whole.path.read_bytes() == before
    assert findings(child.path) == []


async def test_a_fork_after_the_last_turn_lets_it_end_when_nobody_overrides(
    tmp_path: Path,
) -> None:
    whole = await run(ends(), tmp_path)
    child = await resume(
        whole.path, tmp_path / "c", ends(), seq=last_of(whole, 1), kind="fork", plan=["end"]
    )
    assert child.said == []
    assert child.ended == ("early_termination", "provider")


@pytest.mark.parametrize(
    ("fields", "lines", "kind"),
    [
        ({}, ["[END] bye"], "early_termination"),
        ({}, ["fine"], "completed"),
        ({"max_total_words": 1}, ["fine"], "word_limit"),
        ({"on_discard": "end", "drops": True}, ["[END]"], "discarded"),
        ({"budget": {"tokens": 1}, "usage": True}, ["fine"], "budget"),
    ],
)
async def test_every_kind_of_ending_can_be_gone_on_from(
    fields: dict[str, Any], lines: list[str], kind: str, tmp_path: Path
) -> None:
    from tests.builders.conversations import costing

    class Drops(Bot):
        def should_discard_response(self, signals: list[Any]) -> bool:
            return True

    made = Drops if fields.pop("drops", False) else Bot
    used = [costing(line, 5) for line in lines] if fields.pop("usage", False) else lines
    whole = await run(scenario(made(*used, signals=["[END]"]), SCRIPT, **fields), tmp_path)
    assert whole.ended[0] == kind
    before = whole.path.read_bytes()
    fields.pop("max_total_words", None)
    fields.pop("budget", None)
    child = await resume(
        whole.path, tmp_path / "c", scenario(Bot("on"), [*SCRIPT, "c"], **fields), kind="go_on"
    )
    assert child.said, "it went on"
    assert child.ended == ("completed", "simulator")
    assert child.one("header")["change"]["kind"] == "go_on"
    assert child.one("header")["parents"][0]["id"] == whole.conversation.id
    said = turns_of(whole.path)
    assert turns_of(child.path)[: len(said)] == said
    assert whole.path.read_bytes() == before


async def test_an_overridden_ending_stays_visible_in_every_branch(tmp_path: Path) -> None:
    whole = await run(ends(), tmp_path, plan=["override"])
    assert whole.said == ["a", "[END] bye", "b", "on"]
    assert would_end(whole.path) == {"1:2": "would have ended here"}
    assert whole.one("debug.overrode")["before"]["kind"] == "early_termination"
    path = whole.path
    for _ in range(2):
        with open_log(path) as log:
            seq = next(t.last for t in reversed(log.transcript.turns) if t.speaker == "provider")
        child = await resume(path, tmp_path / "c", ends(), seq=max(seq, 1), kind="fork", plan=[])
        assert would_end(child.path)["1:2"] == "would have ended here"
        path = child.path


async def test_an_ending_overridden_in_a_branch_is_known_to_the_next(tmp_path: Path) -> None:
    whole = await run(ends(), tmp_path)
    child = await resume(
        whole.path, tmp_path / "c", ends(), seq=last_of(whole, 1), kind="fork", plan=["override"]
    )
    at = next(r for r in child.of("turn.started"))["seq"] - 1
    grandchild = await resume(child.path, tmp_path / "g", ends(), seq=at, kind="fork", plan=[])
    assert would_end(grandchild.path)["1:2"] == "would have ended here"


async def test_an_empty_reply_that_was_kept_would_not_have_ended(tmp_path: Path) -> None:
    kept = await run(scenario(Bot(" ", "on"), SCRIPT), tmp_path, plan=["keep"])
    assert kept.one("debug.overrode")["what"] == "empty"
    assert would_end(kept.path) == {}


async def test_an_imported_conversation_goes_on_against_a_live_provider(tmp_path: Path) -> None:
    """Another tool has ended it; what it had besides the words does not come with them."""
    source = SAMPLES / "claude-code/simonw_sample_session.jsonl"
    parent = store(next(reader_for(source)(source)), tmp_path / "imported")
    child = await resume(parent, tmp_path / "c", scenario(Bot("on"), ["-", "-", "a"], max_turns=6))
    said = turns_of(child.path)
    assert said[0] == (1, "persona", "Create a hello world function")
    assert said[-2:] == [(1, "persona", "a"), (1, "provider", "on")]
    (warning,) = [r for r in child.of("warning") if r["code"] == "not_restored"]
    assert "(claude-code): both sides get what was said" in warning["message"]
