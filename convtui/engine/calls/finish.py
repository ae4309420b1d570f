"""Judges whether a reply is complete, and if not, why."""

from __future__ import annotations

from collections.abc import Callable

from convtui.models.base import Reply
from convtui.text.boundary import near_empty
from convtui.text_checks.incomplete import finish_means, first_reason
from convtui.text_checks.reasoning import reasoning_spans, split_reasoning

_SILENT = (
    "the endpoint has sent no finish reason so far: whether a reply was cut off cannot be told,"
    " and its replies are not flagged for that any more"
)


class FinishJudge:
    """Judges the replies of a conversation, side by side.

    An endpoint that never gives a finish reason is noted once: from its second reply on, a missing
    one says nothing about the single reply.
    """

    def __init__(self) -> None:
        self._gave_one: set[str] = set()
        self._silent: dict[str, int] = {}

    def judge(
        self,
        side: str,
        reply: Reply,
        *,
        died: bool,
        own_code: bool,
        silent: Callable[[str], None],
    ) -> str:
        """The reason why `reply` is incomplete; empty for one that is whole.

        `died` says that its stream broke off, `own_code` that the developer's code answered, which
        need not give a finish reason. `silent` is told once that an endpoint gives none.
        """
        reasons = {finish_means(reply.finish_reason)}
        if died:
            reasons.add("stream_died")
        if reply.refused:
            reasons.add("refusal")
        if _only_reasoning(reply):
            reasons.add("reasoning_only")
        if reply.finish_reason:
            self._gave_one.add(side)
        elif not own_code and not died and self._is_missing(side, silent):
            reasons.add("no_finish")
        return first_reason(reasons)

    def _is_missing(self, side: str, silent: Callable[[str], None]) -> bool:
        if side in self._gave_one:
            return True
        before = self._silent.get(side, 0)
        self._silent[side] = before + 1
        if before == 1:
            silent(_SILENT)
        return before == 0


def _only_reasoning(reply: Reply) -> bool:
    if reply.tool_calls:
        return False
    text = reply.text
    if not reasoning_spans(text):
        return near_empty(text) and bool(reply.reasoning.strip())
    split = split_reasoning(text)
    return near_empty(split.text) and bool(split.reasoning.strip() or reply.reasoning.strip())
