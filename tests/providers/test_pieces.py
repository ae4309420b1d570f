"""The forms of replies that provider code may return, and the errors for others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from convtui.errors import ProviderError
from convtui.models.base import Delta, Reply, ReplyFold, ToolCall, ToolCallDelta, Usage
from convtui.providers.pieces import delta_of

OSLO = '{"city": "Oslo"}'
PARTS = [{"type": "text", "text": "Gate 4."}, {"type": "image_url", "image_url": {"url": "x"}}]


class Message(BaseModel):
    """Stands for a message object of an SDK."""

    role: str = "assistant"
    content: Any = None
    tool_calls: Any = None


class Settings(BaseModel):
    """Stands for an object that is no message."""

    colour: str = "blue"


@pytest.mark.parametrize(
    ("value", "text", "kinds"),
    [
        ("Gate 4.", "Gate 4.", []),
        (Delta("Gate 4."), "Gate 4.", []),
        (Reply("Gate 4."), "Gate 4.", []),
        (PARTS, "Gate 4.", ["image_url"]),
        (tuple(PARTS), "Gate 4.", ["image_url"]),
        (["Gate ", None, ["4."]], "Gate 4.", []),
        ([], "", []),
        (PARTS[0], "Gate 4.", []),
        ({"text": "Gate 4."}, "Gate 4.", []),
        ({"role": "assistant", "content": "Gate 4."}, "Gate 4.", []),
        ({"role": "assistant", "content": PARTS}, "Gate 4.", ["image_url"]),
        ({"content": None, "refusal": None}, "", []),
        ([{"role": "user", "content": "?"}, {"role": "assistant", "content": PARTS}],
         "Gate 4.", ["image_url"]),
        ({"choices": [{"index": 0, "message": {"content": PARTS}}]}, "Gate 4.", ["image_url"]),
        ({"choices": [{"delta": {"content": "Gate 4."}}]}, "Gate 4.", []),
        (Message(content=PARTS), "Gate 4.", ["image_url"]),
        (Delta(text=PARTS), "Gate 4.", ["image_url"]),  # type: ignore[arg-type]
        (Delta(text=None), "", []),  # type: ignore[arg-type]
        (Reply(text=PARTS), "Gate 4.", ["image_url"]),  # type: ignore[arg-type]
        (Delta("Gate 4.", parts=({"type": "audio", "data": "x"}, "odd")),  # type: ignore[arg-type]
         "Gate 4.", ["audio", "str"]),
    ],
)  # fmt: skip
def test_a_reply_in_every_form(value: Any, text: str, kinds: list[str]) -> None:
    delta = delta_of(value)
    assert delta.text == text
    assert [part["type"] for part in delta.parts] == kinds


@pytest.mark.parametrize(
    "value",
    [
        {"content": None, "refusal": "No."},
        [{"type": "refusal", "refusal": "No."}],
        Delta("No.", refused=True),
        Reply("No.", refused=True),
        {"choices": [{"message": {"refusal": "No."}}]},
    ],
)
def test_a_refusal(value: Any) -> None:
    delta = delta_of(value)
    assert (delta.text, delta.refused) == ("No.", True)


@pytest.mark.parametrize(
    "value",
    [
        {"content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {}}}]},
        {"function_call": {"name": "f", "arguments": "{}"}},
        Delta(tool_calls=(ToolCallDelta(0, "a", "f", {}),)),  # type: ignore[arg-type]
        Delta(tool_calls=[{"id": "a", "name": "f", "arguments": "{}"}]),  # type: ignore[arg-type]
        Delta(tool_calls=ToolCallDelta("0", "a", "f", "{}")),  # type: ignore[arg-type]
        Reply("", tool_calls=[ToolCall("a", "f", "{}")]),
        Reply("", tool_calls=[{"id": "a", "function": {"name": "f"}}]),  # type: ignore[list-item]
    ],
)
def test_a_tool_call(value: Any) -> None:
    (call,) = delta_of(value).tool_calls
    assert call.name == "f"
    assert call.arguments in ("{}", "")
    assert call.index in (0, None)


def test_equal_calls_of_a_whole_reply_stay_two() -> None:
    fold = ReplyFold()
    fold.add(delta_of(Reply("", tool_calls=[ToolCall("", "f", OSLO), ToolCall("", "f", OSLO)])))
    assert [call.arguments for call in fold.reply().tool_calls] == [OSLO, OSLO]


def test_finish_reason_reasoning_and_usage_of_a_message() -> None:
    delta = delta_of(
        {
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 5, "output_tokens": "many"},
        }
    )
    assert (delta.text, delta.reasoning, delta.finish_reason) == ("a", "hm", "end_turn")
    assert delta.usage == Usage(prompt_tokens=5)


def test_usage_that_is_none_is_unknown() -> None:
    odd: Any = {"prompt_tokens": "5", "completion_tokens": -1, "cost": float("nan")}
    assert Usage(**odd) == Usage()
    assert delta_of(Delta("a", usage=odd)).usage is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "None instead of text: is a `return` missing?"),
        (b"bytes", "bytes instead of text: decode it first"),
        (7, "int instead of text"),
        (SimpleNamespace(content="a"), "SimpleNamespace instead of text"),
        ({"answer": "a", "score": 1}, "a dict with answer, score instead of text"),
        ({}, "a dict with nothing instead of text"),
        (Settings(), "Settings with colour instead of text"),
        ([{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}],
         "the last is of the role 'user'"),
        (Delta(text=7), "Delta.text must be text, not int"),  # type: ignore[arg-type]
        (Delta("a", metadata=["x"]), "Delta.metadata must be a dict"),  # type: ignore[arg-type]
        (Delta(tool_calls=(7,)), "a tool call must be a ToolCall, not int"),  # type: ignore[arg-type]
        (
            Reply("", tool_calls={"tool": "look_up"}),  # type: ignore[arg-type]
            "a tool call must be a ToolCall, not a dict with tool: a call has `name`",
        ),
        (
            Reply("", tool_calls=[{}]),  # type: ignore[list-item]
            "a tool call must be a ToolCall, not a dict with nothing",
        ),
    ],
)  # fmt: skip
def test_what_is_no_reply_is_named(value: Any, says: str) -> None:
    with pytest.raises(ProviderError) as caught:
        delta_of(value)
    assert says in str(caught.value)
