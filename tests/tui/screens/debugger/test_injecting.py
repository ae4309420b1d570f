"""A fault for the next call, chosen on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from textual.pilot import Pilot
from textual.widgets import OptionList

from convtui.client.engine_client import EngineHandle
from convtui.client.link import ConversationLink
from convtui.protocol import FAULTS, ContinueFrom, StartSpec
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.sources.run import LiveRun
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import until
from tests.tui.screens.debugger.test_app_live import OPENING, Live


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
        assert live.screen.parts.faults.status() == ["next provider call: 429"]
        assert "next provider call: 429" in live.screen.status.notes()
        offered = await choose(pilot, "(disarm)")
        assert offered == [*FAULTS, "(disarm)"]
        await until(pilot, lambda: len(live.handle.orders) > 1)
        assert live.handle.orders[-1] == ("inject", {"side": "provider", "fault": None})
        live.handle.armed = {}
        assert live.screen.parts.faults.status() == []


async def test_a_refusal_is_told(tmp_path: Path) -> None:
    live = Live(tmp_path)
    async with live.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: bool(live.app.screen_stack) and live.screen.is_mounted)
        live.handle.tell(*OPENING)
        live.handle.refuse = "the conversation is over"
        await choose(pilot, "slow")
        await until(pilot, lambda: bool(live.app._notifications))
        notices = [notice.message for notice in live.app._notifications]
        assert notices == ["No fault injected: the conversation is over."]


async def test_what_is_armed_goes_along_into_the_next_engine(tmp_path: Path) -> None:
    armed = {"provider": {"fault": "slow", "left": 2, "seconds": 0.5}}
    specs: list[StartSpec] = []

    async def go_on(
        handle: ConversationLink, spec: StartSpec, parent: ContinueFrom
    ) -> EngineHandle:
        specs.append(spec)
        return cast(EngineHandle, handle)

    for kind in ("reload", "restart", "rewind", "fork"):
        handle = FakeHandle(tmp_path / "a.jsonl")
        handle.armed = {side: dict(item) for side, item in armed.items()}
        start = StartSpec(scenario={}, out_dir=str(tmp_path))
        run = LiveRun(start, make_handle=lambda: cast(EngineHandle, handle), continue_run=go_on)  # noqa: B023
        await run.continue_run(kind)
        assert specs[-1].faults == armed
        assert run.spec.faults == {}, "it is used up in one engine, not in each that follows"
