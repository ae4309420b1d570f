"""How a screen looks as a whole: frames while there is room for them, and the theme."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from textual import events
from textual.geometry import Size
from textual.screen import Screen

from convtui.tui.drawing.frames import UNFRAMED, has_frames
from convtui.tui.drawing.palette import palette_of
from convtui.tui.widgets.line_view import LineView


class FramedScreen(Screen[Any], inherit_bindings=False):
    """A screen of panes."""

    def on_mount(self) -> None:
        self._fit_frames(self.app.size)

    def on_resize(self, event: events.Resize) -> None:
        self._fit_frames(event.size)

    def on_screen_resume(self) -> Awaitable[None] | None:
        # The terminal may have been resized while another screen was open.
        self._fit_frames(self.app.size)
        return None

    def _fit_frames(self, size: Size) -> None:
        self.set_class(not has_frames(size), UNFRAMED)

    def restyle(self) -> None:
        """Applies a changed theme to all that draws with the palette."""
        for view in self.query(LineView):
            view.palette = palette_of(self.app)
