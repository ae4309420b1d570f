"""Dialogs: as big as what is in them, whole on every screen, ready to write at the end."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList

from convtui.tui.screens.dialogs.box import DialogBox, heights_of, key_rows, width_of
from convtui.tui.screens.dialogs.breakpoints import BreakpointsScreen
from convtui.tui.screens.dialogs.consent import Consent
from convtui.tui.screens.dialogs.notes import NotesScreen
from convtui.tui.screens.dialogs.questions import Ask, Choose, Edit
from convtui.tui.sources.run import Breakpoint, LiveRun
from convtui.tui.widgets.safe_area import SafeTextArea
from tests.tui.harness.sample import until
from tests.tui.harness.sources import Story

SIZES = [(120, 36), (80, 24), (60, 16), (40, 10)]
LONG = " ".join(f"word{number}" for number in range(400))
ANSWERS = [(str(number), f"answer {number}") for number in range(12)]


def stopping(filters: list[str]) -> LiveRun:
    """A run with breakpoints, as far as their dialog asks for it."""

    async def refresh() -> None:
        """Nothing is new."""

    points = [Breakpoint.parse(number, text) for number, text in enumerate(filters, 1)]
    return cast(LiveRun, SimpleNamespace(breakpoints=points, refresh_breakpoints=refresh))


DIALOGS: dict[str, Callable[[], ModalScreen[Any]]] = {
    "choose": lambda: Choose("leave?", ANSWERS[:3], "The run is live."),
    "choose long": lambda: Choose("leave?", ANSWERS, LONG),
    "ask": lambda: Ask("go to turn", value="1:2", hint="by number, such as 7 or 2:7"),
    "ask long": lambda: Ask("note", value=LONG, hint=LONG[:300]),
    "edit": lambda: Edit("edit 1:4", [("text", "what is said", "Of course.")]),
    "edit long": lambda: Edit("edit", [("a", "raw", LONG), ("b", "shown", "x"), ("c", "c", LONG)]),
    "consent": lambda: Consent("Run it?", "It would", ["run x"], yes="Yes", no="No"),
    "consent long": lambda: Consent("Run it?", LONG, [LONG] * 9, yes="Yes, do all", no="No"),
    "breakpoints": lambda: BreakpointsScreen(stopping(["~discard"])),
    "breakpoints long": lambda: BreakpointsScreen(
        stopping(['~said "some words of a reply, as long as they come"'] * 9)
    ),
    "notes": lambda: NotesScreen({}, Story().transcript, keys="m marks a turn."),
}


def drawn(app: App[None]) -> str:
    """What is on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize("size", SIZES)
async def test_a_dialog_is_whole_on_every_screen_and_names_its_keys(size: tuple[int, int]) -> None:
    app: App[None] = App()
    async with app.run_test(size=size) as pilot:
        for name, make in DIALOGS.items():
            dialog = make()
            await app.push_screen(dialog)
            await until(pilot, lambda: "esc" in drawn(app))
            await pilot.pause()
            box = app.screen.query_one(DialogBox)
            region = box.region
            assert region.height <= size[1], name
            assert region.y >= 0, name
            assert region.right <= size[0], name
            for key in box.keys.split("  "):
                assert key in drawn(app).replace("\u00a0", " "), (name, key)
            await pilot.press("escape")
            await until(pilot, lambda: not isinstance(app.screen, ModalScreen))


@pytest.mark.parametrize("name", ["choose", "ask", "edit", "consent", "notes"])
async def test_a_dialog_with_little_in_it_is_small(name: str) -> None:
    app: App[None] = App()
    async with app.run_test(size=(120, 36)) as pilot:
        await app.push_screen(DIALOGS[name]())
        await until(pilot, lambda: "esc" in drawn(app))
        await pilot.pause()
        region = app.screen.query_one(DialogBox).region
        assert region.width <= 60
        assert region.height <= 9


async def test_what_is_edited_has_the_cursor_at_its_end() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        results: list[Any] = []
        app.push_screen(Ask("note", value="one"), results.append)
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("!", "enter")
        await until(pilot, lambda: results)
        app.push_screen(Edit("edit", [("a", "a", "one\ntwo"), ("b", "b", "three")]), results.append)
        await until(pilot, lambda: isinstance(app.focused, SafeTextArea))
        await pilot.press("!", "tab", "?", "ctrl+s")
        await until(pilot, lambda: len(results) == 2)
        assert results == ["one!", {"a": "one\ntwo!", "b": "three?"}]


async def test_a_text_that_is_edited_grows_with_what_is_written() -> None:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.push_screen(DIALOGS["edit"]())
        await until(pilot, lambda: isinstance(app.focused, SafeTextArea))
        before = app.screen.query_one(DialogBox).region.height
        await pilot.press(*["enter"] * 6)
        await until(pilot, lambda: app.screen.query_one(DialogBox).region.height >= before + 5)


async def test_the_end_of_a_long_question_can_be_read() -> None:
    app: App[None] = App()
    async with app.run_test(size=(60, 16)) as pilot:
        await app.push_screen(DIALOGS["choose long"]())
        await until(pilot, lambda: app.screen.query_one(OptionList).has_focus)
        await pilot.pause()
        assert "word399" not in drawn(app)
        assert "answer 0" in drawn(app)
        await pilot.press(*["pagedown"] * 30)
        await until(pilot, lambda: "word399" in drawn(app))


def test_rows_are_shared_fairly() -> None:
    assert heights_of(["a", "a\nb\nc"], 20, 10, least=2) == [2, 3]
    assert heights_of(["a", "x\n" * 50, "x\n" * 50], 20, 12, least=2) == [2, 5, 5]
    assert heights_of(["a"] * 9, 20, 4, least=2) == [2] * 9


def test_a_dialog_is_as_wide_as_its_longest_line() -> None:
    assert width_of(["short"]) == 40
    assert width_of(["x" * 60, "short"]) == 66
    assert width_of(["日" * 30]) == 66
    assert width_of(["x" * 500], widest=84) == 84


def test_a_key_and_what_it_does_stay_together_where_keys_fold() -> None:
    keys = "space on/off  o once  e edit  d remove  tab add  esc close"
    assert key_rows(keys, 32) == ["space on/off  o once  e edit", "d remove  tab add  esc close"]
    assert key_rows(keys, 5) == keys.split("  "), "never nothing"
