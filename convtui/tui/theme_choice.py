"""The theme that was chosen in the program, and choosing it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.tui.drawing import theming

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.tui.app import ConvtuiApp
    from convtui.tui.drawing.theming import ThemeView


def theme_name(config: Config, state_file: Path | None) -> str:
    """The theme that the settings name, else the one that was chosen in the program last."""
    if state_file is None or config.origin("theme").layer != "default":
        return config.theme
    from convtui.config.paths import read_state

    return str(read_state(state_file).get("theme") or config.theme)


async def choose_theme(
    app: ConvtuiApp, before: ThemeView | None, show: Callable[[ThemeView | None], None]
) -> str | None:
    """Lets the user choose among all themes; `show` draws one at once, and `before` on Escape.

    The chosen name is remembered for the next start.
    """
    from convtui.tui.screens.dialogs.theme import ChooseTheme, ThemeOffer

    folder = app.themes_dir
    themes = await asyncio.to_thread(theming.all_themes, folder)
    chosen = await app.push_screen_wait(
        ChooseTheme(
            [ThemeOffer(view, about) for view, about in themes],
            before.name if before is not None else theming.DEFAULT,
            show,
        )
    )
    if chosen is None:
        show(before)
        return None
    await app.remember(theme=chosen)
    config = app.config
    if config is not None and config.origin("theme").layer != "default":
        where = f"{config.origin('theme')} says {config.theme}"
        app.notify(f"Theme {chosen}, until the program ends: {where}.")
    return chosen
