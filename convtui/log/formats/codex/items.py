"""The rows of a session of Codex as messages: the items of a response are one reply.

Versions differ in the order of what belongs to a reply: figures of usage come before its items or
after them, results of its calls among them or after all of them. A response has one row of figures
in each of them, which may be repeated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.formats.chat.messages import Message, plain, text_of
from convtui.log.formats.json_files import Item
from convtui.records.times import parse_time
from convtui.records.values import as_list, as_object, as_text, drop_none

ENVELOPES: Final = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")
"""The types of rows by which a session is known; there are more."""
_TWICE: Final = (
    "user_message", "agent_message", "agent_reasoning", "agent_reasoning_raw_content",
    "agent_reasoning_section_break", "context_compacted",
)  # fmt: skip
_TWICE_AS_ITEM: Final = ("UserMessage", "AgentMessage", "Reasoning")
_PUT_IN: Final = (
    "<environment_context>", "<user_instructions>", "# AGENTS.md instructions",
    "<permissions instructions>", "<turn_aborted>",
)  # fmt: skip
_CALLS: Final = ("function_call", "custom_tool_call", "local_shell_call", "web_search_call")
_RESULTS: Final = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")
_USAGE: Final = {
    "prompt_tokens": "input_tokens", "completion_tokens": "output_tokens",
    "cached_tokens": "cached_input_tokens", "reasoning_tokens": "reasoning_output_tokens",
}  # fmt: skip
_EXIT: Final = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d{1,9})$", re.MULTILINE)
_EXIT_WITHIN: Final = 300
"""Characters at the beginning of a result among which its exit code stands."""


def messages_of(rows: list[Item]) -> list[Message]:
    """What a session says, in order; what is no message is an event."""
    session = _Session(records=any(_type(row) == "token_usage_record" for row in rows))
    for row in rows:
        session.read(row)
    for message in session.messages:
        if message.role == "tool" and message.call_id in session.failed:
            message.failed = True
    return session.messages


def _type(row: Item) -> str:
    return as_text(as_object(row.value).get("type"))


@dataclass(slots=True)
class _Session:
    """What the rows so far have told."""

    records: bool
    """Whether the figures of a reply have rows of their own, after it."""
    messages: list[Message] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    """Ids of the calls that are said to have failed outside their results."""
    _reply: Message | None = None
    """The one that more items may belong to."""
    _last: Message | None = None
    """The reply that is followed by no message of the user yet."""
    _figures: dict[str, Any] | None = None
    """Those that came before their reply."""
    _came_first: bool = False
    """Whether those of the last reply did."""
    _total: Any = None
    _model: str = ""

    def read(self, row: Item) -> None:
        """The next row."""
        data = as_object(row.value)
        type_ = as_text(data.get("type"))
        enveloped = isinstance(data.get("payload"), Mapping)
        item = as_object(data["payload"]) if enveloped else data
        kind = as_text(item.get("type"))
        message = Message("", "", row.address, row.line, at=_seconds(data))
        if type_ == "token_usage_record":
            self._count(_usage(as_object(item.get("usage"))))
        elif type_ == "compacted":
            self._compacted(item, message)
        elif type_ == "event_msg":
            self._event(kind, item, message)
        elif enveloped and type_ != "response_item":
            self._model = as_text(item.get("model")) or self._model
            self._keep(type_, item, message)
        elif kind in ("reasoning", *_CALLS) or (
            kind == "message" and item.get("role") == "assistant"
        ):
            self._of_reply(kind, item, message)
        else:
            self._said(kind, item, message)

    def _keep(self, event: str, content: Any, message: Message) -> None:
        message.event, message.content = event[:40] or "unknown", plain(content)
        message.role = ""
        self.messages.append(message)

    # --- replies

    def _of_reply(self, kind: str, item: Mapping[str, Any], message: Message) -> None:
        reply = self._reply
        if reply is not None and kind == "message" and (reply.text or reply.calls):
            reply = None
        if reply is None and kind in _CALLS and self._came_first and self._figures is None:
            # The result of a call before it in the same response stands between them.
            reply = self._last
        if reply is None:
            reply = message
            reply.role, reply.model = "assistant", self._model or None
            reply.usage, self._figures = self._figures, None
            self._came_first = reply.usage is not None
            self.messages.append(reply)
        self._reply = self._last = reply
        if kind == "message":
            _fill(reply, item.get("content"))
        elif kind == "reasoning":
            thought = _thought(item)
            reply.reasoning = f"{reply.reasoning}\n{thought}" if reply.reasoning else thought
        else:
            self._call(kind, item, reply)
        if reply.at is not None and message.at is not None:
            reply.at = max(reply.at, message.at)

    def _call(self, kind: str, item: Mapping[str, Any], reply: Message) -> None:
        given = item.get("arguments", item.get("input", item.get("action")))
        function = {"name": item.get("name") or kind.removesuffix("_call"), "arguments": given}
        id_ = as_text(item.get("call_id") or item.get("id"))
        if kind != "web_search_call":
            reply.calls.append({"id": id_, "type": "function", "function": function})
            return
        # It was made and answered where the model is: how it went is all that is known of it.
        id_ = id_ or f"{kind}_{len(self.messages)}"
        reply.calls.append({"id": id_, "type": "function", "function": function})
        status = as_text(item.get("status"))
        result = Message("tool", status, reply.address, reply.line, call_id=id_, at=reply.at)
        self.messages.append(result)
        self._reply = None

    def _count(self, figures: dict[str, Any] | None) -> None:
        """Figures of the response whose items were the last, or come next."""
        if self._last is not None and (self.records or self._last.usage is None):
            self._last.usage = figures
        elif not self.records:
            self._figures = figures

    # --- what comes between them

    def _said(self, kind: str, item: Mapping[str, Any], message: Message) -> None:
        self._reply = None
        if kind in _RESULTS:
            _fill_result(message, item)
        elif kind != "message":
            self._keep(kind, dict(item), message)
            return
        else:
            message.role = as_text(item.get("role"))
            _fill(message, item.get("content"))
            if message.role == "user" and message.text.lstrip().startswith(_PUT_IN):
                self._keep("put_in", message.text, message)
                return
            if message.role == "user":
                self._last = None
        self.messages.append(message)

    def _event(self, kind: str, item: Mapping[str, Any], message: Message) -> None:
        if kind == "token_count":
            info = as_object(item.get("info"))
            last = as_object(info.get("last_token_usage"))
            total = info.get("total_token_usage") or last
            if not self.records and last and total != self._total:
                self._count(_usage(last))
                self._total = total
            return
        done = as_object(item.get("item"))
        if kind in _TWICE or (kind == "item_completed" and done.get("type") in _TWICE_AS_ITEM):
            return
        ended = done if kind == "item_completed" else item
        if ended.get("exit_code") not in (None, 0):
            self.failed.add(as_text(ended.get("call_id") or ended.get("id")))
        if kind == "thread_rolled_back":
            self._roll_back(item.get("num_turns"))
        self._keep(kind, dict(item), message)

    def _roll_back(self, turns: Any) -> None:
        """The last turns of the user, and all that came of them, are in the history no more."""
        self._reply = self._last = None
        left = turns if isinstance(turns, int) else 0
        for message in reversed(self.messages):
            if left <= 0:
                return
            if message.active and message.role:
                message.active = False
                left -= message.role == "user"

    def _compacted(self, item: Mapping[str, Any], message: Message) -> None:
        self._reply, last, self._last = None, self._last, None
        message.text, message.summary = as_text(item.get("message")), True
        if last is not None and last.text and message.text.endswith(last.text):
            # The reply that was asked for the summary: nobody has heard it.
            last.event, last.content = (
                "summary",
                drop_none({"text": last.text, "usage": last.usage}),
            )
            last.role = ""
        self._keep("compacted", dict(item), message)


def _seconds(data: Mapping[str, Any]) -> float | None:
    at = parse_time(as_text(data.get("timestamp")))
    return at.timestamp() if at is not None else None


def _thought(item: Mapping[str, Any]) -> str:
    parts = [*as_list(item.get("summary")), *as_list(item.get("content"))]
    texts = [as_text(as_object(part).get("text")) for part in parts]
    return "\n".join(text for text in texts if text) or "[encrypted]"


def _fill(message: Message, content: Any) -> None:
    """Text and parts of a message, or of a result."""
    if isinstance(content, str):
        message.text = content
        return
    parts = as_list(content)
    message.text = text_of(parts)
    if any("text" not in as_object(part) for part in parts):
        message.content = plain(list(parts))


def _fill_result(message: Message, item: Mapping[str, Any]) -> None:
    output = item.get("output")
    body = as_object(output)
    message.role, message.call_id = "tool", as_text(item.get("call_id"))
    _fill(message, body.get("content") if body else output)
    message.failed = body.get("success") is False or _exit_code(message.text) != 0


def _exit_code(text: str) -> int:
    """What a result of a shell says about how its command ended; 0 where it says nothing."""
    if text.startswith('{"'):
        try:
            said = as_object(as_object(json.loads(text)).get("metadata")).get("exit_code")
        except (ValueError, RecursionError):
            return 0
        return said if isinstance(said, int) else 0
    stated = _EXIT.search(text, 0, _EXIT_WITHIN)
    return int(stated[1]) if stated else 0


def _usage(used: Mapping[str, Any]) -> dict[str, Any] | None:
    known = {ours: used.get(theirs) for ours, theirs in _USAGE.items()}
    return {name: value for name, value in known.items() if isinstance(value, int)} or None
