"""Glyphs: one cell each, told apart in ASCII too, and nothing but ASCII where it is asked for."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

from convtui.config.settings import load_config
from convtui.tui.app import ConvtuiApp
from convtui.tui.drawing import glyphs
from tests.tui.harness.sample import refund, until, write_log


def test_glyphs_are_one_cell_wide_in_every_terminal() -> None:
    for glyph in glyphs.STATUS:
        assert cell_len(glyph) == 1, glyph
        assert unicodedata.east_asian_width(glyph) in ("Na", "N", "H"), glyph


def test_glyphs_are_told_apart_in_ascii() -> None:
    plain = list(glyphs.STATUS.values())
    assert all(sign.isascii() and len(sign) == 1 for sign in plain)
    assert len(set(plain)) == len(plain)


@pytest.mark.parametrize(
    ("setting", "term", "encoding", "wanted"),
    [
        ("auto", "xterm-256color", "UTF-8", False),
        ("auto", "linux", "UTF-8", True),
        ("auto", "dumb", "UTF-8", True),
        ("auto", "xterm", "ISO-8859-1", True),
        ("unicode", "linux", "ascii", False),
        ("ascii", "xterm-256color", "utf8", True),
    ],
)
def test_when_ascii_is_drawn(setting: str, term: str, encoding: str, wanted: bool) -> None:
    assert glyphs.wants_ascii(setting, {"TERM": term}, encoding) is wanted


def test_texts_keep_what_is_no_glyph() -> None:
    segments = [Segment("│ ✗ 3 naïve 渡し船 …")]
    drawn = glyphs.AsciiGlyphs().apply(segments, Color(0, 0, 0))
    assert "".join(segment.text for segment in drawn) == "| x 3 naïve 渡し船 ~"


async def test_a_whole_screen_in_ascii(tmp_path: Path) -> None:
    log = write_log(tmp_path / "a.jsonl", refund())
    config = load_config({"glyphs": "ascii"}, {"CONVTUI_HOME": str(tmp_path)}, tmp_path)
    app = ConvtuiApp(lambda app: app.runs.recording(log, at=(2, 2)), config=config)

    def drawn() -> str:
        lines = app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in lines)

    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "discarded" in drawn())
        assert drawn().isascii(), [char for char in drawn() if not char.isascii()]
        assert "x  2 provider" in drawn()
