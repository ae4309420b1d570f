"""What a side's model was given and what came back, as documents without a screen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from convtui.log.detail import Call, TurnDetail
from convtui.printing.wording import parts_words
from convtui.records.codec import RecordDict
from convtui.scenario.simulators.registry import kind_of
from convtui.transcript.fold import Flag, Turn
from convtui.tui.drawing.palette import Span
from convtui.tui.widgets.inspector.stages import UNKNOWN, Context, message_of
from convtui.tui.widgets.text_pane import Document


def pretty(value: Any) -> str:
    """JSON-like data for reading."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def arguments_text(tool: Mapping[str, Any]) -> str:
    """The arguments of a tool call or decision: decoded, or as they were written."""
    arguments = tool.get("arguments")
    if arguments is None:
        return str(tool.get("raw_arguments") or "")
    return pretty(arguments)


def request(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    """Every call of a turn: exactly what was sent, and the reply; how the simulator ended it."""
    doc = Document()
    if not detail.calls:
        doc.nothing(_why_none(detail, turn, context))
        _user_ended(doc, detail)
        return doc
    if context.copy_keys:
        doc.line((context.copy_keys, "muted"))
    if detail.log is not None:
        doc.line(("from the parent log ", "muted"), (str(detail.log), "muted"))
    ends = [r for r in detail.decisions if r.get("type") == "user.ended"]
    sentinel = str(ends[-1].get("sentinel") or "") if ends else ""
    for call in detail.calls:
        of = f"{call.side}, attempt {call.attempt}, round {call.round}"
        doc.head(f"request {call.seq}", of)
        doc.field("model", str(call.request.get("model") or UNKNOWN))
        params = call.request.get("params") or {}
        for name, value in params.items():
            doc.field(str(name), pretty(value))
        tools = call.request.get("tools")
        if isinstance(tools, list) and tools:
            doc.field("tools", ", ".join(str(name) for name in tools))
        messages, problem = messages_of(call, context)
        if problem:
            doc.line(("! ", "error bold"), (problem, "error"))
        seeded = warm_places(call, messages, context)
        for number, message in enumerate(messages, 1):
            doc.blank()
            one_message(doc, number, message, seeded.get(number, ""))
        _reply(doc, call, sentinel)
    _user_ended(doc, detail)
    return doc


def _why_none(detail: TurnDetail, turn: Turn, context: Context) -> str:
    why = "No model was called in this turn."
    if turn.flags & Flag.HUMAN:
        return "No model was asked: a human spoke."
    if turn.speaker != "persona":
        return why
    kind = kind_of(context.simulator)
    return f"No model was asked: {kind.without_model if kind is not None else 'none was needed.'}"


def _reply(doc: Document, call: Call, sentinel: str) -> None:
    response = call.response
    if response is None:
        if call.failed is not None:
            doc.head(f"reply to {call.seq}", "failed")
            doc.line(("! ", "error bold"), (message_of(call.failed.get("error")), "error"))
            partial = str(call.failed.get("partial") or call.partial)
            if partial:
                doc.line(("what had arrived", "muted")).text(partial, indent=3)
        else:
            word = "was cancelled by hand" if call.cancelled else "is on its way"
            doc.head(f"reply to {call.seq}", word)
            if call.partial:
                doc.text(call.partial, indent=3)
        return
    finish = str(response.get("finish_reason") or "")
    doc.head(f"reply to {call.seq}", f"as it came{', ' + finish if finish else ''}")
    if response.get("error"):
        words = "the call failed after this had arrived: " + message_of(response["error"])
        doc.line(("! ", "error bold"), (words, "error"))
    reply_body(doc, response, sentinel)


def reply_body(doc: Document, response: RecordDict, sentinel: str = "") -> None:
    """Reasoning, text and tool calls of a reply, as they came; `sentinel` is lit where it hit."""
    if response.get("reasoning"):
        doc.line(("reasoning", "muted"), (" kept apart, never said", "muted"), indent=3)
        doc.text(str(response["reasoning"]), "reasoning", indent=5)
    raw = str(response.get("raw") or "")
    calls = [call for call in response.get("tool_calls") or () if isinstance(call, dict)]
    hits = re.finditer(re.escape(sentinel), raw, re.IGNORECASE) if sentinel else ()
    marks = [(*hit.span(), "mark:signal") for hit in hits]
    if raw or not calls:
        doc.text(raw or "(no text)", "text" if raw else "muted", indent=3, marks=marks)
    part_lines(doc, response, indent=3)
    for call in calls:
        function = call.get("function")
        called: Mapping[str, Any] = function if isinstance(function, dict) else call
        doc.line(("calls ", "muted"), (str(called.get("name") or "?"), "tool bold"), indent=3)
        doc.text(pretty(called.get("arguments") or "{}"), indent=5)


def part_lines(doc: Document, response: RecordDict, indent: int = 0) -> Document:
    """Names the parts of a reply that are no text, each with what is kept of it."""
    parts = response.get("parts")
    parts = parts if isinstance(parts, list) else []
    for part, words in zip(parts, parts_words(response), strict=True):
        doc.line((words, "muted"), indent=indent)
        named = part.items() if isinstance(part, dict) else ()
        fields = {key: value for key, value in named if key != "type"}
        if fields:
            doc.text(pretty(fields), "muted", indent=indent + 2)
    return doc


def _user_ended(doc: Document, detail: TurnDetail) -> None:
    for record in detail.decisions:
        if record.get("type") != "user.ended":
            continue
        doc.head("the user is done", str(record.get("simulator", "")))
        doc.field("reason", str(record.get("reason", "")))
        sentinel = str(record.get("sentinel") or "")
        if sentinel:
            doc.field("sentinel", sentinel, "signal")
        dropped = str(record.get("dropped_text") or "")
        if dropped:
            doc.line(("dropped text", "warning"), (" stood beside it and was not said", "muted"))
            doc.text(dropped, "muted", indent=3)
        elif sentinel:
            doc.line(("no text was dropped", "muted"))


def messages_of(call: Call, context: Context) -> tuple[list[Any], str]:
    """The messages of a call and what was wrong in getting them."""
    if context.messages is None:
        return list(
            call.request.get("append") or []
        ), "Only the messages new to this call are known."
    try:
        return context.messages(call), ""
    except (ValueError, IndexError, OSError) as error:
        fresh = list(call.request.get("append") or [])
        return fresh, f"The whole list cannot be read ({error}); these are the new ones."


def warm_places(call: Call, messages: Sequence[Any], context: Context) -> dict[int, str]:
    """Which messages of a request a warm template has put there, counted from 1, in words."""
    warm = context.warm
    if warm is None or call.side != "provider":
        return {}
    name = f"warm context {warm.get('template')}"
    first = messages[0] if messages and isinstance(messages[0], Mapping) else {}
    system = first.get("role") == "system"
    added = str(warm.get("addendum") or "")
    found: dict[int, str] = {}
    if system and added and str(first.get("content")).endswith(added):
        found[1] = f"with the text of {name}"
    injected = warm.get("messages")
    begin = 1 if system else 0
    if isinstance(injected, list) and list(messages[begin : begin + len(injected)]) == injected:
        places = range(begin + 1, begin + len(injected) + 1)
        found.update(dict.fromkeys(places, f"+ {name}"))
    return found


def one_message(doc: Document, number: int, message: Any, origin: str = "") -> None:
    """One message of a request: role, where it is from, names, content, whatever else it has."""
    if not isinstance(message, Mapping):
        doc.line((f"{number} ", "muted"), ("not a message", "warning")).text(pretty(message))
        return
    role = str(message.get("role", "?"))
    colour = {"assistant": "provider", "user": "persona", "tool": "tool"}.get(role, "accent")
    extra = [str(message[k]) for k in ("name", "tool_call_id") if message.get(k)]
    spans: list[Span] = [(f"{number:>2} ", "muted"), (role, f"{colour} bold")]
    if origin:
        spans.append((f"  {origin}", "accent"))
    if extra:
        spans.append(("  " + " ".join(extra), "muted"))
    doc.line(*spans)
    content = message.get("content")
    if content is not None:
        doc.text(pretty(content), indent=3)
    for key, value in message.items():
        if key not in ("role", "content", "name", "tool_call_id"):
            doc.line((str(key), "muted"), indent=3)
            doc.text(pretty(value), indent=5)
