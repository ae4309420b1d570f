"""Content in blocks, as Anthropic's messages have it: a message of theirs is one or more of ours.

Results of tools stand among the blocks of a user message there; calls and thoughts among those of
an assistant message. A block of any other kind stays a part of the content.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, message_of, text_of
from convtui.records.values import as_text

_CALLS: Final = ("tool_use", "server_tool_use", "mcp_tool_use")
_RESULTS: Final = (
    "tool_result", "web_search_tool_result", "mcp_tool_result", "code_execution_tool_result",
)  # fmt: skip
_THOUGHTS: Final = ("thinking", "redacted_thinking")
BLOCKS: Final = frozenset((*_CALLS, *_RESULTS, *_THOUGHTS))
"""The kinds of blocks that are no content."""


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
            thoughts.append(as_text(block.get("thinking")) or f"[{kind}]")
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
    if all(_kind(block) == "text" and set(block) <= {"type", "text"} for block in blocks):
        return text_of(blocks)
    return blocks


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": block.get("name"), "arguments": block.get("input")}
    return {"id": block.get("id"), "type": "function", "function": function}


def _result(block: Mapping[str, Any], address: str, line: int | None) -> Message:
    content = block.get("content")
    text = content if isinstance(content, str) else text_of(content) if content is not None else ""
    result = Message("tool", text, address, line, call_id=as_text(block.get("tool_use_id")))
    if isinstance(content, list) and any(_kind(part) != "text" for part in content):
        result.content = content
    if block.get("is_error") is True:
        result.more["is_error"] = True
        result.failed = True
    return result
