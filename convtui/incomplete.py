"""Replies that did not come to their end, or are none: why, in a word each."""

from __future__ import annotations

from typing import Final

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
    "refusal": "refusal",
    "refused": "refusal",
}
"""What endpoints call it, in lower case."""


def finish_means(finish_reason: object) -> str:
    """The reason that a finish reason of an endpoint stands for; empty for an ordinary one."""
    return _FINISH.get(finish_reason.strip().lower(), "") if isinstance(finish_reason, str) else ""


def first_reason(reasons: set[str]) -> str:
    """The reason that is named where several hold; empty for none."""
    return next((reason for reason in REASONS if reason in reasons), "")


def in_words(reason: str, finish_reason: object = None) -> str:
    """`cut off at the length limit`; with what the finish reason says, where that says more."""
    words = REASONS.get(reason, reason)
    other = finish_means(finish_reason)
    return f"{words} ({REASONS[other]})" if other and other != reason else words
