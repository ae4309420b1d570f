"""What a frame draws again, and what comes first."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.widget import Widget

from convtui.tui.screens.debugger.repaints import FRAME, SLOWEST
from convtui.tui.widgets.keybar import KeyBar
from tests.builders.waiting import WITHIN
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, turn, until

OPENING = [
    header(),
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "persona", "max_turns": 40},
    *turn(1, "persona", "Hello there."),
    *turn(2, "provider", "Good day."),
]  # fmt: skip
STARTED = {"type": "turn.started", "session": 1, "turn": 3, "speaker": "persona"}


@pytest.fixture
def live(tmp_path: Path) -> LiveApp:
    return LiveApp(tmp_path, OPENING, {"persona": {"name": "maya"}})


async def test_text_that_streams_draws_neither_the_inspector_nor_the_keys(
    live: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live.app.run_test(size=(120, 36)) as pilot:
        await live.begin(pilot)
        live.handle.tell(STARTED)
        view = live.screen.view
        await until(pilot, lambda: view.shown_items == 3)
        drawn: set[str] = set()
        refresh = Widget.refresh

        def noted(widget: Widget, *regions: Any, **what: Any) -> Widget:
            drawn.add(type(widget).__name__)
            return refresh(widget, *regions, **what)

        monkeypatch.setattr(Widget, "refresh", noted)
        live.handle.transcript.stream(1, 3, "More and more.")
        live.handle.changed.add(2)
        live.handle.notify()
        await until(pilot, lambda: "TranscriptView" in drawn)
        assert not drawn & {"Inspector", "TabBar", "FoldPane", "KeyBar"}
        assert "More and more." in view.copy_text(2)


async def test_what_streams_is_drawn_after_the_key_that_came_first(
    live: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = False
    monkeypatch.setattr("convtui.tui.screens.debugger.repaints.answers_key", lambda app: answering)
    async with live.app.run_test(size=(120, 36)) as pilot:
        await live.begin(pilot)
        repaints = live.screen._repaints
        answering = True
        live.handle.tell(STARTED)
        for _ in range(3):
            waiting = repaints._timer
            async with asyncio.timeout(WITHIN):
                while repaints._timer is waiting:
                    await asyncio.sleep(0.001)
            assert live.screen.view.shown_items < 3
        answering = False
        await until(pilot, lambda: live.screen.view.shown_items == 3)


async def test_frames_that_take_long_come_less_often(live: LiveApp) -> None:
    async with live.app.run_test(size=(120, 36)) as pilot:
        await live.begin(pilot)
        repaints = live.screen._repaints
        repaints._drawn(repaints._painted_at - 1000)
        assert repaints._frame == SLOWEST
        repaints._drawn(repaints._painted_at + 1000)
        assert repaints._frame == FRAME


async def test_the_footer_is_gone_with_its_screen(live: LiveApp) -> None:
    async with live.app.run_test(size=(120, 36)) as pilot:
        await live.begin(pilot)
        bar = live.screen.query_one(KeyBar)
        assert bar.items
        screen = live.screen
        await bar.remove()
        screen.repaint()
        screen.refresh_footer()
