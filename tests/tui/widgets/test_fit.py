"""Rows that are cut to a width."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.palette import Span, plain

ROW: list[Span] = [("maya", "text"), ("  ", "text"), ("#ferry", "tool"), ("  ", "text")]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (20, "maya  #ferry  "),
        (14, "maya  #ferry  "),
        (12, "maya  #ferry"),
        (11, "maya  #fer…"),
        (7, "maya  …"),
        (6, "maya …"),
        (5, "maya…"),
        (4, "may…"),
        (1, "…"),
        (0, ""),
    ],
)
def test_what_is_missing_is_never_silent(width: int, shown: str) -> None:
    assert plain(fit(ROW, width)) == shown


@pytest.mark.parametrize("width", range(12))
def test_wide_characters_are_not_halved(width: int) -> None:
    fitted = plain(fit([("渡し船", "text"), ("渡し船", "text")], width))
    assert width - 1 <= cell_len(fitted) <= width
    assert fitted == "渡し船渡し船" or fitted.endswith("…" * bool(width))
