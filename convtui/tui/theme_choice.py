"""The theme that was chosen in the program, and choosing it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from convtui.tui.drawing import theming

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.tui.app import ConvtuiApp
    from convtui.tui.drawing.theming import ThemeView
    from convtui.tui.saved_state import SavedState


def theme_name(config: Config, saved_state: SavedState) -> str:
    """The theme that the settings name, else the one that was chosen in the program last."""
    if config.origin("theme").layer != "default":
        return config.theme
    return str(saved_state.read().get("theme") or config.theme)


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
    await app.saved_state.remember(theme=chosen)
    config = app.config
    if config is not None and config.origin("theme").layer != "default":
        where = f"{config.origin('theme')} says {config.theme}"
        app.notify(f"Theme {chosen}, until the program ends: {where}.")
    return chosen
