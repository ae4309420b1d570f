"""Conversations out of requests to a model, each of which repeats all that was said before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from convtui.log.formats.chat.messages import Message

_Key: TypeAlias = tuple[str, str, str, tuple[str, ...]]
_INSTRUCTIONS: Final = ("system", "developer")
_LOOKED_BACK: Final = 200
"""Messages of a request that was cut at its beginning that are looked for in what was said."""


@dataclass(slots=True)
class Exchange:
    """A call of a model: the messages that it was given, and those that it answered with."""

    given: list[Message]
    answer: list[Message]
    model: str = ""


@dataclass(slots=True)
class Thread:
    """A conversation, as far as the requests have told it."""

    messages: list[Message] = field(default_factory=list)
    model: str = ""
    _said: list[_Key] = field(default_factory=list)
    """What was said, in order; instructions are not among it."""
    _instructions: set[_Key] = field(default_factory=set)

    def goes_on_with(self, exchange: Exchange) -> bool:
        """Whether a request repeats what was said here, wholly or from somewhere on."""
        given = [_key(message) for message in exchange.given if message.role not in _INSTRUCTIONS]
        if not given or not self._said:
            return not given
        return self._said[: len(given)] == given or _overlap(self._said, given) > 0

    def add(self, exchange: Exchange) -> None:
        """Appends what is new in a request, and the answer to it."""
        given = [(_key(message), message) for message in exchange.given]
        for key, message in given:
            if message.role in _INSTRUCTIONS and key not in self._instructions:
                self._instructions.add(key)
                self.messages.append(message)
        spoken = [(key, message) for key, message in given if message.role not in _INSTRUCTIONS]
        keys = [key for key, _ in spoken]
        known = len(keys) if self._said[: len(keys)] == keys else _overlap(self._said, keys)
        for key, message in [*spoken[known:], *((_key(one), one) for one in exchange.answer)]:
            self._said.append(key)
            self.messages.append(message)
        self.model = self.model or exchange.model


def _key(message: Message) -> _Key:
    """What makes two messages the same, whichever request they stand in."""
    calls = tuple(str(call.get("id")) for call in message.calls)
    return message.role, message.text.strip(), message.call_id, calls


def _overlap(here: list[_Key], given: list[_Key]) -> int:
    """How many of the given messages are already there, as the end of what is."""
    if given[: len(here)] == here:
        return len(here)
    for size in range(min(len(here), len(given), _LOOKED_BACK), 0, -1):
        if here[-size:] == given[:size]:
            return size
    return 0


def threads(exchanges: Iterable[Exchange]) -> list[Thread]:
    """The conversations that requests tell, in the order of the time, each message once.

    A request that repeats nothing of any conversation begins one of its own: a helper's, say.
    """
    known: list[Thread] = []
    for exchange in exchanges:
        thread = next((one for one in reversed(known) if one.goes_on_with(exchange)), None)
        if thread is None:
            known.append(thread := Thread())
        thread.add(exchange)
    return known
