"""Turns that are in the history no more: a sign and a word, grey, and as high as they are drawn."""

from __future__ import annotations

import pytest

from convtui.filters.filter import parse
from convtui.printing.turn_sign import turn_sign
from convtui.transcript.fold import INACTIVE, Flag, Turn
from convtui.tui.drawing.palette import Palette
from convtui.tui.widgets.inspector.tabs import Context, build
from convtui.tui.widgets.transcript.geometry import Geometry
from convtui.tui.widgets.transcript.marks import extras_of, own_row_count, own_rows
from convtui.tui.widgets.transcript.session_rows import Frame
from convtui.tui.widgets.transcript.turn_lines import TurnLines, measure_turn
from tests.tui.harness.sources import Story


def story(reason: str = "rewound") -> tuple[Story, Turn]:
    builder = Story()
    builder.begin()
    builder.number = 1
    builder.on("turn.started", speaker="provider")
    builder.on("llm.response", side="provider", raw="I look.", reasoning="where is it?")
    builder.on("llm.response", side="provider", round=2, raw="It is gone.", reasoning="nowhere")
    builder.on("turn.inactive", speaker="provider", text="It is gone.", reason=reason)
    return builder, builder.transcript.turns[0]


def test_an_inactive_turn_has_a_sign_and_a_word() -> None:
    builder, turn = story()
    assert (turn.status, turn.text) == (INACTIVE, "It is gone.")
    assert not turn.flags & (Flag.DISCARDED | Flag.ERROR)
    assert turn_sign(turn) == ("◌", "muted")
    assert own_rows(turn) == [[("inactive (rewound)", "muted bold")]]
    answers = {
        name: parse(name).on_turn(turn, builder.transcript) for name in ("~inactive", "~discard")
    }
    assert answers == {"~inactive": True, "~discard": False}
    _, strange = story("\x1b[31m")
    assert own_rows(strange) == [[("inactive (␛[31m)", "muted bold")]]
    _, unknown = story("")
    assert own_rows(unknown) == [[("inactive (no more in the history)", "muted bold")]]


@pytest.mark.parametrize("width", [30, 44, 60, 100])
def test_it_is_drawn_grey_and_as_high_as_it_is_measured(width: int) -> None:
    builder, turn = story()
    geometry = Geometry(width, 2, 1)
    lines = TurnLines(geometry, Palette())
    lines.update(turn, Frame(), extras_of(builder.detail(turn)), None, None)
    assert lines.height == measure_turn(turn, geometry)
    assert own_row_count(turn, short=geometry.short) == 1
    drawn = [lines.strip(row) for row in range(lines.height)]
    segment = next(s for strip in drawn for s in strip if "It is gone." in s.text)
    word = next(s for strip in drawn for s in strip if "inactive" in s.text)
    assert segment.style is not None and word.style is not None
    assert segment.style.color == word.style.color


def test_every_round_of_a_reply_without_requests_is_told() -> None:
    builder, turn = story()
    text = str(build("Raw", builder.detail(turn), turn, Context()))
    places = [text.index(part) for part in ("where is it?", "I look.", "nowhere", "It is gone.")]
    assert places == sorted(places)
