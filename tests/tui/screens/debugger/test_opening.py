"""The debugger's first frame, and what is made after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from textual.widgets import Input

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.errors import CommandRefused, EngineError, UsageError
from convtui.protocol import StartSpec
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.sources.run import LiveRun, Plan
from convtui.tui.sources.source import LiveSource
from convtui.tui.widgets.hintline import HintLine
from convtui.tui.widgets.holdbar import HoldBar
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.statusline import StatusLine
from convtui.tui.widgets.takeover import TakeOverInput
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import refund, until, write_log

SPEC = StartSpec(scenario={"persona": {"name": "Ida"}, "provider": "demo"}, out_dir=".")


class Late(DebuggerScreen):
    """A debugger whose controllers come when a test says so."""

    def call_after_refresh(self, callback: Any, *args: Any, **kwargs: Any) -> bool:
        return callback == self._open or super().call_after_refresh(callback, *args, **kwargs)


def live(folder: Path, handle: Any, kind: type[DebuggerScreen] = Late) -> ConvtuiApp:
    run = LiveRun(SPEC, make_handle=lambda: cast(EngineHandle, handle))
    app = ConvtuiApp(
        lambda app: kind(app.keymap, LiveSource(run.handle), run), state_file=folder / "state.json"
    )
    app.runs.current = run
    return app


class LongReplay(ReplaySource):
    """A recording that counts as long, and is not read."""

    is_long = True

    def start(self) -> None:
        """Nothing is read."""


def replayed(folder: Path) -> ConvtuiApp:
    log = write_log(folder / "a.jsonl", refund())
    return ConvtuiApp(
        lambda app: Late(app.keymap, LongReplay(log)), state_file=folder / "state.json"
    )


@pytest.fixture(params=["live", "replay"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> ConvtuiApp:
    """A debugger that has drawn its first frame only."""
    return live(tmp_path, FakeHandle()) if request.param == "live" else replayed(tmp_path)


def shown(app: ConvtuiApp) -> DebuggerScreen:
    screen = app.screen
    assert isinstance(screen, DebuggerScreen)
    return screen


def picture(screen: DebuggerScreen) -> list[object]:
    """What is drawn of a screen: the frames, the status lines, the keys."""
    lines = [[strip.text for strip in line.render_lines(line.size.region)] for line in
             screen.query(StatusLine)]  # fmt: skip
    panes = [(pane.id, pane.region, pane.display) for pane in
             (screen.outline, screen.view, screen.inspector)]  # fmt: skip
    return [lines, panes, screen.query_one(KeyBar).items]


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 16)])
async def test_the_first_frame_is_what_the_controllers_will_draw(
    app: ConvtuiApp, size: tuple[int, int]
) -> None:
    async with app.run_test(size=size) as pilot:
        screen = shown(app)
        await until(pilot, lambda: app.has_begun)
        assert not screen.is_complete
        assert "parts" not in vars(screen), "the first frame does without the controllers"
        first = picture(screen)
        await screen.complete()
        await pilot.pause()
        assert picture(screen) == first


async def test_what_opens_below_the_panes_is_above_the_lower_status_line(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)):
        screen = shown(app)
        assert not screen.query(TakeOverInput)
        await screen.complete()
        names = [child.id for child in screen.children if child.id]
        expected = ["top", "body", "hint", "hold", "take-over", "search", "bottom", "keys"]
        assert [name for name in names if name in expected] == expected
        for kind in (HintLine, HoldBar, TakeOverInput, Input):
            assert not screen.query_one(kind).display


async def test_a_key_in_the_first_frame_is_not_lost(tmp_path: Path) -> None:
    app = live(tmp_path, FakeHandle())
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: app.has_begun)
        await pilot.press("slash")
        await until(pilot, lambda: screen.is_complete and screen.focused is screen.prompts.search)


async def test_a_click_on_a_key_in_the_first_frame_is_not_lost(tmp_path: Path) -> None:
    handle = FakeHandle()
    app = live(tmp_path, handle)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: app.has_begun)
        await pilot.click(KeyBar, offset=(2, 0))
        await until(pilot, lambda: handle.orders)
        assert screen.is_complete
        assert handle.orders[0][0] == "pause"


async def test_a_short_recording_is_shown_at_once(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", refund())
    app = ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        # Before anything is drawn.
        await until(pilot, lambda: shown(app).is_mounted)
        assert shown(app).is_complete


class Watched(DebuggerScreen):
    """A debugger that counts how often all of it is to be drawn again."""

    drawn = 0

    def source_changed(self) -> None:
        self.drawn += 1
        super().source_changed()


async def test_what_is_known_of_the_newest_turn_brings_no_frame_while_more_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame would select a newer turn, of which more would be read, and so on to the end."""
    monkeypatch.setattr("convtui.log.reader._CHUNK", 1000)
    source = LongReplay(write_log(tmp_path / "a.jsonl", refund()))
    app = ConvtuiApp(lambda app: Watched(app.keymap, source), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        screen = app.screen
        assert isinstance(screen, Watched)
        await until(pilot, lambda: screen.is_complete)
        while len(source.transcript.turns) < 3:
            source.reader.advance(0)
        screen.repaint()
        newest = screen.selected
        assert newest is source.transcript.turns[2]
        source.reader.advance()
        await until(pilot, lambda: not screen.parts.feed.reading)
        assert screen.parts.feed.has_detail(newest)
        assert screen.drawn == 0
        source.loading = False
        screen.view.go_to(0)
        await until(pilot, lambda: not screen.parts.feed.reading)
        assert screen.drawn == 1


# --- the engine's process


class Prepared(FakeHandle):
    """An engine whose process is started before it is told what to run."""

    def __init__(self) -> None:
        super().__init__()
        self.story: list[str] = []
        self.refuses = False

    async def open(self) -> None:
        self.story.append("open")
        if self.refuses:
            raise EngineError("no such program")

    async def start(self, spec: StartSpec, *, wait: bool = True) -> None:
        self.story.append("start")
        await super().start(spec, wait=wait)

    def kill(self) -> None:
        self.story.append("kill")

    async def close(self) -> None:
        self.story.append("close")


def run_of(handle: Prepared, plan: Plan | None = None) -> LiveRun:
    return LiveRun(SPEC, plan=plan, make_handle=lambda: cast(EngineHandle, handle))


async def test_the_process_starts_before_the_spec_is_made() -> None:
    handle = Prepared()

    def plan() -> StartSpec:
        handle.story.append("plan")
        return SPEC

    run = run_of(handle, plan)
    assert not run.planned.is_set()
    await run.prepare()
    await run.start()
    assert handle.story == ["open", "plan", "start"]
    assert run.planned.is_set()
    assert run.replaced == 0
    await run.prepare()
    assert handle.story.count("open") == 1, "an engine at work is left alone"


async def test_a_process_that_nothing_was_planned_for_is_killed() -> None:
    handle = Prepared()

    def plan() -> StartSpec:
        raise UsageError("persona: unknown")

    run = run_of(handle, plan)
    await run.prepare()
    with pytest.raises(UsageError, match="persona: unknown"):
        await run.start()
    await run.close()
    assert handle.story == ["open", "kill", "close"]


async def test_a_program_that_is_missing_is_reported_when_the_run_starts() -> None:
    handle = Prepared()
    handle.refuses = True
    await run_of(handle).prepare()
    assert handle.state is EngineState.NEW


async def test_an_engine_that_was_told_nothing_takes_no_command() -> None:
    """A command before the start would be the first that the process hears."""
    handle = EngineHandle()
    await handle.open()
    try:
        with pytest.raises(CommandRefused, match="the engine is starting"):
            await handle.command("pause")
    finally:
        handle.kill()
        await handle.close()
