"""Messages handed out again: always what was kept, whatever was done to them before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from convtui.log.requests import shared_start
from convtui.models.handed_out import HandedOut

MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant"]), "content": st.text(max_size=3)}
)
CHAT = st.lists(MESSAGE, max_size=8)


def meddle(messages: list[dict[str, Any]], draw: st.DataObject) -> None:
    for message in messages:
        match draw.draw(st.sampled_from(["leave", "change", "add", "remove", "clear"])):
            case "change":
                message["content"] += " changed"
            case "add":
                message["cache_control"] = "ephemeral"
            case "remove":
                del message["role"]
            case "clear":
                message.clear()
    if draw.draw(st.booleans()):
        messages.reverse()
        messages.append({"role": "system", "content": "of their own"})


@given(st.lists(CHAT, max_size=6), st.data())
def test_what_is_handed_out_is_the_chat(
    chats: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    handed_out = HandedOut()
    grown: list[dict[str, Any]] = []
    for more in chats:
        grown = [*grown[: data.draw(st.integers(0, len(grown)))], *more]
        expected = [dict(message) for message in grown]
        taken = handed_out.copies(grown)
        assert taken == expected
        meddle(taken, data)
        assert grown == expected


def test_one_that_was_left_as_it_was_is_the_same_again() -> None:
    handed_out = HandedOut()
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    first = handed_out.copies(chat)
    first[1]["content"] = "mine"
    second = handed_out.copies(chat)
    assert second is not first
    assert second[0] is first[0]
    assert second[0] is not chat[0]
    assert second[1] == {"role": "assistant", "content": "b"}
    # Who keeps the one that was changed keeps it for himself.
    first[1]["content"] = "mine still"
    assert second[1]["content"] == "b"


@given(st.lists(st.integers(0, 2), max_size=20), st.lists(st.integers(0, 2), max_size=20))
def test_how_much_two_lists_share(before: list[int], now: list[int]) -> None:
    shared = shared_start(before, now)
    assert before[:shared] == now[:shared]
    assert before[shared : shared + 1] != now[shared : shared + 1] or shared == min(
        len(before), len(now)
    )
