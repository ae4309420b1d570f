"""Whether a filter finds a turn of a conversation, while it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convtui.errors import ConvtuiError, FilterError
from convtui.filters.filter import Filter, decide, parse
from convtui.log.filter_lookup import log_matches
from convtui.log.reader import open_log
from convtui.records.models import RecordDict

if TYPE_CHECKING:
    from convtui.engine.conversation.runner import Conversation

_LOOK_AT: Final = frozenset(
    {"turn.committed", "turn.discarded", "turn.skipped", "llm.failed", "session.ended",
     "user.ended"}
)  # fmt: skip
"""Records after which a turn may match that did not before, and after which its own records may be
gone from memory."""


class Matching:
    """Applies a filter to a conversation's turns: each while it is the last, once and for all.

    `expression` is None for one that finds nothing.
    """

    def __init__(self, expression: Filter | None) -> None:
        self._expression = expression
        self._matched = False

    def matches(self, conversation: Conversation) -> bool:
        """Whether a turn matches, the one in progress included."""
        return self._matched or self._last_matches(conversation)

    def on_record(self, conversation: Conversation, data: RecordDict) -> None:
        """Looks at the last turn where it has just come to something."""
        if not self._matched and data.get("type") in _LOOK_AT:
            self._matched = self._last_matches(conversation)

    def _last_matches(self, conversation: Conversation) -> bool:
        expression = self._expression
        transcript = conversation.journal.transcript
        if expression is None or not transcript.header:
            return False
        if not expression.about_turns:
            return decide(expression.on_header(transcript))
        if not transcript.turns:
            return False
        lookup = conversation.breakpoints.records
        return decide(expression.on_turn(transcript.turns[-1], transcript, lookup))

    async def look_back(self, conversation: Conversation) -> None:
        """Looks at the turns before the last as well, in the log and in a thread."""
        expression = self._expression
        if expression is not None and expression.about_turns and not self._matched:
            path = conversation.journal.writer.path
            self._matched = await asyncio.to_thread(_in_log, path, expression) or self._matched


def _in_log(path: Path, expression: Filter) -> bool:
    with contextlib.suppress(ConvtuiError, OSError), open_log(path) as log:
        return log_matches(log, expression)
    return False


def matching_for(expression: str) -> Callable[[], Matching | None]:
    """Makes the `Matching` of each conversation; None where there is no filter."""
    if not expression.strip():
        return lambda: None
    found: Filter | None = None
    with contextlib.suppress(FilterError):
        found = parse(expression)
    return lambda: Matching(found)
