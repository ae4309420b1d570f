"""The tags of hermes' trajectories: reasoning, tool calls and tool results written into text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.foreign import parse_json

_THINK: Final = re.compile(r"\s*<think>(.*?)</think>\n?", re.DOTALL)
_CALL: Final = re.compile(r"(?m)^[ \t]*<tool_call>\s*")
_CALL_END: Final = re.compile(r"\s*</tool_call>[ \t]*\n?")
_RESPONSE: Final = re.compile(r"(?m)^[ \t]*<tool_response>\n?")
_RESPONSE_END: Final = re.compile(r"\n?</tool_response>[ \t]*(?:\n|\Z)")
_DECODER: Final = json.JSONDecoder()


@dataclass(slots=True)
class Said:
    """A reply without its tags. `calls` are `{name, arguments}`, or text that is no JSON."""

    text: str
    reasoning: str | None = None
    calls: list[dict[str, Any] | str] = field(default_factory=list)


def said_in(value: str) -> Said:
    """What a reply says beside its reasoning (at the beginning) and its calls (on their own lines).

    Tags that are not closed, and those in the middle of a line, are text.
    """
    reasoning = None
    rest = value
    thought = _THINK.match(value)
    if thought is not None:
        reasoning = thought[1].removeprefix("\n").removesuffix("\n")
        rest = value[thought.end() :]
    found = Said("", reasoning)
    pieces: list[str] = []
    position = 0
    while (start := _CALL.search(rest, position)) is not None:
        call, end = _call_at(rest, start.end())
        if call is None:
            break
        pieces.append(rest[position : start.start()])
        found.calls.append(call)
        position = end
    pieces.append(rest[position:])
    text = "".join(pieces)
    # Line ends that only keep text and tags apart say nothing.
    found.text = text.strip("\n") if found.calls else text
    return found


def _call_at(text: str, start: int) -> tuple[dict[str, Any] | str | None, int]:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        value, end = None, start
    closed = _CALL_END.match(text, end) if value is not None else None
    if closed is not None and isinstance(value, dict) and isinstance(value.get("name"), str):
        return value, closed.end()
    closed = _CALL_END.search(text, start)
    if closed is None:
        return None, start
    return text[start : closed.start()], closed.end()


def responses_in(value: str) -> Iterator[tuple[str, str, Any]]:
    """The results of a tool turn: `(call id, tool's name, content)`; text without tags is one."""
    position = 0
    found = False
    while (start := _RESPONSE.search(value, position)) is not None:
        body, end = _body(value, start.end())
        found = True
        position = end
        yield _response(body)
    if not found:
        yield "", "", value


def _body(text: str, start: int) -> tuple[str, int]:
    """What stands before the closing tag, which may also stand in the JSON text itself."""
    first = text.find("{", start, start + 64)
    if first >= 0 and not text[start:first].strip():
        try:
            _, end = _DECODER.raw_decode(text, first)
        except (ValueError, RecursionError):
            end = -1
        closed = _RESPONSE_END.match(text, end) if end > 0 else None
        if closed is not None:
            return text[first:end], closed.end()
    closed = _RESPONSE_END.search(text, start)
    if closed is None:
        return text[start:], len(text)
    return text[start : closed.start()], closed.end()


def _response(body: str) -> tuple[str, str, Any]:
    try:
        value = parse_json(body.encode("utf-8", "surrogatepass"), "")
    except FileError:
        return "", "", body
    if not isinstance(value, dict) or "content" not in value:
        return "", "", body
    id_, name = value.get("tool_call_id"), value.get("name")
    return (
        id_ if isinstance(id_, str) else "",
        name if isinstance(name, str) else "",
        value["content"],
    )


def reply_of(text: str, reasoning: str | None, calls: list[tuple[str, Any]]) -> str:
    """A reply with its tags."""
    found = f"<think>\n{reasoning}\n</think>\n" if reasoning else "<think>\n</think>\n"
    blocks = [
        f"<tool_call>\n{_json({'name': name, 'arguments': arguments})}\n</tool_call>"
        for name, arguments in calls
    ]
    return found + "\n".join([*([text] if text or not blocks else []), *blocks])


def response_of(id_: str, name: str, content: Any) -> str:
    """A tool's result with its tags."""
    body = _json({"tool_call_id": id_, "name": name, "content": content})
    return f"<tool_response>\n{body}\n</tool_response>"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
