"""Breakpoints as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.errors import FilterError
from convtui.filters.breaks import parse_breakpoint
from convtui.scenario.scenario import Scenario
from tests.test_schemas import validator


@pytest.mark.parametrize(
    ("text", "enabled", "once", "skip", "expression"),
    [
        ("~discard", True, False, 0, "~discard"),
        ("once: ~signal & ~turn > 3", True, True, 0, "~signal & ~turn > 3"),
        ("skip 2: ~toolerror", True, False, 2, "~toolerror"),
        ("off, once, skip 12 : ~end", False, True, 12, "~end"),
        ("OFF: refund", False, False, 0, "refund"),
        # A word with a colon is a word as ever, where nothing of ours stands before it.
        ("error: & ~said x", True, False, 0, "error: & ~said x"),
    ],
)
def test_what_stands_before_the_filter(
    text: str, enabled: bool, once: bool, skip: int, expression: str
) -> None:
    found = parse_breakpoint(text)
    assert (found.enabled, found.once, found.skip) == (enabled, once, skip)
    assert found.expression == expression
    again = parse_breakpoint(str(found))
    assert (again.filter.node, str(again)) == (found.filter.node, str(found))


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("onec: ~end", "onec is not known here", 0),
        ("once, skip: ~end", "skip takes how often", 6),
        ("skip 0: ~end", "skip takes how often", 0),
        ("once 3: ~end", "once takes no number", 0),
        ("once: ~signl", "unknown atom ~signl", 6),
        ("skip 2: ~mark", "~mark cannot be a breakpoint", 8),
        ("once:", "the filter is empty", 5),
    ],
)
def test_mistakes_are_told_at_their_place(text: str, message: str, column: int) -> None:
    with pytest.raises(FilterError) as caught:
        parse_breakpoint(text)
    assert message in str(caught.value)
    assert caught.value.column == column
    # The caret stands below the place in what was written, not in the filter alone.
    shown, caret = str(caught.value).splitlines()[-2:]
    assert len(caret) - 1 - (len(shown) - len(shown.lstrip())) == column


@given(st.text(max_size=40))
def test_any_text_is_a_breakpoint_or_refused_with_a_place(text: str) -> None:
    try:
        found = parse_breakpoint(text)
    except FilterError as error:
        assert error.column is not None
        assert 0 <= error.column <= len(text)
    else:
        assert parse_breakpoint(str(found)).filter.node == found.filter.node


@pytest.mark.parametrize(
    "written", [{"once": "~end"}, "once: ~end"], ids=["without quotes", "with quotes"]
)
def test_a_scenario_may_leave_the_quotes_out(written: Any) -> None:
    scenario = Scenario.model_validate({"name": "s", "breakpoints": [written]})
    assert scenario.breakpoints == ["once: ~end"]
    document = {"name": "s", "breakpoints": [written]}
    validator("scenario").validate(document)
