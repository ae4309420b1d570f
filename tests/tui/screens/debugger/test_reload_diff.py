"""The pane after a reload: what the old code made of a turn, what the new code makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App
from textual.pilot import Pilot

from convtui.analysis.rehook.preview import Asked, Made, Preview
from convtui.errors import EngineError
from convtui.tui.drawing.palette import Palette
from convtui.tui.screens.debugger.reload_diff import ReloadDiff
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.text_pane import TextPane
from tests.tui.harness.sample import until

END = [{"signal": "[END]", "matched": "[end]", "start": 5, "end": 10}]
OLD = Made(END, "good [end] day", True, "discarded", True)
NEW = Made([], "good day", False, None, True)


class Shown(App[None]):
    """An app with the pane alone."""

    def __init__(self, preview: Preview | EngineError, asked: Asked | EngineError) -> None:
        super().__init__()
        self.asked_for = 0

        async def ask() -> Asked:
            self.asked_for += 1
            if isinstance(asked, EngineError):
                raise asked
            return asked

        failed = isinstance(preview, EngineError)
        self.left_with: list[str | None] = []
        self.pane = ReloadDiff(
            "turn 1:2",
            None if isinstance(preview, EngineError) else preview,
            str(preview) if failed else "",
            ask_again=ask,
            reload_keys=("R",),
            acts=lambda key: key in ("R", "s", "enter", "a", "q", "escape", "j", "down"),
            palette=Palette(),
        )

    def on_mount(self) -> None:
        self.push_screen(self.pane, self.left_with.append)

    def text(self, name: str) -> str:
        """What a column says; empty where it is not there."""
        pane = self.pane.query_one(f"#reloaded-{name}", TextPane)
        return pane.all_text() if pane.display else ""


@asynccontextmanager
async def shown(
    preview: Preview | EngineError, asked: Asked | EngineError, size: tuple[int, int] = (120, 36)
) -> AsyncIterator[tuple[Shown, Pilot[None]]]:
    app = Shown(preview, asked)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.pane.query_one(KeyBar).items)
        yield app, pilot


NEWLY = Asked("fine", Made([], "fine", False, None, True), ["nothing was restored"])


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 16)])
async def test_old_and_new_and_asked_again(size: tuple[int, int]) -> None:
    preview = Preview("good [end] day", OLD, NEW, None, ["signals", "text", "discard", "ending"])
    async with shown(preview, NEWLY, size) as (app, pilot):
        await until(pilot, lambda: "OLD" in app.text("old"))
        assert app.pane.summary == "Changed: signals, the text, the discard, the ending."
        old = app.text("old")
        new = app.text("new") if size[0] >= 100 else old
        for text in ("! signals  [END] at 5-10", "! discard  dropped", "! ending   discarded",
                     "good [-[end] -]day"):  # fmt: skip
            assert text in old
        for text in ("! signals  none", "! discard  kept", "! ending   continues", "good day",
                     "raw reply"):  # fmt: skip
            assert text in new
        assert app.asked_for == 0, "no model is asked unasked"
        await pilot.press("a")
        await until(pilot, lambda: app.pane.new_reply is not None)
        await until(pilot, lambda: "ASKED AGAIN" in app.text("asked") + app.text("old"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not app.pane)


async def test_nothing_changed_is_said_and_what_had_not_run() -> None:
    held = Made(END, "good [end] day", None, None, False)
    async with shown(Preview("good [end] day", held, OLD), EngineError("no key")) as (app, pilot):
        assert app.pane.summary == "Nothing changes with the new code."
        await until(pilot, lambda: "(had not run)" in app.text("old"))
        await pilot.press("a")
        await until(pilot, lambda: app.pane.ask_problem == "no key")


async def test_a_hook_that_fails_now_and_code_that_cannot_be_looked_at() -> None:
    error = {"type": "HookError", "message": "it broke", "frames": ["bot.py:3 in post: x"]}
    async with shown(Preview("x", OLD, None, error, ["error"]), NEWLY) as (app, pilot):
        await until(pilot, lambda: "bot.py:3 in post: x" in app.text("new"))
        assert app.pane.summary == "Changed: a hook now fails."
    async with shown(EngineError("hangs\nbot.py:9"), NEWLY) as (app, pilot):
        await until(pilot, lambda: "bot.py:9" in app.text("old"))
        assert app.pane.summary == "The new code cannot be tried: hangs"


@pytest.mark.parametrize(
    ("key", "left_with"),
    [("enter", None), ("escape", None), ("q", None), ("R", "R"), ("s", "s")],
)
async def test_every_key_returns_and_those_of_the_conversation_act_there(
    key: str, left_with: str | None
) -> None:
    async with shown(Preview("x", OLD, NEW, None, ["text"]), NEWLY) as (app, pilot):
        await pilot.press("z", "down", key)
        await until(pilot, lambda: app.left_with)
        assert app.left_with == [left_with]


async def test_its_bar_says_what_the_keys_do() -> None:
    async with shown(Preview("x", OLD, NEW, None, ["text"]), NEWLY) as (app, pilot):
        bar = app.pane.query_one(KeyBar)
        assert [item.key for item in bar.items] == ["enter", "a", "R"]
        bar.post_message(KeyBar.Chosen("R"))
        await until(pilot, lambda: app.left_with)
        assert app.left_with == ["R"]
