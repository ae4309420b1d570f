"""Which theme is used: the settings' first, then the one chosen last; files are watched."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import pytest
from textual.screen import Screen

from convtui.config.paths import builtin_dir
from convtui.config.settings import load_config
from convtui.tui.drawing.palette import Palette
from convtui.tui.drawing.theming import ThemeView
from convtui.tui.saved_state import SavedState
from convtui.tui.screens.dialogs.theme import ChooseTheme
from convtui.tui.themes import Themes
from tests.builders.waiting import WITHIN

T = TypeVar("T")
MINE = (builtin_dir("themes") / "dark.yaml").read_text().replace("name: dark", "name: mine")


class Drawn:
    """The themes of a home folder, and what they drew and said."""

    def __init__(self, home: Path, **environ: str) -> None:
        config = load_config(environ={"CONVTUI_HOME": str(home), **environ}, cwd=home)
        self.folder = config.paths.themes_dir
        self.saved = SavedState(config.paths.state_file)
        self.names: list[str] = []
        self.said: list[str] = []
        self.answer: str | None = None
        self._changed = asyncio.Event()
        self.themes = Themes(
            lambda: config,
            self.saved,
            draw=self._draw,
            ask=self._ask,
            notify=self.said.append,
            warn=self._warn,
        )

    def _draw(self, view: ThemeView | None, _: Palette) -> None:
        self.names.append(view.name if view is not None else "")
        self._changed.set()

    def _warn(self, problems: list[str], title: str) -> None:
        self.said += [title, *problems]
        self._changed.set()

    async def _ask(self, screen: Screen[T]) -> T | None:
        assert isinstance(screen, ChooseTheme)
        screen._preview(ThemeView("tried", dark=True, monochrome=False, colors={}))
        return cast("T | None", self.answer)

    async def when(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def write(self, name: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}.yaml").write_text(text)

    def start(self) -> str:
        self.themes.show_first()
        return self.names[-1]


async def test_the_settings_come_before_what_was_chosen(tmp_path: Path) -> None:
    assert Drawn(tmp_path).start() == "dark"
    await Drawn(tmp_path).saved.remember(theme="light")
    assert Drawn(tmp_path).start() == "light"
    assert Drawn(tmp_path, CONVTUI_THEME="mono").start() == "mono"


def test_a_theme_that_is_missing_or_broken_is_a_problem(tmp_path: Path) -> None:
    missing = Drawn(tmp_path, CONVTUI_THEME="drak")
    assert missing.start() == "dark"
    assert "did you mean 'dark'" in "".join(missing.themes.problems)
    broken = Drawn(tmp_path, CONVTUI_THEME="mine")
    broken.write("mine", "colors: [\n")
    assert broken.start() == "dark"
    assert "mine.yaml" in "".join(broken.themes.problems)


def test_no_color_leaves_the_palette_without_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = Drawn(tmp_path)
    drawn.start()
    assert not drawn.themes.palette.monochrome
    monkeypatch.setenv("NO_COLOR", "1")
    drawn.start()
    assert drawn.themes.palette.monochrome


async def test_a_choice_is_kept_and_escape_restores(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path)
    drawn.start()
    await drawn.themes.choose()
    assert drawn.names == ["dark", "tried", "dark"]
    assert await drawn.saved.recall() == {}
    drawn.answer = "tried"
    await drawn.themes.choose()
    assert drawn.names[-1] == "tried"
    assert await drawn.saved.recall() == {"theme": "tried"}
    assert drawn.said == []
    named = Drawn(tmp_path, CONVTUI_THEME="mono")
    named.answer = "tried"
    await named.themes.choose()
    assert "Theme tried, until the program ends" in named.said[0]


async def test_a_changed_file_is_drawn_and_a_broken_one_told_once(tmp_path: Path) -> None:
    drawn = Drawn(tmp_path, CONVTUI_THEME="mine")
    drawn.write("mine", MINE)
    drawn.start()
    watching = asyncio.create_task(drawn.themes.watch())
    try:
        drawn.write("mine", MINE.replace("#dbe2ec", "#ffffff"))
        await drawn.when(lambda: len(drawn.names) == 2)
        drawn.write("mine", "colors: [\n")
        await drawn.when(lambda: drawn.said)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    assert drawn.said[0] == "Theme not loaded"
    assert "mine.yaml" in drawn.said[1]
