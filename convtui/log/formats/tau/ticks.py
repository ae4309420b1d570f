"""Conversations of voices, which tau2 cuts into ticks: in each both sides may speak."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, message_of, plain
from convtui.records.times import parse_time
from convtui.records.values import as_list, as_object, as_text

_SIDES: Final = (("user_chunk", "user"), ("agent_chunk", "assistant"))
_NOTHING_NEW: Final = ("", "keep_talking", "keep_listening")


def messages_of_ticks(ticks: list[Any], where: str) -> Iterator[Message]:
    """What was said, a message for all that a side says until it is silent and the other speaks.

    Where both speak at once, a message stands where it began. What a side does beside speaking (it
    interrupts, backs off, waits) is an event at its place.
    """
    voices = _Voices(where)
    for index, tick in enumerate(ticks):
        if isinstance(tick, Mapping):
            yield from voices.read(as_object(tick), index)
        else:
            yield message_of(tick, f"{where}[{index}]")
    yield from voices.close()


@dataclass(slots=True)
class _Voices:
    """Who is speaking, and what they have said so far."""

    where: str
    speaking: dict[str, Message] = field(default_factory=dict)
    """By role, in the order in which they began."""
    utterances: dict[str, set[str]] = field(default_factory=dict)
    """By role, the ids of those that the last words belong to."""

    def read(self, tick: dict[str, Any], index: int) -> Iterator[Message]:
        """What is over with the next tick."""
        address, at = f"{self.where}[{index}]", _seconds(tick)
        chunks = {role: as_object(tick.get(key)) for key, role in _SIDES}
        heard = {role for role, chunk in chunks.items() if as_text(chunk.get("content"))}
        if heard and not any(role in heard for role in list(self.speaking)[:1]):
            # Whoever began first is silent, and the other speaks.
            yield from self.close(heard)
        for role, chunk in chunks.items():
            if role in heard:
                self._say(role, chunk, address, at)
            action = as_text(as_object(chunk.get("turn_taking_action")).get("action"))
            if action not in _NOTHING_NEW:
                data = {"side": role, "action": action, "tick": tick.get("tick_id", index)}
                yield Message("", "", address, event="turn_taking", content=data)
        yield from self._tools(tick, address, at)

    def close(self, but: Collection[str] = ()) -> Iterator[Message]:
        """What was said by those who are not speaking on."""
        for role in [role for role in self.speaking if role not in but]:
            yield self.speaking.pop(role)

    def _say(self, role: str, chunk: Mapping[str, Any], address: str, at: float | None) -> None:
        said = self.speaking.setdefault(role, Message(role, "", address, id=chunk.get("id")))
        ids = {one for one in as_list(chunk.get("utterance_ids")) if isinstance(one, str)}
        before = self.utterances.get(role, set())
        if said.text and ids and before and not ids & before:
            said.text += " "
        said.text += as_text(chunk.get("content"))
        said.at = at if at is not None else said.at
        self.utterances[role] = ids

    def _tools(self, tick: Mapping[str, Any], address: str, at: float | None) -> Iterator[Message]:
        calls = [as_object(call) for call in as_list(tick.get("agent_tool_calls"))]
        if calls:
            reply = self.speaking.pop("assistant", None) or Message("assistant", "", address)
            yield from self.close()
            reply.at = at if at is not None else reply.at
            reply.calls = [call_of(call) for call in calls]
            yield reply
        for result in map(as_object, as_list(tick.get("agent_tool_results"))):
            yield result_of(result, address, at)
        for name, event in (
            ("user_tool_calls", "user_tool_call"),
            ("user_tool_results", "user_tool_result"),
        ):
            if tick.get(name):
                yield Message("", "", address, event=event, content=plain(tick[name]), at=at)


def call_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """A call in OpenAI's words."""
    function = {"name": call.get("name"), "arguments": call.get("arguments")}
    return {"id": call.get("id"), "type": "function", "function": function}


def result_of(result: Mapping[str, Any], address: str, at: float | None) -> Message:
    """What a tool of the agent has returned."""
    message = message_of({"role": "tool", "content": result.get("content")}, address)
    message.call_id, message.at = as_text(result.get("id")), at
    message.failed = result.get("error") is True
    return message


def _seconds(tick: Mapping[str, Any]) -> float | None:
    at = parse_time(as_text(tick.get("timestamp")))
    return at.timestamp() if at is not None else None
