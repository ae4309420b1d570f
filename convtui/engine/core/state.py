"""The state of a conversation: committed turns by session, and counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convtui.engine.core.reflections import Reflection
from convtui.models.base import Message
from convtui.providers.base import HistoryTurn
from convtui.records.models import Speaker, Termination
from convtui.scenario.scenario import Scenario
from convtui.simulators.base import user_visible
from convtui.text.boundary import word_count
from convtui.text.counts import counted
from convtui.warm.templates import WarmContext

_SUMMARY = "Summary of the conversation so far:"


@dataclass(slots=True)
class SessionState:
    """One session's history and counters."""

    index: int
    session_type: str
    first_speaker: Speaker
    turns: list[HistoryTurn] = field(default_factory=list)
    """Committed turns."""
    visible: list[HistoryTurn] = field(default_factory=list)
    """The committed turns as a user can see them."""
    counts: Counter[str] = field(default_factory=Counter)
    """The number of committed turns by speaker."""
    numbers: int = 0
    """Turn numbers given out, discarded turns included."""
    words: int = 0
    """Shown words of both sides."""
    skips: int = 0
    """Consecutive discards of one side that were skipped."""
    skipped: Speaker | None = None
    """The side whose discards `skips` counts."""
    retries: int = 0
    """Consecutive discards that were retried."""
    messages: list[Message] = field(default_factory=list)
    """The provider's chat of this session, without the system prompt and the warm context."""
    warm: WarmContext | None = None
    """Context from a warm start, sent before the chat."""
    reflections: tuple[Reflection, ...] = ()
    """What earlier attempts have taught, sent with the system prompt."""

    def skip(self, speaker: Speaker) -> None:
        """Counts a discard of `speaker` after which the other side goes on."""
        self.skips += 1
        self.skipped = speaker
        self.retries = 0

    @property
    def last_speaker(self) -> Speaker | None:
        """The speaker of the last committed turn."""
        return self.turns[-1].speaker if self.turns else None


class ConversationState:
    """All sessions so far, and the caps that count over them."""

    def __init__(self, scenario: Scenario, warm: WarmContext | None = None) -> None:
        self.scenario = scenario
        self.warm = warm
        """The warm start of every session, if any."""
        self.reflections: tuple[Reflection, ...] = ()
        """What earlier attempts have taught, in their order; part of the system prompt."""
        self.prepared: list[str] = []
        self.sessions: dict[int, SessionState] = {}
        self.current: SessionState | None = None
        self.provider_metadata: dict[str, Any] = {}

    def open_session(self, index: int, session_type: str, first_speaker: Speaker) -> SessionState:
        """Starts a session with an empty history."""
        session = SessionState(
            index, session_type, first_speaker, warm=self.warm, reflections=self.reflections
        )
        self.sessions[index] = session
        self.current = session
        return session

    def commit(self, session: SessionState, turn: HistoryTurn) -> None:
        """Adds a turn to the history."""
        if not session.turns and turn.speaker == "provider":
            # Chat APIs want a user message first; this is what the provider was asked with.
            prompt = self.scenario.provider.start_prompt
            session.messages.append({"role": "user", "content": prompt})
        session.turns.append(turn)
        session.visible.append(user_visible(turn))
        session.counts[turn.speaker] += 1
        session.words += word_count(turn.text)
        session.retries = 0
        if turn.speaker == session.skipped:
            session.skips, session.skipped = 0, None
        session.messages.extend(turn.messages)
        role = "user" if turn.speaker == "persona" else "assistant"
        content = turn.text if turn.reply is None else turn.reply
        session.messages.append({"role": role, "content": content})
        if turn.speaker == "provider" and turn.metadata:
            self.provider_metadata = dict(turn.metadata)

    def compress(self, session: SessionState, summary: str) -> None:
        """Replaces what the provider is sent of a session by a summary."""
        session.messages = [{"role": "user", "content": f"{_SUMMARY}\n\n{summary}"}]

    def visible(self, session: SessionState) -> list[HistoryTurn]:
        """The turns that the simulated user remembers, as it can see them; not to be modified."""
        if self.scenario.persona_memory == "session":
            return session.visible
        return [turn for held in self._up_to(session) for turn in held.visible]

    def visible_counts(self, session: SessionState) -> Mapping[str, int]:
        """How many turns each side has in `visible()`."""
        if self.scenario.persona_memory == "session":
            return session.counts
        return sum((held.counts for held in self._up_to(session)), Counter[str]())

    def _up_to(self, session: SessionState) -> list[SessionState]:
        return [self.sessions[index] for index in sorted(self.sessions) if index <= session.index]

    def counted(self, session: SessionState) -> int:
        """The committed turns that `max_turns` counts."""
        if self.scenario.turns_scope == "session":
            return len(session.turns)
        return sum(len(held.turns) for held in self.sessions.values())

    def cap(self, session: SessionState) -> int:
        """The effective `max_turns`: one more where the persona would have the last word."""
        limit = self.scenario.limits.max_turns
        before = self.counted(session) - len(session.turns)
        left = max(0, limit - before)
        even_is_provider = session.first_speaker == "persona"
        ends_with_provider = (left % 2 == 0) == even_is_provider
        return limit if ends_with_provider and left else limit + 1

    def caps(self, session: SessionState, at_turn: int) -> Termination | None:
        """The turn cap or the word limit, when a committed turn has reached it.

        "Provider last" follows from who spoke last; numbers may have gaps where turns were
        discarded.
        """
        limits = self.scenario.limits
        last = session.last_speaker
        if (
            limits.max_total_words is not None
            and last == "provider"
            and session.words >= limits.max_total_words
        ):
            return Termination(
                kind="word_limit",
                by="harness",
                reason=f"{counted(session.words, 'word')}, the limit is {limits.max_total_words}",
                at_turn=at_turn,
            )
        count, most = self.counted(session), limits.max_turns
        # A provider that was asked in vain, as where its reply was skipped, is not asked again.
        in_vain = count > most and [turn.speaker for turn in session.turns[-2:]] == ["persona"] * 2
        if count >= most and (last == "provider" or in_vain):
            more = " and one more for the provider's last word" * (
                count == most + 1 and not in_vain
            )
            return Termination(
                kind="max_turns",
                by="harness",
                reason=f"{counted(count, 'turn')}, the limit is {most}{more}",
                at_turn=at_turn,
            )
        return None

    def message_lists(self) -> dict[str, list[Message]]:
        """Each side's message list of the current session, for `history.seeded`."""
        session = self.current
        if session is None:
            return {"persona": [], "provider": []}
        return {
            "persona": [
                {
                    "role": "assistant" if turn.speaker == "persona" else "user",
                    "content": turn.text,
                }
                for turn in self.visible(session)
            ],
            "provider": list(session.messages),
        }
