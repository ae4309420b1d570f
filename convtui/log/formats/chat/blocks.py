"""Content in blocks: a message of Anthropic, the AI SDK or LLaMA-Factory is one or more of ours.

Results of tools stand among the blocks of a message there; calls and thoughts among those of an
assistant message. A block of any other kind stays a part of the content.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, message_of, plain, text_of
from convtui.records.values import as_object, as_text

_CALLS: Final = ("tool_use", "server_tool_use", "mcp_tool_use", "tool-call", "tool_call")
_RESULTS: Final = (
    "tool_result", "web_search_tool_result", "mcp_tool_result", "code_execution_tool_result",
    "tool-result",
)  # fmt: skip
_THOUGHTS: Final = ("thinking", "redacted_thinking", "reasoning")
BLOCKS: Final = frozenset((*_CALLS, *_RESULTS, *_THOUGHTS))
"""The kinds of blocks that are no content."""
_IDS: Final = ("id", "toolCallId", "tool_call_id")
_ANSWERED: Final = ("tool_use_id", "toolCallId", "tool_call_id")
_NAMES: Final = ("name", "toolName")
_ARGUMENTS: Final = ("input", "args", "arguments")
_RETURNED: Final = ("content", "output", "result")
_THOUGHT: Final = ("thinking", "reasoning", "text", "value")


def has_blocks(content: Any) -> bool:
    """Whether content has blocks that are no content of the message itself."""
    return isinstance(content, list) and any(_kind(block) in BLOCKS for block in content)


def messages_of(data: Any, address: str, line: int | None = None) -> Iterator[Message]:
    """The messages that an item of a list of messages stands for, in order."""
    content = data.get("content") if isinstance(data, Mapping) else None
    if not has_blocks(content):
        yield message_of(data, address, line)
        return
    assert isinstance(content, list)
    own: list[Any] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[str] = []
    results: list[Message] = []
    for index, block in enumerate(content):
        kind = _kind(block)
        if kind in _CALLS:
            calls.append(_call(block))
        elif kind in _RESULTS:
            results.append(_result(block, f"{address}: content[{index}]", line))
        elif kind in _THOUGHTS:
            thoughts.append(as_text(_first(block, _THOUGHT)) or f"[{kind}]")
        else:
            own.append(block)
    assistant = data.get("role") == "assistant"
    if not assistant:
        # What came back from tools was there before the user said more.
        yield from results
    if own or calls or thoughts or not results:
        rest = {name: value for name, value in data.items() if name != "content"}
        message = message_of({**rest, "content": _simple(own)}, address, line)
        message.calls += calls
        message.reasoning = "\n".join(thoughts) or message.reasoning
        yield message
    if assistant:
        yield from results


def _kind(block: Any) -> str:
    return as_text(block.get("type")) if isinstance(block, Mapping) else ""


def _simple(blocks: list[Any]) -> Any:
    """The blocks as text, where there is nothing but text in them."""
    plainly = ({"type", "text"}, {"type", "value"})
    if all(_kind(block) == "text" and set(block) in plainly for block in blocks):
        return text_of(blocks)
    return blocks


def _first(block: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """What stands under the first of these names that is there."""
    return next((block[name] for name in names if block.get(name) is not None), None)


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(block.get("value"), str):
        # The call as a text of JSON.
        try:
            block = {**as_object(json.loads(block["value"]))}
        except (ValueError, RecursionError):
            block = {"arguments": block["value"]}
    function = {"name": _first(block, _NAMES), "arguments": _first(block, _ARGUMENTS)}
    return {"id": _first(block, _IDS), "type": "function", "function": function}


def _result(block: Mapping[str, Any], address: str, line: int | None) -> Message:
    content = _first(block, _RETURNED)
    failed = block.get("is_error") is True or block.get("isError") is True
    if isinstance(content, Mapping) and "value" in content:
        failed = failed or as_text(content.get("type")).startswith("error")
        content = content["value"]
    text = content if isinstance(content, str) else text_of(content) if content is not None else ""
    result = Message("tool", text, address, line, call_id=as_text(_first(block, _ANSWERED)))
    result.name = as_text(block.get("toolName"))
    if isinstance(content, list) and any(_kind(part) != "text" for part in content):
        result.content = plain(content)
    if failed:
        result.more["is_error"] = True
        result.failed = True
    return result
