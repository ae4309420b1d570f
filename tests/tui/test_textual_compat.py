"""What convtui needs of Textual's private parts is still there, and does what it is needed for."""

from __future__ import annotations

import asyncio
import time

import pytest
from rich.segment import Segment
from textual import events
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, Static
from textual.worker import WorkerFailed

from convtui.tui.screens.debugger.widgets import Body
from convtui.tui.textual_compat import (
    KeptLines,
    PromptTimer,
    ToastlessApp,
    after_refresh,
    answers_key,
    draw_promptly,
    drawn_lines,
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


async def test_what_a_key_changes_does_not_wait_for_the_next_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PromptTimer, "_FRAME", 1e9)
    monkeypatch.setattr(PromptTimer, "_HURRY", 1e9)
    monkeypatch.setattr(PromptTimer, "_BURST", -1.0)
    frames: list[float] = []

    def draw() -> None:
        frames.append(time.monotonic())
        timer.pause()

    app: App[None] = App()
    async with app.run_test() as pilot:
        timer = PromptTimer(app.screen)
        timer._callback = draw
        timer._start()
        timer.hurry()
        timer.resume()
        await until(pilot, lambda: frames)

        timer._hurry_until = 0.0
        timer.resume()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(frames) == 1, "the next frame is not due for long"

        timer.hurry()
        answered = [timer.answers]
        await until(pilot, lambda: len(frames) == 2)
        assert [*answered, timer.answers] == [True, False]
        timer.stop()


class Typed(App[None]):
    """Says which keys were pressed."""

    def compose(self) -> ComposeResult:
        yield Static("none")

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded:
            draw_promptly(self.screen)
        await super().on_event(event)

    def on_key(self, event: events.Key) -> None:
        self.query_one(Static).update(event.key)


async def test_a_screen_draws_what_keys_have_changed() -> None:
    app = Typed()
    async with app.run_test() as pilot:
        for key in ("a", "b"):
            await pilot.press(key)
            lines = ["".join(segment.text for segment in line) for line in drawn_lines(app)]
            assert lines[0].strip() == key
            assert isinstance(app.screen._update_timer, PromptTimer)
            assert not answers_key(app)


async def test_keys_that_come_like_a_paste_are_not_drawn_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("convtui.tui.textual_compat.time.monotonic", lambda: now)
    app: App[None] = App()
    async with app.run_test():
        timer = PromptTimer(app.screen)
        timer.hurry()
        first = timer._hurry_until
        for _ in range(50):
            now += 0.005
            timer.hurry()
        assert timer._hurry_until == first
        now += 1.0
        timer.hurry()
        assert timer._hurry_until > now


class Rows(ScrollView):
    """Numbered rows, each the same strip whenever it is asked for."""

    DEFAULT_CSS = """
    Rows { height: 6; border: round red; }
    Rows.-other { border: round blue; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._styles_cache = KeptLines()
        self.rows = [Strip([Segment(f"row {number}")]) for number in range(30)]

    def on_mount(self) -> None:
        self.virtual_size = Size(20, len(self.rows))

    def render_line(self, y: int) -> Strip:
        return self.rows[y + self.scroll_offset.y]

    def drawn(self) -> list[Strip]:
        return self.render_lines(self.outer_size.region)


class Rowed(App[None]):
    def compose(self) -> ComposeResult:
        yield Rows()


async def test_a_line_that_has_only_moved_is_not_drawn_again() -> None:
    app = Rowed()
    async with app.run_test() as pilot:
        rows = app.query_one(Rows)
        before = rows.drawn()
        rows.scroll_to(y=1, animate=False)
        await pilot.pause()
        after = rows.drawn()
        inside = range(2, rows.outer_size.height - 1)
        assert all(before[y] is after[y - 1] for y in inside)

        rows.rows[2] = Strip([Segment("another")])
        rows.refresh()
        changed = rows.drawn()
        assert changed[2] is not after[2]
        assert changed[3] is after[3]

        rows.add_class("-other")
        await pilot.pause()
        framed = rows.drawn()
        assert all(one is not other for one, other in zip(framed, changed, strict=True))
        assert [list(strip) for strip in framed] != [list(strip) for strip in changed]


class Grounds(App[None]):
    """A row that two widgets cover, once drawn by Textual and once as one line."""

    CSS = "Horizontal { height: 5; background: $panel; } Static { width: 1fr; height: 1fr; }"

    def compose(self) -> ComposeResult:
        yield Horizontal(Static("left"), Static("right"))
        yield Body(Static("left"), Static("right"))


@pytest.mark.parametrize("height", [0, 1, 4])
async def test_a_ground_is_drawn_as_textual_draws_it(height: int) -> None:
    app = Grounds()
    async with app.run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        theirs, ours = app.query(Horizontal)
        crop = Region(3, 1, 20, height)
        assert ours.render_lines(crop) == theirs.render_lines(crop)
        assert len(ours.render_lines(crop)) == height
