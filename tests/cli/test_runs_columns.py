"""The list of runs in a terminal: what there is room for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from convtui.cli.runs_columns import RunLine, list_lines
from convtui.text.cells import columns

NAMES = "20260301T101500Z_Maya_refund_desk_4b8ab6.jsonl"


def line(**more: object) -> RunLine:
    values = {
        "began": datetime(2026, 3, 1, 10, 15), "who": "Maya → refund_desk.py:RefundDesk",
        "turns": "12", "state": "turn limit", "name": NAMES, "id": "4b8ab6", **more,
    }  # fmt: skip
    return RunLine(**values)  # type: ignore[arg-type]


def listed(width: int, *rows: RunLine, extra: tuple[str, ...] = ()) -> list[str]:
    return list_lines(rows or (line(),), extra, width)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    rows = (
        line(),
        line(
            who="渡し船 → 渡し船の窓口", guide="│  └─ ", notes=" (rewind at 2:7) #slow #regression"
        ),
        line(state="damaged: it has no header and no end", id="", turns="?"),
    )
    for extra in ((), ("TOKENS",)):
        figures = ["9,000"] * len(extra)
        shown = [replace(row, figures=figures) for row in rows]
        lines = listed(width, *shown, extra=extra)
        assert len(lines) == 4
        assert max(map(columns, lines)) <= width


def test_columns_go_in_an_order() -> None:
    (head, row) = listed(120)
    assert head.split() == ["WHEN", "PERSONA", "→", "PROVIDER", "TURNS", "ENDING", "LOG"]
    assert row.endswith(f"  turn limit  {NAMES}")
    (head, row) = listed(80)
    assert row == "2026-03-01 10:15  Maya → refund_desk.py:RefundDesk  12     turn limit  4b8ab6"
    (head, row) = listed(60)
    assert row == "2026-03-01 10:15  Maya → refund_…  12     turn limit  4b8ab6"
    (head, row) = listed(50)
    assert head.split() == ["WHEN", "PERSONA", "→", "PROVID…", "ENDING", "LOG"]
    (head, row) = listed(46)
    assert row == "03-01 10:15  Maya → refun…  turn limit  4b8ab6"


def test_what_it_is_sorted_by_stays() -> None:
    (head, row) = listed(46, line(figures=["9,001"]), extra=("TOKENS",))
    assert "TOKENS" in head
    assert "9,001" in row


def test_notes_go_before_the_names_of_logs_and_are_cut_at_the_end() -> None:
    (_, row) = listed(120, line(notes=" (3 branches, the newest interrupted) #" + "tag" * 30))
    assert f"{NAMES} (3 bran" not in row
    assert "Maya → refund_desk.py:RefundDesk" in row
    assert "4b8ab6 (3 branches, the newest interrupted) #tag" in row
    assert row.endswith("…")
