"""Draws all open screens with a theme."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from textual.app import App

from convtui.tui.drawing import theming
from convtui.tui.drawing.palette import DARK, Palette
from convtui.tui.drawing.theming import ThemeView
from convtui.tui.textual_compat import reload_css


@runtime_checkable
class Restyles(Protocol):
    """A screen that keeps drawings with colours in them."""

    def restyle(self) -> None:
        """Draws them again."""


def draw_theme(app: App[Any], view: ThemeView | None, palette: Palette) -> None:
    theme = theming.textual_theme(
        view.colors if view is not None else DARK,
        name=view.name if view is not None else theming.DEFAULT,
        dark=view.dark if view is not None else True,
        monochrome=palette.monochrome,
    )
    app.register_theme(theme)
    if app.theme == theme.name:
        reload_css(app)
    else:
        app.theme = theme.name
    if not app.is_running:
        app.stylesheet.set_variables(app.get_css_variables())
        return
    from convtui.tui.widgets.line_view import LineView

    for screen in app.screen_stack:
        for lines in screen.query(LineView):
            lines.palette = palette
        if isinstance(screen, Restyles):
            screen.restyle()
