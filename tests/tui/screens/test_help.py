"""Help: the live keys on top, the manual's page about the screen below them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.content import Content
from textual.widgets import Input, Static

from convtui.actions.registry import Keymap, actions
from convtui.config.settings import load_config
from convtui.manual.layout import lay_out, plain_text
from convtui.manual.pages import TOPICS, page, page_file, topic_of
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.breakpoints import BreakpointsScreen
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.screens.help import HelpScreen, Legend, ManualPage, page_content
from convtui.tui.screens.home.picker import PickerScreen
from convtui.tui.screens.rehook.screen import RehookScreen
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.transcript.legend import LEGEND
from tests.tui.harness.sample import refund, until, write_log
from tests.tui.harness.taken import Taken


@pytest.fixture
def log(tmp_path: Path) -> Path:
    runs = tmp_path / "home" / "data" / "runs"
    runs.mkdir(parents=True)
    return write_log(runs / "a.jsonl", refund())


@pytest.fixture
def app(log: Path) -> ConvtuiApp:
    return ConvtuiApp(lambda app: app.runs.recording(log))


def title(app: ConvtuiApp) -> str:
    return "".join(str(line.content) for line in app.screen.query("#help-topic").results(Static))


def manual(app: ConvtuiApp) -> str:
    return "".join(str(shown.content) for shown in app.screen.query(ManualPage))


def keys(app: ConvtuiApp) -> str:
    return str(app.screen.query_one("#help-keys", Static).content)


async def opened(app: ConvtuiApp, pilot: Any, topic: str) -> HelpScreen:
    await until(pilot, lambda: isinstance(app.screen, HelpScreen))
    await until(pilot, lambda: f"manual: {topic} " in title(app))
    await until(pilot, lambda: manual(app))
    assert manual(app).splitlines()[0] == page(topic).splitlines()[0].removeprefix("# ")
    screen = app.screen
    assert isinstance(screen, HelpScreen)
    return screen


async def test_the_page_of_the_debugger_is_below_its_keys(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("question_mark")
        screen = await opened(app, pilot, "debugging")
        assert "Play or pause the recording" in keys(app)
        below = screen.query_one(ManualPage)
        assert below.region.y > screen.query_one("#help-keys").region.y
        # The page's lines are those of `convtui help`, laid out for this width.
        lines = plain_text(lay_out(page("debugging"), below.size.width)).splitlines()
        assert [line.rstrip() for line in manual(app).splitlines()] == lines
        await pilot.press("f1")
        await until(pilot, lambda: app.screen is not screen)


async def test_the_debugger_explains_the_glyphs_of_turns(app: ConvtuiApp) -> None:
    async with app.run_test(size=(80, 60)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: app.screen.query(Legend))
        legend = app.screen.query_one(Legend)
        await until(pilot, lambda: legend.size.height > 1)
        drawn = "\n".join(legend.render_line(y).text for y in range(legend.size.height))
        for sign, _, words in LEGEND:
            assert f"{sign} {words}" in drawn
        assert app.screen.query_one("#help-keys").region.bottom <= legend.region.y


async def test_tab_goes_to_the_manual_and_back(app: ConvtuiApp) -> None:
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("question_mark")
        screen = await opened(app, pilot, "debugging")
        box = screen.children[0]
        assert box.scroll_offset.y == 0
        await pilot.press("tab")
        topic = screen.query_one("#help-topic")
        await until(pilot, lambda: topic.region.y <= box.region.y + 2)
        await pilot.press("tab")
        await until(pilot, lambda: box.scroll_offset.y == 0)
        await pilot.press("end")
        await until(pilot, lambda: box.scroll_offset.y == box.max_scroll_y > 0)
        await pilot.press("escape", "f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and app.screen is not screen)
        again, top = app.screen.children[0], app.screen.query_one("#help-topic")
        await until(pilot, lambda: 0 < top.region.y <= again.region.y + 2)


async def test_pages_are_turned_over(app: ConvtuiApp) -> None:
    names = list(TOPICS)
    at = names.index("debugging")
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("f1")
        screen = await opened(app, pilot, "debugging")
        await pilot.press("right")
        await opened(app, pilot, names[at + 1])
        topic = screen.query_one("#help-topic")
        await until(pilot, lambda: topic.region.y <= screen.children[0].region.y + 2)
        await pilot.press("left", "left")
        await opened(app, pilot, names[at - 1])
        for _ in range(at):
            await pilot.press("left")
        await opened(app, pilot, names[-1])


async def test_a_lit_search_is_about_filters(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        screen = app.screen
        assert isinstance(screen, DebuggerScreen)
        await until(pilot, lambda: screen.view.shown_items)
        await pilot.press("slash", *"refund", "enter")
        await until(pilot, lambda: screen.contexts()[0] == "search")
        await pilot.press("question_mark")
        await opened(app, pilot, "filters")
        assert "Go to the next match" in keys(app)


@pytest.mark.parametrize(
    ("make", "topic"),
    [
        (lambda app, log: PickerScreen(app.keymap, cwd=log.parent), "start"),
        (lambda app, log: RunsScreen(app.keymap, log.parent), "library"),
    ],
    ids=["picker", "runs"],
)
async def test_other_screens(log: Path, make: Any, topic: str, tmp_path: Path) -> None:
    config = load_config(environ={"CONVTUI_HOME": str(tmp_path / "home")}, cwd=tmp_path)
    app = ConvtuiApp(lambda app: make(app, log), config=config)
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("f1")
        await opened(app, pilot, topic)


@pytest.mark.parametrize(
    ("key", "topic"),
    [("p", "profiles"), ("A", "profiles"), ("W", "warm-starts")],
)
async def test_screens_that_are_opened_from_the_list(
    log: Path, key: str, topic: str, tmp_path: Path
) -> None:
    config = load_config(environ={"CONVTUI_HOME": str(tmp_path / "home")}, cwd=tmp_path)
    app = ConvtuiApp(lambda app: RunsScreen(app.keymap, log.parent), config=config)
    async with app.run_test(size=(120, 36)) as pilot:
        runs = app.screen
        await until(pilot, lambda: runs.query("RunList") and runs.query_one("RunList").runs)  # type: ignore[attr-defined]
        await pilot.press(key)
        await until(pilot, lambda: app.screen is not runs)
        await pilot.press("f1")
        await opened(app, pilot, topic)


def test_the_rehook_screen_has_its_page() -> None:
    assert topic_of(RehookScreen.KEY_CONTEXTS) == "rehook"


async def test_comparing(log: Path) -> None:
    app = ConvtuiApp(lambda app: app.runs.comparison(log, log))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("question_mark")
        await opened(app, pilot, "library")
        assert "Go to the next difference" in keys(app)


async def test_f1_in_a_dialog(tmp_path: Path) -> None:
    taken = Taken(tmp_path)
    app = taken.app
    async with app.run_test(size=(120, 36)) as pilot:
        await taken.begin(pilot)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, BreakpointsScreen))
        dialog = app.screen
        # The line for a new breakpoint has the focus: what is typed is text, F1 is not.
        await pilot.press("question_mark", "f1")
        screen = await opened(app, pilot, "filters")
        assert "On/off" in keys(app)
        assert "Once" in keys(app)
        assert "Pause or continue the run" not in keys(app)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is dialog)
        assert screen not in app.screen_stack
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(app.screen, BreakpointsScreen))


async def test_f1_in_a_dialog_without_a_page_of_its_own(app: ConvtuiApp) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        dialog = Ask("Go to turn", value="7")
        app.push_screen(dialog)
        await until(pilot, lambda: app.screen is dialog)
        await pilot.press("f1")
        await opened(app, pilot, "debugging")
        assert keys(app).split() == ["Dialog", "esc", "Cancel"]
        await pilot.press("f1")
        await until(pilot, lambda: app.screen is dialog)
        assert dialog.query_one(Input).has_focus


async def test_in_the_input_of_a_take_over(tmp_path: Path) -> None:
    taken = Taken(tmp_path)
    app = taken.app
    async with app.run_test(size=(120, 36)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        assert taken.box.has_focus
        await pilot.press(*"half a", "f1")
        await opened(app, pilot, "simulated-users")
        assert "Send the text" in keys(app)
        await pilot.press("escape")
        await until(pilot, lambda: taken.box.has_focus)
        assert taken.box.text == "half a"


async def test_your_own_keys_are_on_the_keys_page(log: Path) -> None:
    keymap = Keymap({"run.toggle": ("z",)})
    app = ConvtuiApp(lambda app: app.runs.recording(log), keymap=keymap)
    async with app.run_test(size=(120, 36)) as pilot:
        app.push_screen(HelpScreen(keymap, [actions()["run.toggle"]], "keys"))
        await opened(app, pilot, "keys")
        row = next(line for line in manual(app).splitlines() if "Pause or continue the run" in line)
        assert row.split()[0] == "z"


async def test_a_page_that_is_missing_is_said(
    app: ConvtuiApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.manual.pages.page_file", lambda topic: tmp_path / f"{topic}.md")
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and manual(app))
        assert "the manual page 'debugging' is missing" in " ".join(manual(app).split())
        assert "Play or pause the recording" in keys(app)


async def test_a_small_screen(app: ConvtuiApp) -> None:
    async with app.run_test(size=(60, 16)) as pilot:
        await pilot.press("f1")
        screen = await opened(app, pilot, "debugging")
        width = screen.query_one(ManualPage).size.width
        assert width < 60
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: screen.query_one(ManualPage).size.width > width)
        shown = screen.query_one(ManualPage).size.width
        lines = plain_text(lay_out(page("debugging"), shown)).splitlines()
        await until(pilot, lambda: [line.rstrip() for line in manual(app).splitlines()] == lines)


async def test_code_is_told_without_colour(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = ConvtuiApp(lambda app: app.runs.recording(log))
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.press("f1")
        await opened(app, pilot, "debugging")
        assert "`space` pauses" in manual(app)


def test_a_page_is_never_markup() -> None:
    content = page_content("# [bold]a[/]\n\n[red]x[/red] `[link=y]`\n", 60)
    assert isinstance(content, Content)
    assert "[bold]a[/]" in content.plain
    assert "[red]x[/red] [link=y]" in content.plain


def test_every_page_file_is_in_the_package() -> None:
    assert all(page_file(topic).parent.name == "manual" for topic in TOPICS)
