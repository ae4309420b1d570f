"""The line of notices on screens: it covers no content, and nothing jumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget

from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.dialogs.notices import NoticesScreen
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.notice_line import NoticeLine
from tests.tui.harness.sample import refund, until, write_log

SIZES = ((120, 36), (60, 16))


def regions(screen: Screen[Any]) -> dict[str, Region]:
    """Where everything is but the lines above the keys."""
    return {
        str(widget): widget.region
        for widget in screen.query(Widget)
        if widget.id != "bottom" and not isinstance(widget, NoticeLine) and widget.region
    }


def shown(screen: Screen[Any]) -> str:
    line = screen.query_one(NoticeLine)
    return str(line.render()) if line.display and line.region else ""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["library", "debugger"])
async def test_a_notice_is_above_the_keys_and_moves_nothing(
    tmp_path: Path, size: tuple[int, int], kind: str
) -> None:
    log = write_log(tmp_path / "a.jsonl", refund())

    def make(app: ConvtuiApp) -> Screen[Any]:

        return RunsScreen(app.keymap, tmp_path) if kind == "library" else app.runs.recording(log)

    app = ConvtuiApp(make, state_file=tmp_path / "state.json")
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        screen = app.screen
        before = regions(screen)
        app.notify("Over here.", severity="warning")
        await until(pilot, lambda: "Over here." in shown(screen))
        line, keys = screen.query_one(NoticeLine), screen.query_one(KeyBar)
        assert line.region.height == 1
        assert line.region.bottom == keys.region.y
        assert regions(screen) == before
        app.notify("Over here.", severity="warning")
        await until(pilot, lambda: shown(screen).endswith("x2"))
        app.notify("Newer.")
        await until(pilot, lambda: shown(screen) == "i note  Newer.")
        app.clear_notifications()
        await until(pilot, lambda: not shown(screen))
        assert regions(screen) == before


async def test_a_notice_goes_when_a_screen_opens_and_its_log_stays(tmp_path: Path) -> None:
    app = ConvtuiApp(
        lambda app: RunsScreen(app.keymap, tmp_path), state_file=tmp_path / "state.json"
    )
    async with app.run_test(size=(100, 30)) as pilot:
        screen = app.screen
        app.notify("About the list.")
        await until(pilot, lambda: shown(screen))
        dialog = Choose("which one?", [("a", "this"), ("b", "that")])
        app.push_screen(dialog)
        await until(pilot, lambda: app.screen is dialog and not shown(screen))
        before = regions(dialog)
        app.notify("About the dialog.")
        await until(pilot, lambda: dialog.query(NoticeLine) and shown(dialog))
        # The keys of the screen below do nothing now; the dialog stays where it is.
        assert dialog.query_one(NoticeLine).region == Region(0, 29, 100, 1)
        assert regions(dialog) == before
        await pilot.press("escape")
        app.board.open_log()
        await until(pilot, lambda: isinstance(app.screen, NoticesScreen))
        await pilot.press("y")
        lines = app.clipboard.splitlines()
        assert [lines[1].strip(), lines[3].strip()] == ["About the dialog.", "About the list."]
