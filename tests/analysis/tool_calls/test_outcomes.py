"""Whether a tool call went well, and which rule says so."""

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


def told(content: Any, *, name: str = "terminal", ok: bool | None = None) -> tuple[Any, str]:
    """Success and rule, the same for data and for its text."""
    found = outcome_of(name, content, recorded_ok=ok)
    assert found.rule in RULES
    if isinstance(content, dict):
        as_text = outcome_of(name, json.dumps(content), recorded_ok=ok)
        assert as_text == found
    return found.success, found.rule


def test_a_success_with_an_empty_error_field_is_a_success() -> None:
    # The words alone would call every one of these a failure.
    assert told({"output": "a.py", "exit_code": 0, "error": None}) == (True, "exit code")
    assert told({"output": "a.py", "error": None}) == (True, "error field")
    empty: list[Any] = [None, "", False, 0, [], {}, " none "]
    for nothing in empty:
        assert told({"error": nothing})[0] is True
        assert told({"failed": nothing})[0] is True


@pytest.mark.parametrize("name", ["exit_code", "exitCode", "returncode", "return_code"])
def test_exit_codes(name: str) -> None:
    assert told({"output": "Traceback: fine", name: 0}) == (True, "exit code")
    assert told({"output": "", name: 127, "error": None}) == (False, "exit code")
    assert told({name: "1"}) == (False, "exit code")
    assert told({name: -1}) == (False, "exit code")
    # A flag is no code, and a code that is not known decides nothing.
    assert told({name: True}) == (True, "no error field")
    assert told({name: None}) == (True, "no error field")


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
    found = outcome_of("terminal", {"exit_code": 1, "error": None, "exit_code_meaning": meaning})
    assert (found.success, found.rule) == (success, "exit code")
    assert found.detail == f"exit_code 1: {meaning}"


def test_flags() -> None:
    assert told({"ok": True, "output": "error"}) == (True, "flag")
    assert told({"success": False}) == (False, "flag")
    assert told({"isError": True, "content": [{"type": "text", "text": "no"}]}) == (False, "flag")
    assert told({"is_error": False, "content": []}) == (True, "flag")
    # Of a tool server: its flag says that the call worked, the text inside that the tool did not.
    inside = {"isError": False, "content": [{"type": "text", "text": '{"exit_code": 2}'}]}
    assert told(inside) == (False, "exit code")
    body = {"ok": False, "error_kind": "unknown_tool", "message": "unknown tool 'x'"}
    found = outcome_of("x", body)
    assert (found.success, found.rule, found.detail) == (False, "flag", "unknown_tool")


def test_a_statement_of_failure_outranks_one_of_success() -> None:
    assert told({"success": True, "exit_code": 3}) == (False, "exit code")
    assert told({"exit_code": 0, "error": "timed out"}) == (False, "error field")
    assert told({"ok": True, "failed": ["a.txt"]}) == (False, "error field")
    assert told({"error_kind": "tool_timeout", "message": "late"}) == (False, "error field")


def test_what_is_recorded_of_the_call() -> None:
    assert told("all errors are gone", ok=True) == (True, "recorded")
    assert told(None, ok=True) == (True, "recorded")
    assert told("whatever", ok=False) == (False, "recorded")
    assert told(None, ok=False) == (False, "recorded")
    # It ran, and what it gave tells of a failure.
    assert told({"exit_code": 1}, ok=True) == (False, "exit code")
    assert told("Error: reservation 17 does not exist", ok=True) == (False, "error text")
    body = {"ok": False, "error_kind": "tool_timeout", "message": "took too long"}
    found = outcome_of("x", body, recorded_ok=False)
    assert (found.success, found.rule, found.detail) == (False, "recorded", "tool_timeout")


@pytest.mark.parametrize("kind", ["tool_denied", "tool_cancelled"])
@pytest.mark.parametrize("ok", [False, None])
def test_a_call_that_a_human_stopped_says_nothing_of_the_tool(kind: str, ok: bool | None) -> None:
    body = {"ok": False, "error_kind": kind, "message": "the call was denied"}
    assert told(body, ok=ok) == (None, "not run")


def test_a_missing_result_is_unknown_and_never_a_success() -> None:
    assert told(None) == (None, "no result")
    assert told("") == (True, "keyword")


def test_the_words_decide_where_nothing_else_does() -> None:
    assert told("Permission denied") == (False, "keyword")
    assert told("FILE NOT FOUND: a.txt") == (False, "keyword")
    assert told("3 files changed") == (True, "keyword")
    assert told("Error: no such city") == (False, "error text")
    assert told('{"output": "cut off in the midd') == (True, "keyword")
    assert told("[1, 2") == (True, "keyword")
    assert told([{"type": "text", "text": "Exception in thread"}]) == (False, "keyword")
    assert told(42) == (True, "keyword")
    assert outcome_of("x", "Permission denied").detail == 'contains "denied"'


def test_words_of_a_file_or_a_page_are_not_those_of_the_tool() -> None:
    page = "All is well. " * 60 + "how to handle an error"
    assert told(page, name="read_file") == (True, "keyword")
    assert told(page, name="terminal") == (False, "keyword")
    assert told("not found: a.txt", name="read_file") == (False, "keyword")


def test_data_without_a_field_for_it_is_no_failure() -> None:
    page = {"content": "def on_error(): raise Exception", "lines": 1}
    assert told(page, name="read_file") == (True, "no error field")


def test_a_remark_after_the_data_does_not_hide_it() -> None:
    text = '{"exit_code": 1, "exit_code_meaning": "No matches found (not an error)"}\n[warning: 2]'
    assert told(text) == (True, "exit code")


def test_hostile_results_are_judged_and_never_raise() -> None:
    assert told("{" * 100_000)[0] is True
    assert told('{"a":' * 100_000)[0] is True
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert outcome_of("x", deep).success is True
    assert outcome_of("x", {"error": deep}).success is False
    found = outcome_of("x", {"error": "x" * 10_000})
    assert found.success is False
    assert len(found.detail) <= 120
    assert told({"exit_code": "many", "error": "\ud800"}) == (False, "error field")
    assert told({"exit_code": "9" * 9000, "error": ""})[1] == "error field"


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
    found = outcome_of("terminal", content, recorded_ok=ok)
    assert found.rule in RULES
    assert (found.success is None) == (found.rule in ("no result", "not run"))
    assert len(found.detail) <= 120
    if ok is False:
        assert found.success is not True


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
