"""The theme in use: which one it is, its changes on disk, and choosing another."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from convtui.errors import ConvtuiError
from convtui.tui.drawing import theming
from convtui.tui.drawing.monochrome import filter_of
from convtui.tui.drawing.theming import ThemeView

if TYPE_CHECKING:
    from textual.filter import LineFilter

    from convtui.config.settings import Config
    from convtui.tui.drawing.palette import Palette
    from convtui.tui.saved_state import SavedState
    from convtui.tui.screens.screen_context import AskScreen

DrawTheme = Callable[[ThemeView | None, "Palette"], None]
"""Draws all screens with a theme, or with the default colours for None."""


class Warn(Protocol):
    """Shows problems in a notice; without problems it shows nothing."""

    def __call__(self, problems: list[str], title: str) -> None: ...


def monochrome() -> bool:
    """Whether `NO_COLOR` turns colours off."""
    return bool(os.environ.get("NO_COLOR"))


class Themes:
    """Knows the theme that is named by the settings, or was chosen in the program last.

    Call `show_first()` before anything is drawn.
    """

    def __init__(
        self,
        config: Callable[[], Config | None],
        saved_state: SavedState,
        *,
        draw: DrawTheme,
        ask: AskScreen,
        notify: Callable[[str], None],
        warn: Warn,
    ) -> None:
        self._config = config
        self._saved_state = saved_state
        self._draw, self._ask, self._notify, self._warn = draw, ask, notify, warn
        self.view: ThemeView | None = None
        self.palette: Palette = theming.palette_of(None, monochrome=monochrome())
        self.line_filter: LineFilter | None = None
        """What redraws lines where there are no colours."""
        self.problems: list[str] = []
        """Why the named theme, or another of the user's, could not be loaded."""
        self._name = theming.DEFAULT
        self._choosing = False

    @property
    def _folder(self) -> Path | None:
        config = self._config()
        return config.paths.themes_dir if config is not None else None

    def show_first(self) -> None:
        """Draws the first frame's theme; the user's themes are looked at later."""
        config = self._config()
        if config is None:
            self.show(None)
            return
        self._name = self._named(config)
        view = theming.builtin_theme(self._name)
        if view is None:
            view, self.problems = self._load()
        self.show(view)

    def _named(self, config: Config) -> str:
        remembered = self._saved_state.read().get("theme")
        if config.origin("theme").layer != "default":
            return config.theme
        return str(remembered or config.theme)

    def _load(self) -> tuple[ThemeView | None, list[str]]:
        try:
            view, problems = theming.load(self._name, self._folder)
        except ConvtuiError as error:
            return None, [str(error)]
        return view, [str(problem) for problem in problems]

    def show(self, view: ThemeView | None) -> None:
        self.view = view
        self.palette = theming.palette_of(view, monochrome=monochrome())
        roles = self.palette.roles
        self.line_filter = filter_of(
            (roles["background"], roles["text"]),
            no_color=monochrome(),
            monochrome=self.palette.monochrome,
        )
        self._draw(view, self.palette)

    async def choose(self) -> None:
        """Lets the user choose among all themes, each drawn at once; Escape restores the old one.

        The chosen name is remembered for the next start.
        """
        from convtui.tui.screens.dialogs.theme import ChooseTheme, ThemeOffer

        before = self.view
        self._choosing = True
        try:
            themes = await asyncio.to_thread(theming.all_themes, self._folder)
            offers = [ThemeOffer(view, about) for view, about in themes]
            current = before.name if before is not None else theming.DEFAULT
            chosen = await self._ask(ChooseTheme(offers, current, self.show))
            if chosen is None:
                self.show(before)
                return
            await self._saved_state.remember(theme=chosen)
            self._name = chosen
        finally:
            self._choosing = False
        config = self._config()
        if config is not None and config.origin("theme").layer != "default":
            where = f"{config.origin('theme')} says {config.theme}"
            self._notify(f"Theme {chosen}, until the program ends: {where}.")

    async def watch(self) -> None:
        """Draws the theme again whenever the files of the user's themes change."""
        from convtui.tui.sources.watch import changed, stamp

        folder = self._folder
        if folder is None or not await asyncio.to_thread(folder.is_dir):
            return
        shown = self.problems
        while True:
            before = await asyncio.to_thread(stamp, [folder])
            view, problems = await asyncio.to_thread(self._load)
            if view != self.view and not self._choosing:
                self.problems = problems
                self.show(view)
            if problems != shown:
                self._warn(problems, "Theme not loaded")
            shown = []
            await changed([folder], before)
