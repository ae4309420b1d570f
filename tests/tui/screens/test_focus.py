"""The focus is seen on every widget that can have it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from convtui.config.settings import load_config
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.home.picker import PickerScreen
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.run_list import RunList
from tests.tui.harness.sample import refund, until, write_log


def painted(screen: Screen[object], widget: Widget) -> list[list[tuple[str, str]]]:
    """What a widget looks like on the screen, cell by cell but for a blinking cursor."""
    rows: list[Strip] = screen._compositor.render_strips()
    region = widget.region
    return [
        [
            (segment.text, str(segment.style))
            for segment in rows[y].crop(region.x, region.right)
            if segment.text
        ]
        for y in range(region.y, region.bottom)
    ]


@pytest.mark.parametrize(
    ("kind", "theme"), [("home", "dark"), ("home", "mono"), ("library", "mono")]
)
async def test_the_focus_is_seen_on_every_widget(tmp_path: Path, kind: str, theme: str) -> None:
    environ = {"CONVTUI_HOME": str(tmp_path), "CONVTUI_THEME": theme}
    config = load_config(environ=environ, cwd=tmp_path)
    config.runs_dir.mkdir(parents=True)
    write_log(config.runs_dir / "a.jsonl", refund())
    app = ConvtuiApp(
        lambda app: (
            PickerScreen(app.keymap, cwd=tmp_path)
            if kind == "home"
            else RunsScreen(app.keymap, config.runs_dir)
        ),
        config=config,
    )
    app.runs.warm_up = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(120, 40)) as pilot:
        screen = app.screen
        await until(pilot, lambda: screen.query(RunList) and screen.query_one(RunList).runs)
        if kind == "home":
            screen.query_one("ChoiceForm").add_class("-more")
            await pilot.pause()
        chain = screen.focus_chain
        assert len(chain) >= (12 if kind == "home" else 2)
        screen.set_focus(None)
        await pilot.pause()
        without = [painted(screen, widget) for widget in chain]
        for widget, before in zip(chain, without, strict=True):
            widget.focus()
            await until(pilot, lambda widget=widget: widget.has_focus)  # type: ignore[misc]
            await pilot.pause()
            assert painted(screen, widget) != before, f"{widget} looks the same with the focus"
