"""Flags and faults on the screen, and what a person corrects of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from convtui.log.notes import Notes, TurnNote
from convtui.printing.turn_sign import turn_sign
from convtui.transcript.corrections import CORRECTABLE, FLAG_WORDS
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.widgets.transcript.marks import TurnExtras, badges
from tests.builders.logs import conversation, fold, session, turn, write_log
from tests.tui.harness.sample import until

FLAGS = [{"flag": "role", "rule": "offers-help", "matched": "How can I help you", "start": 0}]
RECORDS = conversation(
    session(
        1,
        "a",
        [
            turn(1, "provider", "Welcome."),
            turn(2, "persona", "How can I help you?", flags=FLAGS),
        ],
    )
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "a.jsonl", RECORDS)


@pytest.fixture
def app(log: Path, tmp_path: Path) -> ConvtuiApp:
    return ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")


def shown(app: ConvtuiApp) -> DebuggerScreen:
    screen = app.screen
    assert isinstance(screen, DebuggerScreen)
    return screen


def answers(app: ConvtuiApp) -> list[str]:
    options = app.screen.query_one(OptionList)
    return [str(options.get_option_at_index(n).id) for n in range(options.option_count)]


async def choose(pilot: Pilot[Any], app: ConvtuiApp, answer: str) -> None:
    """Opens the dialog with its key and takes an answer."""
    await pilot.press("l")
    await until(pilot, lambda: isinstance(app.screen, Choose) and bool(answers(app)))
    options = app.screen.query_one(OptionList)
    options.highlighted = options.get_option_index(answer)
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))


def test_badges_say_in_words_what_was_noticed_and_corrected() -> None:
    flagged = fold(RECORDS).turns[1]
    assert turn_sign(flagged) == ("∆", "warning")
    assert badges(flagged) == [("role inversion", "warning")]
    away = TurnExtras(correction=TurnNote(flags={"role": False}))
    assert badges(flagged, away) == [("no role inversion", "human")]
    more = TurnExtras(correction=TurnNote(flags={"leak": True}))
    assert [text for text, _ in badges(flagged, more)] == [
        "role inversion",
        "reasoning leak by hand",
    ]


def rows(screen: DebuggerScreen) -> str:
    """What the transcript shows."""
    view = screen.view
    return "\n".join(view.render_line(y).text for y in range(view.size.height))


def test_every_flag_of_the_heuristics_has_a_glyph_and_a_word() -> None:
    for name, flag in CORRECTABLE.items():
        records = turn(1, "persona", "Hello", flags=[{"flag": name, "rule": "r"}])
        flagged = fold(conversation(session(1, "a", [records]))).turns[0]
        assert int(flagged.flags) == int(flag)
        assert turn_sign(flagged) == ("∆", "warning")
        assert badges(flagged) == [(FLAG_WORDS[name], "warning")]
        away = TurnExtras(correction=TurnNote(flags={name: False}))
        assert badges(flagged, away) == [(f"no {FLAG_WORDS[name]}", "human")]


@pytest.mark.parametrize("name", [name for name in CORRECTABLE if name != "role"])
async def test_every_flag_can_be_added_by_hand(app: ConvtuiApp, log: Path, name: str) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 1)
        await pilot.press("k")
        await choose(pilot, app, f"{name}:true")
        await until(pilot, lambda: Notes(log).on(1, 1) == TurnNote(flags={name: True}))
        await until(pilot, lambda: f"{FLAG_WORDS[name]} by hand" in rows(screen))
        await choose(pilot, app, f"{name}:false")
        await until(pilot, lambda: "by hand" not in rows(screen))
        await until(pilot, lambda: Notes(log).all() == {})


async def test_a_flag_and_the_fault_are_corrected_by_hand(app: ConvtuiApp, log: Path) -> None:
    async with app.run_test(size=(120, 26)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 1)

        def inspected() -> str:
            return screen.inspector.copy_text()

        await until(pilot, lambda: "fault: simulator, rule role-inversion" in inspected())
        assert "role inversion (offers-help): How can I help you" in inspected()
        await choose(pilot, app, "role:false")
        await until(pilot, lambda: "role inversion taken away by hand" in inspected())
        assert "fault: " not in inspected()
        assert Notes(log).on(1, 2) == TurnNote(flags={"role": False})
        await choose(pilot, app, "fault:provider")
        await until(pilot, lambda: "fault: provider, rule by-hand" in inspected())
        await choose(pilot, app, "role:true")
        await choose(pilot, app, "fault:")
        await until(pilot, lambda: "fault: simulator, rule role-inversion" in inspected())
        assert Notes(log).all() == {}, "back to what the log says is no correction"


async def test_what_was_corrected_before_is_shown_when_the_log_is_opened(
    app: ConvtuiApp, log: Path
) -> None:
    Notes(log).correct_fault(1, 2, "none")
    async with app.run_test(size=(120, 26)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: "labelled by hand: nobody" in screen.inspector.copy_text())
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert "fault:" in answers(app)
        assert "fault:none" not in answers(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))


async def test_notes_that_cannot_be_written_are_told(app: ConvtuiApp, log: Path) -> None:
    Notes(log).path.mkdir()
    async with app.run_test(size=(120, 26)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 1)
        await choose(pilot, app, "fault:harness")
        await until(pilot, lambda: any("Not corrected" in n.message for n in app._notifications))
        assert screen.parts.notes.correction(screen.transcript.turns[1]) is None
