"""The table of keys: two columns where wide, rows that hang, groups that stay together."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from convtui.tui.drawing.key_table import Group, key_table

GROUPS: list[Group] = [
    ("Held", [("enter", "Take the first choice"), ("a", "Ask again " * 12 + "(press twice)")]),
    ("Run", [(f"{n}", f"Number {n}") for n in range(9)]),
    ("Move", [("up  k  left_square_bracket", "Select the previous turn"), ("G", "Last")]),
]


def lines_of(width: int) -> list[str]:
    return ["".join(text for text, _ in line) for line in key_table(GROUPS, width)]


@pytest.mark.parametrize("width", [120, 92, 52, 32])
def test_nothing_but_keys_and_titles_begins_a_line(width: int) -> None:
    lines = lines_of(width)
    assert all(cell_len(line) <= width for line in lines)
    assert lines[0].startswith("Held")
    starts = [line.split()[0] for line in lines if line.strip() and not line.startswith("   ")]
    assert starts == ["Held", "enter", "a", *(() if width >= 88 else ("Run", *"012345678", "Move",
                      "up", "G"))]  # fmt: skip
    assert "(press twice)" in " ".join(" ".join(lines).split()) or width >= 88


def test_groups_stay_together_in_two_columns() -> None:
    left = [line[:58].rstrip() for line in lines_of(120)]
    right = [line[61:].rstrip() for line in lines_of(120) if line[61:]]
    assert "Held" in left and "Run" not in left
    assert right[0] == "Run" and "Move" in right
