"""Which message of a request an endpoint objects to, as far as that can be told for sure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

_INDEX = re.compile(
    r"""(?ix)
    \b(?:messages|contents) (?: \.? \[ (?P<bracket>\d{1,5}) \]     # messages[3].content
                              | [./] (?P<dotted>\d{1,5}) \b        # messages.3.content
                              | ['"]?,\s* (?P<listed>\d{1,5}) \b ) # ('body', 'messages', 3)
    | \bmessages? \s (?:at\s)? (?:index|position) [\s:#]* (?P<said>\d{1,5}) \b
    | \bindex \s (?P<indexed>\d{1,5}) \s of \s (?:the\s)? messages
    """
)
_BLANK = re.compile(
    r"(?i)non-whitespace|non-?empty|(?:not|cannot|can't|must not|may not) be (?:empty|blank|null)"
    r"|\b(?:is|are|was|has|have) (?:empty|blank)|\b(?:empty|blank) (?:text|content|message|string)"
    r"|should not be (?:empty|blank)"
)
_ALTERNATE = re.compile(r"(?i)roles? must alternate|alternat\w+ between|must be alternating"
                        r"|consecutive (?:user|assistant)|same role")  # fmt: skip
_FIRST = re.compile(r"(?i)must (?:start|begin) with|first message (?:must|should|has to)")
_LAST = re.compile(
    r"(?i)must end with|last message (?:must|should|has to)|expected last role|prefill"
)
_AFTER = re.compile(r"""(?i)role ['"`]?(\w+)['"`]? after (?:role )?['"`]?(\w+)['"`]?""")

Messages = Sequence[Mapping[str, Any]]


def objected(text: str, messages: Messages, *, system_apart: bool = False) -> int | None:
    """The index of the message that `text` objects to; None where that is not sure.

    `text` is all that the endpoint said. An index in it counts in the list as it was sent, or, at
    endpoints that take the system prompt apart from the messages (`system_apart`), in the others;
    where what is objected to can be seen (a blank text) it decides between the two.
    """
    named = _named(text, messages, system_apart=system_apart)
    if named is not None:
        return named
    if _INDEX.search(text):
        return None
    for index in (_by_id(text, messages), _by_rule(text, messages)):
        if index is not None:
            return index
    return None


def is_blank(message: Mapping[str, Any]) -> bool:
    """Whether a message has neither text nor a tool call."""
    content = message.get("content")
    if content is None:
        return not message.get("tool_calls")
    if isinstance(content, str):
        return not content.strip()
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping)]
        return not parts or any(
            part.get("type", "text") == "text" and not str(part.get("text") or "").strip()
            for part in parts
        )
    return False


def _named(text: str, messages: Messages, *, system_apart: bool) -> int | None:
    match = _INDEX.search(text)
    if match is None:
        return None
    number = int(next(group for group in match.groups() if group is not None))
    others = [i for i, message in enumerate(messages) if message.get("role") != "system"]
    readings = [
        number if number < len(messages) else None,
        others[number] if number < len(others) else None,
    ]
    if system_apart:
        readings.reverse()
    possible = [reading for reading in readings if reading is not None]
    if _BLANK.search(text):
        possible = [reading for reading in possible if is_blank(messages[reading])] or possible
    return possible[0] if possible else None


def _by_id(text: str, messages: Messages) -> int | None:
    """The one message with a tool call, or a result, whose id is named."""
    matches = {
        index
        for index, message in enumerate(messages)
        for identity in _ids(message)
        if len(identity) > 3 and re.search(rf"(?<!\w){re.escape(identity)}(?!\w)", text)
    }
    calls = {index for index in matches if messages[index].get("role") == "assistant"}
    chosen = calls if len(calls) == 1 else matches
    return chosen.pop() if len(chosen) == 1 else None


def _ids(message: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(message.get("tool_call_id"), str):
        yield message["tool_call_id"]
    for call in message.get("tool_calls") or ():
        if isinstance(call, Mapping) and isinstance(call.get("id"), str):
            yield call["id"]


def _by_rule(text: str, messages: Messages) -> int | None:
    """The one message that breaks the rule which the endpoint names."""
    talk = [i for i, message in enumerate(messages) if message.get("role") != "system"]
    if not talk:
        return None
    if _BLANK.search(text):
        blank = [i for i, message in enumerate(messages) if is_blank(message)]
        return blank[0] if len(blank) == 1 else None
    after = _AFTER.search(text)
    if after is not None:
        roles = [
            (str(second.get("role")), str(first.get("role")))
            for first, second in pairwise(messages)
        ]
        positions = [i for i, pair in enumerate(roles, 1) if pair == after.groups()]
        return positions[0] if len(positions) == 1 else None
    if _ALTERNATE.search(text):
        return _out_of_turn(messages, talk)
    if _LAST.search(text):
        return talk[-1] if messages[talk[-1]].get("role") == "assistant" else None
    if _FIRST.search(text):
        return talk[0] if messages[talk[0]].get("role") != "user" else None
    return None


def _out_of_turn(messages: Messages, talk: Sequence[int]) -> int | None:
    """The first message whose role is not the one that is due: user, assistant, user ...

    With tools, or with system messages between, endpoints do not agree on how they count.
    """
    roles = [str(messages[i].get("role")) for i in talk]
    if not set(roles) <= {"user", "assistant"} or talk[-1] - talk[0] + 1 != len(talk):
        return None
    if any(messages[i].get("tool_calls") for i in talk):
        return None
    due = ("user", "assistant")
    return next((talk[n] for n, role in enumerate(roles) if role != due[n % 2]), None)
