"""A fault for the next call, chosen on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import OptionList

from convtui.protocol import FAULTS
from convtui.tui.screens.dialogs import Choose
from tests.tui.sample import until
from tests.tui.test_app_live import OPENING, Live


async def choose(pilot: Pilot[Any], answer: str) -> list[str]:
    """Opens the chooser with its key and takes an answer; what was offered."""
    app = pilot.app
    await pilot.press("I")
    await until(pilot, lambda: isinstance(app.screen, Choose))
    options = app.screen.query_one(OptionList)
    offered = [str(options.get_option_at_index(n).id) for n in range(options.option_count)]
    options.highlighted = options.get_option_index(answer)
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(app.screen, Choose))
    return offered


async def test_a_fault_is_chosen_shown_until_it_fires_and_taken_back(tmp_path: Path) -> None:
    live = Live(tmp_path)
    async with live.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: bool(live.app.screen_stack) and live.screen.is_mounted)
        live.handle.tell(*OPENING)
        assert await choose(pilot, "429") == list(FAULTS)
        await until(pilot, lambda: bool(live.handle.orders))
        assert live.handle.orders[-1] == ("inject", {"side": "provider", "fault": "429"})

        live.handle.armed = {"provider": {"fault": "429", "left": 1}}
        assert live.screen.armed_notes() == ["next provider call: 429"]
        assert "next provider call: 429" in live.screen._notes()
        offered = await choose(pilot, "(take it back)")
        assert offered == [*FAULTS, "(take it back)"]
        await until(pilot, lambda: len(live.handle.orders) > 1)
        assert live.handle.orders[-1] == ("inject", {"side": "provider", "fault": None})
        live.handle.armed = {}
        assert live.screen.armed_notes() == []


async def test_a_refusal_is_told(tmp_path: Path) -> None:
    live = Live(tmp_path)
    async with live.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: bool(live.app.screen_stack) and live.screen.is_mounted)
        live.handle.tell(*OPENING)
        live.handle.refuse = "the conversation is over"
        await choose(pilot, "slow")
        await until(pilot, lambda: bool(live.app._notifications))
        told = [notice.message for notice in live.app._notifications]
        assert told == ["No fault was put in: the conversation is over."]
