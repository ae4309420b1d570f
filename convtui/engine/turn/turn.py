"""One turn: somebody is asked, the reply goes through the pipeline, the gate is passed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from convtui.engine.calls.calls import Caller
from convtui.engine.core.gate import Gate
from convtui.engine.core.journal import Journal
from convtui.engine.core.pending import Pending
from convtui.engine.core.sides import CheckedHooks
from convtui.engine.core.state import ConversationState, SessionState
from convtui.engine.tools.tools import Toolbox
from convtui.engine.turn.context import (
    AskAgainError,
    EndsAfterAllError,
    SkipTurnError,
    TakenBackError,
    TurnContext,
    TurnResult,
    Utterance,
)
from convtui.engine.turn.pipeline import Outcome, Rules, StageResult, after_discard, pipeline
from convtui.engine.turn.stages import StageGate
from convtui.engine.turn.utterance import UtteranceSource
from convtui.providers.base import HistoryTurn, Provider
from convtui.records.models import (
    Speaker,
    Termination,
    TurnCommitted,
    TurnDiscarded,
    TurnSkipped,
    TurnStarted,
    UserEnded,
)
from convtui.simulators.base import (
    Abstain,
    CapExhausted,
    EndConversation,
    Stop,
    UserAction,
    UserSimulator,
)
from convtui.text.boundary import word_count
from convtui.text_checks.error_texts import error_in, error_in_metadata
from convtui.text_checks.reasoning import reasoning_size, says_nothing


class Turns:
    """Takes turns for both sides."""

    def __init__(
        self,
        *,
        journal: Journal,
        gate: Gate,
        caller: Caller,
        state: ConversationState,
        provider: Provider,
        simulator: UserSimulator,
        toolbox: Toolbox,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._table = TurnContext(
            journal, gate, caller, state, provider, simulator, toolbox, redact
        )
        # What was said before a continuation can be repeated, too.
        self._table.noticer.restore(
            (turn.session, turn.speaker, turn.text)
            for index in sorted(state.sessions)
            for turn in state.sessions[index].turns
        )
        self.speakers = UtteranceSource(self._table)
        self._stages = StageGate(self._table)
        self._hooks = {"provider": CheckedHooks(provider), "persona": CheckedHooks(simulator)}

    # --- a turn

    async def take(self, speaker: Speaker, pending: Pending | None = None) -> TurnResult:
        """Takes the next turn.

        Raises `ConversationError` when it failed and nobody dealt with it, and
        `InterruptedRunError` when it would have to wait for somebody who is not there.
        """
        session = self._table.state.current
        assert session is not None
        session.numbers = pending.number if pending else session.numbers + 1
        number = session.numbers
        attempt = pending.attempt if pending else session.retries + 1
        self._stages.empties = 0
        self._table.params = {}
        while True:
            self._place(session, number, speaker, attempt)
            self._stages.begin()
            human = speaker in self.speakers.taken_over and pending is None
            self._table.journal.emit_here(TurnStarted, speaker=speaker, human=human or None)
            try:
                said = await self.speakers.words(session, speaker, pending)
                return await self._came_of(session, speaker, said)
            except AskAgainError as again:
                attempt += 1
                pending = None
                self._table.params = again.params
            except EndsAfterAllError as end:
                return TurnResult("end", end.termination)
            except SkipTurnError:
                self._table.journal.emit_here(TurnSkipped, reason="skipped by hand")
                return TurnResult("skip")

    async def _came_of(
        self, session: SessionState, speaker: Speaker, said: Utterance | UserAction
    ) -> TurnResult:
        """What comes of what was said, or of what the simulated user did instead."""
        while True:
            try:
                if isinstance(said, Utterance):
                    return await self._through(session, speaker, said)
                return await self._user_is_done(session, said)
            except TakenBackError as taken:
                assert self._table.reconsider is not None
                said = await self._table.reconsider(taken.told)

    async def settle(
        self, session: SessionState, speaker: Speaker, number: int, termination: Termination
    ) -> Termination | None:
        """Stage `terminate` of what was said or dropped in the parent log, after turn `number`."""
        if number:
            self._place(session, number, speaker, 1)
        draft = StageResult("terminate", "", termination=termination)
        await self._stages.ending(draft)
        return draft.termination

    def _place(self, session: SessionState, number: int, speaker: Speaker, attempt: int) -> None:
        place = self._table.journal.place
        place.session, place.turn = session.index, number
        place.side, place.attempt = speaker, attempt

    # --- the pipeline

    async def _through(
        self, session: SessionState, speaker: Speaker, words: Utterance
    ) -> TurnResult:
        rules = self._rules(session, speaker)
        hooks = self._hooks[speaker]
        stages = pipeline(words.raw, hooks, rules, words.interim)
        holds_again: str | None = None
        draft = next(stages)
        while True:
            self._stages.record(draft)
            if draft.stage in ("discard", "commit") and speaker == "provider" and not words.human:
                draft.error_text = error_text_of(draft, {**words.metadata, **hooks.metadata()})
            holds_again = await self._stages.passed(draft, session, words, holds_again)
            if draft.stage == "commit" and holds_again is None:
                self._commit(session, speaker, draft, words)
            elif draft.stage == "discard" and draft.discard and holds_again is None:
                self._discard(session, speaker, draft, words, after_discard(rules))
            try:
                draft = stages.send(draft)
            except StopIteration as stop:
                outcome: Outcome = stop.value
                break
        return await self._came_out(session, speaker, outcome, words)

    def _rules(self, session: SessionState, speaker: Speaker) -> Rules:
        scenario = self._table.scenario
        number = self._table.number
        on_discard = scenario.on_discard
        return Rules(
            speaker=speaker,
            on_signal=scenario.on_signal,
            on_discard=on_discard.action,
            retries_left=max(0, on_discard.retries - session.retries),
            skips_left=max(0, 1 - session.skips),
            global_signal=scenario.termination_signal,
            at_turn=number,
            caps=lambda: self.speakers.budget.out or self._table.state.caps(session, number),
            says_interim=scenario.interim == "say",
        )

    # --- how it came out

    def _commit(
        self, session: SessionState, speaker: Speaker, draft: StageResult, words: Utterance
    ) -> None:
        text = draft.said
        reply = draft.text if draft.interim else None
        metadata = {**words.metadata, **(draft.metadata or {})}
        hooks = self._hooks[speaker]
        metadata.update(hooks.metadata())
        noticed = self._table.noticed(session.index, speaker, text, words.interim)
        messages = tuple(words.messages)
        number = self._table.number
        self._table.state.commit(
            session,
            HistoryTurn(session.index, number, speaker, text, messages, metadata, reply),
        )
        self._table.journal.emit_here(
            TurnCommitted,
            revision=draft.revision if draft.revision > 1 else None,
            speaker=speaker,
            text=text,
            words=word_count(text),
            metadata=metadata or None,
            human=words.human or None,
            edited=self._table.edits.edited or None,
            empty=says_nothing(text) or None,
            truncated=words.truncated or None,
            would_have=draft.would_have,
            draft=words.draft,
            flags=noticed or None,
            interim=self._table.scenario.interim if words.interim else None,
            reply=reply,
            incomplete=words.incomplete or None,
            error_text=draft.error_text,
            reasoning_cut=reasoning_cut(speaker, draft.raw, text) or None,
        )
        self._table.edits.seal()

    def _discard(
        self,
        session: SessionState,
        speaker: Speaker,
        draft: StageResult,
        words: Utterance,
        outcome: Literal["end", "retry", "skip"],
    ) -> None:
        self._table.journal.emit_here(
            TurnDiscarded,
            revision=draft.revision if draft.revision > 1 else None,
            speaker=speaker,
            text=draft.text or "",
            raw=draft.raw,
            signals=[match.as_dict() for match in draft.matches],
            hook="should_discard_response",
            outcome=outcome,
            human=words.human or None,
            interim=self._table.scenario.interim if words.interim else None,
            incomplete=words.incomplete or None,
            error_text=draft.error_text,
        )
        self._table.edits.seal()
        if outcome == "retry":
            session.retries += 1

    async def _came_out(
        self, session: SessionState, speaker: Speaker, outcome: Outcome, words: Utterance
    ) -> TurnResult:
        if outcome.result == "skip":
            session.skips += 1
            session.skipped = speaker
            session.retries = 0
        if outcome.result == "commit" and words.then is not None and outcome.termination is None:
            return await self._user_is_done(session, words.then, said=True)
        if outcome.termination is None:
            # Its ending was overridden; it does not come back with every turn.
            self.speakers.budget.out = None
        return TurnResult(outcome.result, outcome.termination)

    async def _user_is_done(
        self, session: SessionState, action: UserAction, *, said: bool = False
    ) -> TurnResult:
        """The simulated user ends, stops or abstains; with `said` after its last words.

        Where that is overridden the provider answers those words, else the user is asked again.
        """
        at_turn = session.turns[-1].turn if session.turns else 0
        if isinstance(action, EndConversation):
            self._table.journal.emit_here(
                UserEnded,
                simulator=self._table.simulator.kind,
                reason=action.reason,
                dropped_text=action.dropped_text or None,
                sentinel=action.sentinel or None,
            )
            termination = user_is_done(action.reason, action.sentinel or None, at_turn)
        elif isinstance(action, Stop):
            termination = Termination(
                kind="stopped", by=action.by, reason=action.reason, at_turn=at_turn
            )
        elif isinstance(action, CapExhausted):
            termination = Termination(
                kind="cap_exhausted",
                by="responder",
                reason=action.reason,
                at_turn=at_turn,
                detail=would_have_decided(action),
            )
        else:
            assert isinstance(action, Abstain)
            termination = Termination(
                kind="abstained", by=action.by, reason=action.reason, at_turn=at_turn
            )
        draft = StageResult("terminate", "", termination=termination)
        await self._stages.ending(draft)
        if draft.termination is None:
            responder = self.speakers.persona.responder
            if responder is not None:
                responder.overrule()
            return TurnResult("commit" if said else "retry")
        return TurnResult("end", draft.termination)


def reasoning_cut(speaker: Speaker, raw: str, text: str) -> int:
    """Characters of reasoning that the other side is not given of a turn."""
    shown = reasoning_size(text)
    return shown if speaker == "provider" else max(0, reasoning_size(raw) - shown)


def error_text_of(draft: StageResult, metadata: Mapping[str, Any]) -> str | None:
    """What of a reply, raw or as it is shown, or of its metadata is the text of an error."""
    text = draft.text or ""
    matched = error_in(text)
    if matched is None and draft.raw != text:
        matched = error_in(draft.raw)
    return matched if matched is not None else error_in_metadata(metadata)


def would_have_decided(action: CapExhausted) -> dict[str, Any] | None:
    """What a responder without follow-ups would have decided, for the record of the ending."""
    decision = action.decision
    if decision is None:
        return None
    told = {"kind": decision.kind, "arguments": decision.arguments, "reason": decision.reason}
    return {"would_have_decided": {name: value for name, value in told.items() if value}}


def user_is_done(reason: str, sentinel: str | None, at_turn: int) -> Termination:
    """The simulated user said that it is done."""
    return Termination(
        kind="completed", by="simulator", reason=reason, at_turn=at_turn, signal=sentinel
    )
