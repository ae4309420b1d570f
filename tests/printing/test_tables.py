"""Tables as lines of text."""

from __future__ import annotations

from convtui.printing.tables import table_lines


def test_columns_are_as_wide_as_their_contents() -> None:
    rows = [["NAME", "N", "MEANING"], ["a", "1,000", "m" * 200], ["\x1b[31m", "", ""]]
    assert [line for lines in table_lines(rows) for line in lines] == [
        "NAME   N      MEANING",
        f"a      1,000  {'m' * 200}",
        "␛[31m" + " " * 9,
    ]
    assert list(table_lines([])) == []
    assert list(table_lines([["alone"]])) == [["alone"]]


def test_names_are_cut_at_their_beginnings_and_the_last_cell_is_wrapped() -> None:
    rows = [[f"{'long' * 10}{n}", "3", "some words that are wrapped"] for n in range(2)]
    assert list(table_lines(rows, width=46)) == [
        [f"…onglonglonglong{n}  3  some words that are", f"{'':22}wrapped"] for n in range(2)
    ]
    # If hardly a word fits, the terminal wraps.
    assert [len(lines) for lines in table_lines(rows, width=20)] == [1, 1]
