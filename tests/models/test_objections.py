"""Which message an endpoint objects to: by its index, by an id, or by the rule it breaks."""

from __future__ import annotations

from typing import Any

import pytest

from convtui.models.objections import is_blank, objected

SYSTEM = {"role": "system", "content": "You are kind."}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_7f", "type": "function", "function": {"name": "find"}}],
}


def user(text: Any = "hi") -> dict[str, Any]:
    return {"role": "user", "content": text}


def bot(text: Any = "hello") -> dict[str, Any]:
    return {"role": "assistant", "content": text}


TALK = [SYSTEM, user(), bot(), user("  "), bot()]
PLAIN = [SYSTEM, user(), bot(), user("x"), bot()]


@pytest.mark.parametrize(
    "text",
    [
        "Invalid value for messages[2].content",
        "Invalid parameter: 'messages.[2].role'",
        "messages.2.content: wrong",
        "messages: bad | messages/2/content",
        "{'loc': ('body', 'messages', 2, 'content')}",
        "message at index 2 is wrong",
        "Message index: 2 cannot be used",
        "index 2 of the messages",
    ],
)
def test_an_index_is_counted_in_what_was_sent(text: str) -> None:
    assert objected(text, PLAIN) == 2


def test_where_the_system_prompt_stands_apart_it_is_not_counted() -> None:
    assert objected("messages.2: wrong", PLAIN, system_apart=True) == 3
    assert objected("messages.1.content.0.text: must be shorter", [user(), bot()],
                    system_apart=True) == 1  # fmt: skip


def test_what_can_be_seen_decides_how_it_was_counted() -> None:
    text = "messages.2: text content blocks must be non-empty"
    assert objected(text, TALK) == 3, "the third of the others is the blank one"
    assert objected("messages[3]: content must not be empty", TALK, system_apart=True) == 3


@pytest.mark.parametrize("text", ["messages[99].content is bad", "messages.5: bad", "bad", ""])
def test_an_index_that_is_none_says_nothing(text: str) -> None:
    assert objected(text, PLAIN) is None


@pytest.mark.parametrize(
    "text",
    [
        "messages: text content blocks must contain non-whitespace text",
        "all messages must have non-empty content except for the optional final assistant message",
        "The content of a message must not be empty.",
        "content cannot be null",
        "a message is empty",
    ],
)
def test_the_one_blank_message(text: str) -> None:
    assert objected(text, TALK) == 3
    assert objected(text, [*TALK, user("\n")]) is None, "there are two"
    assert objected(text, PLAIN) is None


@pytest.mark.parametrize(
    ("messages", "index"),
    [
        ([SYSTEM, user(), bot(), bot()], 3),
        ([user(), user(), bot()], 1),
        ([SYSTEM, bot(), user(), bot()], 1),
        ([user(), bot()], None),
        ([user(), CALL, {"role": "tool", "tool_call_id": "call_7f"}, bot()], None),
        ([user(), SYSTEM, user()], None),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "messages: roles must alternate between user and assistant",
    ],
)
def test_the_first_message_out_of_turn(text: str, messages: list[Any], index: int | None) -> None:
    assert objected(text, messages) == index


def test_a_role_that_may_not_follow_another() -> None:
    text = "Unexpected role 'user' after role 'tool'"
    result = {"role": "tool", "tool_call_id": "call_7f", "content": "x"}
    assert objected(text, [user(), CALL, result, user()]) == 3
    assert objected(text, [user(), CALL, result, user(), CALL, result, user()]) is None


def test_the_first_and_the_last_message() -> None:
    assert objected("A conversation must start with a user message.", [SYSTEM, bot(), user()]) == 1
    assert objected("A conversation must start with a user message.", [SYSTEM, user()]) is None
    text = "This model does not support assistant message prefill. It must end with a user message."
    assert objected(text, [user(), bot()]) == 1
    assert objected(text, [user(), bot(), user()]) is None


def test_the_message_whose_call_is_named() -> None:
    messages = [user(), CALL, user("and?")]
    text = "The following tool_call_ids did not have response messages: call_7f"
    assert objected(text, messages) == 1
    lost = [user(), {"role": "tool", "tool_call_id": "toolu_9", "content": "x"}]
    assert objected("unexpected tool_use_id: toolu_9", lost) == 1


@pytest.mark.parametrize(
    ("content", "blank"),
    [
        ("", True), (" \n", True), ("x", False), (None, True), ([], True),
        ([{"type": "text", "text": " "}], True), ([{"type": "image_url"}], False),
    ],
)  # fmt: skip
def test_what_is_blank(content: Any, blank: bool) -> None:
    assert is_blank(user(content)) is blank
    assert not is_blank(CALL)
