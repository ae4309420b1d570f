"""One pane has the room of all, also where it is in a container with others."""

from __future__ import annotations

from typing import Any

from textual.app import App, ComposeResult
from textual.containers import Container
from textual.widgets import Static

from convtui.tui.app import ConvtuiApp
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.text_pane import TextPane


class Bench(App[None]):
    CSS = ConvtuiApp.CSS + "TextPane, Container { height: 1fr; } #narrow { width: 20%; }"

    def compose(self) -> ComposeResult:
        yield Static("title")
        with Container(id="body"):
            yield TextPane(id="one")
            yield TextPane(id="narrow")
        yield TextPane(id="below")


def seen(app: App[Any]) -> set[str | None]:
    return {pane.id for pane in app.query("TextPane, Container") if pane.region}


async def test_the_focused_pane_is_maximised() -> None:
    app = Bench()
    async with app.run_test(size=(80, 20)) as pilot:
        maximised = Maximise(app.screen, ("#body", "TextPane"))
        every = seen(app)
        app.query_one("#narrow").focus()
        await pilot.pause()
        maximised.toggle()
        await pilot.pause()
        assert seen(app) == {"body", "narrow"}
        assert app.query_one("#narrow").outer_size == (80, 19), "all but the title"
        assert maximised.label() == "all panes"
        app.query_one("#narrow").screen.focus_next("TextPane")
        maximised.toggle()
        await pilot.pause()
        assert seen(app) == every
        assert not maximised.restore()
