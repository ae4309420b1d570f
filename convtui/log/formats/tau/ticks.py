"""Conversations of voices, which tau2 cuts into ticks: in each both sides may speak."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, message_of
from convtui.records.values import as_list, as_object, as_text

_SIDES: Final = (("user_chunk", "user"), ("agent_chunk", "assistant"))


def messages_of_ticks(ticks: list[Any], where: str) -> Iterator[Message]:
    """What was said, a message for all that one side says until the other does.

    What a side does beside speaking (it interrupts, backs off, waits) is an event at its place, and
    so is what a side says while the other speaks on.
    """
    open_: Message | None = None
    for index, tick in enumerate(ticks):
        address = f"{where}[{index}]"
        fields = as_object(tick)
        if not fields:
            yield message_of(tick, address)
            continue
        for key, role in _SIDES:
            chunk = as_object(fields.get(key))
            text = as_text(chunk.get("content"))
            if text and (open_ is None or open_.role != role):
                if open_ is not None:
                    yield open_
                open_ = Message(role, "", address, id=chunk.get("id"))
            if text and open_ is not None:
                open_.text += text
            action = as_text(as_object(chunk.get("turn_taking_action")).get("action"))
            if action not in ("", "keep_talking", "keep_listening"):
                data = {"side": role, "action": action, "tick": fields.get("tick_id", index)}
                yield Message("", "", address, event="turn_taking", content=data)
        calls = [as_object(call) for call in as_list(fields.get("agent_tool_calls"))]
        if calls:
            yield Message("", "", address, event="tool_calls", content=calls)
    if open_ is not None:
        yield open_
