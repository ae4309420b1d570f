"""The turns of one session, until something ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from convtui.engine.core.pending import Pending
from convtui.engine.core.state import ConversationState, SessionState
from convtui.engine.resume.state import ResumeState
from convtui.engine.turn.outcomes import Discarded, Ended, Overruled
from convtui.engine.turn.pipeline import Rules, acting_matches, discarded, ending
from convtui.engine.turn.terminate import user_is_done
from convtui.engine.turn.turn import Turns
from convtui.records.models import Speaker, Termination
from convtui.scenario.scenario import Scenario


class TurnLoop:
    """`between_turns` is called after each turn; it may cancel the conversation."""

    def __init__(
        self,
        scenario: Scenario,
        state: ConversationState,
        turns: Turns,
        seed: ResumeState | None,
        *,
        between_turns: Callable[[], None],
    ) -> None:
        self._scenario = scenario
        self._state = state
        self._turns = turns
        self._seed = seed
        self._between_turns = between_turns

    async def run(self, session: SessionState, *, continued: bool) -> Termination:
        """Takes turns until the session ends; `continued` begins where the parent log stopped."""
        pending: Pending | None = None
        speaker: Speaker | None = None
        if continued and self._seed is not None:
            termination = await self._settle(session, self._seed)
            if termination is not None:
                return termination
            pending = self._seed.pending
            speaker = pending.speaker if pending else self._seed.speaks_next
        speaker = speaker or _next_speaker(session)
        task = asyncio.current_task()
        while True:
            outcome = await self._turns.take(speaker, pending)
            pending = None
            match outcome:
                case Ended():
                    return outcome.termination
                case Discarded(same_side=True) | Overruled():
                    pass
                case _:
                    speaker = _other(speaker)
            self._between_turns()
            if task is not None and task.cancelling():
                await asyncio.sleep(0)  # it ends here

    async def _settle(self, session: SessionState, seed: ResumeState) -> Termination | None:
        """Decides whether the parent's last turn ends the session, where the parent did not."""
        unsettled = seed.unsettled
        if unsettled is None:
            return None
        last = session.turns[-1] if session.turns else None
        speaker: Speaker = "persona"
        termination: Termination | None = None
        at = last.turn if last else 0
        if unsettled["kind"] == "user":
            termination = user_is_done(unsettled["reason"], unsettled.get("sentinel"), at)
        elif unsettled["kind"] == "discard":
            speaker = unsettled["speaker"]
            at = int(unsettled["turn"])
            rules = self._rules(session, speaker, at)
            termination = discarded(rules, acting_matches(rules, seed.matches))
        elif last is not None:
            speaker = last.speaker
            rules = self._rules(session, speaker, last.turn)
            termination = ending(rules, acting_matches(rules, seed.matches), last.text)
        if termination is None:
            return None
        return await self._turns.settle(session, speaker, at, termination)

    def _rules(self, session: SessionState, speaker: Speaker, number: int) -> Rules:
        return Rules(
            speaker=speaker,
            on_signal=self._scenario.on_signal,
            global_signal=self._scenario.termination_signal,
            at_turn=number,
            caps=lambda: self._state.caps(session, number),
        )


def _next_speaker(session: SessionState) -> Speaker:
    last = session.last_speaker
    return session.first_speaker if last is None else _other(last)


def _other(speaker: Speaker) -> Speaker:
    return "provider" if speaker == "persona" else "persona"
