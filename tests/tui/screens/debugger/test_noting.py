"""Marks and notes on turns, and a search that finds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from convtui.config.paths import write_state
from convtui.filters.filter import parse
from convtui.log.notes import Notes, TurnNote
from convtui.transcript.fold import Flag
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.notes import NotesScreen
from convtui.tui.screens.dialogs.questions import Ask, Edit
from convtui.tui.widgets.transcript.note_marks import note_rows, note_sign
from tests.builders.logs import conversation, fold, session, turn, write_log
from tests.tui.harness.sample import until
from tests.tui.screens.debugger.test_app_live import Live

FLAGS = [{"flag": "role", "rule": "offers-help", "matched": "help", "start": 0}]
RECORDS = conversation(
    session(
        1,
        "a",
        [
            turn(1, "persona", "Hello, the red ferry was cancelled."),
            turn(2, "provider", "The red one? Sorry."),
            turn(3, "persona", "How can I help you?", flags=FLAGS),
            turn(4, "provider", "What about the blue ferry?"),
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


def text(app: ConvtuiApp) -> str:
    """The screen as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


async def at(pilot: Pilot[Any], app: ConvtuiApp, number: int) -> DebuggerScreen:
    """Selects a turn of the log."""
    screen = shown(app)
    await until(pilot, lambda: len(screen.transcript.turns) == 4 and screen.view.cursor >= 0)
    screen.view.go_to(number - 1)
    await until(pilot, lambda: screen.selected is not None and screen.selected.number == number)
    return screen


async def search(pilot: Pilot[Any], app: ConvtuiApp, expression: str) -> None:
    await pilot.press("slash")
    field = app.screen.query_one("#search", Input)
    await until(pilot, lambda: field.has_focus)
    field.value = expression
    await pilot.press("enter")


def test_a_row_has_glyph_and_word() -> None:
    both = TurnNote(mark=True, note="asks\ntwice \x1b[1m")
    noted_turn = fold(conversation(session(1, "a", [turn(1, "persona", "Hello")]))).turns[0]
    (row,) = note_rows(both, noted_turn)
    assert "".join(text for text, _ in row) == "⚑ marked · ⁋ note: asks twice ␛[1m"
    assert note_sign(both) == ("⚑", "human")
    assert note_sign(TurnNote(note="x")) == ("⁋", "human")
    assert note_rows(TurnNote(flags={"role": False}, fault="harness"), noted_turn) == []
    added = TurnNote(flags={"role": True, "leak": False})
    assert note_rows(added, noted_turn) == [[("role inversion by hand", "warning")]]
    assert note_sign(added) == ("∆", "warning")
    noted_turn.flags = Flag.LEAK
    assert note_rows(added, noted_turn) == [], "its badges tell it"
    assert note_sign(None) is None


async def test_a_turn_is_marked_and_not(app: ConvtuiApp, log: Path) -> None:
    async with app.run_test(size=(120, 26)) as pilot:
        screen = await at(pilot, app, 2)
        lines = screen.view.line_count
        await pilot.press("m")
        await until(pilot, lambda: text(app).count("⚑ marked") == 2)
        assert "⚑  2 provider" in text(app), "beside the turn, below its text, in the inspector"
        assert screen.view.line_count == lines + 1
        assert Notes(log).on(1, 2).mark
        await pilot.press("m")
        await until(pilot, lambda: "⚑" not in text(app))
        assert screen.view.line_count == lines
        assert not Notes(log).on(1, 2).mark
        await pilot.press("m", "m", "m")
        await until(pilot, lambda: "⚑ marked" in text(app))
        await until(pilot, lambda: Notes(log).on(1, 2).mark)


async def test_a_note_is_written_changed_and_taken_away(app: ConvtuiApp, log: Path) -> None:
    async with app.run_test(size=(120, 26)) as pilot:
        await at(pilot, app, 1)
        await pilot.press("semicolon")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press(*"why red?", "enter")
        await until(pilot, lambda: "⁋ note: why red?" in text(app))
        assert Notes(log).on(1, 1).note == "why red?"
        await until(pilot, lambda: "⁋ note\nwhy red?\n" in shown(app).inspector.copy_text())
        await pilot.press("semicolon")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        assert app.screen.query_one(Input).value == "why red?"
        app.screen.query_one(Input).value = ""
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await until(pilot, lambda: "⁋" not in text(app))
        assert Notes(log).all() == {}


async def test_a_note_of_several_lines_keeps_them(app: ConvtuiApp, log: Path) -> None:
    Notes(log).note(1, 1, "one\ntwo")
    async with app.run_test(size=(120, 26)) as pilot:
        screen = await at(pilot, app, 1)
        await until(pilot, lambda: "⁋ note: one two" in text(app))
        await until(pilot, lambda: "⁋ note\none\ntwo" in screen.inspector.copy_text())
        await pilot.press("semicolon")
        await until(pilot, lambda: isinstance(app.screen, Edit))
        await pilot.press("3", "ctrl+s")
        await until(pilot, lambda: Notes(log).on(1, 1).note == "one\ntwo3")


async def test_marks_and_notes_are_listed_and_gone_to(app: ConvtuiApp, log: Path) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await at(pilot, app, 4)
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, NotesScreen))
        await until(pilot, lambda: "m marks the selected turn" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        # Another program writes them while the screen is open.
        Notes(log).mark(1, 1, True)
        Notes(log).note(1, 3, "wrong role")
        Notes(log).correct_flag(1, 3, "role", False)
        Notes(log).note(7, 7, "of no turn")
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, NotesScreen))
        await until(pilot, lambda: "⁋ note: wrong role" in text(app))
        assert "⚑ marked" in text(app)
        assert "role inversion taken away by hand" in " ".join(text(app).split())
        assert app.screen.query_one(OptionList).highlighted == 2
        await pilot.press("k", "enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await until(pilot, lambda: screen.selected is not None and screen.selected.number == 3)
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, NotesScreen))
        await pilot.press("j", "enter")
        await until(pilot, lambda: any("no turn 7:7" in n.message for n in app._notifications))


async def test_what_cannot_be_kept_is_told(app: ConvtuiApp, log: Path) -> None:
    Notes(log).path.mkdir()
    async with app.run_test(size=(120, 26)) as pilot:
        screen = await at(pilot, app, 1)
        await pilot.press("m")
        await until(pilot, lambda: any("Not saved" in n.message for n in app._notifications))
        note = screen.parts.notes.on(screen.transcript.turns[0])
        assert note is not None
        assert not note.mark
        assert "⚑" not in text(app)


async def test_a_search_for_marks_goes_along_with_them(app: ConvtuiApp, log: Path) -> None:
    Notes(log).mark(1, 1, True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await at(pilot, app, 2)
        await until(pilot, lambda: "⚑ marked" in text(app))
        await search(pilot, app, "~mark | ~note")
        await until(pilot, lambda: "match 1 of 1" in text(app))
        screen.view.go_to(3)
        await pilot.press("m")
        await until(pilot, lambda: "match 2 of 2" in text(app))
        await pilot.press("n")
        await until(pilot, lambda: "match 1 of 2" in text(app))
        assert screen.selected is not None
        assert screen.selected.number == 1


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 16)])
async def test_which_match_it_is_is_seen_at_every_size(
    app: ConvtuiApp, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        screen = await at(pilot, app, 4)
        await search(pilot, app, "~said ferry & !~said blue | ~said 'blue ferry'")
        await until(pilot, lambda: "match 1 of 2" in text(app))
        search_ = screen.view._search
        assert search_ is not None
        assert search_.highlight is not None
        highlight = screen.app.palette.style("mark:accent")  # type: ignore[attr-defined]
        highlighted = [
            segment.text
            for strip in screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.bgcolor == highlight.bgcolor
        ]
        assert {"ferry", "blue ferry"} <= set(highlighted), (
            "all matches in sight, not the selected alone"
        )


async def test_the_next_event_is_one_by_hand_too(app: ConvtuiApp, log: Path) -> None:
    notes = Notes(log)
    notes.correct_flag(1, 3, "role", False)
    notes.correct_flag(1, 2, "leak", True)
    async with app.run_test(size=(120, 26)) as pilot:
        screen = await at(pilot, app, 1)
        await until(
            pilot, lambda: screen.parts.notes.correction(screen.transcript.turns[1]) is not None
        )
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: screen.view.cursor == 1)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: any("No later" in n.message for n in app._notifications))
        assert screen.view.cursor == 1, "what was taken away by hand is no event"


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("ferry & ~signal", "(?:ferry)"),
        ("~said a | !~said b | ~raw c", "(?:a)|(?:c)"),
        ("~signal", None),
        ("~said '(?P<x>a)' | ~said '(?P<x>b)'", None),
    ],
)
def test_what_an_expression_lights_up(expression: str, found: str | None) -> None:
    pattern = parse(expression).highlight()
    assert (pattern.pattern if pattern is not None else None) == found


async def test_a_turn_of_a_running_conversation_is_marked_and_found(tmp_path: Path) -> None:
    # The hint for newcomers would lie over the newest text.
    write_state(tmp_path / "state.json", {"hinted": True})
    live = Live(tmp_path)
    async with live.app.run_test(size=(80, 24)) as pilot:
        await live.begin(pilot)
        log = live.handle.log_path
        assert log is not None
        await pilot.press("m")
        await until(pilot, lambda: Notes(log).on(1, 2).mark)
        await until(pilot, lambda: "⚑ marked" in text(live.app))
        await search(pilot, live.app, "~mark")
        await until(pilot, lambda: "match 1 of 1" in text(live.app))
