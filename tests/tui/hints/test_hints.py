"""What the program explains about itself, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from textual.widgets import Static

from convtui.actions.registry import Keymap
from convtui.config.paths import read_state, write_state
from convtui.records.codec import STAGES, HoldReason
from convtui.transcript.fold import Transcript
from convtui.tui.hints.guide import FIRST_RUNS, GONE, READ, STALE, Guide
from convtui.tui.hints.table import HELD, MOMENTS, TurnMoments, hold_moment, sentence
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import refund, until
from tests.tui.harness.sources import Story

# --- the sentences


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_sentence_names_the_keys_in_use_and_fits_on_80_columns(moment: str) -> None:
    text = sentence(moment, Keymap())
    assert text
    assert "{" not in text
    assert len("hint " + text) <= 78


def test_a_sentence_follows_the_keymap_and_is_left_out_without_the_key() -> None:
    assert "x shows why" in sentence("decision", Keymap({"inspector.decision": ("x",)}))
    assert not sentence("decision", Keymap({"inspector.decision": ()}))


def test_every_hold_is_explained() -> None:
    for reason in get_args(HoldReason):
        for stage in STAGES:
            assert hold_moment({"reason": reason, "stage": stage}) in HELD, (reason, stage)
    assert hold_moment({"reason": "new", "stage": "request"}) is None
    assert hold_moment({"reason": "step", "stage": "\x1b]0;"}) is None


def test_a_fault_that_was_put_in_asks_for_no_mended_code() -> None:
    hold = {"reason": "error", "stage": "response", "error": {"message": "injected: 429, too many"}}
    assert hold_moment(hold) == "held.injected"
    assert hold_moment({**hold, "error": {"message": "too many requests"}}) == "held.error"


def test_a_session_that_ended_before_a_branch_is_no_news() -> None:
    transcript = Transcript()
    transcript.apply({
        "type": "history.seeded", "counters": {}, "sessions": ["a", "b"], "current": 2,
        "turns": [{"session": 1, "turn": 1, "speaker": "persona", "text": "Hi."}],
        "ended": [{"session": 1, "session_type": "a", "termination": {"kind": "max_turns"}}],
    })  # fmt: skip
    moments = TurnMoments()
    assert transcript.sessions[0].termination
    assert "session_ended" not in moments.of(transcript)


def test_a_turn_that_shows_much_gives_every_moment_once_it_happens() -> None:
    story = Story()
    story.begin()
    story.number = 1
    moments = TurnMoments()
    assert moments.of(story.transcript) == set()
    story.on("turn.started", speaker="provider")
    story.on("llm.partial", side="provider", text="[[E", offset=0)
    assert moments.of(story.transcript) == {"streaming"}
    story.on("llm.response", side="provider", raw="[[ERROR]]")
    story.on("signals.extracted", matches=[{"signal": "[[ERROR]]", "start": 0, "end": 9}])
    assert moments.of(story.transcript) == {"signal"}
    story.on("turn.discarded", by="should_discard_response", signals=["[[ERROR]]"])
    story.number = 2
    story.on("turn.started", speaker="persona")
    # The turn before is looked at once more: it has ended since.
    assert moments.of(story.transcript) == {"signal", "discarded"}
    assert moments.of(story.transcript) == set()


# --- when they are shown


def guide(**more: Any) -> Guide:
    made = Guide(**more)
    made.begin(demo=False)
    return made


def current(shown: Guide) -> str | None:
    """What is shown now."""
    return shown.shown


def explains(shown: Guide) -> bool:
    """Whether it is on now."""
    return shown.on


def test_each_is_shown_once_and_long_enough_to_be_read() -> None:
    shown = guide()
    assert shown.look(0, None, {"streaming"})
    assert current(shown) == "streaming"
    assert not shown.look(1, None, {"raw_differs", "streaming"})
    assert shown.look(READ, None, ())
    assert current(shown) == "raw_differs"
    assert shown.look(READ + GONE, None, {"streaming"})
    assert current(shown) is None
    assert shown.seen == {"streaming", "raw_differs"}


def test_the_rarest_of_what_waits_comes_first_and_the_stale_not_at_all() -> None:
    shown = guide()
    shown.look(0, None, {"streaming"})
    shown.look(1, None, {"raw_differs", "discarded", "signal"})
    shown.look(READ, None, ())
    assert current(shown) == "discarded"
    shown.look(1 + STALE, None, ())
    shown.look(READ + GONE, None, ())
    assert current(shown) is None
    assert "signal" not in shown.seen


def test_a_hold_is_explained_at_once_and_until_it_is_over() -> None:
    shown = guide()
    shown.look(0, None, {"streaming"})
    shown.look(1, "held.ending", ())
    assert current(shown) == "held.ending"
    shown.look(100, "held.ending", ())
    assert current(shown) == "held.ending"
    # What was hardly read comes back while it is news.
    shown.look(101, None, {"streaming"})
    assert current(shown) == "streaming"
    assert shown.seen == {"held.ending"}
    shown.look(102, "held.ending", ())
    assert current(shown) == "streaming", "once is enough"


def test_what_a_run_does_is_not_explained_while_it_is_held() -> None:
    shown = guide(seen={"held.request"})
    shown.look(0, "held.request", {"streaming", "signal"})
    assert current(shown) == "signal"
    assert "streaming" not in shown.seen


def test_a_hold_explains_no_earlier_reply() -> None:
    shown = guide(seen={"held.error"})
    shown.look(0, None, {"raw_differs"})
    shown.look(1, None, {"tool_call"})
    assert current(shown) == "raw_differs"
    assert shown.look(2, "held.error", (), near={"signal"})
    assert current(shown) is None
    assert "raw_differs" not in shown.seen, "it was hardly read"
    shown.look(3, "held.error", {"raw_differs"}, near={"raw_differs"})
    assert current(shown) == "raw_differs"
    shown.look(4, None, {"session_ended"})
    shown.look(3 + READ, "held.error", (), near=())
    assert current(shown) == "session_ended", "it is about no reply"
    assert "raw_differs" in shown.seen


def test_what_is_near_are_the_last_two_turns() -> None:
    story = Story()
    story.begin()
    story.reply("[[ERROR]]", matches=[{"signal": "[[ERROR]]", "start": 0, "end": 9}])
    assert TurnMoments().near(story.transcript) == {"signal"}
    story.reply("Oh.", speaker="persona")
    assert TurnMoments().near(story.transcript) == {"signal"}
    story.reply("Yes.")
    assert TurnMoments().near(story.transcript) == set()


def test_the_end_stays_on_the_screen() -> None:
    shown = guide()
    shown.look(0, None, {"ended"})
    shown.look(10 * GONE, None, {"ended"})
    assert current(shown) == "ended"


def test_only_the_first_runs_are_explained_and_the_demo() -> None:
    shown = Guide()
    for _ in range(FIRST_RUNS):
        shown.begin(demo=False)
        assert explains(shown)
    shown = Guide.of_state({"hints": shown.state()})
    shown.begin(demo=True)
    assert explains(shown)
    shown.begin(demo=False)
    assert not explains(shown)
    shown.toggle()
    assert explains(shown), "asked for"


def test_switched_off_it_stays_off_and_switched_on_it_begins_again() -> None:
    shown = guide(seen={"streaming"})
    shown.look(0, None, {"signal"})
    shown.toggle()
    assert current(shown) is None
    assert not shown.look(1, "held.ending", {"decision"})
    again = Guide.of_state({"hints": shown.state()})
    again.begin(demo=True)
    assert not explains(again)
    again.toggle()
    assert explains(again)
    assert not again.seen


@pytest.mark.parametrize(
    "state", [{}, {"hints": 7}, {"hints": {"seen": 3, "runs": "x"}}, {"hints": {"seen": [{}, "z"]}}]
)
def test_a_damaged_state_is_a_new_one(state: dict[str, Any]) -> None:
    assert Guide.of_state(state) == Guide()


# --- on the screen


class Explained(LiveApp):
    """An app of somebody who is new."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, refund()[:7], {"persona": "demo", "provider": "demo"})
        (folder / "state.json").unlink()

    def hint(self) -> str:
        line = self.screen.query_one("#hint", Static)
        return str(line.content) if line.display else ""


async def test_a_hold_is_explained_above_its_bar_and_remembered(tmp_path: Path) -> None:
    live = Explained(tmp_path)
    async with live.app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: live.screen.parts.hints.on)
        live.handle.held(("end", "let it end"), reason="ending")
        await until(pilot, lambda: "enter lets it end" in live.hint())
        line = live.screen.query_one("#hint", Static)
        assert line.region.height <= 2
        await live.handle.release("end")
        await until(pilot, lambda: not live.hint())
        state = tmp_path / "state.json"
        await until(pilot, lambda: read_state(state).get("hints", {}).get("seen"))
        assert read_state(state)["hints"]["seen"] == ["held.ending"]
        live.handle.held(("end", "let it end"), reason="ending")
        await pilot.pause()
        assert not live.hint()


async def test_hints_are_switched_off_for_good(tmp_path: Path) -> None:
    live = Explained(tmp_path)
    write_state(tmp_path / "state.json", {"provider": "kept"})
    async with live.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: live.screen.parts.hints.on)
        live.handle.held(("go", "go on"), reason="budget")
        await until(pilot, live.hint)
        live.screen.perform("hints.toggle")
        await until(pilot, lambda: not live.hint())
        await until(pilot, lambda: read_state(tmp_path / "state.json").get("hints", {}).get("off"))
        assert read_state(tmp_path / "state.json")["provider"] == "kept"
