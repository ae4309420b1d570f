"""The messages of a span: as parts, in flat attributes, or in events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from convtui.log.formats.chat.blocks import messages_of
from convtui.log.formats.chat.messages import Message, text_of_result
from convtui.log.formats.chat.requests import Exchange
from convtui.log.formats.otel.attributes import attributes_of, decoded, numbered
from convtui.records.values import as_list, as_object, as_text, drop_none

_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_CHOICE: Final = "gen_ai.choice"
_USAGE: Final = {
    "prompt_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "completion_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
}


def exchange_of(
    attributes: Mapping[str, Any], events: list[Any], ended: float | None
) -> Exchange | None:
    """What a model was given and answered, with the usage; None for a span that tells neither."""
    given = [*_system(attributes), *_listed(attributes, "gen_ai.input.messages")]
    answer = list(_listed(attributes, "gen_ai.output.messages"))
    if not given and not answer:
        given = list(_flat(attributes, "gen_ai.prompt"))
        answer = list(_flat(attributes, "gen_ai.completion"))
    if not given and not answer:
        given, answer = _in_events(events)
    if not given and not answer:
        return None
    model = as_text(attributes.get("gen_ai.response.model"))
    model = model or as_text(attributes.get("gen_ai.request.model"))
    finish = as_list(attributes.get("gen_ai.response.finish_reasons"))
    for message in answer[:1]:
        message.usage = _usage(attributes)
        message.model = model or None
        message.response_id = as_text(attributes.get("gen_ai.response.id")) or None
        message.finish = message.finish or (as_text(finish[0]) if finish else None) or None
    for message in answer:
        message.at = ended
    return Exchange(given, answer, model)


def _usage(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    figures: dict[str, Any] = {}
    for name, keys in _USAGE.items():
        value = next((attributes[key] for key in keys if key in attributes), None)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            figures[name] = value
    return figures or None


def _system(attributes: Mapping[str, Any]) -> Iterator[Message]:
    parts = decoded(attributes.get("gen_ai.system_instructions"))
    if parts:
        yield from _spoken({"role": "system", "parts": parts}, "gen_ai.system_instructions")


def _listed(attributes: Mapping[str, Any], key: str) -> Iterator[Message]:
    for index, item in enumerate(as_list(decoded(attributes.get(key)))):
        yield from _spoken(item, f"{key}[{index}]")


def _spoken(item: Any, address: str) -> Iterator[Message]:
    """A message in parts, as ours: a result of a tool is one of its own."""
    fields = as_object(item)
    given = fields.get("parts", fields.get("content"))
    if isinstance(given, str):
        yield from messages_of({**fields, "content": given}, address)
        return
    content: list[Any] = []
    for part in map(as_object, as_list(given)):
        kind = as_text(part.get("type"))
        if kind == "tool_call":
            content.append({"type": "tool_use", "id": part.get("id"), "name": part.get("name"),
                            "input": decoded(part.get("arguments"))})  # fmt: skip
        elif kind == "tool_call_response":
            response = part.get("response", part.get("result"))
            content.append({"type": "tool_result", "tool_use_id": part.get("id"),
                            "content": text_of_result(response)})  # fmt: skip
        elif kind in ("reasoning", "thinking"):
            content.append({"type": "thinking", "thinking": part.get("content")})
        elif kind == "text":
            content.append({"type": "text", "text": as_text(part.get("content"))})
        else:
            content.append(part)
    role = as_text(fields.get("role"))
    data = drop_none({"role": role, "name": fields.get("name")})
    only_text = all(part.get("type") == "text" for part in content)
    said = "\n".join(part["text"] for part in content) if only_text else content
    for message in messages_of({**data, "content": said}, address):
        if message.role == "assistant":
            message.finish = as_text(fields.get("finish_reason")) or None
        yield message


def _flat(attributes: Mapping[str, Any], prefix: str) -> Iterator[Message]:
    for index, item in enumerate(numbered(attributes, prefix)):
        calls = []
        for call in map(as_object, as_list(item.pop("tool_calls", None))):
            function = {"name": call.get("name"), "arguments": call.get("arguments")}
            calls.append({"id": call.get("id"), "type": "function", "function": function})
        for message in messages_of(item, f"{prefix}.{index}"):
            message.calls += calls
            yield message


def _in_events(events: list[Any]) -> tuple[list[Message], list[Message]]:
    """The messages of a span's events, as an older convention has them."""
    given: list[Message] = []
    answer: list[Message] = []
    for event in map(as_object, events):
        name, fields = as_text(event.get("name")), attributes_of(event)
        body = {**fields, **as_object(decoded(fields.get("message")))}
        if name in _EVENTS:
            given += messages_of({"role": _EVENTS[name], **body}, name)
        elif name == _CHOICE:
            answer += messages_of({**body, "role": "assistant"}, name)
    return given, answer
