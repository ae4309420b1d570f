"""Conversations out of requests to a model, each of which repeats all that was said before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from convtui.log.formats.chat.messages import Message

_Key: TypeAlias = tuple[str, str, str, tuple[str, ...]]
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

    def goes_on_with(self, exchange: Exchange) -> bool:
        """Whether a request repeats what was said here, wholly or from somewhere on."""
        said = [_key(message) for message in exchange.given if message.role != "system"]
        here = [_key(message) for message in self.messages if message.role != "system"]
        if not said or not here:
            return not said
        return said[: len(here)] == here or here[: len(said)] == said or _overlap(here, said) > 0

    def add(self, exchange: Exchange) -> None:
        """Appends what is new in a request, and the answer to it."""
        here = [_key(message) for message in self.messages]
        for message in exchange.given[_overlap(here, [_key(m) for m in exchange.given]) :]:
            if _key(message) not in here or message.role not in ("system", "developer"):
                self.messages.append(message)
        self.messages += exchange.answer
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
