"""What provider code may return as a whole reply, and the errors for the rest."""

from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from convtui.errors import ProviderError
from convtui.models.base import Delta, Reply
from convtui.providers.replies import read_reply, usage_of

Said = namedtuple("Said", "text metadata score")


@pytest.mark.parametrize(
    ("value", "metadata"),
    [
        ("hi", None),
        (("hi", {"a": 1}), {"a": 1}),
        (["hi", {"a": 1}], {"a": 1}),
        (("hi", None), None),
        (("hi", {}), None),
        ((Reply("hi", metadata={"b": 2}), {"a": 1}), {"a": 1, "b": 2}),
        ({"content": "hi"}, None),
        ({"role": "assistant", "content": "hi", "a": 1}, {"a": 1}),
        ({"text": "hi", "metadata": {"a": 1}}, {"a": 1}),
        ({"response": "hi", "text": "hi", "response_metadata": {"a": 1}}, {"a": 1}),
        (SimpleNamespace(content="hi", response_metadata={"a": 1}), {"a": 1}),
        (SimpleNamespace(text="hi", content=None), None),
        (SimpleNamespace(content="hi", text=lambda: "hi"), None),
        (Said("hi", {"a": 1}, 3), {"a": 1}),
    ],
)
def test_text_and_metadata(value: Any, metadata: dict[str, Any] | None) -> None:
    delta = read_reply(value)
    assert (delta.text, delta.metadata or None) == ("hi", metadata)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "None instead of text: is a `return` missing?"),
        (b"hi", "bytes instead of text: decode it first"),
        (7, "returned int instead of text"),
        (("hi",), "a tuple of 1 (str) instead of text: is there a comma behind the text?"),
        (("hi", {}, 3), "a tuple of 3 (str, dict, int) instead of text"),
        (("hi", "there"), "a tuple of 2 (str, str) instead of text"),
        (({}, "hi"), "a tuple of 2 (dict, str) instead of text: the text comes first"),
        ((None, {}), "a tuple of 2 (NoneType, dict)"),
        ([], "a list of 0 ()"),
        ([{"kind": "text"}] * 9, "a list of 9 (dict, dict, dict, dict, ...)"),
        ({"choices": []}, "a dictionary (choices) instead of text"),
        ({}, "an empty dict instead of text"),
        ({"content": "a", "text": "b"}, "with different content and text"),
        ({"content": 7}, "its content is int"),
        ({"content": None}, "whose content is None"),
        ({"content": "", "tool_calls": [{"id": 1}]}, "with tool calls, which would be lost"),
        (SimpleNamespace(content="", tool_calls=[{}]), "with tool calls, which would be lost"),
        (SimpleNamespace(text="<html>", content=b"<html>"), "its content is bytes"),
        (SimpleNamespace(a=1), "SimpleNamespace instead of text"),
        (SimpleNamespace(text="a", response="b"), "with different text and response"),
        (ValueError("no"), "the error ValueError instead of text: `raise` it"),
    ],
)
def test_anything_else_is_named(value: Any, says: str) -> None:
    with pytest.raises(ProviderError) as error:
        read_reply(value)
    assert says in str(error.value)


def test_what_metadata_say_of_the_call_goes_to_its_place() -> None:
    delta = read_reply(
        ("hi", {"usage": {"input_tokens": 3}, "model": "m", "response_id": "r", "stop_reason": "x"})
    )
    assert delta.usage is not None
    assert delta.usage.prompt_tokens == 3
    assert (delta.model, delta.response_id, delta.finish_reason) == ("m", "r", "x")
    message = SimpleNamespace(content="hi", usage_metadata={"output_tokens": 4}, id="run-1")
    delta = read_reply(message)
    assert delta.usage is not None
    assert (delta.usage.completion_tokens, delta.response_id) == (4, "run-1")
    assert read_reply(Delta(text="hi", metadata={"model": "m"})).model is None


def test_usage_in_both_vocabularies() -> None:
    usage = usage_of({"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.5})
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost) == (3, 4, 0.5)
    usage = usage_of({"input_tokens": 1, "output_tokens": True, "cache_read_input_tokens": 2})
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (1, None, 2)
    assert usage_of({}) is usage_of(None) is usage_of("x") is None


PARTS = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "x"}}]


class Answer(BaseModel):
    """Stands for an answer of an SDK."""

    choices: list[dict[str, Any]]


@pytest.mark.parametrize(
    ("value", "metadata"),
    [
        (PARTS, None),
        ((PARTS, {"a": 1}), {"a": 1}),
        ({"role": "assistant", "content": PARTS, "a": 1}, {"a": 1}),
        ({"content": PARTS, "metadata": {"a": 1}}, {"a": 1}),
        (SimpleNamespace(content=PARTS), None),
        ([{"role": "user", "content": "?"}, {"role": "assistant", "content": PARTS}], None),
        ({"choices": [{"message": {"content": PARTS}}]}, None),
        (Answer(choices=[{"message": {"content": PARTS}}]), None),
    ],
)
def test_content_that_is_a_list(value: Any, metadata: dict[str, Any] | None) -> None:
    delta = read_reply(value)
    assert (delta.text, delta.metadata or None) == ("hi", metadata)
    assert [part["type"] for part in delta.parts] == ["image_url"]


def test_a_refusal_and_calls_of_functions_are_taken() -> None:
    refused = read_reply({"role": "assistant", "content": None, "refusal": "No."})
    assert (refused.text, refused.refused) == ("No.", True)
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    (made,) = read_reply({"content": None, "tool_calls": [call]}).tool_calls
    assert (made.id, made.name, made.arguments) == ("a", "f", '{"x": 1}')


def test_figures_of_a_chat_message_go_to_their_place() -> None:
    delta = read_reply(
        {"content": PARTS, "usage": {"prompt_tokens": 3}, "finish_reason": "length", "model": "m"}
    )
    assert delta.usage is not None
    assert (delta.usage.prompt_tokens, delta.finish_reason, delta.model) == (3, "length", "m")
