"""Textual's private parts that convtui needs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from rich.segment import Segment
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._context import visible_screen_stack
from textual.app import App
from textual.css.query import NoMatches
from textual.keys import Keys
from textual.widget import Widget
from textual.worker import Worker

Result = TypeVar("Result")


class ToastlessApp(App[Result], Generic[Result], inherit_bindings=False):
    """An app that draws its notices with `draw_notice()`; Textual's toasts lie over content.

    Textual keeps the notices that are due, and says when that changes.
    """

    def __init__(self) -> None:
        super().__init__()
        # Screens leave out the widgets of toasts.
        self._disable_notifications = True

    def draw_notice(self) -> None:
        """Draws the current notice on the current screen, or none."""

    def _refresh_notifications(self) -> None:
        self.draw_notice()


class _MoreKeys(StrEnum):
    ALT_ENTER = "alt+enter"


MISREAD_KEYS = {"\r": "alt+enter", "shift+\r": "shift+enter", "ctrl+\r": "ctrl+enter"}
"""Textual's names for modified Enter in xterm's modifyOtherKeys format, which tmux uses too. Its
parser drops alt: the bare character is alt+enter."""


def read_alt_enter() -> None:
    """Teaches Textual's parser that ESC CR, which terminals send for alt+enter, is one key.

    Otherwise it reads ESC CR as a plain Enter, after a delay.
    """
    # Textual declares it as a Mapping; it is a dict.
    sequences = cast("dict[str, tuple[Keys, ...]]", ANSI_SEQUENCES_KEYS)
    for sequence in ("\x1b\r", "\x1b\n"):
        sequences.setdefault(sequence, (cast("Keys", _MoreKeys.ALT_ENTER),))


def forward(widget: Widget, event: events.Key | events.Paste) -> None:
    """Queues an event for a widget behind earlier ones, as the app does."""
    widget._forward_event(event)


def goes_on(app: App[Any]) -> bool:
    """Whether an app has started and is not being left."""
    return app.is_running and not app._exit


def reload_css(app: App[Any]) -> None:
    """Draws a theme whose colours have changed under the same name."""
    app._invalidate_css()
    app.refresh_css(animate=False)


def write_to_terminal(app: App[Any], text: str) -> None:
    """Sends control codes between two frames; nothing where there is no terminal."""
    if app._driver is not None and not app.is_headless:
        app._driver.write(text)
        app._driver.flush()


def can_suspend(app: App[Any]) -> bool:
    """Whether ctrl+z may stop the program: not in a browser, not on Windows."""
    return app._driver is not None and app._driver.can_suspend and hasattr(signal, "SIGTSTP")


def drawn_lines(app: App[Any]) -> list[list[Segment]]:
    """What is on the screen, one list of segments a line."""
    visible_screen_stack.set(app._background_screens)
    return [list(strip) for strip in app.screen._compositor.render_strips()]


def is_open(widget: Widget) -> bool:
    """Whether a widget has its children: it is mounted, and its removal has not begun.

    `is_mounted` stays true while and after a screen is closed. Work that was waiting then must not
    look for widgets any more.
    """
    return widget.is_mounted and widget.is_attached and not widget._pruning


def after_refresh(screen: Widget, draw: Callable[[], None]) -> None:
    """Calls `draw` after the next refresh, unless the screen is closed by then."""

    def guarded() -> None:
        try:
            draw()
        except NoMatches:
            if is_open(screen):
                raise

    screen.call_after_refresh(guarded)


def run_while_open(
    widget: Widget,
    work: Coroutine[Any, Any, None],
    *,
    name: str = "",
    group: str = "default",
    exclusive: bool = False,
    exit_on_error: bool = True,
) -> Worker[None]:
    """Runs work of a screen as a worker, which ends quietly when the screen is closed.

    Textual cancels the workers of a screen only after its widgets are gone: work that goes on in
    between looks for widgets that are not there any more.
    """

    async def guarded() -> None:
        try:
            await work
        except NoMatches:
            if is_open(widget):
                raise

    return widget.run_worker(
        guarded(), name=name, group=group, exclusive=exclusive, exit_on_error=exit_on_error
    )
