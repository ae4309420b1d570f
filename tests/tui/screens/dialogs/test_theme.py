"""A theme is worn while one chooses it, and kept or taken off again."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import OptionList

from convtui.config.settings import Config, load_config
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.dialogs.theme import ChooseTheme
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.run_list import RunList
from tests.tui.harness.sample import until


def config_of(tmp_path: Path, **environ: str) -> Config:
    return load_config(environ={"CONVTUI_HOME": str(tmp_path), **environ}, cwd=tmp_path)


def app_of(config: Config) -> ConvtuiApp:
    return ConvtuiApp(lambda app: RunsScreen(app.keymap, config.runs_dir), config=config)


def name_of(app: ConvtuiApp) -> str:
    return app.themes.view.name if app.themes.view is not None else ""


async def test_a_theme_is_worn_at_once_and_kept_or_taken_off(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    app = app_of(config)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        before = screen.styles.background, screen.query_one(RunList).palette.roles["text"]
        screen.perform("app.theme")
        await until(pilot, lambda: isinstance(app.screen, ChooseTheme))
        await pilot.press("down")
        await until(pilot, lambda: name_of(app) == "light")

        def worn() -> tuple[object, object]:
            return screen.styles.background, screen.query_one(RunList).palette.roles["text"]

        await until(pilot, lambda: worn()[0] != before[0] and worn()[1] != before[1])
        await pilot.press("escape")
        await until(pilot, lambda: name_of(app) == "dark" and worn() == before)
        screen.perform("app.theme")
        await until(pilot, lambda: isinstance(app.screen, ChooseTheme))
        await pilot.press("down")
        await until(pilot, lambda: name_of(app) == "light")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is screen)
        await pilot.pause()
        assert (await app.saved_state.recall())["theme"] == "light"
    assert name_of(app_of(config)) == "light", "the next start remembers it"
    named = config_of(tmp_path, CONVTUI_THEME="high-contrast")
    assert name_of(app_of(named)) == "high-contrast", "what the settings say comes first"


async def test_the_chooser_leaves_the_frame_and_the_lower_lines_of_the_screen(
    tmp_path: Path,
) -> None:
    app = app_of(config_of(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, RunsScreen)
        screen.perform("app.theme")
        await until(pilot, lambda: isinstance(app.screen, ChooseTheme))
        await until(pilot, lambda: any(box.region for box in app.screen.query("Vertical")))
        box = app.screen.query_one("Vertical").region
        assert box.right < 79 and box.y >= 2 and box.bottom < 17
        listed = app.screen.query_one(OptionList)
        rows = [str(option.prompt).split() for option in listed.options]
        assert rows == [["dark"], ["light"], ["high-contrast", "dark"], ["mono", "no", "colours"]]


def test_a_remembered_theme_that_is_gone_stops_nothing(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    config.paths.state_file.parent.mkdir(parents=True, exist_ok=True)
    config.paths.state_file.write_text('{"theme": "../gone"}')
    app = app_of(config)
    assert name_of(app) == "dark"
