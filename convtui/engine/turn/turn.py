"""One turn, from top to bottom.

The stages, in their order, and where each is written:

1. `request`: held before a side is asked (`source.py`)
2. `response`: the raw reply of that side, of a human or of an earlier log, held and perhaps edited
   (`source.py`; `provider_turn.py`, `persona_turn.py`, `human_turn.py`; `response.py`)
3. `tools`: rounds of the tools that the reply calls (`tool_rounds.py`)
4. `signals`, `post_process`, `discard`, `commit`, `terminate`: one generator runs them
   (`pipeline.py`), each is recorded and held (`stages.py`), the turn is written (`commit.py`), an
   ending is held (`terminate.py`)

A stage hands on its result, or an outcome that ends the attempt there (`outcomes.py`). Exceptions
are failures.
"""

from __future__ import annotations

from convtui.engine.core.edits import Edits
from convtui.engine.core.pending import Pending
from convtui.engine.core.sides import CheckedHooks
from convtui.engine.core.state import ConversationState, SessionState
from convtui.engine.tools.tools import Toolbox
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.commit import TurnWriter
from convtui.engine.turn.context import Attempt, TurnContext
from convtui.engine.turn.outcomes import (
    AskAgain,
    Committed,
    Discarded,
    Ended,
    GivenUp,
    Overruled,
    Skipped,
    TakenBack,
    TurnOutcome,
)
from convtui.engine.turn.pipeline import PipelineResult, Rules, after_discard, pipeline
from convtui.engine.turn.source import UtteranceSource
from convtui.engine.turn.stages import StageHolds
from convtui.engine.turn.terminate import TerminateStage, termination_of
from convtui.engine.turn.utterance import UserEnding, Utterance
from convtui.providers.base import Provider
from convtui.records.models import Speaker, Termination, TurnSkipped, TurnStarted, UserEnded
from convtui.simulators.base import EndConversation, UserSimulator
from convtui.text_checks.text_checks import TextChecks


class Turns:
    """Takes the turns of both sides."""

    def __init__(
        self,
        context: TurnContext,
        *,
        state: ConversationState,
        provider: Provider,
        simulator: UserSimulator,
        toolbox: Toolbox,
    ) -> None:
        self._context = context
        self._state = state
        self._simulator = simulator
        self._hooks = {"provider": CheckedHooks(provider), "persona": CheckedHooks(simulator)}
        self._checks = _text_checks(state, provider, simulator)
        self._budget = BudgetGuard(context)
        self._terminate_stage = TerminateStage(context)
        self._writer = TurnWriter(context, state, self._checks)
        self._source = UtteranceSource(
            context,
            self._budget,
            self._terminate_stage,
            state=state,
            provider=provider,
            simulator=simulator,
            toolbox=toolbox,
        )
        self.human = self._source.human

    async def take(self, speaker: Speaker, pending: Pending | None = None) -> TurnOutcome:
        """Takes the next turn; `pending` is a reply that was received for it before.

        Raises `ConversationError` when the turn failed and nobody handled that, and
        `InterruptedRunError` when it would have to hold and nobody watches.
        """
        session = self._state.current
        assert session is not None
        session.numbers = pending.number if pending else session.numbers + 1
        count = pending.attempt if pending else session.retries + 1
        edits = Edits(self._context.journal)
        attempt = Attempt(session, speaker, session.numbers, count, edits)
        outcome = await self._attempt(attempt, pending)
        while isinstance(outcome, AskAgain):
            attempt = attempt.next(outcome.params)
            outcome = await self._attempt(attempt, None)
        # It refers back to the attempt, which would stay until the next look for garbage.
        attempt.reconsider = None
        if isinstance(outcome, Skipped):
            self._context.journal.emit_here(TurnSkipped, reason="skipped by hand")
        return outcome

    async def _attempt(self, attempt: Attempt, pending: Pending | None) -> TurnOutcome | AskAgain:
        by_human = self.human.speaks_for(attempt.speaker) if pending is None else pending.human
        self._begin(attempt, human=by_human)
        contribution = await self._source.next(attempt, pending)
        while True:
            if isinstance(contribution, GivenUp | Ended):
                return contribution
            if isinstance(contribution, Utterance):
                outcome = await self._through_stages(attempt, contribution)
            else:
                outcome = await self._end_by_user(attempt, contribution, instead=Overruled())
            if not isinstance(outcome, TakenBack):
                return outcome
            assert attempt.reconsider is not None
            contribution = await attempt.reconsider(outcome.message)

    def _begin(self, attempt: Attempt, *, human: bool) -> None:
        self._context.journal.current.move_to(
            attempt.session.index, attempt.turn, attempt.speaker, attempt.count
        )
        self._context.journal.emit_soon(TurnStarted, speaker=attempt.speaker, human=human or None)

    async def _through_stages(
        self, attempt: Attempt, utterance: Utterance
    ) -> TurnOutcome | AskAgain | TakenBack:
        """Runs stages `signals` to `terminate`."""
        hooks = self._hooks[attempt.speaker]
        rules = self._rules(attempt)
        holds = StageHolds(
            self._context,
            attempt,
            utterance,
            hooks=hooks,
            checks=self._checks,
            terminate_stage=self._terminate_stage,
        )
        stages = pipeline(utterance.raw, hooks, rules, utterance.interim)
        if hooks.foreign:
            self._context.journal.write_out()
        result = next(stages)
        while True:
            stands: bool | GivenUp | TakenBack | None = holds.recorded(result)
            if stands is None:
                stands = await holds.held(result)
            if not isinstance(stands, bool):
                return stands
            if stands and result.stage == "commit":
                self._writer.commit(attempt, utterance, result, hooks)
            elif stands and result.stage == "discard" and result.discard:
                self._writer.discard(attempt, utterance, result, after_discard(rules))
            if hooks.foreign:
                self._context.journal.write_out()
            try:
                result = stages.send(result)
            except StopIteration as stop:
                return await self._came_out(attempt, utterance, stop.value)

    def _rules(self, attempt: Attempt) -> Rules:
        scenario, session = self._context.scenario, attempt.session
        on_discard = scenario.on_discard
        return Rules(
            speaker=attempt.speaker,
            on_signal=scenario.on_signal,
            on_discard=on_discard.action,
            retries_left=max(0, on_discard.retries - session.retries),
            skips_left=max(0, 1 - session.skips),
            global_signal=scenario.termination_signal,
            at_turn=attempt.turn,
            caps=lambda: self._budget.out or self._state.caps(session, attempt.turn),
            says_interim=scenario.interim == "say",
        )

    async def _came_out(
        self, attempt: Attempt, utterance: Utterance, result: PipelineResult
    ) -> TurnOutcome | TakenBack:
        if result.termination is not None:
            return Ended(result.termination)
        if result.result == "commit" and utterance.then is not None:
            return await self._end_by_user(attempt, utterance.then, instead=Committed())
        # An overridden budget must not end the session again after every turn.
        self._budget.out = None
        if result.result == "commit":
            return Committed()
        if result.result == "skip":
            attempt.session.skip(attempt.speaker)
        return Discarded(same_side=result.result == "retry")

    async def _end_by_user(
        self, attempt: Attempt, action: UserEnding, *, instead: Committed | Overruled
    ) -> TurnOutcome | TakenBack:
        """Ends the session as the simulated user decided, or goes on with `instead`."""
        if isinstance(action, EndConversation):
            self._context.journal.emit_here(
                UserEnded,
                simulator=self._simulator.kind,
                reason=action.reason,
                dropped_text=action.dropped_text or None,
                sentinel=action.sentinel or None,
            )
        turns = attempt.session.turns
        termination = termination_of(action, turns[-1].turn if turns else 0)
        outcome = await self._terminate_stage.passed(termination, attempt.edits)
        if outcome is not None:
            return outcome
        self._source.persona.overrule()
        return instead

    async def settle(
        self, session: SessionState, speaker: Speaker, number: int, termination: Termination
    ) -> Termination | None:
        """Runs stage `terminate` for the last turn, `number`, of the parent log."""
        if number:
            self._context.journal.current.move_to(session.index, number, speaker, 1)
        outcome = await self._terminate_stage.passed(termination, Edits(self._context.journal))
        return outcome.termination if isinstance(outcome, Ended) else None


def _text_checks(
    state: ConversationState, provider: Provider, simulator: UserSimulator
) -> TextChecks:
    checks = TextChecks(
        sentinels=(
            simulator.end_sentinel,
            state.scenario.termination_signal,
            *simulator.termination_signals,
        ),
        names={"persona": simulator.name, "provider": provider.name},
    )
    # Turns from before a continuation count for repetitions, too.
    checks.restore(
        (turn.session, turn.speaker, turn.text)
        for index in sorted(state.sessions)
        for turn in state.sessions[index].turns
    )
    return checks
