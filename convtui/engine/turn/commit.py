"""Writes committed and discarded turns into the history and the log."""

from __future__ import annotations

from typing import Literal

from convtui.engine.core.state import ConversationState
from convtui.engine.turn.context import Attempt, TurnContext
from convtui.engine.turn.pipeline import Hooks, StageResult
from convtui.engine.turn.utterance import Utterance
from convtui.providers.base import HistoryTurn
from convtui.records.models import Speaker, TurnCommitted, TurnDiscarded
from convtui.text.boundary import word_count
from convtui.text_checks.reasoning import reasoning_size, says_nothing
from convtui.text_checks.text_checks import TextChecks


class TurnWriter:
    """Writes turns that passed stage `commit` or were discarded."""

    def __init__(self, context: TurnContext, state: ConversationState, checks: TextChecks) -> None:
        self._context = context
        self._state = state
        self._checks = checks

    def commit(
        self, attempt: Attempt, utterance: Utterance, result: StageResult, hooks: Hooks
    ) -> None:
        """Adds the turn to the history."""
        session, speaker = attempt.session, attempt.speaker
        text = result.said
        reply = result.text if result.interim else None
        metadata = {**utterance.metadata, **(result.metadata or {}), **hooks.metadata()}
        flags = self._checks.notice(session.index, speaker, text, utterance.interim)
        messages = tuple(utterance.messages)
        self._state.commit(
            session,
            HistoryTurn(session.index, attempt.turn, speaker, text, messages, metadata, reply),
        )
        self._context.journal.emit_soon(
            TurnCommitted,
            revision=result.revision if result.revision > 1 else None,
            speaker=speaker,
            text=text,
            words=word_count(text),
            metadata=metadata or None,
            human=utterance.human or None,
            edited=attempt.edits.edited or None,
            empty=says_nothing(text) or None,
            truncated=utterance.truncated or None,
            would_have=result.would_have,
            draft=utterance.draft,
            flags=flags or None,
            interim=self._context.scenario.interim if utterance.interim else None,
            reply=reply,
            incomplete=utterance.incomplete or None,
            error_text=result.error_text,
            reasoning_cut=reasoning_cut(speaker, result.raw, text) or None,
        )
        self._context.journal.on_committed()
        attempt.edits.seal()

    def discard(
        self,
        attempt: Attempt,
        utterance: Utterance,
        result: StageResult,
        outcome: Literal["end", "retry", "skip"],
    ) -> None:
        """Records a discarded turn; `outcome` is what follows from it."""
        self._context.journal.emit_here(
            TurnDiscarded,
            revision=result.revision if result.revision > 1 else None,
            speaker=attempt.speaker,
            text=result.text or "",
            raw=result.raw,
            signals=[match.as_dict() for match in result.matches],
            hook="should_discard_response",
            outcome=outcome,
            human=utterance.human or None,
            interim=self._context.scenario.interim if utterance.interim else None,
            incomplete=utterance.incomplete or None,
            error_text=result.error_text,
        )
        attempt.edits.seal()
        if outcome == "retry":
            attempt.session.retries += 1


def reasoning_cut(speaker: Speaker, raw: str, text: str) -> int:
    """Characters of reasoning that are hidden from the other side."""
    shown = reasoning_size(text)
    return shown if speaker == "provider" else max(0, reasoning_size(raw) - shown)
