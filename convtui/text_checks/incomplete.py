"""Replies that did not come to their end, or are none: why, in a word each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from convtui.text.boundary import one_line

REASONS: Final[dict[str, str]] = {
    "stream_died": "the stream died before the reply was complete",
    "refusal": "the model refused",
    "content_filter": "a content filter cut it off",
    "reasoning_only": "there is reasoning and no reply",
    "length": "cut off at the length limit",
    "no_finish": "the endpoint gave no finish reason",
}
"""Every reason in words; where several hold, the first of them is the one that is named."""

_FINISH: Final = {
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_completion_tokens": "length",
    "model_length": "length",
    "max_length": "length",
    "error_limit": "length",
    "token_limit": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "contentfilter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "guardrail_intervened": "content_filter",
    "guardrails": "content_filter",
    "language": "content_filter",
    "image_safety": "content_filter",
    "image_prohibited_content": "content_filter",
    "image_recitation": "content_filter",
    "model_armor": "content_filter",
    "sensitive": "content_filter",
    "error_toxic": "content_filter",
    "refusal": "refusal",
    "refused": "refusal",
} | dict.fromkeys(
    (
        "error", "network_error", "server_error", "abort", "aborted", "cancel", "cancelled",
        "canceled", "user_cancel", "interrupted", "timeout", "time_limit", "incomplete", "failed",
        "insufficient_system_resource", "malformed_function_call", "malformed_response",
        "unexpected_tool_call", "too_many_tool_calls", "other", "image_other", "no_image",
    ),
    "stream_died",
)  # fmt: skip
"""What endpoints call it, in lower case."""
_PREFIX: Final = ("finish_reason_", "finishreason.", "stop_reason_")
"""What stands before it where the name of an enumeration is sent."""


def finish_means(finish_reason: object) -> str:
    """The reason for being incomplete that a finish reason means; empty for an ordinary end."""
    if not isinstance(finish_reason, str):
        return ""
    name = finish_reason.strip().lower()
    for prefix in _PREFIX:
        name = name.removeprefix(prefix)
    return _FINISH.get(name.replace("-", "_").replace(" ", "_"), "")


def reason_of(response: Mapping[str, Any]) -> str:
    """Why the reply of a record is incomplete: as recorded, else as its finish reason says."""
    return str(response.get("incomplete") or "") or finish_means(response.get("finish_reason"))


def first_reason(reasons: set[str]) -> str:
    """The most important of several reasons; empty for none."""
    return next((reason for reason in REASONS if reason in reasons), "")


def in_words(reason: str, finish_reason: object = None) -> str:
    """`cut off at the length limit`, with the finish reason where that adds something."""
    words = REASONS.get(reason, reason)
    other = finish_means(finish_reason)
    if other == "stream_died":
        broken = f"the endpoint broke it off (finish reason {one_line(str(finish_reason), 40)})"
        return broken if other == reason else f"{words}; {broken}"
    return f"{words} ({REASONS[other]})" if other and other != reason else words
