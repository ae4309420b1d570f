"""Without colours nothing has a colour, and what is chosen is still seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.widgets import OptionList

from convtui.config.settings import load_config
from convtui.tui.app import ConvtuiApp
from convtui.tui.drawing.monochrome import Colourless, PlainInverse
from convtui.tui.screens.dialogs.questions import Choose
from tests.tui.harness.sample import refund, until, write_log

GROUND, INK = "#101010", "#e0e0e0"


def drawn(text: str, style: str) -> tuple[str, str]:
    """What `NO_COLOR` makes of a piece of a line: its text and its style."""
    colourless = Colourless(GROUND, INK)
    ((shown, after, _),) = colourless.apply(
        [Segment(text, Style.parse(style))], Color.parse(GROUND)
    )
    assert after is not None and after.color is None and after.bgcolor is None
    told = ("bold", "reverse", "dim", "underline")
    return shown, " ".join(name for name in told if getattr(after, name))


@pytest.mark.parametrize(
    ("text", "style", "expected"),
    [
        ("words", f"bold {INK} on {GROUND}", ("words", "bold")),
        ("words", f"{INK} on #181818", ("words", "")),
        ("words", f"{GROUND} on {INK}", ("words", "reverse")),
        ("words", f"reverse {INK} on {GROUND}", ("words", "reverse")),
        ("words", f"reverse dim {INK} on {GROUND}", ("words", "reverse")),
        ("words", f"#555555 on {GROUND}", ("words", "dim")),
        ("▊", f"{GROUND} on #777777", ("▊", "reverse")),
        ("▌", f"#181818 on {GROUND}", (" ", "")),
        ("  ", f"{INK} on #777777", ("  ", "reverse")),
        ("  ", f"{INK} on #202020", ("  ", "")),
    ],
)
def test_colours_become_attributes(text: str, style: str, expected: tuple[str, str]) -> None:
    assert drawn(text, style) == expected


def test_quiet_words_are_not_grey_on_grey_in_an_inverse_row() -> None:
    row = [Segment(text, Style.parse(style)) for text, style in (
        ("12:01", f"reverse #808080 on {GROUND}"), (" ", f"reverse #808080 on {GROUND}"),
        ("maya", f"bold reverse {INK} on {GROUND}"), ("20", f"#b0b0b0 on {INK}"),
    )]  # fmt: skip
    shown = PlainInverse(GROUND, INK).apply(row, Color.parse(GROUND))
    styles = [style for _, style, _ in shown if style is not None]
    assert {(style.color, style.bgcolor) for style in styles} == {
        (Style.parse(GROUND).color, Style.parse(INK).color)
    }
    assert not any(style.reverse for style in styles)


@pytest.mark.parametrize("no_color", [True, False])
async def test_the_screen_has_no_colour_and_shows_what_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_color: bool
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    theme = "dark" if no_color else "mono"
    config = load_config({}, {"CONVTUI_HOME": str(tmp_path), "CONVTUI_THEME": theme}, tmp_path)
    log = write_log(tmp_path / "a.jsonl", refund())
    app = ConvtuiApp(lambda app: app.runs.recording(log), config=config)
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(Choose("What now?", [("one", "One"), ("two", "Two")]))
        await until(pilot, lambda: bool(app.screen.query(OptionList)))
        await pilot.pause()
        styles = {
            segment.text: segment.style or Style()
            for strip in app.screen._compositor.render_strips()
            for segment in strip
        }
        if no_color:
            assert not [text for text, style in styles.items() if style.color or style.bgcolor]
            assert styles["One"].reverse and not styles["Two"].reverse
        else:
            assert styles["One"].bgcolor == Style.parse(app.palette.roles["text"]).color
