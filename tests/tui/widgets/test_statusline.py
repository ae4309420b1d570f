"""The lines at the top and the bottom of the debugger."""

from __future__ import annotations

from textual.app import App, ComposeResult

from convtui.tui.widgets.statusline import Figures, StatusLine


class Bottom(App[None]):
    def compose(self) -> ComposeResult:
        yield StatusLine("bottom")


async def test_it_is_drawn_when_something_else_is_seen() -> None:
    """Times pass in a hold, four times a second: a terminal gets each of them once."""
    drawn: list[str] = []
    async with Bottom().run_test() as pilot:
        line = pilot.app.query_one(StatusLine)
        refresh = line.refresh

        def counted() -> StatusLine:
            drawn.append("drawn")
            return refresh()

        line.refresh = counted  # type: ignore[method-assign, assignment]
        line.show_figures(Figures(turn=2, elapsed=1.1, held=4.2))
        for held in (4.3, 4.6, 4.9):
            line.show_figures(Figures(turn=2, elapsed=1.1, held=held))
        assert drawn == ["drawn"]
        line.show_figures(Figures(turn=2, elapsed=1.1, held=5.1))
        line.show_figures(Figures(turn=3, elapsed=1.1, held=5.1))
        assert drawn == ["drawn"] * 3
        await pilot.pause()
        assert "00:01 (+00:05 held)" in line.render_line(0).text
