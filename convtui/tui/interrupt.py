"""What ctrl+c does: an answer, a copy, and a way out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from textual.app import App

from convtui.tui.keyboard.typed_keys import takes_text
from convtui.tui.screens.action_screen import action_screen_of
from convtui.tui.screens.screen_context import AnswersInterrupt

INTERRUPT_AGAIN = 3.0
"""Seconds within which a second ctrl+c leaves."""


class Interrupt:
    """Answers a dialog that has an answer for it; else copies, and leaves when pressed again."""

    def __init__(
        self,
        app: App[Any],
        leave: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._leave = leave
        self._clock = clock
        self._pressed = float("-inf")

    def press(self) -> None:
        screen = self._app.screen
        if isinstance(screen, AnswersInterrupt) and screen.interrupted():
            return
        if self._clock() - self._pressed < INTERRUPT_AGAIN:
            self._leave()
            return
        self._pressed = self._clock()
        copied = "Copied. " if self._copy() else ""
        self._app.notify(
            f"{copied}Press ctrl+c again: it {self._what_leaving_does()}.", markup=False, timeout=3
        )

    def _copy(self) -> bool:
        """Copies the selection; False if there is none."""
        focused = self._app.focused
        selection = focused.selected_text if takes_text(focused) else None  # type: ignore[union-attr]
        selection = selection or self._app.screen.get_selected_text()
        if selection:
            self._app.copy_to_clipboard(selection)
        return bool(selection)

    def _what_leaving_does(self) -> str:
        screen = action_screen_of(self._app)
        if screen is not None and screen.quit_does:
            return screen.quit_does
        bottom = screen is None or self._app.screen_stack[0] is screen
        return "quits" if bottom else "goes back"
