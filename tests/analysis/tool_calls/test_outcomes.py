"""Whether a tool call succeeded, and which rule decides it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.analysis.tool_calls import outcomes
from convtui.analysis.tool_calls.outcomes import (
    RULES,
    TRIVIAL_TOOLS,
    is_trivial,
    outcome_of,
    tool_type,
)


def judge(content: Any, *, name: str = "terminal", ok: bool | None = None) -> tuple[Any, str]:
    """Success and rule, which have to be the same for data and its JSON text."""
    outcome = outcome_of(name, content, recorded_ok=ok)
    assert outcome.rule in RULES
    if isinstance(content, dict):
        as_text = outcome_of(name, json.dumps(content), recorded_ok=ok)
        assert as_text == outcome
    return outcome.success, outcome.rule


def test_a_success_with_an_empty_error_field_is_a_success() -> None:
    # The keyword rule alone would count every one of these as a failure.
    assert judge({"output": "a.py", "exit_code": 0, "error": None}) == (True, "exit code")
    assert judge({"output": "a.py", "error": None}) == (True, "error field")
    empty: list[Any] = [None, "", False, 0, [], {}, " none "]
    for nothing in empty:
        assert judge({"error": nothing})[0] is True
        assert judge({"failed": nothing})[0] is True


@pytest.mark.parametrize("name", ["exit_code", "exitCode", "returncode", "return_code"])
def test_exit_codes(name: str) -> None:
    assert judge({"output": "Traceback: fine", name: 0}) == (True, "exit code")
    assert judge({"output": "", name: 127, "error": None}) == (False, "exit code")
    assert judge({name: "1"}) == (False, "exit code")
    assert judge({name: -1}) == (False, "exit code")
    # A boolean is no exit code, and an unknown code does not decide.
    assert judge({name: True}) == (True, "no error field")
    assert judge({name: None}) == (True, "no error field")


@pytest.mark.parametrize(
    ("meaning", "success"),
    [
        ("No matches found (not an error)", True),
        ("Files differ (expected, not an error)", True),
        ("Non-zero exit (often normal)", True),
        ("Could not resolve host", False),
        ("Operation timed out", False),
    ],
)
def test_the_meaning_of_an_exit_code_is_respected(meaning: str, success: bool) -> None:
    outcome = outcome_of("terminal", {"exit_code": 1, "error": None, "exit_code_meaning": meaning})
    assert (outcome.success, outcome.rule) == (success, "exit code")
    assert outcome.detail == f"exit_code 1: {meaning}"


def test_flags() -> None:
    assert judge({"ok": True, "output": "error"}) == (True, "flag")
    assert judge({"success": False}) == (False, "flag")
    assert judge({"isError": True, "content": [{"type": "text", "text": "no"}]}) == (False, "flag")
    assert judge({"is_error": False, "content": []}) == (True, "flag")
    # The flag of a tool server says that the call worked, the text inside that the tool failed.
    inside = {"isError": False, "content": [{"type": "text", "text": '{"exit_code": 2}'}]}
    assert judge(inside) == (False, "exit code")
    body = {"ok": False, "error_kind": "unknown_tool", "message": "unknown tool 'x'"}
    outcome = outcome_of("x", body)
    assert (outcome.success, outcome.rule, outcome.detail) == (False, "flag", "unknown_tool")


def test_a_statement_of_failure_outranks_one_of_success() -> None:
    assert judge({"success": True, "exit_code": 3}) == (False, "exit code")
    assert judge({"exit_code": 0, "error": "timed out"}) == (False, "error field")
    assert judge({"ok": True, "failed": ["a.txt"]}) == (False, "error field")
    assert judge({"error_kind": "tool_timeout", "message": "late"}) == (False, "error field")


def test_what_is_recorded_of_the_call() -> None:
    assert judge("all errors are gone", ok=True) == (True, "recorded")
    assert judge(None, ok=True) == (True, "recorded")
    assert judge("whatever", ok=False) == (False, "recorded")
    assert judge(None, ok=False) == (False, "recorded")
    # It ran, and its result states a failure.
    assert judge({"exit_code": 1}, ok=True) == (False, "exit code")
    assert judge("Error: reservation 17 does not exist", ok=True) == (False, "error text")
    body = {"ok": False, "error_kind": "tool_timeout", "message": "took too long"}
    outcome = outcome_of("x", body, recorded_ok=False)
    assert (outcome.success, outcome.rule, outcome.detail) == (False, "recorded", "tool_timeout")


@pytest.mark.parametrize("kind", ["tool_denied", "tool_cancelled"])
@pytest.mark.parametrize("ok", [False, None])
def test_a_call_that_a_human_stopped_says_nothing_of_the_tool(kind: str, ok: bool | None) -> None:
    body = {"ok": False, "error_kind": kind, "message": "the call was denied"}
    assert judge(body, ok=ok) == (None, "not run")


def test_a_missing_result_is_unknown_and_never_a_success() -> None:
    assert judge(None) == (None, "no result")
    assert judge("") == (True, "keyword")


def test_the_words_decide_where_nothing_else_does() -> None:
    assert judge("Permission denied") == (False, "keyword")
    assert judge("FILE NOT FOUND: a.txt") == (False, "keyword")
    assert judge("3 files changed") == (True, "keyword")
    assert judge("Error: no such city") == (False, "error text")
    assert judge('{"output": "cut off in the midd') == (True, "keyword")
    assert judge("[1, 2") == (True, "keyword")
    assert judge([{"type": "text", "text": "Exception in thread"}]) == (False, "keyword")
    assert judge(42) == (True, "keyword")
    assert outcome_of("x", "Permission denied").detail == 'contains "denied"'


def test_words_of_a_file_or_a_page_are_not_those_of_the_tool() -> None:
    page = "All is well. " * 60 + "how to handle an error"
    assert judge(page, name="read_file") == (True, "keyword")
    assert judge(page, name="terminal") == (False, "keyword")
    assert judge("not found: a.txt", name="read_file") == (False, "keyword")


def test_data_without_a_field_for_it_is_no_failure() -> None:
    page = {"content": "def on_error(): raise Exception", "lines": 1}
    assert judge(page, name="read_file") == (True, "no error field")


def test_a_remark_after_the_data_does_not_hide_it() -> None:
    text = '{"exit_code": 1, "exit_code_meaning": "No matches found (not an error)"}\n[warning: 2]'
    assert judge(text) == (True, "exit code")


def test_hostile_results_are_judged_and_never_raise() -> None:
    assert judge("{" * 100_000)[0] is True
    assert judge('{"a":' * 100_000)[0] is True
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert outcome_of("x", deep).success is True
    assert outcome_of("x", {"error": deep}).success is False
    outcome = outcome_of("x", {"error": "x" * 10_000})
    assert outcome.success is False
    assert len(outcome.detail) <= 120
    assert judge({"exit_code": "many", "error": "\ud800"}) == (False, "error field")
    assert judge({"exit_code": "9" * 9000, "error": ""})[1] == "error field"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["ok", "error", "exit_code", "isError", "content", "text", "failed", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(JSON, st.sampled_from([None, True, False]))
def test_any_result_is_judged(content: Any, ok: bool | None) -> None:
    outcome = outcome_of("terminal", content, recorded_ok=ok)
    assert outcome.rule in RULES
    assert (outcome.success is None) == (outcome.rule in ("no result", "not run"))
    assert len(outcome.detail) <= 120
    if ok is False:
        assert outcome.success is not True


def test_types_and_trivial_tools() -> None:
    assert [tool_type(name) for name in ("terminal", "patch", "browser", "warm_session")] == [
        "terminal",
        "file",
        "research",
        "meta",
    ]
    assert tool_type("skill_manage") == "code"
    assert tool_type("book_ferry") == "general"
    assert is_trivial("memory")
    assert not is_trivial("terminal")
    assert not TRIVIAL_TOOLS & outcomes.TOOL_TYPES.keys()
