"""The debugger on one conversation of a worker, which goes on when it is left."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from convtui.actions.registry import Keymap
from convtui.client.engine_client import EngineHandle
from convtui.client.link import ConversationLink, EngineState
from convtui.client.worker import Hosted, Worker
from convtui.protocol import Commands
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.sources.hosted_run import HostedRun
from convtui.tui.sources.source import LiveSource
from convtui.tui.widgets.keybar import KeyBar
from tests.builders.waiting import WITHIN, when
from tests.builders.worker import bot_spec
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import until, write_log

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]

BOT = "async def bot(messages): return 'reply to ' + messages[-1]['content']"


@asynccontextmanager
async def hosting(folder: Path, *, bodies: int = 2) -> AsyncIterator[list[Hosted]]:
    """Conversations of one worker that hold before their first turn."""
    worker = Worker()
    try:
        async with asyncio.timeout(WITHIN):
            await worker.start()
        begun = [
            worker.begin(
                bot_spec(folder, BOT, script=["one", "two", "three"], paused=True, watched=True)
            )
            for _ in range(bodies)
        ]
        for hosted in begun:
            await when(hosted, lambda: hosted.hold is not None)  # noqa: B023
        yield begun
    finally:
        worker.kill()
        await asyncio.wait_for(worker.wait(), WITHIN)


class Below(Screen[None]):
    """What the debugger is opened from."""


def app_of(folder: Path) -> ConvtuiApp:
    return ConvtuiApp(lambda app: Below(), state_file=folder / "state.json")


def left(app: ConvtuiApp) -> bool:
    """Whether no debugger is open."""
    return isinstance(app.screen, Below)


def told(app: ConvtuiApp, words: str) -> bool:
    """Whether a notice has said so, however long ago."""
    return any(words in notice.text for notice in app.board.notices.log)


async def opened(pilot: Pilot[Any], app: ConvtuiApp, *turns: str) -> DebuggerScreen:
    """The debugger, once it shows these turns."""
    await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
    screen = app.screen
    assert isinstance(screen, DebuggerScreen)

    def texts() -> list[str]:
        return [turn.text for turn in screen.transcript.turns if turn.text]

    await until(pilot, lambda: texts() == list(turns))
    return screen


async def test_one_of_many_is_debugged_and_left_to_go_on(tmp_path: Path) -> None:
    adopted: list[EngineHandle] = []

    def adopt(fresh: EngineHandle) -> bool:
        adopted.append(fresh)
        return True

    app = app_of(tmp_path)
    async with hosting(tmp_path) as (hosted, other), app.run_test(size=(120, 30)) as pilot:
        assert app.runs.open_hosted(hosted, adopt=adopt)
        screen = await opened(pilot, app)
        await pilot.press("n")
        await until(pilot, lambda: (hosted.hold or {}).get("turn") == 2)
        await opened(pilot, app, "one")
        bar = screen.query_one(KeyBar)
        await until(pilot, lambda: bar.items and bar.items[0].label == "back")
        # Left while it is held, and found again as it was.
        await pilot.press("escape")
        assert left(app) and not hosted.watching
        assert hosted.state is EngineState.HELD
        assert app.runs.open_hosted(hosted, adopt=adopt)
        screen = await opened(pilot, app, "one")
        # Reloaded, it is the one conversation with the new code.
        (tmp_path / "bot_under_test.py").write_text("def bot(messages): return 'mended'")
        await pilot.press("R")
        await until(pilot, lambda: adopted and not screen.conversation.busy_with)
        (fresh,) = adopted
        try:
            assert "continued as" in (hosted.termination or {})["reason"]
            await until(pilot, lambda: fresh.hold is not None)
            await pilot.press("n")
            await opened(pilot, app, "one", "mended")
            await pilot.press("q")
            assert left(app)
            # Whoever runs them all opens it again where it is now.
            assert app.runs.open_hosted(fresh, adopt=adopt)
            await opened(pilot, app, "one", "mended")
            await pilot.press("escape")
            assert EngineState.HELD is fresh.state is other.state
        finally:
            await fresh.close()
        # One that is over is a recording.
        assert app.runs.open_hosted(fresh, adopt=adopt)
        screen = await opened(pilot, app, "one", "mended")
        assert screen.replay is not None
        assert len(adopted) == 1


async def test_one_that_was_over_goes_on_as_a_run_of_its_own(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with hosting(tmp_path) as (hosted, _), app.run_test(size=(120, 30)) as pilot:
        app.runs.open_hosted(hosted, adopt=lambda fresh: False)
        screen = await opened(pilot, app)
        await hosted.command(Commands.STEP_TURN)
        await opened(pilot, app, "one")
        await hosted.close()
        await pilot.press("w", "w")
        await until(pilot, lambda: app.runs.current is screen.run is not None)
        await until(pilot, lambda: app.screen is screen and not screen.conversation.busy_with)
        assert told(app, "run of its own")
        # It is left as any other: nobody else would end it.
        await pilot.press("escape")
        assert not left(app)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: left(app))
        assert screen.run is not None and screen.run.handle.over and app.runs.current is None


async def test_one_that_cannot_begin_has_nothing_to_open(tmp_path: Path) -> None:
    app = app_of(tmp_path)
    async with app.run_test():
        failed = FakeHandle()
        await failed.close()
        assert not app.runs.open_hosted(as_link(failed), adopt=lambda fresh: True)


def as_link(handle: FakeHandle) -> ConversationLink:
    return cast(ConversationLink, handle)


@pytest.mark.parametrize(("answer", "killed"), [("enter", True), ("escape", False)])
async def test_whoever_kills_a_worker_is_asked(tmp_path: Path, answer: str, killed: bool) -> None:
    handle = FakeHandle(write_log(tmp_path / "a.jsonl", [], closed=False))
    handle.killed_along, handle.silent_for = 4, 3.0
    run = HostedRun(as_link(handle), adopt=lambda fresh: True)
    app = ConvtuiApp(
        lambda app: DebuggerScreen(Keymap(), LiveSource(run.handle), run),
        state_file=tmp_path / "state.json",
    )
    async with app.run_test() as pilot:
        await until(pilot, lambda: handle.watched)
        await pilot.press("K", "K")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert "4 other conversations" in str(app.screen.query_one(DialogBox).border_title)
        await pilot.press(answer)
        assert handle.killed is killed
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        assert told(app, "runs it again: q goes back") is killed
