"""What a log says that another format may have no place for, in words: one list for all exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from convtui.records.codec import RecordDict

RECORDS: Final[Mapping[str, str]] = {
    "turn.discarded": "discarded turns",
    "turn.inactive": "inactive turns",
    "turn.skipped": "skipped turns",
    "turn.cancelled": "cancelled calls",
    "history.seeded": "turns said before this log began",
    "llm.failed": "failed calls",
    "llm.retry": "retries",
    "tool.called": "tool calls",
    "tool.approved": "approved tool calls",
    "tool.denied": "denied tool calls",
    "user.decided": "decisions of the simulated user",
    "user.ended": "endings by the simulated user",
    "context.seeded": "contexts from earlier sessions",
    "context.compressed": "summaries of the history",
    "reflection.added": "reflections",
    "budget.crossed": "crossed budgets",
    "budget.raised": "raised budgets",
    "provider.output": "captured outputs",
    "provider.restored": "restorations of the provider",
    "provider.reload_failed": "failed reloads",
    "debug.held": "holds",
    "debug.edited": "edits by hand",
    "debug.overrode": "overridden endings and discards",
    "debug.injected": "injected faults",
    "debug.took_over": "takeovers by a human",
    "warning": "warnings",
}
"""Types of records, each with what one of them is; those that are nothing to a reader are not here.
"""

USAGE: Final = "usage"
ENDINGS: Final = "endings"
SESSION_ENDINGS: Final = "session endings"
SIGNALS: Final = "signals"
RAW: Final = "raw replies"


def _has(name: str) -> Callable[[RecordDict], bool]:
    return lambda record: bool(record.get(name))


_PARTS: Final[Mapping[str, tuple[tuple[str, str, Callable[[RecordDict], bool]], ...]]] = {
    "llm.response": ((USAGE, "usage figures of a reply", _has("usage")),),
    "conversation.ended": ((ENDINGS, "ending of the conversation", _has("termination")),),
    "session.ended": ((SESSION_ENDINGS, "endings of sessions", _has("termination")),),
    "signals.extracted": ((SIGNALS, "extracted signals", _has("matches")),),
    "response.processed": ((RAW, "raw replies that a hook changed", _has("changed")),),
}
"""What is a part of a record: its name, what it is, and whether a record has it."""


def left_out(kind: str, record: RecordDict, placed: frozenset[str]) -> list[str]:
    """What of a record is lost to a format that has a place for what is `placed`."""
    if kind in RECORDS:
        return [] if kind in placed else [RECORDS[kind]]
    return [
        words for name, words, is_there in _PARTS.get(kind, ())
        if name not in placed and is_there(record)
    ]  # fmt: skip
