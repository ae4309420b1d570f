"""Whose words a message of a refused request is: which turn of the conversation, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convtui.engine.calls.retrying import with_words
from convtui.errors import BadModelRequest, ConversationError
from convtui.models.base import Message
from convtui.records.models import Side
from convtui.transcript.fold import COMMITTED, Transcript, Turn

_OTHERS = {"system": "the system prompt", "tool": "the result of a tool"}


def with_turn(
    error: ConversationError, messages: Sequence[Message], side: Side, transcript: Transcript
) -> ConversationError:
    """A refusal that says which message it objects to, and which turn that is; others as they are.

    `messages` are what `side` was asked with.
    """
    refused = error.objects_to if isinstance(error, BadModelRequest) else None
    if not isinstance(error, BadModelRequest) or refused is None:
        return error
    index = int(refused["message"]) - 1
    turn: Turn | None = None
    # Code of a provider's own may have asked with other messages.
    if index < len(messages) and len(messages) == refused["of"]:
        turn = turns_of(messages, side, transcript).get(index)
    located = with_words(error, _words(refused, turn, side))
    assert isinstance(located, BadModelRequest)
    located.objects_to = dict(refused)
    if turn is not None:
        located.objects_to |= {
            "session": turn.session, "turn": turn.number, "speaker": turn.speaker,
        }  # fmt: skip
    return located


def turns_of(messages: Sequence[Message], side: Side, transcript: Transcript) -> dict[int, Turn]:
    """The turns that messages are, by index: matched from the end, in order, by role and text."""
    own = "provider" if side == "provider" else "persona"
    turns = [turn for turn in transcript.turns if turn.status == COMMITTED]
    pairs: dict[int, Turn] = {}
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if not turns:
            break
        turn = turns[-1]
        role = "assistant" if turn.speaker == own else "user"
        if message.get("role") == role and _says(message.get("content"), turn.text):
            pairs[index] = turns.pop()
    return pairs


def _says(content: Any, text: str) -> bool:
    if not isinstance(content, str):
        return False
    # A reminder, or a question of a responder's, may stand around it.
    around = content.endswith(f"\n\n{text}") or f"\n\n{text}\n\n" in content
    return content == text or (bool(text.strip()) and around)


def _words(refused: Mapping[str, Any], turn: Turn | None, side: Side) -> str:
    where = f"message {refused['message']} of {refused['of']}"
    text = str(refused.get("text") or "")
    shown = f"says {text!r}" if text.strip() else "says nothing" + (f" ({text!r})" if text else "")
    asked = f"the {side} was asked"
    whose = _OTHERS.get(str(refused["role"]), f"of the {refused['role']}")
    if turn is not None:
        whose = f"turn {turn.address} of the {turn.speaker}"
    return f"it objects to {where}, {whose}, which {shown}; {asked}"
