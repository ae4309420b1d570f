"""oharness' words and ours: messages and content blocks, stop reasons, usage, endings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from convtui.log.formats.json_objects import JsonObject
from convtui.records.values import as_list, as_object, drop_none

# --- stop reasons and usage

_FINISH: Final = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "stop_sequence": "stop",
    "refusal": "content_filter",
    "error": "error",
}
_STOP: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
USAGE: Final = {
    "tokens_input": "prompt_tokens",
    "tokens_output": "completion_tokens",
    "tokens_cache_read": "cached_tokens",
    "tokens_cache_create": "cache_created_tokens",
    "tokens_reasoning": "reasoning_tokens",
    "tokens_total": "total_tokens",
    "cost_usd": "cost",
}
"""Their name to ours. The last three are additions: their 1.0 has no place for them."""
_REQUIRED: Final = ("tokens_input", "tokens_output", "tokens_cache_read", "tokens_cache_create")
UNKNOWN: Final = "usage_unknown"
"""The field beside a usage of ours that names the figures that are zero because nobody knows."""


def finish_reason(stop: JsonObject | None) -> tuple[str | None, dict[str, Any] | None]:
    """Our finish reason, and theirs where ours says less."""
    if stop is None:
        return None, None
    kind = stop.text("kind") or ""
    known = _FINISH.get(kind)
    plain = set(stop.data) == {"kind"} and known is not None
    return known or kind or None, None if plain else stop.data


def stop_reason(reason: Any) -> dict[str, Any]:
    """Their stop reason for our finish reason; `end_turn` for one that nobody recorded."""
    if reason in _STOP:
        return {"kind": _STOP[reason]}
    if reason in ("end_turn", "max_tokens", "tool_use", "refusal"):
        return {"kind": reason}
    if reason in (None, ""):
        return {"kind": "end_turn"}
    return {"kind": "error", "value": str(reason)}


def usage_in(usage: JsonObject | None, unknown: Sequence[Any] = ()) -> dict[str, Any] | None:
    """Usage in our words without the `unknown` figures; those we have no name for keep theirs."""
    if usage is None:
        return None
    figures: dict[str, Any] = {}
    for theirs, ours in USAGE.items():
        value = usage.number(theirs) if theirs == "cost_usd" else usage.whole(theirs)
        # Their own writer puts zeros where a model told nothing about its cache.
        silent = not value and theirs.startswith("tokens_cache") and not unknown
        if value is not None and theirs not in unknown and not silent:
            figures[ours] = value
    return {**figures, **usage.rest(*USAGE)} or None


def usage_out(usage: Any) -> tuple[dict[str, Any], list[str]]:
    """Usage in their words, and the figures that are zero there because they are not known."""
    given = as_object(usage)
    figures: dict[str, Any] = {}
    unknown: list[str] = []
    for theirs, ours in USAGE.items():
        value = given.get(ours)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            figures[theirs] = value
        elif theirs in _REQUIRED:
            figures[theirs] = 0
            unknown.append(theirs)
    return figures, unknown


# --- messages


def text_of(blocks: list[JsonObject]) -> str:
    """The text blocks, one to a line."""
    return "\n".join(block.text("text") or "" for block in blocks if _type(block) == "text")


def _type(block: JsonObject) -> str:
    return block.text("type") or ""


def blocks_of(message: JsonObject, name: str = "content") -> list[JsonObject]:
    """The content blocks of a message; a string is one block of text."""
    if isinstance(message.data.get(name), str):
        return [JsonObject({"type": "text", "text": message.data[name]}, message.where)]
    return list(message.objects(name))


def reasoning_of(blocks: list[JsonObject]) -> str | None:
    """The thinking blocks, one to a line."""
    thoughts = [block.text("thinking") or "" for block in blocks if _type(block) == "thinking"]
    return "\n".join(thoughts) or None


def tool_calls_of(blocks: list[JsonObject]) -> list[dict[str, Any]]:
    """The tools that the blocks call, as an assistant message has them."""
    calls = []
    for block in blocks:
        if _type(block) == "tool_use":
            given = block.data.get("input")
            arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
            function = {"name": block.text("name") or "", "arguments": arguments}
            calls.append({"id": block.text("id") or "", "type": "function", "function": function})
    return calls


def other_blocks(blocks: list[JsonObject]) -> list[dict[str, Any]]:
    """Blocks that are nothing of the above: images, citations, later additions."""
    known = ("text", "thinking", "tool_use", "tool_result")
    return [block.data for block in blocks if _type(block) not in known]


def messages_in(request: JsonObject) -> list[dict[str, Any]]:
    """The messages of a request, its system prompt first."""
    messages: list[dict[str, Any]] = []
    system = request.text("system")
    if system is not None:
        messages.append({"role": "system", "content": system})
    for message in request.objects("messages"):
        role = message.text("role") or "user"
        blocks = blocks_of(message)
        for block in blocks:
            if _type(block) == "tool_result":
                messages.append(_tool_result(block))
        plain = [block for block in blocks if _type(block) != "tool_result"]
        if not plain and blocks:
            continue
        content: Any = text_of(plain)
        if others := other_blocks(plain):
            texts = [block.data for block in plain if _type(block) == "text"]
            content = [*texts, *others]
        made: dict[str, Any] = {"role": role, "content": content}
        if calls := tool_calls_of(plain):
            made["tool_calls"] = calls
        if reasoning := reasoning_of(plain):
            made["reasoning_content"] = reasoning
        messages.append(made)
    return messages


def _tool_result(block: JsonObject) -> dict[str, Any]:
    content = result_of(block.data.get("output"))
    made = {"role": "tool", "tool_call_id": block.text("tool_use_id") or "", "content": content}
    if block.flag("is_error"):
        made["is_error"] = True
    return made


def result_of(output: Any) -> Any:
    """A tool's output: its text where it is nothing but text, else the blocks as they are."""
    blocks = output.get("content") if isinstance(output, dict) else output
    if isinstance(blocks, list) and all(
        isinstance(block, dict)
        and block.get("type") == "text"
        and isinstance(block.get("text"), str)
        for block in blocks
    ):
        return "\n".join(block["text"] for block in blocks)
    return output


def messages_out(messages: list[Any]) -> tuple[str | None, list[dict[str, Any]]]:
    """The system prompt and the messages, in blocks."""
    system: str | None = None
    written: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        given = message if isinstance(message, dict) else {"role": "user", "content": message}
        role, content = given.get("role"), given.get("content")
        if role == "system":
            if index == 0 and isinstance(content, str):
                system = content
            else:
                written.append({"role": "system", "content": text_or_json(content)})
        elif role == "tool":
            block = {
                "type": "tool_result",
                "tool_use_id": str(given.get("tool_call_id", "")),
                "output": {"content": _blocks(content), "truncated": False},
                "is_error": bool(given.get("is_error", False)),
            }
            before = written[-1]["content"] if written and written[-1]["role"] == "user" else None
            if before and before[-1]["type"] == "tool_result":
                before.append(block)
            else:
                written.append({"role": "user", "content": [block]})
        elif role == "assistant":
            blocks = response_blocks(
                content, given.get("tool_calls"), given.get("reasoning_content")
            )
            written.append({"role": "assistant", "content": blocks})
        else:
            written.append({"role": "user", "content": _blocks(content)})
    return system, written


def text_or_json(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _blocks(content: Any) -> list[dict[str, Any]]:
    if content is None:
        return []
    if isinstance(content, list) and all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in content
    ):
        return [
            dict(part) if part["type"] in _OURS else _text_block(text_or_json(part))
            for part in content
        ]
    return [_text_block(text_or_json(content))]


_OURS: Final = ("text", "thinking", "image", "document", "audio", "citation")


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def response_blocks(content: Any, calls: Any, reasoning: Any) -> list[dict[str, Any]]:
    """An assistant's content: thinking, text, the tools it calls."""
    blocks: list[dict[str, Any]] = []
    if isinstance(reasoning, str) and reasoning:
        blocks.append({"type": "thinking", "thinking": reasoning})
    calls = as_list(calls)
    if content not in (None, "") or not calls:
        blocks += _blocks("" if content is None else content)
    for call in calls:
        if not isinstance(call, dict):
            continue
        function = as_object(call.get("function"))
        blocks.append(
            {
                "type": "tool_use",
                "id": str(call.get("id") or ""),
                "name": str(function.get("name") or ""),
                "input": tool_input(function.get("arguments")),
            }
        )
    return blocks


def tool_input(arguments: Any) -> Any:
    """Arguments as data; text that is no JSON object stays as it is, none are `{}`."""
    if arguments in (None, ""):
        return {}
    if isinstance(arguments, str):
        try:
            decoded = json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments
        return decoded if isinstance(decoded, dict) else arguments
    return arguments


# --- what is asked for beside the messages

_PARAMS: Final = ("max_tokens", "temperature", "stop_sequences", "tools", "cache_hints")
_PREFIX: Final = "convtui."


def params_in(request: JsonObject) -> dict[str, Any]:
    """Everything of a request but its messages."""
    params = request.rest("messages", "system", "extensions")
    params = drop_none(params)
    extensions = request.inner("extensions")
    for name, value in (extensions.data if extensions is not None else {}).items():
        params[name.removeprefix(_PREFIX)] = value
    return params


def params_out(params: Any, tools: Any) -> dict[str, Any]:
    """The parameters of a request; those they have no name for are extensions."""
    known: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    for name, value in as_object(params).items():
        if name in _PARAMS:
            known[name] = value
        else:
            extensions[name if "." in name else _PREFIX + name] = value
    if tools is not None:
        extensions[f"{_PREFIX}tools"] = tools
    return {**known, **({"extensions": extensions} if extensions else {})}
