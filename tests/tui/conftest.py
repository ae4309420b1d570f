"""Screens are tested in colour, whatever the terminal, and keys wait until the app has settled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar
from weakref import WeakSet

import pytest
from textual._context import active_app
from textual.app import App
from textual.message_pump import MessagePump
from textual.screen import Screen

from convtui.tui.screens.debugger.repaints import SLOWEST
from tests.tui.harness.hands import Hands

P = ParamSpec("P")
T = TypeVar("T")


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys come as slowly as those of somebody who reads; tests of haste have `Hands` of their own.

    By the real clock all keys of a test are a burst: they are text, not commands.
    """
    monkeypatch.setattr("convtui.tui.keyboard.typed_keys.KeyClock", Hands)


@pytest.fixture(autouse=True)
def settling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and pauses end when everything that they led to has been done.

    A screen is drawn when it has settled for the first time, and when the app ends. What would be
    drawn in between nobody sees, for whoever looks has it drawn, and drawing is much of what these
    tests cost.

    Textual's own wait looks at how much processor time went by in 20 ms: it takes two of them for
    each key, and an app that did not get its turn on a busy machine looks as if it had settled.
    """
    in_threads = 0
    to_thread = asyncio.to_thread
    draw = Screen._compositor_refresh
    shut_down = App._shutdown
    undrawn: set[Screen[Any]] = set()
    seen: WeakSet[Screen[Any]] = WeakSet()

    def draw_later(screen: Screen[Any]) -> None:
        if screen is screen.app.screen and not screen.app.is_inline:
            undrawn.add(screen)
            screen._dirty_widgets.clear()
            screen.app._update_mouse_over(screen)
        else:
            draw(screen)

    async def counted(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal in_threads
        in_threads += 1
        try:
            return await to_thread(func, *args, **kwargs)
        finally:
            in_threads -= 1

    async def settled(_least: float = 0.0, most: float = 5.0) -> None:
        until = time.monotonic() + most
        calm = 0
        while calm < 3 and time.monotonic() < until:
            await asyncio.sleep(0.001)
            calm = 0 if in_threads or _busy(active_app.get()) else calm + 1
            if calm and (new := undrawn.difference(seen)):
                calm = 0
                seen.update(new)
                draw_current(new)

    def draw_current(screens: set[Screen[Any]]) -> None:
        for screen in screens:
            undrawn.discard(screen)
            if screen.is_running and screen is screen.app.screen:
                draw(screen)

    async def draw_and_shut_down(app: App[Any]) -> None:
        try:
            draw_current(undrawn.copy())
        finally:
            await shut_down(app)

    monkeypatch.setattr(App, "_shutdown", draw_and_shut_down)
    monkeypatch.setattr(Screen, "_compositor_refresh", draw_later)
    monkeypatch.setattr("asyncio.to_thread", counted)
    monkeypatch.setattr("textual.app.wait_for_idle", settled)
    monkeypatch.setattr("textual.pilot.wait_for_idle", settled)


def _busy(app: App[Any]) -> bool:
    """Whether a message waits to be handled, or something to be laid out, drawn or called."""
    screen = app.screen_stack[-1] if app._running and app.screen_stack else None
    if screen is not None and _undrawn(screen):
        return True
    pumps: list[MessagePump] = [app, *app._registry]
    return any(
        pump.message_queue_size or pump._next_callbacks or (pump._timers and _repaints_soon(pump))
        for pump in pumps
    )


def _repaints_soon(pump: MessagePump) -> bool:
    """Whether something is about to be painted or measured by a timer that fires once."""
    return any(
        timer._repeat == 0 and timer._interval <= SLOWEST and timer._task and not timer._task.done()
        for timer in list(pump._timers)
    )


def _undrawn(screen: Screen[Any]) -> bool:
    return bool(
        screen._layout_required
        or screen._scroll_required
        or screen._repaint_required
        or screen._recompose_required
        or screen._dirty_widgets
        or screen._callbacks
    )
