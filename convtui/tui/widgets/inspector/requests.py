"""The Request tab: what a side's model was sent, and its reply."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from convtui.printing.wording import parts_words
from convtui.scenario.simulators.registry import kind_of
from convtui.transcript.fold import Flag, Turn
from convtui.tui.widgets.inspector.context import Context
from convtui.tui.widgets.inspector.json_tree import json_text, json_value
from convtui.tui.widgets.inspector.stages import UNKNOWN, message_of
from convtui.tui.widgets.text_pane import Document

if TYPE_CHECKING:
    from convtui.log.detail import Call, TurnDetail
    from convtui.records.codec import RecordDict
    from convtui.tui.drawing.palette import Span

_MOST: Final = 12
"""Messages up to which all of a request are shown from the start."""
_LAST: Final = 6
"""Messages that are shown of a longer one."""
_FIRST_WORDS: Final = 60
"""Characters that are shown of a folded message."""
_LONG: Final = 1_500
"""Characters up to which a message is open from the start."""


def pretty(value: Any) -> str:
    """JSON-like data as readable text."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def arguments_text(tool: Mapping[str, Any]) -> str:
    """The arguments of a tool call or decision: decoded, or as written if they are invalid."""
    arguments = tool.get("arguments")
    if arguments is None:
        return str(tool.get("raw_arguments") or "")
    return pretty(arguments)


def request(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    """All calls of a turn, exactly as sent, with replies and how the simulator ended."""
    doc = Document()
    if not detail.calls:
        doc.nothing(_no_call_reason(detail, turn, context))
        _add_user_end(doc, detail)
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
            value_lines(doc, str(name), value, f"{call.seq}.{name}")
        tools = call.request.get("tools")
        if isinstance(tools, list) and tools:
            doc.field("tools", ", ".join(str(name) for name in tools))
        messages, problem = messages_of(call, context)
        if problem:
            doc.line(("! ", "error bold"), (problem, "error"))
        seeded = warm_messages(call, messages, context)
        all_messages(doc, messages, str(call.seq), seeded)
        _add_reply(doc, call, sentinel)
    _add_user_end(doc, detail)
    return doc


def _no_call_reason(detail: TurnDetail, turn: Turn, context: Context) -> str:
    message = "No model was called in this turn."
    if turn.flags & Flag.HUMAN:
        return "No model was called: a human spoke."
    if turn.speaker != "persona":
        return message
    kind = kind_of(context.simulator)
    why = kind.without_model if kind is not None else "none was needed."
    return f"No model was called: {why}"


def _add_reply(doc: Document, call: Call, sentinel: str) -> None:
    response = call.response
    if response is None:
        if call.failed is not None:
            doc.head(f"reply to {call.seq}", "failed")
            doc.line(("! ", "error bold"), (message_of(call.failed.get("error")), "error"))
            partial = str(call.failed.get("partial") or call.partial)
            if partial:
                doc.line(("received so far", "muted")).text(partial, indent=3)
        else:
            state = "cancelled by hand" if call.cancelled else "in progress"
            doc.head(f"reply to {call.seq}", state)
            if call.partial:
                doc.text(call.partial, indent=3)
        return
    finish = str(response.get("finish_reason") or "")
    doc.head(f"reply to {call.seq}", f"as received{', ' + finish if finish else ''}")
    if response.get("error"):
        error = "the call failed after receiving this: " + message_of(response["error"])
        doc.line(("! ", "error bold"), (error, "error"))
    reply_body(doc, response, sentinel)


def reply_body(doc: Document, response: RecordDict, sentinel: str = "") -> None:
    """Reasoning, text and tool calls of a reply as received; `sentinel` is highlighted."""
    if response.get("reasoning"):
        doc.line(("reasoning", "muted"), (" separate from the reply", "muted"), indent=3)
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
        name = str(called.get("name") or "?")
        doc.line(("calls ", "muted"), (name, "tool bold"), indent=3)
        arguments = called.get("arguments") or "{}"
        key = f"reply {response.get('seq')}.{name}"
        if isinstance(arguments, str):
            json_text(doc, arguments, key, indent=3)
        else:
            json_value(doc, arguments, key, indent=3)


def part_lines(doc: Document, response: RecordDict, indent: int = 0) -> Document:
    """The non-text parts of a reply, with the data kept of each."""
    parts = response.get("parts")
    parts = parts if isinstance(parts, list) else []
    for part, label in zip(parts, parts_words(response), strict=True):
        doc.line((label, "muted"), indent=indent)
        items = part.items() if isinstance(part, dict) else ()
        fields = {key: value for key, value in items if key != "type"}
        if fields:
            json_value(doc, fields, f"part {label}", indent=indent)
    return doc


def _add_user_end(doc: Document, detail: TurnDetail) -> None:
    for record in detail.decisions:
        if record.get("type") != "user.ended":
            continue
        doc.head("the persona is done", str(record.get("simulator", "")))
        doc.field("reason", str(record.get("reason", "")))
        sentinel = str(record.get("sentinel") or "")
        if sentinel:
            doc.field("sentinel", sentinel, "signal")
        dropped = str(record.get("dropped_text") or "")
        if dropped:
            doc.line(("dropped text", "warning"), (" next to it, not sent", "muted"))
            doc.text(dropped, "muted", indent=3)
        elif sentinel:
            doc.line(("no text dropped", "muted"))


def messages_of(call: Call, context: Context) -> tuple[list[Any], str]:
    """The messages of a call, and what went wrong in reading them."""
    if context.messages is None:
        return list(
            call.request.get("append") or []
        ), "Only the new messages of this call are known."
    try:
        return context.messages(call), ""
    except (ValueError, IndexError, OSError) as error:
        fresh = list(call.request.get("append") or [])
        return fresh, f"The full list cannot be read ({error}); these are the new messages."


def warm_messages(call: Call, messages: Sequence[Any], context: Context) -> dict[int, str]:
    """Labels of the messages that come from a warm template, by number from 1."""
    warm = context.warm
    if warm is None or call.side != "provider":
        return {}
    name = f"warm context {warm.get('template')}"
    first = messages[0] if messages and isinstance(messages[0], Mapping) else {}
    system = first.get("role") == "system"
    added = str(warm.get("addendum") or "")
    labels: dict[int, str] = {}
    if system and added and str(first.get("content")).endswith(added):
        labels[1] = f"with the text of {name}"
    injected = warm.get("messages")
    begin = 1 if system else 0
    if isinstance(injected, list) and list(messages[begin : begin + len(injected)]) == injected:
        numbers = range(begin + 1, begin + len(injected) + 1)
        labels.update(dict.fromkeys(numbers, f"+ {name}"))
    return labels


def all_messages(
    doc: Document, messages: Sequence[Any], key: str, origins: Mapping[int, str] | None = None
) -> Document:
    """The messages of a request; of a long one the earlier ones are folded."""

    def write(below: Document, first: int, last: int) -> None:
        for number in range(first, last + 1):
            below.blank()
            origin = (origins or {}).get(number, "")
            message_lines(below, number, messages[number - 1], origin, key=key)

    size = len(messages)
    shown = size if size <= _MOST else _LAST
    earlier = size - shown
    if earlier:
        doc.blank().fold(
            f"{key}.messages",
            [(f"messages 1 to {earlier:,}", "muted")],
            [("[", "muted"), (f"... {earlier:,} messages before these", "accent"), ("]", "muted")],
            lambda below: write(below, 1, earlier),
        )
    write(doc, earlier + 1, size)
    return doc


def value_lines(doc: Document, name: str, value: Any, key: str) -> Document:
    """A named value: beside its name, or below it if it is an object or array."""
    if isinstance(value, dict | list) and value:
        return json_value(doc.line((name, "muted")), value, key)
    role = "json:number" if isinstance(value, int | float) else "text"
    return doc.field(name, pretty(value), role)


def message_lines(
    doc: Document, number: int, message: Any, origin: str = "", *, key: str = ""
) -> None:
    """A message of a request: role, origin, names, content, other fields."""
    if not isinstance(message, Mapping):
        doc.line((f"{number} ", "muted"), ("not a message", "warning")).text(pretty(message))
        return
    role = str(message.get("role", "?"))
    colour = {"assistant": "provider", "user": "persona", "tool": "tool"}.get(role, "accent")
    extra = [str(message[k]) for k in ("name", "tool_call_id") if message.get(k)]
    head: list[Span] = [(f"{number:>2} ", "muted"), (role, f"{colour} bold")]
    spans = list(head)
    if origin:
        spans.append((f"  {origin}", "accent"))
    if extra:
        spans.append(("  " + " ".join(extra), "muted"))
    path = f"{key}.{number}"
    content = message.get("content")
    size = len(content) if isinstance(content, str) else 0
    folded = [*head, (f"  {_beginning(content)}", "text")]
    if size > _LONG:
        folded.append((f"  {size:,} characters", "accent"))
    doc.fold(
        path,
        spans,
        folded,
        lambda below: _message_body(below, message, path),
        opened=size <= _LONG,
    )


def _beginning(content: Any) -> str:
    """The first words of a message."""
    text = content if isinstance(content, str) else pretty(content)[:400]
    line = " ".join(text[:400].split())
    return line if len(line) <= _FIRST_WORDS else f"{line[:_FIRST_WORDS].rstrip()}…"


def _message_body(doc: Document, message: Mapping[str, Any], path: str) -> None:
    content = message.get("content")
    if content is not None:
        json_value(doc, content, f"{path}.content", indent=5 if isinstance(content, str) else 3)
    for name, value in message.items():
        if name not in ("role", "content", "name", "tool_call_id"):
            doc.line((str(name), "muted"), indent=5)
            json_value(doc, value, f"{path}.{name}", indent=7 if isinstance(value, str) else 5)
