"""Traces of OpenTelemetry (OTLP in JSON) with the attributes of generative AI, new and old.

Every span of a chat tells the whole conversation so far: its messages are put together, each once.
Spans belong together by `gen_ai.conversation.id`, or else by their trace. What tools were called
with and what they returned may stand in spans of their own. Messages are read from the attributes
(`gen_ai.input.messages`; the older flat `gen_ai.prompt.0.role`), or from the events of a span.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.messages import Message, text_of_result
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.chat.requests import Exchange, threads
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.log.formats.otel.attributes import attributes_of
from convtui.log.formats.otel.messages import exchange_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "otel"
_CONVERSATION: Final = "gen_ai.conversation.id"
_TOOL: Final = "execute_tool"


def _is_value(value: Any) -> bool:
    if isinstance(value, list) and value:
        value = value[0]
    return isinstance(as_object(value).get("resourceSpans"), list)


@dataclass(slots=True)
class Span:
    """A span, as far as conversations need it. Times are seconds since the epoch."""

    data: Mapping[str, Any]
    attributes: dict[str, Any]
    service: str
    began: float | None
    ended: float | None

    @property
    def operation(self) -> str:
        """What was done in it: chat, execute_tool, ..."""
        return as_text(self.attributes.get("gen_ai.operation.name"))


@dataclass(slots=True)
class _Group:
    """The spans of one conversation id, or of one trace."""

    key: str
    spans: list[Span] = field(default_factory=list)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    groups: dict[str, _Group] = {}
    conversations: dict[str, str] = {}
    spans = [span for item in items(path, damage) for span in _spans(item.value)]
    for span in spans:
        named = as_text(span.attributes.get(_CONVERSATION))
        if named:
            conversations.setdefault(as_text(span.data.get("traceId")), named)
    for span in spans:
        trace = as_text(span.data.get("traceId"))
        key = as_text(span.attributes.get(_CONVERSATION)) or conversations.get(trace, trace)
        groups.setdefault(key, _Group(key)).spans.append(span)
    for group in groups.values():
        yield from _of_group(group, path)


def _spans(value: Any) -> Iterator[Span]:
    for one in value if isinstance(value, list) else [value]:
        for of_resource in map(as_object, as_list(as_object(one).get("resourceSpans"))):
            resource = attributes_of(as_object(of_resource.get("resource")))
            service = as_text(resource.get("service.name"))
            scopes = of_resource.get("scopeSpans") or of_resource.get("instrumentationLibrarySpans")
            for scope in map(as_object, as_list(scopes)):
                for data in map(as_object, as_list(scope.get("spans"))):
                    began, ended = (_seconds(data.get(f"{end}TimeUnixNano"))
                                    for end in ("start", "end"))  # fmt: skip
                    yield Span(data, attributes_of(data), service, began, ended)


def _seconds(value: Any) -> float | None:
    """Nanoseconds since the epoch, as a number or as text, in seconds."""
    try:
        seconds = int(value) / 1e9
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < 1e11 else None


def _of_group(group: _Group, path: Path) -> Iterator[Chat]:
    spans = sorted(group.spans, key=lambda span: span.began or 0.0)
    told = threads(_exchanges(spans))
    began = next((span.began for span in spans if span.began is not None), None)
    for number, thread in enumerate(told, 1):
        yield Chat(
            NAME,
            path,
            partial(list, thread.messages),
            session_id=group.key,
            place=str(number) if len(told) > 1 else "",
            provider=spans[0].service or thread.model or "assistant",
            model=thread.model,
            created=datetime.fromtimestamp(began, UTC) if began is not None else None,
            created_from="startTimeUnixNano",
            details=drop_none({"service": spans[0].service or None, "spans": len(spans)}),
        )


def _exchanges(spans: list[Span]) -> Iterator[Exchange]:
    """The calls of models, each with the tools that ran after it. One at a time: each repeats all
    that was said before."""
    last: Exchange | None = None
    for span in spans:
        if span.operation == _TOOL or "gen_ai.tool.call.id" in span.attributes:
            if last is not None and last.answer:
                _add_tool(span, last.answer)
            continue
        exchange = exchange_of(span.attributes, as_list(span.data.get("events")), span.ended)
        if exchange is None:
            continue
        if span.began is not None and span.ended is not None and exchange.answer:
            exchange.answer[-1].duration = max(0.0, span.ended - span.began)
        if last is not None:
            yield last
        last = exchange
    if last is not None:
        yield last


def _add_tool(span: Span, answer: list[Message]) -> None:
    """What a tool was called with and returned, after the reply that called it."""
    attributes = span.attributes
    id_ = as_text(attributes.get("gen_ai.tool.call.id")) or as_text(span.data.get("spanId"))
    name = as_text(attributes.get("gen_ai.tool.name"))
    if not any(call.get("id") == id_ for message in answer for call in message.calls):
        function = {"name": name, "arguments": attributes.get("gen_ai.tool.call.arguments")}
        answer[0].calls.append({"id": id_, "type": "function", "function": function})
    result = Message(
        "tool",
        text_of_result(attributes.get("gen_ai.tool.call.result")),
        f"span {as_text(span.data.get('spanId'))}",
        call_id=id_,
        name=name,
        at=span.ended,
        failed=as_object(span.data.get("status")).get("code") == 2,
    )
    answer.append(result)


FORMAT = ChatFiles("traces in OTLP", _is_value, _chats).format(
    NAME,
    "traces of OpenTelemetry with the attributes of generative AI (OTLP in JSON)",
    ("resourceSpans", "scopeSpans", "spans", "attributes"),
)
