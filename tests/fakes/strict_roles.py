"""What the strictest chat endpoints demand of a list of messages, all of it together.

The rules are those of OpenAI (every call answered, arguments as text, ids of at most 40
characters), of Mistral (no user message after a tool's result) and of Anthropic (user and assistant
in turns, something said in every message).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_AFTER = {
    "start": {"system", "user"},
    "system": {"user"},
    "user": {"assistant"},
    "assistant": {"user"},
    "calls": {"tool"},
    "tool": {"tool", "assistant"},
}


def wrong_order(messages: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with a list of messages; empty when nothing is."""
    state = "start"
    waiting: list[str] = []
    known: set[str] = set()
    for number, message in enumerate(messages):
        role = message.get("role")
        here = f"messages[{number}] ({role})"
        if role not in _AFTER[state] or (state == "tool" and (role == "tool") != bool(waiting)):
            return f"Unexpected role {role!r} after {state!r}: {here}"
        content, calls = message.get("content"), message.get("tool_calls")
        if calls:
            found = _calls(calls, here)
            if isinstance(found, str):
                return found
            if known & set(found) or len(set(found)) != len(found):
                return f"{here}: the id of a tool call is there twice"
            known |= set(found)
            waiting, state = found, "calls"
            continue
        if not isinstance(content, str) or not content.strip():
            return f"{here}: content must not be empty"
        if role == "tool":
            call = message.get("tool_call_id")
            if call not in waiting:
                return f"{here}: {call!r} is no call that waits for a result"
            waiting.remove(call)
        state = str(role)
    return "" if state in ("user", "tool") else f"the last message is one of the {state}"


def _calls(calls: Any, here: str) -> list[str] | str:
    found: list[str] = []
    for call in calls:
        function = call["function"]
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function["name"]):
            return f"{here}: {function['name']!r} is no name of a function"
        if not isinstance(function["arguments"], str) or not isinstance(
            json.loads(function["arguments"]), dict
        ):
            return f"{here}: arguments must be the text of a JSON object"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", call["id"]):
            return f"{here}: {call['id']!r} is no id of a tool call"
        found.append(call["id"])
    return found
