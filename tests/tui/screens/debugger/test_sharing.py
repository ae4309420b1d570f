"""Sharing a conversation from the debugger."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.config.settings import load_config
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.questions import Choose
from tests.tui.harness.sample import refund, until, write_log


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConvtuiApp:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    log = write_log(tmp_path / "a.jsonl", refund())
    return ConvtuiApp(
        lambda app: app.runs.recording(log),
        config=load_config(),
        state_file=tmp_path / "state.json",
    )


async def test_a_page_is_written_beside_the_pictures(app: ConvtuiApp, tmp_path: Path) -> None:
    folder = tmp_path / "home" / "data" / "exports"
    async with app.run_test(size=(120, 36)) as pilot:
        screen = app.screen
        assert isinstance(screen, DebuggerScreen)
        await until(pilot, lambda: screen.view.shown_items == 7)
        for name in ("a.html", "a-2.html"):
            await pilot.press("ctrl+e")
            await until(pilot, lambda: isinstance(app.screen, Choose))
            await pilot.press("down", "enter")
            await until(pilot, (folder / name).is_file)
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("ctrl+e")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
    assert sorted(path.name for path in folder.iterdir()) == ["a-2.html", "a.html"]
    assert "<!doctype html>" in (folder / "a.html").read_text(encoding="utf-8")
