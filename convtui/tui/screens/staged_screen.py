"""Screens whose first frame is drawn before most of what they do is imported."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.textual_compat import all_like_the_first

if TYPE_CHECKING:
    from textual.geometry import Region
    from textual.strip import Strip

    from convtui.actions.registry import Keymap
    from convtui.tui.widgets.keybar import KeyBar


class StagedScreen(ActionScreen, inherit_bindings=False):
    """A screen that makes the rest of itself after its first frame; what a person does waits."""

    def __init__(self, keymap: Keymap) -> None:
        super().__init__(keymap)
        self.is_complete = False
        self._completing = asyncio.Lock()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Called by Textual; its widgets cover all of it."""
        return all_like_the_first(super().render_lines, crop)

    @abstractmethod
    async def make_rest(self) -> None:
        """Makes what the first frame does without."""

    @abstractmethod
    def repaint(self) -> None:
        """Draws everything; called when the rest is there."""

    async def complete(self) -> None:
        """Makes the rest, unless it is there."""
        async with self._completing:
            # Its widgets are there before it counts as mounted.
            if not self.is_complete and self.is_attached and self._key_bar is not None:
                await self.make_rest()
                self.is_complete = True
                self.repaint()

    def action_press(self, key: str) -> Awaitable[None] | None:
        return super().action_press(key) if self.is_complete else self._press_when_complete(key)

    async def _press_when_complete(self, key: str) -> None:
        await self.complete()
        super().action_press(key)

    async def on_key_bar_chosen(self, event: KeyBar.Chosen) -> None:  # type: ignore[override]
        # Then Textual calls that of the base.
        await self.complete()
