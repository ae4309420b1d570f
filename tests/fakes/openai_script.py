"""What the loopback server answers: scripted replies, faults on request, and a small talk.

A fault is asked for with a directive, `NAME[=VALUE][xCOUNT]`; several are joined with `!`. `xCOUNT`
limits it to the first COUNT requests that carry the directive, later ones are answered as if it
were not there. A directive stands

- behind the model name: `provider-1!429x2`, `provider-1!slow=5!drop=3`,
- in the header `x-fake-fault: 429x2`,
- in the last user message: `[[fault:empty]]`.

| directive | what happens | value |
|---|---|---|
| `401` `400` `404` `422` `500` `503` ... | that status with an error object | |
| `429` | rate limited, with Retry-After | seconds or an HTTP date, default 1 |
| `quota` | 429 `insufficient_quota` | |
| `context` | 400 `context_length_exceeded` | |
| `first` | the first token comes late | seconds, default 2 |
| `slow` | tokens come slowly | tokens per second, default 10 |
| `drop` | the connection is closed in mid-stream | after so many tokens, default 2 |
| `malformed` | a chunk that is no JSON | after so many tokens, default 2 |
| `errormid` | an error object in mid-stream | after so many tokens, default 2 |
| `hang` | nothing more comes | after so many tokens, default 0, before the headers |
| `empty` | a reply without text | |
| `huge` | a reply of many characters | how many, default 1,000,000 |
| `usage-none` | no usage, even when it was asked for | |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

END = "<END OF CONVERSATION>"
_DIRECTIVE = re.compile(r"([a-z]+(?:-[a-z]+)*|\d{3})(?:=([^!]*?))?(?:x(\d+))?")
_IN_MESSAGE = re.compile(r"\[\[fault:([^\]]+)\]\]")
_QUOTED = re.compile(r'^(?:You said|About) ".*"[.:] ')
_TOKEN = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class FakeCall:
    """A tool call of a scripted reply; `arguments` is the JSON text to be sent, valid or not."""

    name: str
    arguments: str = "{}"
    id: str = ""


@dataclass(frozen=True, slots=True)
class FakeReply:
    """One scripted answer. All times are seconds; "after" counts tokens of text already sent."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[FakeCall, ...] = ()
    finish_reason: str | None = None
    """None: `tool_calls` when there are any, else `stop`."""
    missing_index: bool = False
    """Tool call pieces are sent without their index, one call after the other."""
    piece: int = 4
    """Characters of arguments in one piece of a tool call."""
    status: int = 200
    error: Mapping[str, Any] | None = None
    """The error object of a status other than 200, or of `error_after`."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    """Sent as it is in place of the whole body."""
    events: tuple[Mapping[str, Any] | str | bytes, ...] = ()
    """The chunks of a stream in place of those of the reply: an object as it is, a text as the data
    of an event, bytes just as they are."""
    done: bool = True
    """Whether `[DONE]` comes after `events`."""
    first_delay: float = 0.0
    tokens_per_second: float | None = None
    drop_after: int | None = None
    malformed_after: int | None = None
    error_after: int | None = None
    hang_after: int | None = None
    usage: bool = True
    model: str | None = None
    """The model the answer claims to come from; None: the one that was asked for."""


def chunk(
    delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any
) -> dict[str, Any]:
    """One chunk of a stream, for `FakeReply.events`; without a delta it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    named = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**named, "choices": choices, **more}


def answer(message: Mapping[str, Any], finish: str | None = "stop", **more: Any) -> FakeReply:
    """A whole answer with this message."""
    choices = [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}]
    named = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
    return FakeReply(body=json.dumps({**named, "choices": choices, **more}))


@dataclass(frozen=True, slots=True)
class Directive:
    """One parsed fault directive."""

    name: str
    value: str | None
    count: int | None


def parse_directives(text: str) -> tuple[Directive, ...]:
    """The directives of `429=0x2!slow`; raises ValueError for what is none."""
    found = []
    for part in filter(None, text.split("!")):
        match = _DIRECTIVE.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"not a fault directive: {part!r}")
        name, value, count = match.groups()
        found.append(Directive(name, value or None, int(count) if count else None))
    return tuple(found)


def directives_of(model: str, headers: Mapping[str, str], messages: Sequence[Any]) -> str:
    """All directives of a request, joined with `!`; empty when it carries none."""
    parts = [model.partition("!")[2], headers.get("x-fake-fault", "")]
    parts += _IN_MESSAGE.findall(last_user_text(messages))
    return "!".join(filter(None, parts))


def apply_directive(reply: FakeReply, directive: Directive) -> FakeReply:
    """`reply` with one fault in it. Raises ValueError for an unknown name."""
    name, value = directive.name, directive.value
    if name.isdigit():
        status = int(name)
        return replace(
            reply,
            status=status,
            error=error_object(status),
            headers={"Retry-After": value or "1"} if status == 429 else {},
        )
    tokens = int(value) if value and value.isdigit() else 2
    match name:
        case "quota":
            message = "You exceeded your current quota, please check your plan and billing details."
            error = {"message": message, "type": "insufficient_quota", "code": "insufficient_quota"}
            return replace(reply, status=429, error=error)
        case "context":
            message = (
                "This model's maximum context length is 4096 tokens. However, your messages "
                "resulted in 5000 tokens. Please reduce the length of the messages."
            )
            error = {
                "message": message,
                "type": "invalid_request_error",
                "param": "messages",
                "code": "context_length_exceeded",
            }
            return replace(reply, status=400, error=error)
        case "first":
            return replace(reply, first_delay=float(value or 2))
        case "slow":
            return replace(reply, tokens_per_second=float(value or 10))
        case "drop":
            return replace(reply, drop_after=tokens)
        case "malformed":
            return replace(reply, malformed_after=tokens)
        case "errormid":
            return replace(reply, error_after=tokens, error=error_object(429))
        case "hang":
            return replace(reply, hang_after=int(value or 0))
        case "empty":
            return replace(reply, text="", reasoning="", tool_calls=())
        case "huge":
            size = int(value or 1_000_000)
            word = "seat" * 250 + " "  # long words, so that the chunks are few
            return replace(reply, text=(word * (size // len(word) + 1))[:size])
        case "usage-none":
            return replace(reply, usage=False)
    raise ValueError(f"unknown fault: {name!r}")


_ERRORS: dict[int, tuple[str, str, str | None]] = {
    400: ("The request is not understood.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("This key may not use this model.", "permission_error", None),
    404: ("The model does not exist.", "invalid_request_error", "model_not_found"),
    422: ("A parameter has an unsupported value.", "invalid_request_error", None),
    429: ("Rate limit reached for requests.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", "server_error", None),
}


def error_object(status: int) -> dict[str, Any]:
    """The `error` object an OpenAI-compatible endpoint sends with `status`."""
    message, kind, code = _ERRORS.get(
        status, (f"The server answers {status}.", "server_error", None)
    )
    return {"message": message, "type": kind, "param": None, "code": code}


def tokens(text: str) -> list[str]:
    """`text` in pieces, one a word with the white space before it; joined they are `text`."""
    return _TOKEN.findall(text)


def pieces_of_calls(reply: FakeReply) -> list[list[dict[str, Any]]]:
    """The `delta.tool_calls` of each chunk of a streamed reply.

    With an index the pieces of several calls are dealt out in turn; without one, call after call,
    which is the only way in which a client can tell them apart.
    """
    by_call: list[list[dict[str, Any]]] = []
    for index, call in enumerate(reply.tool_calls):
        at = {} if reply.missing_index else {"index": index}
        head = {"name": call.name, "arguments": ""}
        pieces = [{**at, "id": call_id(call, index), "type": "function", "function": head}]
        for start in range(0, len(call.arguments), reply.piece):
            piece = call.arguments[start : start + reply.piece]
            pieces.append({**at, "function": {"arguments": piece}})
        by_call.append(pieces)
    if reply.missing_index:
        return [[piece] for pieces in by_call for piece in pieces]
    longest = max(map(len, by_call), default=0)
    return [[pieces[i] for pieces in by_call if i < len(pieces)] for i in range(longest)]


def usage_of(body: Mapping[str, Any], reply: FakeReply) -> dict[str, Any]:
    """The `usage` object: tokens as `tokens()` counts them."""
    prompt = len(tokens(json.dumps(body["messages"])))
    thought = len(tokens(reply.reasoning))
    said = len(tokens(reply.text)) + thought
    said += sum(len(tokens(call.arguments)) + 1 for call in reply.tool_calls)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said,
        "total_tokens": prompt + said,
        "completion_tokens_details": {"reasoning_tokens": thought},
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def whole_answer(
    base: Mapping[str, Any], reply: FakeReply, reason: str, usage: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call_id(call, index),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(reply.tool_calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": reason}
    data = {**base, "object": "chat.completion", "choices": [choice]}
    return {**data, "usage": usage} if reply.usage else data


def call_id(call: FakeCall, index: int) -> str:
    """The id of a tool call, made up when the script gives none."""
    return call.id or f"call_{index + 1}"


def content_text(message: Any) -> str:
    """The text of a message whose content is a string or a list of parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        return " ".join(str(p.get("text", "")) for p in content if isinstance(p, dict))
    return content if isinstance(content, str) else ""


def last_user_text(messages: Sequence[Any]) -> str:
    """The text of the last user message, or an empty string."""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return content_text(message)
    return ""


_CUSTOMER = (
    "Hello, I booked a flight to Lisbon and need to move it to Friday.",
    "My booking code is TRAVEL7. Is there a morning flight?",
    "How much would it cost to change to that one?",
    "That is more than I expected. Is a refund possible instead?",
    "All right, then please book the Friday flight.",
)
_AGENT = (
    (("hello", "hi"), "Good morning, this is travel support. May I have your booking code?"),
    (
        ("refund", "cancel"),
        "A refund takes five working days and costs 30 euros. Shall I go ahead?",
    ),
    (("cost", "price", "much"), "The change costs 45 euros, the difference in fare included."),
    (("book", "friday"), "I have moved you to Friday, 09:40, seat 14C. Is there anything else?"),
    (("code", "morning"), "Thank you, I found it: there is a flight at 09:40 and one at 11:15."),
)


def default_reply(model: str, body: Mapping[str, Any], persona_turns: int) -> FakeReply:
    """The deterministic answer to a request that no script covers.

    Models `persona-*` speak as a customer and end the conversation after `persona_turns` turns of
    theirs; `responder-*` decide with the tools `responder_reply` and `responder_stop`; every other
    model speaks as a travel support agent, and calls an offered tool that the last user message
    names. Each reply quotes what it answers.
    """
    messages = body.get("messages") or []
    heard = " ".join(_IN_MESSAGE.sub("", last_user_text(messages)).split())
    heard = _QUOTED.sub("", heard)  # what the other side quoted was ours
    spoken = sum(1 for m in messages if isinstance(m, dict) and m.get("role") == "assistant")
    offered = [
        str(tool.get("function", {}).get("name", ""))
        for tool in body.get("tools") or []
        if isinstance(tool, dict)
    ]
    quote = heard if len(heard) <= 40 else heard[:39].rsplit(" ", 1)[0] + "…"
    if model.startswith("responder") and "responder_reply" in offered:
        if spoken >= persona_turns and "responder_stop" in offered:
            return FakeReply(tool_calls=(FakeCall("responder_stop"),))
        answer = json.dumps({"answer": f'About "{quote}": yes, please.'})
        return FakeReply(tool_calls=(FakeCall("responder_reply", answer),))
    if model.startswith("persona"):
        if spoken >= persona_turns:
            return FakeReply(text=f"Thank you, that is all I needed. {END}")
        line = _CUSTOMER[spoken % len(_CUSTOMER)]
        return FakeReply(text=line if spoken == 0 else f'You said "{quote}". {line}')
    asked = [name for name in offered if name and name in heard]
    after_tool = (
        bool(messages) and isinstance(messages[-1], dict) and (messages[-1].get("role") == "tool")
    )
    if asked and not after_tool:
        return FakeReply(tool_calls=tuple(FakeCall(name) for name in asked))
    if after_tool:
        return FakeReply(text=f"The tool says: {content_text(messages[-1])}")
    words = set(re.findall(r"[a-z]+", heard.lower()))
    for keys, line in _AGENT:
        if words.intersection(keys):
            return FakeReply(text=f'About "{quote}": {line}')
    return FakeReply(text=f'About "{quote}": let me look into that. Could you tell me more?')
