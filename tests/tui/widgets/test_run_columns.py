"""Lists of runs: columns that fit, line up, and say what the list is sorted by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from convtui.library.families import RunNode
from convtui.library.run_order import NEWEST, ORDERS, sort_runs
from convtui.log.run_summary import RunSummary
from convtui.tui.drawing.palette import plain
from convtui.tui.widgets.run_columns import (
    RunRow,
    column_at,
    columns_for,
    header_spans,
    next_order,
    row_spans,
)
from convtui.tui.widgets.run_list import RunList
from tests.tui.harness.sample import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(**more: object) -> RunSummary:
    fields = {
        "file": "/runs/20260301_maya.jsonl", "persona": "maya", "provider": "my_provider.py:Bot",
        "created_at": NOW - timedelta(hours=2), "ending": "completed", "turns": 6, **more,
    }  # fmt: skip
    return RunSummary(**fields)  # type: ignore[arg-type]


def line(width: int, order: str = NEWEST, **more: object) -> str:
    return plain(row_spans(RunRow(RunNode(run(**more))), columns_for(width, order), NOW))


def titles(width: int, order: str = NEWEST) -> str:
    return plain(header_spans(columns_for(width, order), order))


@pytest.mark.parametrize("width", [40, 56, 64, 76, 84, 104, 118, 160])
def test_rows_and_titles_fit_and_line_up(width: int) -> None:
    for order in (*ORDERS, *(f"-{name}" for name in ORDERS)):
        long = line(width, order, persona="渡し船" * 9, tags=("a", "b" * 70), ending="x_y" * 9)
        assert cell_len(long) == cell_len(titles(width, order)) == cell_len(line(width, order))
        if width >= 56:
            assert cell_len(long) <= width


@pytest.mark.parametrize("order", list(ORDERS))
@pytest.mark.parametrize("width", [56, 76, 118])
def test_the_column_that_the_list_is_sorted_by_is_shown(order: str, width: int) -> None:
    assert "↑" in titles(width, order)
    assert "↓" in titles(width, f"-{order}")


def test_a_row_says_when_who_how_long_and_how_it_ended() -> None:
    words = line(118, persona="maya").split()
    assert words[:3] == ["2", "h", "ago"]
    assert "maya -> my_provider.py:Bot" in line(118)
    assert "6  completed" in line(64)
    assert "20260301_maya" in line(118)
    assert "turn limit" in line(64, ending="max_turns")
    assert "#slow" in line(118, tags=("slow",))
    assert "9,000" in line(118, "-tokens", tokens=9000)


def test_a_click_on_a_title_sorts_by_it_then_the_other_way() -> None:
    columns = columns_for(118)
    turns = column_at(columns, titles(118).index("turns"))
    assert turns is not None
    assert next_order(turns, NEWEST) == "-turns"
    assert next_order(turns, "-turns") == "turns"
    assert next_order(turns, "turns") == "-turns"
    assert column_at(columns, 0) is None


def test_a_closed_family_says_when_its_newest_run_began_and_how_it_ended() -> None:
    later = NOW - timedelta(minutes=5)
    child = run(file="/runs/child.jsonl", created_at=later, ending="max_turns")
    family = RunNode(run(), [RunNode(child, depth=1)], size=1, newest=child)

    def shown(*, opened: bool) -> str:
        return plain(row_spans(RunRow(family, opened=opened), columns_for(118), NOW)).strip()

    assert shown(opened=False).startswith("5 min ago")
    assert "turn limit" in shown(opened=False)
    assert shown(opened=True).startswith("2 h ago")
    assert "completed" in shown(opened=True)


def test_the_usual_order_is_that_of_the_column_it_shows() -> None:
    old = run(file="/runs/old.jsonl", created_at=NOW - timedelta(days=9), modified=9e9)
    new = run(file="/runs/new.jsonl", modified=1.0)
    assert sort_runs([old, new], NEWEST) == [new, old]
    assert "when ↓" in titles(60)


async def test_nothing_is_drawn_before_the_list_knows_its_width() -> None:
    class Lists(App[None]):
        def compose(self) -> ComposeResult:
            yield RunList()

    app = Lists()
    async with app.run_test(size=(80, 10)) as pilot:
        listed = app.query_one(RunList)
        listed.show_rows([("", RunNode(run()))], None)
        await until(pilot, lambda: listed.view_width)
        assert "maya" in listed.render_line(0).text
        listed._width = 0
        assert not listed.render_line(0).text.strip()
