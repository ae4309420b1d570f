"""The tags of hermes' trajectories: reasoning, tool calls and tool results written into text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.json_objects import parse_json
from convtui.records.values import as_text

_THINK: Final = re.compile(r"\s*<think>")
_THINK_LINE: Final = re.compile(r"(?m)^[ \t]*<think>")
_THINK_END: Final = re.compile(r"</think>\n?")
_CODE: Final = re.compile(
    r"^[ \t]{0,3}(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})[^\n]*$"
    r"|(?<!`)(?P<inline>`+)(?!`)[^\n]+?(?<!`)(?P=inline)(?!`)",
    re.MULTILINE,
)
_CALL: Final = re.compile(r"(?m)^[ \t]*<tool_call>\s*")
_CALL_END: Final = re.compile(r"\s*</tool_call>[ \t]*\n?")
_RESPONSE: Final = re.compile(r"(?m)^[ \t]*<tool_response>\n?")
_RESPONSE_END: Final = re.compile(r"\n?</tool_response>[ \t]*(?:\n|\Z)")
_DECODER: Final = json.JSONDecoder()


@dataclass(slots=True)
class ParsedReply:
    """A reply without its tags. `calls` are `{name, arguments}`."""

    text: str
    reasoning: str | None = None
    calls: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is wrong with its tags."""


def parse_reply(value: str) -> ParsedReply:
    """What a reply says beside its reasoning (at the beginning) and its calls (on their own lines).

    Tags in the middle of a line and in code, fenced or inline, are text, and so is a call that is
    not closed or is no JSON with a name. Reasoning that is not closed ends with the reply or before
    its first call.
    """
    reply = ParsedReply("")
    pieces: list[str] = []
    position = 0
    thought = _THINK.match(value)
    if thought is not None:
        close = _end_of_thought(value, thought.end())
        if close is not None:
            inner = value[thought.end() : close.start()]
            reply.reasoning = inner.removeprefix("\n").removesuffix("\n")
            position = close.end()
    for start in _outside(_CALL, value, position):
        if start.start() < position:
            continue  # in the arguments of a call
        call, end = _call_at(value, start.end())
        if call is None:
            reply.problems.append(
                "a tool_call that is not closed; it is kept as text"
                if end < 0
                else "a tool_call that is no JSON with a name; it is kept as text"
            )
            continue
        pieces.append(value[position : start.start()])
        reply.calls.append(call)
        position = end
    pieces.append(value[position:])
    if reply.reasoning is None:
        _take_open_thought(reply, pieces)
    text = "".join(pieces)
    # Line ends that only keep text and tags apart say nothing.
    reply.text = text.strip("\n") if reply.calls else text
    return reply


def _take_open_thought(reply: ParsedReply, pieces: list[str]) -> None:
    """Takes reasoning that is never closed out of the first piece of text."""
    piece = pieces[0]
    opened = list(_outside(_THINK_LINE, piece, 0))
    if not opened or _end_of_thought(piece, opened[-1].end()) is not None:
        return
    reply.reasoning = piece[opened[-1].end() :].strip("\n")
    reply.problems.append("reasoning that is not closed: there is no </think> after it")
    pieces[0] = piece[: opened[-1].start()]


def _end_of_thought(text: str, start: int) -> re.Match[str] | None:
    """The tag that closes reasoning: the first outside of code, or else the first."""
    return next(_outside(_THINK_END, text, start), None) or _THINK_END.search(text, start)


def _outside(pattern: re.Pattern[str], text: str, start: int) -> Iterator[re.Match[str]]:
    """The matches from `start` on that do not begin in code."""
    code = code_in(text, start)
    for match in pattern.finditer(text, start):
        tag = text.index("<", match.start())
        if not any(first <= tag < last for first, last in code):
            yield match


def code_in(text: str, position: int = 0) -> list[tuple[int, int]]:
    """Where code stands in Markdown: fenced, to the end where it is not closed, and inline.

    Inline code that goes over a line end is not looked for.
    """
    spans: list[tuple[int, int]] = []
    if "`" not in text and "~~~" not in text:
        return spans
    while (match := _CODE.search(text, position)) is not None:
        end = match.end()
        mark = match["fence"]
        if mark:
            close = re.compile(rf"(?m)^[ \t]{{0,3}}{mark[0]}{{{len(mark)},}}[ \t]*$")
            closed = close.search(text, end)
            end = closed.end() if closed is not None else len(text)
        spans.append((match.start(), end))
        position = max(end, match.start() + 1)
    return spans


def _call_at(text: str, start: int) -> tuple[dict[str, Any] | None, int]:
    """The call whose tag ends at `start`, and where its closing tag does; -1 without one."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        value, end = None, start
    closed = _CALL_END.match(text, end) if value is not None else None
    if closed is not None and isinstance(value, dict) and isinstance(value.get("name"), str):
        return value, closed.end()
    return None, 0 if _CALL_END.search(text, start) is not None else -1


def responses_in(value: str) -> Iterator[tuple[str, str, Any]]:
    """The results of a tool turn: `(call id, tool's name, content)`; text without tags is one."""
    position = 0
    any_tag = False
    while (start := _RESPONSE.search(value, position)) is not None:
        body, end = _body(value, start.end())
        any_tag = True
        position = end
        yield _response(body)
    if not any_tag:
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
    return as_text(value.get("tool_call_id")), as_text(value.get("name")), value["content"]


def reply_of(text: str, reasoning: str | None, calls: list[tuple[str, Any]]) -> str:
    """A reply with its tags."""
    tagged = f"<think>\n{reasoning}\n</think>\n" if reasoning else "<think>\n</think>\n"
    blocks = [
        f"<tool_call>\n{_json({'name': name, 'arguments': arguments})}\n</tool_call>"
        for name, arguments in calls
    ]
    return tagged + "\n".join([*([text] if text or not blocks else []), *blocks])


def response_of(id_: str, name: str, content: Any) -> str:
    """A tool's result with its tags."""
    body = _json({"tool_call_id": id_, "name": name, "content": content})
    return f"<tool_response>\n{body}\n</tool_response>"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
