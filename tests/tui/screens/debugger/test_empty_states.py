"""What an empty transcript says: what is awaited, and what to press."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from convtui.actions.registry import Keymap
from convtui.client.engine_client import EngineHandle, EngineState
from convtui.protocol import StartSpec
from convtui.tui.screens.debugger.context import ShownConversation
from convtui.tui.screens.debugger.empty_states import before_the_first_turn
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, refund, until, write_log


def said(state: EngineState, hold: dict[str, Any] | None = None) -> str:
    handle = FakeHandle()
    handle.state, handle.hold = state, hold
    engine = cast(EngineHandle, handle)
    run = LiveRun(StartSpec(scenario={}, out_dir="."), make_handle=lambda: engine)
    return before_the_first_turn(ShownConversation(LiveSource(engine), run), Keymap())


@pytest.mark.parametrize(
    ("state", "hold", "words"),
    [
        (EngineState.STARTING, None, "The engine is starting. The first turn appears here."),
        (EngineState.RUNNING, None, "The conversation begins. The first turn appears here."),
        (EngineState.HELD, {"reason": "pause"}, "n runs one turn, space runs on."),
        (
            EngineState.HELD,
            {"reason": "error", "stage": "setup"},
            "Fix the code; R loads it again.",
        ),
        (EngineState.HELD, {"reason": "human"}, "Write the first turn below."),
        (EngineState.CLOSED, None, "It ended before the first turn. q goes back."),
        (EngineState.DEAD, None, "R starts another one."),
    ],
)
def test_a_run_without_turns_says_what_it_waits_for(
    state: EngineState, hold: dict[str, Any] | None, words: str
) -> None:
    assert words in said(state, hold)


def test_a_recording_without_turns_says_how_to_leave_it(tmp_path: Path) -> None:
    source = ReplaySource(write_log(tmp_path / "a.jsonl", [header()]))
    words = before_the_first_turn(ShownConversation(source), Keymap())
    source.close()
    assert words in ("Reading the log ...", "This recording has no turns. q goes back.")


async def test_a_search_without_a_match_says_what_to_press(tmp_path: Path) -> None:
    live = LiveApp(tmp_path, refund()[:7], {})
    async with live.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: live.handle.state is EngineState.RUNNING)
        assert "The first turn appears here." in live.screen.view.empty_message
        live.handle.tell(*refund()[:20])
        await until(pilot, lambda: live.screen.view.shown_items)
        await pilot.press("slash", *"nowhere", "enter")
        await until(pilot, lambda: "No turn matches nowhere. / searches" in live.notices())
