"""Sessions of Codex (`rollout-*.jsonl`): what the model was given and answered, item by item.

What was said stands twice, as an item of a response and as an event for the screen: the items are
read. Texts that the program puts in before a user has spoken are events here, not turns. Files of
the first versions have the items without an envelope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.messages import Message, plain, text_of
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import Item, items
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "codex"
_ENVELOPES: Final = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")
_TWICE: Final = ("user_message", "agent_message", "agent_reasoning", "agent_reasoning_raw_content",
                 "agent_reasoning_section_break")  # fmt: skip
_PUT_IN: Final = ("<environment_context>", "<user_instructions>", "# AGENTS.md instructions",
                  "<permissions instructions>", "<turn_aborted>")  # fmt: skip
_CALLS: Final = ("function_call", "custom_tool_call", "local_shell_call", "web_search_call")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")
_USAGE: Final = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens",
                 "cached_tokens": "cached_input_tokens",
                 "reasoning_tokens": "reasoning_output_tokens"}  # fmt: skip


def _is_value(value: Any) -> bool:
    row = as_object(value)
    if row.get("type") in _ENVELOPES and isinstance(row.get("payload"), Mapping):
        return True
    # The first versions: a header of its own.
    return {"id", "timestamp", "instructions"} <= set(row) and "role" not in row


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    rows = list(items(path, damage))
    meta: dict[str, Any] = {}
    model = ""
    for row in rows:
        data = as_object(row.value)
        payload = as_object(data.get("payload"))
        if data.get("type") == "session_meta" or (not meta and "instructions" in data):
            meta = payload or data
        elif data.get("type") == "turn_context":
            model = model or as_text(payload.get("model"))
    written = as_text(meta.get("timestamp")) or as_text(
        as_object(rows[0].value).get("timestamp") if rows else None
    )
    git = as_object(meta.get("git"))
    yield Chat(
        NAME,
        path,
        lambda: _messages(rows),
        session_id=as_text(meta.get("id")),
        provider="codex",
        model=model,
        created=parse_time(written),
        created_from="timestamp",
        created_zone=zone_of(written),
        details=drop_none(
            {
                **{name: meta.get(name) for name in ("cwd", "cli_version", "originator")},
                "branch": git.get("branch"),
                "instructions": meta.get("instructions"),
            }
        ),
    )


def _messages(rows: list[Item]) -> Iterator[Message]:
    reply: Message | None = None
    """The reply that is being put together: thoughts, text and calls until something comes back."""
    for row in rows:
        data = as_object(row.value)
        item = as_object(data.get("payload")) if data.get("type") in _ENVELOPES else data
        at = parse_time(as_text(data.get("timestamp")))
        seconds = at.timestamp() if at is not None else None
        kind = as_text(item.get("type"))
        of_reply = kind == "reasoning" or kind in _CALLS or (
            kind == "message" and item.get("role") == "assistant"
        )  # fmt: skip
        if data.get("type") == "response_item" or data.get("type") not in _ENVELOPES:
            if of_reply:
                if reply is not None and kind == "message" and (reply.text or reply.calls):
                    yield reply
                    reply = None
                reply = reply or Message("assistant", "", row.address, row.line)
                reply.at = seconds
                _add(reply, kind, item)
                continue
            if reply is not None and kind in ("message", *_RESULTS):
                yield reply
                reply = None
            yield _item(item, kind, row, seconds)
            continue
        used = as_object(as_object(item.get("info")).get("last_token_usage"))
        if kind == "token_count" and reply is not None and used:
            reply.usage = _usage(used)
        elif data.get("type") == "compacted":
            if reply is not None:
                yield reply
                reply = None
            yield Message("assistant", as_text(item.get("message")), row.address, row.line,
                          at=seconds, summary=True)  # fmt: skip
        elif kind not in (*_TWICE, "token_count"):
            content = plain(dict(item))
            name = kind if data.get("type") == "event_msg" else as_text(data.get("type"))
            yield Message("", "", row.address, row.line, event=name[:40] or "unknown",
                          content=content, at=seconds)  # fmt: skip
    if reply is not None:
        yield reply


def _add(reply: Message, kind: str, item: Mapping[str, Any]) -> None:
    if kind == "message":
        reply.text = text_of(as_list(item.get("content")))
    elif kind == "reasoning":
        parts = [*as_list(item.get("summary")), *as_list(item.get("content"))]
        texts = [as_text(as_object(part).get("text")) for part in parts]
        thought = "\n".join(text for text in texts if text) or "[encrypted]"
        reply.reasoning = f"{reply.reasoning}\n{thought}" if reply.reasoning else thought
    else:
        given = item.get("arguments", item.get("input", item.get("action")))
        function = {"name": item.get("name") or kind.removesuffix("_call"), "arguments": given}
        id_ = item.get("call_id") or item.get("id")
        reply.calls.append({"id": id_, "type": "function", "function": function})


def _item(item: Mapping[str, Any], kind: str, row: Item, at: float | None) -> Message:
    if kind in _RESULTS:
        output = item.get("output")
        body = as_object(output)
        text = as_text(body.get("content")) if body else text_of(output)
        return Message("tool", text, row.address, row.line, call_id=as_text(item.get("call_id")),
                       at=at, failed=body.get("success") is False)  # fmt: skip
    if kind == "message":
        text = text_of(as_list(item.get("content")))
        role = as_text(item.get("role"))
        if role == "user" and text.lstrip().startswith(_PUT_IN):
            return Message("", "", row.address, row.line, event="put_in", content=text, at=at)
        return Message(role, text, row.address, row.line, at=at)
    return Message("", "", row.address, row.line, event=(kind or "unknown")[:40],
                   content=plain(dict(item)), at=at)  # fmt: skip


def _usage(used: Mapping[str, Any]) -> dict[str, Any] | None:
    known = {ours: used.get(theirs) for ours, theirs in _USAGE.items()}
    return {name: value for name, value in known.items() if isinstance(value, int)} or None


FORMAT = ChatFiles("sessions of Codex", _is_value, _chats).format(
    NAME,
    "sessions of Codex (rollout-*.jsonl), single or a folder",
    ("payload", "timestamp", "type"),
)
