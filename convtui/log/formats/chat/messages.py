"""The messages of a chat, by role and content, whichever tool has written them down.

Reading them never fails: what is of the wrong kind is kept as it is, with a sentence about it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.json_objects import kind_of, parse_json
from convtui.records.times import parse_time
from convtui.records.values import as_text

COMPACTION: Final = ("[CONTEXT COMPACTION", "[CONTEXT SUMMARY]:")
"""What a message begins with that stands for earlier ones."""
_ENCODED: Final = ("\x00json:", "\x01json:")
"""What content begins with that is no plain text, in the database."""
_PARTS: Final = frozenset(
    {
        "text", "input_text", "output_text", "image", "image_url", "input_image", "audio",
        "input_audio", "file", "document", "video_url",
    }
)  # fmt: skip
_TEXTS: Final = ("text", "input_text", "output_text")
_READ: Final = frozenset(
    {
        "role", "content", "tool_calls", "tool_call_id", "tool_name", "name", "timestamp",
        "finish_reason", "reasoning", "active", "compacted", "session_id", "id",
    }
)  # fmt: skip
_SPELLED: Final = {
    "toolCalls": "tool_calls", "toolCallId": "tool_call_id", "toolName": "tool_name",
}  # fmt: skip
"""Keys as JavaScript has them, and ours."""
_DECODED: Final = ("reasoning_details", "codex_reasoning_items", "codex_message_items")
_MAX_TIME: Final = 1e11


@dataclass(slots=True)
class Message:
    """One message. `address` names it in its file, in sentences about it."""

    role: str
    text: str
    address: str
    line: int | None = None
    """The line of the file, where every message has one of its own."""
    content: Any = None
    """What stands in the place of `text`, where that is not all: parts, an object."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    settled: bool = False
    """Whether files of its kind need not say what its calls have returned."""
    call_id: str = ""
    name: str = ""
    """The tool's."""
    failed: bool = False
    """Of a tool's result: the file says that the tool failed."""
    at: float | None = None
    """Seconds since the epoch."""
    finish: str | None = None
    model: str | None = None
    """What gave the reply, where every message says so."""
    usage: dict[str, Any] | None = None
    """Of this reply: `prompt_tokens`, `completion_tokens`, `cost`, ... as far as they are known."""
    duration: float | None = None
    """Seconds that the reply took."""
    response_id: str | None = None
    reasoning: str | None = None
    raw: str | None = None
    """The text with the tags in which reasoning and calls were written."""
    event: str = ""
    """Of what is no message: the name of the event, whose data is `content`."""
    summary: bool = False
    """Whether the file says that it stands for messages before it."""
    active: bool = True
    compacted: bool = False
    id: Any = None
    more: dict[str, Any] = field(default_factory=dict)
    """What else is there."""
    problems: list[str] = field(default_factory=list)

    @property
    def why_inactive(self) -> str:
        """A word for a message that is in the history no more."""
        return "compacted" if self.compacted else "rewound"

    @property
    def is_summary(self) -> bool:
        """Whether it stands for messages that were compacted."""
        spoken = self.role in ("user", "assistant", "system")
        return self.summary or (spoken and self.text.startswith(COMPACTION))

    def digest(self) -> bytes:
        """What makes it the message that it is, wherever it is written down."""
        parts = [
            self.role, self.raw or self.text, self.content, self.calls, self.call_id, self.name,
            self.reasoning, self.finish, self.active, self.at,
        ]  # fmt: skip
        return json.dumps(parts, sort_keys=True).encode()


def message_of(data: Any, address: str, line: int | None = None) -> Message:
    """A message of any of the files; `data` is what stands there."""
    if not isinstance(data, Mapping):
        message = Message("", "", address, line, content=plain(data))
        message.problems.append(f"{address}: is no message, but {kind_of(data)}")
        return message
    fields = {
        _SPELLED.get(str(key), str(key)): plain(value)
        for key, value in data.items()
        if value is not None
    }
    message = Message(as_text(fields.get("role")), "", address, line, id=fields.get("id"))
    if not message.role and "role" in fields:
        what = (
            "is empty" if fields["role"] == "" else f"must be text, not {kind_of(fields['role'])}"
        )
        message.problems.append(f"{address}: role {what}")
        message.more["role"] = fields["role"]
    content = _content(fields.get("content"))
    if isinstance(content, str):
        message.text = content
    elif content is not None:
        message.text, message.content = text_of(content), content
        if not isinstance(content, (list, dict)):
            message.problems.append(f"{address}: content must be text, not {kind_of(content)}")
    message.calls = _calls(fields.get("tool_calls"), message)
    message.call_id = as_text(fields.get("tool_call_id"))
    message.name = as_text(fields.get("tool_name") or fields.get("name"))
    message.at = _time(fields.get("timestamp"))
    message.finish = as_text(fields.get("finish_reason")) or None
    for name in _DECODED:
        if isinstance(fields.get(name), str):
            fields[name] = _decoded(fields[name])
    message.reasoning = _reasoning(fields)
    message.active = fields.get("active", 1) not in (0, False)
    message.compacted = fields.get("compacted", 0) not in (0, False)
    message.more |= {
        name: value
        for name, value in fields.items()
        if name not in _READ and not (name == "reasoning_content" and value == message.reasoning)
    }
    if "timestamp" in fields and message.at is None:
        message.more["timestamp"] = fields["timestamp"]
    return message


def plain(value: Any) -> Any:
    """A value as JSON can hold it: bytes as base64, numbers that JSON has no word for as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return {"base64": base64.b64encode(value).decode()}
    return value


def text_of(content: Any) -> str:
    """The text among the parts of a message; what is no text is named in brackets."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return json.dumps(content, ensure_ascii=False)
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text", part.get("value")) if isinstance(part, dict) else part
        if isinstance(text, str) and kind in (None, *_TEXTS):
            texts.append(text)
        else:
            texts.append(f"[{kind if isinstance(kind, str) else kind_of(part)}]")
    return "\n".join(texts)


def text_of_result(value: Any) -> str:
    """What a tool returned, as the text of a message."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def result_of(content: str) -> tuple[Any, bool]:
    """The value of a tool's result, and whether it says all that the text does."""
    if content[:1] not in ("{", "["):
        return content, True
    value = _decoded(content)
    if isinstance(value, str):
        return content, True
    return value, json.dumps(value, ensure_ascii=False) == content


def failure_of(result: Any) -> str | None:
    """The kind of failure that a tool's result says in so many words; None where it says none.

    Exit codes that the tool itself explains as no error (of a search that found nothing) are none.
    """
    if not isinstance(result, dict):
        return None
    code = result.get("exit_code")
    if isinstance(code, int) and not isinstance(code, bool) and code != 0:
        meaning = result.get("exit_code_meaning")
        harmless = isinstance(meaning, str) and "not an error" in meaning.lower()
        return None if harmless else "exit_code"
    if result.get("error"):
        return "error"
    said_no = any(result.get(name) is False for name in ("ok", "success"))
    return "failed" if said_no or result.get("failed") is True else None


def _content(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith(_ENCODED):
        decoded = _decoded(value[6:])
        return value if isinstance(decoded, str) else decoded
    if value.startswith("[{"):
        # Older databases have no mark before content that is no plain text.
        decoded = _decoded(value)
        if isinstance(decoded, list) and all(
            isinstance(part, dict) and part.get("type") in _PARTS for part in decoded
        ):
            return decoded
    return value


def _decoded(text: str) -> Any:
    try:
        return parse_json(text.encode("utf-8", "surrogatepass"), "")
    except FileError:
        return text


def _calls(value: Any, message: Message) -> list[dict[str, Any]]:
    given = _decoded(value) if isinstance(value, str) else value
    if given in (None, "", []):
        return []
    calls = given if isinstance(given, list) else [given]
    good = [call for call in calls if isinstance(call, dict)]
    if len(good) < len(calls):
        message.problems.append(f"{message.address}: tool_calls is no list of calls")
        message.more["tool_calls"] = value
    return good


def _reasoning(fields: Mapping[str, Any]) -> str | None:
    for name in ("reasoning", "reasoning_content"):
        if isinstance(fields.get(name), str) and fields[name]:
            return str(fields[name])
    details = fields.get("reasoning_details")
    texts = [
        part.get(name)
        for part in (details if isinstance(details, list) else [])
        if isinstance(part, dict)
        for name in ("summary", "thinking", "text")
    ]
    return "\n".join(text for text in texts if isinstance(text, str) and text) or None


def _time(value: Any) -> float | None:
    if isinstance(value, str):
        at = parse_time(value)
        value = at.timestamp() if at is not None else None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if number and 0 < value < _MAX_TIME else None
