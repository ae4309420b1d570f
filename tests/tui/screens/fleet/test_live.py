"""A batch that runs on its screen, in a worker: one is mended while the others end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from convtui.batch.work import HowToRun
from convtui.config.paths import write_state
from convtui.errors import FileError
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.fleet.live import LiveFleet
from convtui.tui.screens.fleet.open import running_screen
from convtui.tui.screens.fleet.screen import FleetScreen
from convtui.tui.screens.fleet.view import FleetRow
from tests.builders.running_batches import Stage
from tests.tui.harness.sample import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]

BOT = """
    async def bot(messages):
        said = messages[-1]["content"]
        return {"amount": 17}["amonut"] if "refund" in said else "you said " + said
"""
MENDED = BOT.replace("amonut", "amount").replace('{"amount": 17}', '{"amount": "it is 17"}')
PERSONAS = [
    {"name": "Ann", "script": ["one", "two"]},
    {"name": "Ben", "script": ["one", "a refund", "thanks"]},
]


class Seen:
    """The app on the screen of a batch."""

    def __init__(self, folder: Path, **plan: Any) -> None:
        write_state(folder / "state.json", {"hinted": True})
        stage = Stage(folder, provider=BOT, plan={"vary": {"persona": PERSONAS}, **plan})
        how = HowToRun(wire="off", watched=True)
        self.stage = stage
        self.app = ConvtuiApp(
            lambda app: running_screen(app, lambda: stage.batch(how=how)),
            state_file=folder / "state.json",
        )

    @property
    def fleet(self) -> LiveFleet:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, FleetScreen) and isinstance(screen.fleet, LiveFleet)
        return screen.fleet

    def row(self, name: str) -> FleetRow:
        return next(row for row in self.fleet.rows if row.key.startswith(name))

    @property
    def debugger(self) -> DebuggerScreen | None:
        screen = self.app.screen
        return screen if isinstance(screen, DebuggerScreen) else None

    async def opened(self, pilot: Pilot[Any]) -> DebuggerScreen:
        """Opens the selected conversation, which is held."""
        await pilot.press("enter")
        await until(pilot, lambda: self.debugger and self.debugger.conversation.hold is not None)
        assert self.debugger is not None
        return self.debugger

    async def held(self, pilot: Pilot[Any]) -> None:
        """Waits until Ben is held and Ann is over."""
        await until(pilot, lambda: self.fleet.rows and self.row("Ben").state == "held")
        await until(pilot, lambda: self.row("Ann").state == "over")


async def test_one_is_mended_in_the_debugger_and_the_batch_follows(tmp_path: Path) -> None:
    seen = Seen(tmp_path, workers=1)
    app = seen.app
    async with app.run_test(size=(120, 36)) as pilot:
        fleet_screen = app.screen
        await seen.held(pilot)
        ann, ben = seen.row("Ann"), seen.row("Ben")
        assert (ann.kind, ann.turns) == ("completed", 4)
        assert ben.hold is not None and "amonut" in str(ben.hold.get("detail"))
        assert (ben.session, ben.turn) == (1, 4)
        debugger = await seen.opened(pilot)
        seen.stage.write_provider(MENDED)
        debugger.perform("provider.reload")
        await until(pilot, lambda: ben.log == f"{ben.key}-2.jsonl" and ben.state == "held")
        await until(pilot, lambda: debugger.conversation.hold is not None)
        debugger.perform("run.continue")
        # While it is seen, its ending waits for an answer.
        await until(pilot, lambda: ben.hold is not None and ben.hold.get("reason") == "ending")
        # Its row follows it, and opens it again.
        debugger.perform("app.quit")
        await until(pilot, lambda: app.screen is fleet_screen)
        assert ben.turns == 6
        debugger = await seen.opened(pilot)
        debugger.perform("hold.first")
        await until(pilot, lambda: ben.state == "over" and seen.fleet.over)
        debugger.perform("app.quit")
        await until(pilot, lambda: app.screen is fleet_screen)
        assert (ben.kind, ben.turns) == ("completed", 6)
        batch = seen.fleet.batch
        await pilot.press("q")
        await until(pilot, lambda: app.return_value == 0)
    assert batch is not None and batch.file.finished


async def test_what_is_asked_for_all_reaches_them_and_leaving_ends_them(tmp_path: Path) -> None:
    seen = Seen(tmp_path, workers=1)
    app = seen.app
    async with app.run_test(size=(120, 36)) as pilot:
        await seen.held(pilot)
        fleet, ben = seen.fleet, seen.row("Ben")
        batch = fleet.batch
        assert batch is not None
        controls = seen.fleet.controls
        assert controls is not None
        controls.filter("~said refund")
        await until(pilot, lambda: seen.row("Ben").match is True)
        await controls.add_break("~turn = 5")
        assert seen.fleet.standing().breaks == ["~turn = 5"]
        await controls.clear_break("~turn = 5")
        controls.pause_all()
        assert seen.fleet.standing().paused
        controls.resume_all()
        assert await controls.reload() == 1
        await until(pilot, lambda: seen.fleet.standing().old_code == 1)
        app.exit(0)
    assert fleet.over, "the app ends what still runs"
    entry = batch.file.entries[ben.key]
    assert (entry.state, entry.status) == ("ended", "stopped"), "a resume goes on with it"


async def test_a_batch_that_cannot_begin_ends_the_app(tmp_path: Path) -> None:
    def begin() -> Any:
        raise FileError("the disk is full")

    app = ConvtuiApp(lambda app: running_screen(app, begin), state_file=tmp_path / "state.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.failed_with is not None)
    assert str(app.failed_with) == "the disk is full"
