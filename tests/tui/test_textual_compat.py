"""What convtui needs of Textual's private parts is still there, and does what it is needed for."""

from __future__ import annotations

import asyncio

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Input, Static
from textual.worker import WorkerFailed

from convtui.tui.textual_compat import (
    ToastlessApp,
    after_refresh,
    forward,
    is_open,
    run_while_open,
)
from tests.tui.harness.sample import until


class Above(Screen[None]):
    """A screen with a widget and work that looks for it."""

    def compose(self) -> ComposeResult:
        yield Static(id="inside")


class Drawing(ToastlessApp[None]):
    """Keeps what it would draw."""

    drawn: tuple[str, ...] = ()

    def draw_notice(self) -> None:
        self.drawn = tuple(notice.message for notice in self._notifications)


async def test_notices_are_left_to_the_app_and_no_screen_has_toasts() -> None:
    app = Drawing()
    assert vars(App())["_disable_notifications"] is False
    async with app.run_test() as pilot:
        app.notify("Over here.")
        await until(pilot, lambda: app.drawn == ("Over here.",))
        assert not app.screen.query("ToastRack")
        app.clear_notifications()
        await until(pilot, lambda: app.drawn == ())
    assert vars(Drawing())["_disable_notifications"] is True


async def test_a_screen_is_open_until_it_is_removed() -> None:
    app: App[None] = App()
    async with app.run_test():
        screen = Above()
        assert not is_open(screen)
        await app.push_screen(screen)
        assert is_open(screen)
        await app.pop_screen()
        assert screen.is_mounted
        assert not is_open(screen)


async def test_work_that_outlives_its_screen_ends_quietly() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        screen = Above()
        await app.push_screen(screen)
        looked: list[str] = []

        async def work() -> None:
            await screen.query_one("#inside").remove()
            screen._pruning = True
            looked.append("in vain")
            screen.query_one("#inside")

        worker = run_while_open(screen, work())
        await until(pilot, lambda: worker.is_finished)
        assert looked == ["in vain"]
        assert worker.error is None
        screen._pruning = False


async def test_a_screen_that_is_closed_before_the_next_refresh_is_left_alone() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        screen = Above()
        await app.push_screen(screen)
        drawn: list[str] = []

        def draw() -> None:
            drawn.append("begun")
            screen.query_one("#inside")
            drawn.append("done")

        after_refresh(screen, draw)
        await until(pilot, lambda: drawn == ["begun", "done"])
        await screen.query_one("#inside").remove()
        screen._pruning = True
        after_refresh(screen, draw)
        await until(pilot, lambda: len(drawn) == 3)
        await pilot.pause()
        assert drawn[-1] == "begun"
        screen._pruning = False


async def test_a_widget_that_is_missing_on_an_open_screen_is_a_bug() -> None:
    app: App[None] = App()
    with pytest.raises(WorkerFailed, match="elsewhere"):
        async with app.run_test() as pilot:
            screen = Above()
            await app.push_screen(screen)

            async def work() -> None:
                await asyncio.sleep(0)
                screen.query_one("#elsewhere")

            run_while_open(screen, work())
            await pilot.pause()


async def test_an_event_is_forwarded_to_a_widget() -> None:
    class Typing(App[None]):
        def compose(self) -> ComposeResult:
            yield Input()

    app = Typing()
    async with app.run_test() as pilot:
        box = app.query_one(Input)
        forward(box, events.Key("x", "x"))
        await until(pilot, lambda: box.value == "x")
