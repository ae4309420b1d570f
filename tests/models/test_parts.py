"""Messages as chat APIs write them: text is taken, reasoning kept apart, the rest named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.models.base import Usage
from convtui.models.chat import usage_of
from convtui.models.parts import call_pieces, message_delta

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/map.png"}}


@pytest.mark.parametrize(
    ("content", "text", "reasoning", "kinds"),
    [
        ("Gate 4.", "Gate 4.", "", []),
        (None, "", "", []),
        ([], "", "", []),
        ([{"type": "text", "text": "Gate "}, {"type": "output_text", "text": "4."}],
         "Gate 4.", "", []),
        ([{"type": "input_text", "text": "a"}, "b", ["c", ["d"]], None], "abcd", "", []),
        ({"type": "text", "text": "alone"}, "alone", "", []),
        ([{"text": "no type"}, {"type": "text", "text": {"value": "wrapped", "annotations": []}}],
         "no typewrapped", "", []),
        ([{"type": "text", "text": None}, {"type": "text"}], "", "", ["text", "text"]),
        ([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}], "a", "hm", []),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "h"}, "m"]}], "", "hm", []),
        ([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}],
         "", "hm", []),
        ([{"type": "reasoning", "text": "hm"}], "", "hm", []),
        ([{"text": "hm", "thought": True}, {"text": "a"}], "a", "hm", []),
        ([{"type": "redacted_thinking", "data": "x"}], "", "", ["redacted_thinking"]),
        ([{"type": "thinking", "signature": "x"}], "", "", ["thinking"]),
        ([IMAGE, {"type": "image", "source": {}}, {"type": "input_audio", "input_audio": {}},
          {"type": "file", "file": {}}, {"type": "new-thing", "x": 1}, {"image_url": {}}, {}],
         "", "",
         ["image_url", "image", "input_audio", "file", "new-thing", "image_url", "unknown"]),
        ([1, True, 2.5, b"x"], "", "", ["int", "bool", "float", "bytes"]),
        (7, "", "", ["int"]),
    ],
)  # fmt: skip
def test_content_in_every_form(content: Any, text: str, reasoning: str, kinds: list[str]) -> None:
    delta = message_delta({"role": "assistant", "content": content})
    assert (delta.text, delta.reasoning) == (text, reasoning)
    assert [part["type"] for part in delta.parts] == kinds
    assert not delta.refused


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "No."},
        {"content": "", "refusal": {"value": "No."}},
        {"content": [{"type": "refusal", "refusal": "No."}]},
        {"content": [{"type": "refusal", "text": "No."}], "refusal": None},
        {"content": {"refusal": "No."}},
    ],
)
def test_a_refusal_is_the_text(message: dict[str, Any]) -> None:
    delta = message_delta(message)
    assert (delta.text, delta.refused, delta.parts) == ("No.", True, ())


def test_an_empty_refusal_refuses_nothing() -> None:
    assert not message_delta({"content": "Yes.", "refusal": ""}).refused
    assert not message_delta({"content": [{"type": "refusal", "refusal": ""}]}).refused


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"thinking": "hm"},
        {"reasoning": {"text": "hm"}},
        {"reasoning_details": [{"type": "reasoning.text", "text": "h", "signature": "s"},
                               {"type": "reasoning.summary", "summary": "m"},
                               {"type": "reasoning.encrypted", "data": "x"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
        {"reasoning": "hm", "reasoning_content": "hm",
         "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"reasoning_content": "", "reasoning": None, "thinking": "hm"},
    ],
)  # fmt: skip
def test_reasoning_stands_in_many_fields(fields: dict[str, Any]) -> None:
    delta = message_delta({"content": "a", **fields})
    assert (delta.text, delta.reasoning) == ("a", "hm")


def test_long_data_is_cut_to_a_size_and_a_digest() -> None:
    data = "data:image/png;base64," + "QUJD" * 50_000
    text = "word " * 2_000
    deep: Any = "x"
    for _ in range(40):
        deep = [deep]
    parts = message_delta(
        {
            "content": [{"type": "image_url", "image_url": {"url": data, "detail": "low"}}],
            "images": [{"type": "image_url", "image_url": {"url": data}}],
            "audio": {"id": "audio_1", "data": "QUJD" * 100, "transcript": "Gate 4."},
            "tool_calls": None,
        }
    ).parts
    first, second, audio = parts
    assert first["image_url"]["detail"] == "low"
    assert first["image_url"]["url"].startswith(
        "data:image/png;base64,... (200,022 characters, sha"
    )
    assert second["type"] == "image_url"
    assert (audio["type"], audio["transcript"]) == ("audio", "Gate 4.")
    assert "400 characters" in audio["data"]
    (kept,) = message_delta({"content": [{"type": "note", "note": text, "deep": deep}]}).parts
    assert len(str(kept)) < 500


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "text", "refusal", "thinking", "content", "function", "name"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(
    message=st.dictionaries(
        st.sampled_from(
            ["content", "refusal", "reasoning", "reasoning_details", "thinking", "images", "audio",
             "tool_calls", "function_call"]
        ),
        json_like,
    )
)  # fmt: skip
def test_no_message_is_too_odd(message: dict[str, Any]) -> None:
    delta = message_delta(message)
    assert isinstance(delta.text, str)
    assert isinstance(delta.reasoning, str)
    assert all(isinstance(part["type"], str) for part in delta.parts)
    assert all(isinstance(call.arguments, str) for call in delta.tool_calls)


def test_tool_calls_in_every_form() -> None:
    forms: list[Any] = [
        {"index": "1", "id": "", "function": {"name": "f", "arguments": {"city": "Ålesund"}}},
        {"index": 2.0, "id": 7, "function": {"name": "f", "arguments": None}},
        {"id": "a", "name": "f", "arguments": "{}"},
        {"index": True, "id": "a", "function": {"name": "", "arguments": "x"}},
        {"index": 0},
        None,
        "f",
    ]
    assert [(c.index, c.id, c.name, c.arguments) for c in call_pieces(forms)] == [
        (1, None, "f", '{"city": "Ålesund"}'),
        (2, "7", "f", ""),
        (None, "a", "f", "{}"),
        (None, "a", None, "x"),
    ]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}, (5, 3, 8, None, None)),
        ({"input_tokens": 5, "output_tokens": 3}, (5, 3, None, None, None)),
        ({"prompt_tokens": "5", "completion_tokens": 3}, (None, 3, None, None, None)),
        ({"prompt_tokens": -5, "completion_tokens": 3.0}, (None, 3, None, None, None)),
        ({"prompt_tokens": float("nan"), "total_tokens": float("inf")}, None),
        ({"prompt_tokens": True, "completion_tokens": None, "total_tokens": 1.5}, None),
        ({"prompt_tokens": 0}, (0, None, None, None, None)),
        (
            {"prompt_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 2},
             "prompt_tokens_details": {"cached_tokens": 1}},
            (5, None, None, 2, 1),
        ),
        (
            {"prompt_tokens": 5, "completion_tokens_details": None, "prompt_cache_hit_tokens": 4,
             "prompt_tokens_details": "none"},
            (5, None, None, None, 4),
        ),
        ({}, None), ([], None), ("8", None), (None, None),
    ],
)  # fmt: skip
def test_usage_is_what_the_endpoint_says(sent: Any, expected: Any) -> None:
    usage = usage_of(sent)
    if expected is None:
        assert usage is None
        return
    assert usage is not None
    assert expected == (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.reasoning_tokens,
        usage.cached_tokens,
    )


def test_later_totals_take_the_place_of_earlier_ones() -> None:
    total = Usage(prompt_tokens=100, completion_tokens=1)
    for later in (Usage(completion_tokens=2), Usage(prompt_tokens=0, completion_tokens=3, cost=0)):
        total = total.updated(later)
    assert (total.prompt_tokens, total.completion_tokens, total.cost) == (100, 3, 0)


def test_what_is_spoken_is_the_reply_in_words() -> None:
    spoken = {"id": "a", "data": "QUJD" * 100, "transcript": "Gate 4."}
    delta = message_delta({"content": None, "audio": spoken})
    assert delta.text == "Gate 4."
    assert [part["type"] for part in delta.parts] == ["audio"]
    assert message_delta({"content": "Gate 5.", "audio": spoken}).text == "Gate 5."
    assert message_delta({"content": None, "audio": {"data": "QUJD"}}).text == ""
