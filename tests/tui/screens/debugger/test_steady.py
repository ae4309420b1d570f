"""No line of the transcript moves when a hold opens or closes below it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.client.engine_client import EngineState
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, turn, until

OPENING = [
    header(),
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "persona", "max_turns": 40},
    *turn(1, "persona", "Hello there."),
    *turn(2, "provider", "Good day."),
]  # fmt: skip


def talk(first: int, last: int) -> list[dict[str, Any]]:
    return [
        record
        for number in range(first, last + 1)
        for record in turn(number, "provider" if number % 2 == 0 else "persona", f"word {number}")
    ]


def row_of(live: LiveApp, text: str) -> int:
    """The row of the screen where a text stands."""
    lines = live.app.screen._compositor.render_strips()
    rows = ["".join(segment.text for segment in line) for line in lines]
    return next((y for y, row in enumerate(rows) if text in row), -1)


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (120, 36)])
async def test_a_hold_moves_no_line(size: tuple[int, int], tmp_path: Path) -> None:
    live = LiveApp(tmp_path, OPENING, {"persona": {"name": "maya"}})
    async with live.app.run_test(size=size) as pilot:
        await live.begin(pilot)
        await until(pilot, lambda: bool(live.screen.view.end_room))
        live.handle.tell(*talk(3, 30))
        await until(pilot, lambda: row_of(live, "word 30") > 0)
        # A turn begins; its record makes it the last line.
        live.handle.tell({"type": "turn.started", "session": 1, "turn": 31, "speaker": "persona"})
        await until(pilot, lambda: row_of(live, "31 persona") > 0)
        before = row_of(live, "word 30")

        live.handle.tell({"type": "debug.held", "hold": 1, "session": 1, "turn": 31,
                          "reason": "step", "stage": "request", "detail": "step",
                          "drafts": []})  # fmt: skip
        live.handle.held(("go", "go on"), ("skip", "skip this turn"), turn=31, stage="request")
        await until(pilot, lambda: row_of(live, "skip this turn") > 0)
        assert row_of(live, "word 30") == before

        live.handle.tell({"type": "debug.released", "hold": 1, "session": 1, "turn": 31,
                          "choice": "go"})  # fmt: skip
        live.handle.hold = None
        live.handle.notify()
        await until(pilot, lambda: row_of(live, "skip this turn") < 0)
        assert row_of(live, "word 30") == before

        live.handle.tell(*talk(31, 40))
        await until(pilot, lambda: row_of(live, "word 40") > 0)
        assert row_of(live, "word 30") < before, "new turns do move it"


async def test_no_rows_stay_empty_below_the_turns_after_the_end(tmp_path: Path) -> None:
    live = LiveApp(tmp_path, OPENING, {"persona": {"name": "maya"}})
    async with live.app.run_test(size=(80, 24)) as pilot:
        await live.begin(pilot)
        view = live.screen.view

        def room() -> int:
            return round(view.scroll_y) + view.view_height - view.line_count

        live.handle.tell(*talk(3, 30))
        await until(pilot, lambda: row_of(live, "word 30") > 0)
        live.handle.held(("go", "go on"), ("skip", "skip this turn"), turn=30)
        await until(pilot, lambda: row_of(live, "skip this turn") > 0)
        live.handle.hold = None
        live.handle.state = EngineState.CLOSED
        live.handle.notify()
        await until(pilot, lambda: row_of(live, "skip this turn") < 0)
        await until(pilot, lambda: room() == 0)
