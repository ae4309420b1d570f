"""Every text that is drawn can be read: contrast is measured on the painted screen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.style import Style
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import OptionList, TextArea

from convtui.config.settings import load_config
from convtui.tui.app import ConvtuiApp
from convtui.tui.drawing.theming import builtin_theme
from convtui.tui.screens.compare.batches import BatchesScreen
from convtui.tui.screens.compare.screen import CompareScreen
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.breakpoints import BreakpointsScreen
from convtui.tui.screens.dialogs.consent import Consent
from convtui.tui.screens.dialogs.notes import NotesScreen
from convtui.tui.screens.dialogs.provider_error import ErrorPane
from convtui.tui.screens.dialogs.questions import Choose, Edit
from convtui.tui.screens.fleet.screen import FleetScreen
from convtui.tui.screens.fleet.view import Block
from convtui.tui.screens.home.picker import PickerScreen
from convtui.tui.screens.profile.screen import ProfileScreen
from convtui.tui.screens.rehook.screen import RehookScreen
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.screens.warm.form import BuildForm
from convtui.tui.screens.warm.screen import WarmScreen
from tests.builders.batches import BatchFolder, cell, talk
from tests.config.test_themes import BUILT_IN, contrast
from tests.tui.harness.fleet import ScriptedFleet, busy_standing, rows_of
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, refund, turn, until, write_log
from tests.tui.harness.sources import Story
from tests.tui.screens.test_dialogs import stopping

Weak = dict[tuple[str, str, str], str]


def weak(app: ConvtuiApp, screen: Screen[Any], needed: float) -> Weak:
    """Letters and digits on a screen below a ratio: (theme, text colour, ground) to a text.

    What a dialog dims behind it is not meant to be read.
    """
    found: Weak = {}
    over = isinstance(screen, ModalScreen)
    regions = [child.region for child in screen.children if child.display]
    for y, line in enumerate(screen._compositor.render_strips()):
        end = 0
        for segment in line:
            style = segment.style or Style()
            start, end = end, end + segment.cell_length
            if not any(char.isalnum() for char in segment.text):
                continue
            if over and not any(region.contains(start, y) for region in regions):
                continue
            if style.color is None or style.bgcolor is None:
                continue
            colors = [color.get_truecolor().hex for color in (style.color, style.bgcolor)]
            if style.reverse:
                colors.reverse()
            if contrast(*colors) < needed:
                found[app.theme, colors[0], colors[1]] = segment.text.strip()
    return found


async def weak_in_any_theme(app: ConvtuiApp, pilot: Any, *screens: Screen[Any]) -> Weak:
    """What is weak on `screens`, by default on the one in front."""
    found: Weak = {}
    for name in BUILT_IN:
        app.themes.show(builtin_theme(name))
        for screen in app.screen_stack:
            restyle: Callable[[], None] | None = getattr(screen, "restyle", None)
            if restyle is not None:
                restyle()
        await pilot.pause(0.05)
        for screen in screens or (app.screen,):
            found |= weak(app, screen, 7.0 if name == "high-contrast" else 4.5)
    return found


def opened(folder: Path, first: Callable[[ConvtuiApp], Screen[Any]]) -> ConvtuiApp:
    return ConvtuiApp(first, config=load_config({}, {"CONVTUI_HOME": str(folder)}, folder))


def drawn(app: ConvtuiApp) -> str:
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def shows(app: ConvtuiApp, words: str) -> bool:
    return words in drawn(app)


async def test_a_recording(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", refund())
    app = opened(tmp_path, lambda app: app.runs.recording(log, at=(2, 2)))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "discarded" in drawn(app))
        for keys in ((), ("slash", "u", "p", "enter"), ("2",)):
            await pilot.press(*keys)
            assert not await weak_in_any_theme(app, pilot), keys


async def test_home_and_saved_runs(tmp_path: Path) -> None:
    runs = tmp_path / "data" / "runs"
    runs.mkdir(parents=True)
    write_log(runs / "a.jsonl", refund())
    app = opened(tmp_path, lambda app: PickerScreen(app.keymap, cwd=tmp_path))
    app.runs.warm_up = lambda: None  # type: ignore[method-assign]
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "ready" in drawn(app))
        assert not await weak_in_any_theme(app, pilot)
        app.push_screen(RunsScreen(app.keymap, runs))
        await until(pilot, lambda: "maya" in drawn(app))
        assert not await weak_in_any_theme(app, pilot)


async def test_a_batch(tmp_path: Path) -> None:
    fleet = ScriptedFleet(rows_of(60), folder=tmp_path)
    block = Block("anna.1", 3.1, "bot.py:12 in chat", 29)
    limits = busy_standing().limits
    fleet.stand(limits=limits, blocks=[block], stopped="the budget is used up", paused=True)
    app = opened(tmp_path, lambda app: FleetScreen(app.keymap, fleet))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "paused" in drawn(app))
        assert not await weak_in_any_theme(app, pilot)


async def test_two_batches(tmp_path: Path) -> None:
    folders = []
    for day, kinds in ((4, ("completed", "failed")), (5, ("failed", "completed"))):
        batch = BatchFolder(tmp_path / str(day), [cell("anna"), cell("bert")], day=day)
        for who, kind in zip(("anna", "bert"), kinds, strict=True):
            batch.run(f"{who}.1", talk(kind))
        folders.append(batch.path)
    app = opened(tmp_path, lambda app: BatchesScreen(app.keymap, *folders))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "worse" in drawn(app) and "better" in drawn(app))
        assert not await weak_in_any_theme(app, pilot)


async def test_a_hold(tmp_path: Path) -> None:
    opening = [header(), *turn(1, "persona", "Hello."), *turn(2, "provider", "Good day.")]
    live = LiveApp(tmp_path, opening, {"persona": {"name": "maya"}})
    async with live.app.run_test(size=(120, 36)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"), reason="error", detail="it broke",
                         error={"type": "ValueError", "message": "it broke",
                                "frames": ["bot.py:5 in bot"]})  # fmt: skip
        await until(pilot, lambda: "it broke" in drawn(live.app))
        assert not await weak_in_any_theme(live.app, pilot)
        await pilot.press("t")
        await until(pilot, lambda: "You can write ahead" in drawn(live.app))
        assert not await weak_in_any_theme(live.app, pilot)


async def test_what_is_chosen_and_what_is_written(tmp_path: Path) -> None:
    """With quiet words beside others: they must be read on the ground of the chosen row too."""
    row = Content.assemble(
        ("an answer ", ""), ("its state ", "$text-error"), ("more", "$text-muted")
    )
    log = write_log(tmp_path / "a.jsonl", refund())
    app = opened(tmp_path, lambda app: app.runs.recording(log))
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(Choose("What now?", [("one", "One"), ("two", "Two")]))
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        app.screen.query_one(OptionList).set_options([row])
        app.screen.query_one(OptionList).highlighted = 0
        assert not await weak_in_any_theme(app, pilot)
        app.push_screen(Edit("Edit", [("text", "a text", "some words")]))
        await until(pilot, lambda: "some words" in drawn(app))
        app.screen.query_one(TextArea).select_all()
        assert not await weak_in_any_theme(app, pilot)


def broken() -> ErrorPane:
    async def attempt() -> None:
        """Nothing is right yet."""

    error = {"type": "NameError", "message": "NameError: name 'dsk' is not defined",
             "location": [__file__, 1], "frames": [f"{__file__}:1 in weak"]}  # fmt: skip
    return ErrorPane("bot.py:Bot cannot be loaded", error=lambda: error, attempt=attempt)


async def test_the_other_screens_and_what_opens_over_them(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", refund())
    other = write_log(tmp_path / "b.jsonl", refund()[:-8])
    app = opened(tmp_path, lambda app: app.runs.recording(log, at=(2, 2)))
    screens: list[tuple[Callable[[], Screen[Any]], str]] = [
        (lambda: CompareScreen(app.keymap, log, other), "difference 1 of"),
        (lambda: ProfileScreen(app.keymap, [log]), "turns"),
        (lambda: RehookScreen(app.keymap, [log], "demo"), "1 log"),
        (lambda: WarmScreen(app.keymap, tmp_path / "templates", tmp_path), "templates"),
        (lambda: BuildForm("all saved runs", lambda name: None), "min messages"),
        (lambda: BreakpointsScreen(stopping(["~discard"])), "~discard"),
        (lambda: Consent("Run it?", "It would", ["run x"], yes="yes", no="no"), "run x"),
        (lambda: NotesScreen({}, Story().transcript, keys="m marks."), "m marks"),
        (broken, "NameError"),
    ]
    over = {
        "app.help": "keys that work here",
        "app.manual": "manual:",
        "app.palette": "what do you want to do?",
        "branch.list": "the beginning",
        "app.theme": "high-contrast",
    }
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "discarded" in drawn(app))
        debugger = app.screen
        assert isinstance(debugger, DebuggerScreen)
        for make, words in screens:
            app.push_screen(make())
            await until(pilot, partial(shows, app, words))
        for action, words in over.items():
            debugger.perform(action)
            await until(pilot, partial(shows, app, words))
        assert len(app.screen_stack) == 1 + len(screens) + len(over)
        assert not await weak_in_any_theme(app, pilot, *app.screen_stack[1:])
