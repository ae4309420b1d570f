"""The debugger on a recording."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from convtui.transcript.turns import INTERESTING, Turn
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.commands import CommandList
from convtui.tui.screens.help import HelpScreen
from convtui.tui.too_small import TooSmall
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.statusline import StatusLine
from tests.tui.harness.hands import hands_of
from tests.tui.harness.sample import header, refund, until, write_log


@pytest.fixture
def app(tmp_path: Path) -> ConvtuiApp:
    log = write_log(tmp_path / "a.jsonl", refund())
    return ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")


def shown(app: ConvtuiApp) -> DebuggerScreen:
    screen = app.screen
    assert isinstance(screen, DebuggerScreen)
    return screen


def footer(app: ConvtuiApp) -> list[str]:
    return [item.label for item in app.screen.query_one(KeyBar).items]


async def test_it_shows_the_end_and_its_keys(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.shown_items == 7 and screen.view.cursor == 6)
        await until(pilot, lambda: "play" in footer(app))
        assert "pause/run" not in footer(app)
        assert "take over" not in footer(app)
        assert screen.inspecting


async def test_stages_are_stepped_through(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        await pilot.press("k", "s")
        assert screen.replay is not None
        await until(pilot, lambda: screen.replay and screen.replay.stage == "request")
        await until(pilot, lambda: screen.view.shown_items == 6)
        await pilot.press("s")
        await until(pilot, lambda: screen.replay and screen.replay.stage == "response")
        # The fold up to that stage comes a moment later than the stage.
        await until(pilot, lambda: screen.selected and screen.selected.text.startswith("<think>"))
        await pilot.press("c")
        await until(pilot, lambda: screen.view.shown_items == 7)


async def test_a_recording_without_turns_takes_every_key_of_the_transport(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", [header()])
    app = ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.replay is not None and not screen.replay.loading)
        await pilot.press("s", "n", "k", "j", "g", "G", "c", "space", "right_square_bracket")
        await pilot.pause()
        assert screen.view.shown_items == 0


async def test_search_lights_up_and_takes_n(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        await pilot.press("slash")
        await until(pilot, lambda: footer(app)[:2] == ["search", "close"])
        await pilot.press(*"refund", "enter")
        await until(pilot, lambda: screen.view.search_count == 2)
        assert screen.contexts()[0] == "search"
        at = screen.view.cursor
        await pilot.press("n")
        await until(pilot, lambda: screen.view.cursor != at)
        number = screen.view.search_position or 0
        await until(pilot, lambda: str(screen.view.border_subtitle) == f"match {number} of 2")
        await pilot.press("n", "r")
        facts = f"match {3 - number} of 2 · showing raw"
        await until(pilot, lambda: str(screen.view.border_subtitle) == facts)
        assert "match" not in screen.query_one("#bottom", StatusLine).render_line(0).text
        assert "end search" in footer(app)
        await pilot.press("escape")
        assert screen.contexts() == ("replay",)
        await pilot.press("slash")
        screen.query_one("#search", Input).value = "~discard"
        await pilot.press("enter")
        await until(pilot, lambda: screen.view.cursor == 4)
        await pilot.press("escape", "slash")
        screen.query_one("#search", Input).value = "~nonsense ("
        await pilot.press("enter")
        assert not screen.parts.search.text


async def test_keys_that_look_ahead_see_what_was_not_played_yet(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        replay = screen.replay
        assert replay is not None
        await pilot.press("g", "right")
        await until(pilot, lambda: replay.position == 1)
        assert screen.view.shown_items == 2
        turns = replay.transcript.turns
        event = next(turn.index for turn in turns[2:] if turn.flags & INTERESTING)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: screen.view.cursor == event)
        assert replay.position == event
        assert not any("No later" in notice.message for notice in app._notifications)
        await pilot.press("left", "G")
        await until(pilot, lambda: screen.view.cursor == 6)
        await pilot.press("g", "left")
        await until(pilot, lambda: screen.view.shown_items < 7)
        await pilot.press("slash")
        screen.query_one("#search", Input).value = "~discard"
        await pilot.press("enter")
        await until(pilot, lambda: screen.view.cursor == 4)


async def test_the_figures_are_those_at_the_cursor(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        replay = screen.replay
        assert replay is not None
        bottom = screen.query_one("#bottom", StatusLine)
        whole = sum(turn_tokens(turn) for turn in replay.transcript.turns)
        await until(pilot, lambda: f" {whole:,}/8,000 tok" in bottom.render_line(0).text)
        await pilot.press("g", "right")
        await until(pilot, lambda: replay.position == 1)
        so_far = sum(turn_tokens(turn) for turn in replay.transcript.turns[:2])
        assert 0 < so_far < whole
        await until(pilot, lambda: f" {so_far:,}/8,000 tok" in bottom.render_line(0).text)


def turn_tokens(turn: Turn) -> int:
    return (turn.prompt_tokens or 0) + (turn.completion_tokens or 0)


async def test_a_narrow_screen_has_one_column(app: ConvtuiApp) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        assert not screen.outline.display
        assert not screen.inspector.display
        await pilot.press("enter")
        await until(pilot, lambda: screen.inspector.has_focus_within)
        await pilot.press("2")
        assert screen.inspector.tab == "Raw"
        await pilot.press("escape")
        assert not screen.inspecting
        assert screen.view.has_focus


async def test_help_lists_the_keys_of_this_state(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: shown(app).view.cursor == 6)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        text = str(app.screen.query_one(Static).content)
        assert "Play or pause the recording" in text
        assert "Kill the engine" not in text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))


async def test_the_palette_has_what_works_here(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: shown(app).view.cursor == 6)
        await pilot.press("colon")
        await until(pilot, lambda: app.screen.query(CommandList))
        sentences = [hit.command.sentence for hit in app.screen.query_one(CommandList).items]
        assert "Play or pause the recording" in sentences
        assert not any("Kill" in sentence for sentence in sentences)


async def test_going_to_a_turn(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        await pilot.press("number_sign")
        await until(pilot, lambda: app.screen is not screen)
        await pilot.press(*"1:9", "enter")
        assert app.screen is not screen
        await pilot.press("backspace", "2", "enter")
        await until(pilot, lambda: app.screen is screen and screen.view.cursor == 1)


async def test_a_paste_into_the_number_of_a_turn_starts_nothing(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen, hands = shown(app), hands_of(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        await pilot.press("number_sign")
        await until(pilot, lambda: app.screen is not screen)
        hands.burst()
        await pilot.press("2", "enter", "q", "enter")
        assert app.screen is not screen
        assert app.screen.query_one(Input).value == "2 q "
        hands.rest()
        await pilot.press(*["backspace"] * 4, *"1:2")
        hands.burst()
        # It begins with an Enter, which does what it says; the rest is lost.
        await pilot.press("enter", "enter", *"mOq", "tab", "enter")
        await until(pilot, lambda: app.screen is screen and screen.view.cursor == 1)
        hands.rest()
        await pilot.pause()
        assert app.screen is screen and screen.view.has_focus
        noted = screen.parts.notes.on(screen.transcript.turns[1])
        assert noted is not None and not noted.mark


async def test_copying(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: shown(app).view.cursor == 6)
        await pilot.press("y")
        assert app.clipboard == "Thanks, that is all I needed."
        await pilot.press("Y")
        assert "Holyhead" in app.clipboard
        await pilot.press("P")
        await until(pilot, lambda: "litellm.completion" in app.clipboard)
        await pilot.press("U")
        await until(pilot, lambda: app.clipboard.startswith("curl"))


async def test_a_turn_without_a_model_call_has_no_snippet(tmp_path: Path) -> None:
    records = [record for record in refund() if not record["type"].startswith("llm.")]
    log = write_log(tmp_path / "a.jsonl", records)
    app = ConvtuiApp(lambda app: app.runs.recording(log))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: shown(app).view.cursor == 6)
        await pilot.press("P")
        await until(pilot, lambda: any("called no model" in n.message for n in app._notifications))
        assert app.clipboard == ""


async def test_q_leaves_a_recording_without_asking(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: shown(app).view.cursor == 6)
        await pilot.press("q")
        await until(pilot, lambda: app.return_value is not None)
    assert app.return_value == 0


async def test_a_tiny_terminal_gets_advice(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: shown(app).view.cursor == 6)
        await pilot.resize_terminal(30, 8)
        await until(pilot, lambda: isinstance(app.screen, TooSmall))
        await pilot.resize_terminal(60, 16)
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))


async def test_the_status_line_counts_the_damages_of_a_log(tmp_path: Path) -> None:
    log = write_log(tmp_path / "damaged.jsonl", refund())
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join([*lines[:5], "{no record\n", *lines[5:]]), encoding="utf-8")
    app = ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: "3 damaged places in the log" in screen.status.notes())
        # The line itself, what it did to the order, and to the count.
        await until(pilot, lambda: "3 damaged places in the log" in drawn(app))


def drawn(app: ConvtuiApp) -> str:
    """The line at the bottom."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)
