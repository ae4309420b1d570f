"""One pane on the whole screen, the inspector's width, and the keys inside of the inspector."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.config.paths import read_state
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.layout import STEP
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.too_small import SMALLEST
from convtui.tui.widgets.keybar import KeyBar
from tests.tui.harness.honesty import check_keys
from tests.tui.harness.sample import refund, until, write_log
from tests.tui.harness.taken import Taken


@pytest.fixture
def app(tmp_path: Path) -> ConvtuiApp:
    log = write_log(tmp_path / "a.jsonl", refund())
    return ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")


def shown(app: ConvtuiApp) -> DebuggerScreen:
    screen = app.screen
    assert isinstance(screen, DebuggerScreen)
    return screen


def footer(app: ConvtuiApp) -> list[str]:
    return [f"{item.key} {item.label}" for item in app.screen.query_one(KeyBar).items]


async def test_a_pane_is_maximised_and_back(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        await pilot.press("z")
        await until(pilot, lambda: screen.view.outer_size.width == 120)
        await until(pilot, lambda: not screen.inspecting)
        await pilot.press("4")
        await until(pilot, lambda: screen.inspector.region.width and screen.outline.region.width)
        await pilot.press("4", "z")
        await until(pilot, lambda: screen.inspector.outer_size.width == 120)
        assert screen.inspecting and screen.inspector.pane.has_focus
        await pilot.press("escape")
        await until(pilot, lambda: screen.view.region.width and screen.outline.region.width)
        assert screen.inspector.pane.has_focus, "one step back, not two"
        await pilot.press("z")
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: screen.narrow and screen.inspector.region.width == 80)
        await pilot.press("z")
        await until(pilot, lambda: screen.view.region.width == 80)
        await pilot.press("z")
        await until(pilot, lambda: screen.inspector.region.width == 80)


async def test_the_inspector_in_the_place_of_the_transcript(app: ConvtuiApp) -> None:
    """Its frame is not that of a pane without the keys, and the way back is in the footer."""
    async with app.run_test(size=(80, 24)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6)
        before = screen.view.styles.border_top
        assert "z transcript" not in footer(app)
        for key in ("i", "4"):
            await pilot.press(key)
            await until(pilot, lambda: screen.inspector.region.width == 80)
            await until(pilot, lambda: screen.inspector.styles.border_top == before)
            assert footer(app)[0] == "z transcript"
            await pilot.press("z")
            await until(pilot, lambda: screen.view.region.width == 80)
            assert "z transcript" not in footer(app)
        await pilot.press("i")
        await pilot.resize_terminal(120, 36)
        await until(pilot, lambda: screen.inspector.styles.border_top != before)


async def test_the_width_of_the_inspector_is_kept(app: ConvtuiApp, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6 and screen.inspector.region.width)
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: read_state(state).get("inspector_width"))
        first = read_state(state)["inspector_width"]
        await pilot.press("greater_than_sign", "greater_than_sign", "less_than_sign", "z", "z")
        kept = first + STEP
        await until(pilot, lambda: read_state(state)["inspector_width"] == kept)
        await until(pilot, lambda: screen.inspector.outer_size.width == round(1.2 * kept))
    again = ConvtuiApp(
        lambda app: app.runs.recording(tmp_path / "a.jsonl"), state_file=tmp_path / "state.json"
    )
    async with again.run_test(size=(100, 36)) as pilot:
        await until(pilot, lambda: shown(again).inspector.outer_size.width == kept)


async def test_enter_unfolds_while_the_inspector_has_the_focus(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        pane = screen.inspector.pane
        await until(pilot, lambda: screen.view.cursor == 6)
        await pilot.press("4", "4")
        await until(pilot, lambda: pane.has_focus and pane.has_folds)
        await until(pilot, lambda: footer(app)[:2] == ["enter fold", "* unfold all"])
        await pilot.press("enter")
        await until(pilot, lambda: "enter unfold" in footer(app))
        assert screen.help_contexts()[0] == "inspector"
        await pilot.press("escape")
        await until(pilot, lambda: screen.view.has_focus)
        assert "enter unfold" not in footer(app)


async def test_the_keys_stay_on_the_smallest_screen(tmp_path: Path) -> None:
    live = Taken(tmp_path)
    async with live.app.run_test(size=(SMALLEST[0], SMALLEST[1])) as pilot:
        await live.begin(pilot)
        screen, keys = live.screen, live.screen.query_one(KeyBar)
        screen.prompts.hint_line.show("a sentence that explains what happens here, on two lines")
        live.handle.held(("go", "go on"), ("edit", "edit"), ("retry", "ask again"),
                         ("skip", "skip this turn"), reason="step")  # fmt: skip
        await until(pilot, lambda: screen.hold_bar.region.height > 1)

        def fits() -> bool:
            return keys.region.bottom == SMALLEST.height and bool(screen.view.region.height)

        await until(pilot, fits)
        await pilot.press("t")
        await until(pilot, lambda: live.box.has_focus and live.box.region.height == 3 and fits())
        assert screen.view.region.height >= 3, "who writes sees what is answered"
        await pilot.press("escape")
        await until(pilot, lambda: not live.box.has_focus and screen.hold_bar.region.height > 1)
        await until(pilot, fits)
        assert not screen.show_vertical_scrollbar


async def test_in_the_outline_the_footer_says_what_its_keys_do(
    app: ConvtuiApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: screen.view.cursor == 6 and screen.outline.display)
        assert "left prev turn" in footer(app)
        await pilot.press("ctrl+b")
        await until(pilot, lambda: screen.outline.has_focus)
        keys = ["up up", "down down", "left turn before", "right turn after", "enter to the turn"]
        assert footer(app)[:6] == [*keys, "esc transcript"]
        assert "left prev turn" not in footer(app)
        check_keys(screen, monkeypatch)
        await pilot.press("k")
        await until(pilot, lambda: screen.view.cursor == 3)
        await pilot.press("up")
        await until(pilot, lambda: "enter fold" in footer(app))
        await pilot.press("enter")
        await until(pilot, lambda: {"enter unfold", "right unfold"} <= set(footer(app)))
        await pilot.press("right", "right")
        await until(pilot, lambda: "enter to the turn" in footer(app))
        turn = screen.view.cursor
        await pilot.press("enter")
        await until(pilot, lambda: screen.view.has_focus)
        assert screen.view.cursor == turn
        assert "left prev turn" in footer(app)
        await pilot.press("ctrl+b", "escape")
        await until(pilot, lambda: screen.view.has_focus)
        assert app.screen is screen
