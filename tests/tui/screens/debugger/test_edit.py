"""The dialog that edits texts."""

from __future__ import annotations

from textual.app import App

from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.screens.dialogs.questions import Edit
from tests.tui.harness.sample import until


async def test_escape_asks_before_it_drops_what_was_written() -> None:
    app: App[None] = App()
    results: list[dict[str, str] | None] = []
    async with app.run_test() as pilot:
        edit = Edit("edit 1:4", [("text", "what is said", "Of course.")])
        app.push_screen(edit, results.append)
        await until(pilot, lambda: edit.focused is not None)
        box = edit.query_one(DialogBox)
        await pilot.press("N", "o", "escape")
        await until(pilot, lambda: "esc again discards" in box.keys)
        assert results == [], "nothing written is lost with one press"
        await pilot.press("t", "escape")
        await until(pilot, lambda: "esc again discards" in box.keys)
        assert results == [], "more was written since: it is asked again"
        await pilot.press("escape")
        await until(pilot, lambda: results)
        assert results == [None]


async def test_escape_leaves_at_once_where_nothing_was_written() -> None:
    app: App[None] = App()
    results: list[dict[str, str] | None] = []
    async with app.run_test() as pilot:
        edit = Edit("edit 1:4", [("text", "what is said", "Of course.")])
        app.push_screen(edit, results.append)
        await until(pilot, lambda: edit.focused is not None)
        await pilot.press("escape")
        await until(pilot, lambda: results)
        assert results == [None]
