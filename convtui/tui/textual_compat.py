"""Textual's private parts that convtui needs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Any, Generic, TypeVar, cast

from rich.segment import Segment
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._context import visible_screen_stack
from textual._styles_cache import StylesCache
from textual.app import App
from textual.color import Color
from textual.css.query import NoMatches
from textual.css.styles import StylesBase
from textual.geometry import Region, Size
from textual.keys import Keys
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import EventTargetGone, Timer
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


class PromptTimer(Timer):
    """Draws a screen at most sixty times a second, but does not let a key wait for the next frame.

    Textual's own timer ticks in a rhythm that it does not leave: what has changed just after a tick
    is drawn one or two of them later.
    """

    _FRAME = 1 / 60
    _HURRY = 0.1
    """Seconds after a key within which what it has changed should have been drawn."""
    _LEAST = 0.004
    """Seconds between two frames even then: the other messages need their turn."""
    _BURST = 0.03
    """Keys that come faster are a paste: not each of them is worth a frame."""

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__(screen, self._FRAME, callback=screen._on_timer_update, pause=True)
        self._wanted, self._hurried = asyncio.Event(), asyncio.Event()
        self._hurry_until = self._key_at = self._ended = 0.0
        self._unanswered = False

    @property
    def answers(self) -> bool:
        """Whether nothing was drawn yet since a key came, and something may well be."""
        return self._unanswered and time.monotonic() - self._key_at < self._HURRY / 2

    def hurry(self) -> None:
        """What is changed now is drawn without waiting for the next frame."""
        now = time.monotonic()
        self._unanswered = True
        if now - self._key_at > self._BURST:
            self._hurry_until = now + self._HURRY
            self._hurried.set()
        self._key_at = now

    def resume(self) -> None:
        self._wanted.set()

    def pause(self) -> None:
        self._wanted.clear()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            self._hurried.clear()
            now = time.monotonic()
            frame = self._LEAST if now < self._hurry_until else self._FRAME
            left = self._ended + frame - now
            if left > 0:
                await self._wait(left)
                continue
            try:
                await self._tick(next_timer=now, count=0)
            except EventTargetGone:
                return
            self._ended = time.monotonic()
            self._unanswered = False

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), seconds)


def draw_promptly(screen: Screen[Any]) -> None:
    """Has a screen draw what a key, which has just come, will change, as soon as it has."""
    timer = screen._update_timer
    if not isinstance(timer, PromptTimer):
        timer.stop()
        screen._timers.discard(timer)
        timer = PromptTimer(screen)
        with screen._context():
            timer._start()
        screen._timers.add(timer)
        vars(screen)["_Screen__update_timer"] = timer
        timer.resume()  # the other one may have been about to draw something
    timer.hurry()


def answers_key(app: App[Any]) -> bool:
    """Whether the visible screen has heard a key and has not drawn yet what came of it."""
    timer = app.screen._update_timer
    return isinstance(timer, PromptTimer) and timer.answers


class KeptLines(StylesCache):
    """A widget's lines with its border and padding, kept by what is inside them.

    Textual keeps them by row, and draws all of them again when the widget has scrolled. Here a line
    that has only moved is the same strip, with all that Textual has worked out from it. It takes a
    widget whose `render_line()` returns the same strip for the same line.
    """

    _MOST = 150

    def __init__(self) -> None:
        super().__init__()
        self._look: tuple[object, ...] = ()
        self._top = 0
        self._outlined = False
        # The strips inside are kept, too: an id is unique only among those that exist.
        self._drawn: dict[int, tuple[Strip, Strip]] = {}
        self._drawn_before: dict[int, tuple[Strip, Strip]] = {}

    def clear(self) -> None:
        """Called by Textual to have every line drawn; what is not drawn then is dropped."""
        super().clear()
        if self._drawn:
            self._drawn, self._drawn_before = {}, self._drawn

    def render(
        self,
        styles: StylesBase,
        size: Size,
        base_background: Color,
        background: Color,
        *arguments: Any,
        **named: Any,
    ) -> list[Strip]:
        """Called by Textual with all that a widget looks like."""
        look = (
            *(size.width, base_background, background),
            *(styles.gutter, styles.border, styles.outline),
            *(styles.tint, styles.text_opacity, styles.hatch),
            *(named["content_size"].width, named["padding"], named["opacity"]),
            *(named["ansi_theme"], named["native_ansi"]),
        )
        if look != self._look:
            self._look = look
            self._top = styles.gutter.top
            self._outlined = any(edge for edge, _ in styles.outline)
            self._drawn, self._drawn_before = {}, {}
        return super().render(styles, size, base_background, background, *arguments, **named)

    def render_line(
        self, styles: StylesBase, y: int, size: Size, content_size: Size, *arguments: Any
    ) -> Strip:
        """Called by Textual for each line that is to be drawn."""
        inside = y - self._top
        if self._outlined or not 0 <= inside < content_size.height:
            return super().render_line(styles, y, size, content_size, *arguments)
        *ground, render_content_line = arguments[:4]
        content: Strip = render_content_line(inside)
        key = id(content)
        pair = self._drawn.get(key) or self._drawn_before.get(key)
        if pair is None:
            rest = (*ground, lambda _: content, *arguments[4:])
            pair = content, super().render_line(styles, y, size, content_size, *rest)
        if len(self._drawn) >= self._MOST:
            self._drawn, self._drawn_before = {}, self._drawn
        self._drawn[key] = pair
        return pair[1]


def all_like_the_first(render: Callable[[Region], list[Strip]], crop: Region) -> list[Strip]:
    """The lines of a widget that has a ground only: no border and nothing of its own to draw.

    Textual draws each of them, also where other widgets cover them.
    """
    return render(crop._replace(height=min(1, crop.height))) * crop.height


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
