"""Stages `request` and `response`: asks a side, or the human who speaks for it, for its turn."""

from __future__ import annotations

from convtui.engine.core.gate import AGAIN, FAIL, GO, PASSED, SKIP, SUPPLY, UNDO, Release
from convtui.engine.core.pending import Pending
from convtui.engine.core.state import ConversationState
from convtui.engine.tools.tools import Toolbox
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.context import Attempt, TurnContext
from convtui.engine.turn.holds import given_up
from convtui.engine.turn.human_turn import HumanTurn
from convtui.engine.turn.outcomes import Ended, GivenUp
from convtui.engine.turn.persona_turn import PersonaTurn, is_forced
from convtui.engine.turn.provider_turn import ProviderTurn
from convtui.engine.turn.response import ResponseStage
from convtui.engine.turn.terminate import TerminateStage
from convtui.engine.turn.utterance import Contribution, Utterance
from convtui.errors import CallCancelledError, ConversationError, ResponderError
from convtui.providers.base import Provider
from convtui.records.models import HoldReason, HumanWrote, LlmResponse
from convtui.simulators.base import Undecided, UserSimulator


class UtteranceSource:
    """Where the utterances of both sides come from."""

    def __init__(
        self,
        context: TurnContext,
        budget: BudgetGuard,
        terminate_stage: TerminateStage,
        *,
        state: ConversationState,
        provider: Provider,
        simulator: UserSimulator,
        toolbox: Toolbox,
    ) -> None:
        self._context = context
        self._terminate_stage = terminate_stage
        self._response = ResponseStage(context.holds, budget)
        self._provider = ProviderTurn(
            context, self._response, budget, provider=provider, toolbox=toolbox
        )
        self.persona = PersonaTurn(
            context, self._response, budget, state=state, simulator=simulator
        )
        self.human = HumanTurn(context, self.persona, terminate_stage, self._own)

    async def next(
        self, attempt: Attempt, pending: Pending | None
    ) -> Contribution | GivenUp | Ended:
        """Holds at `request` and asks the side; `pending` is a reply that was received before.

        Raises `ConversationError` and `InterruptedRunError`.
        """
        if pending is not None:
            return await self._or_by_hand(attempt, pending)
        if self.human.speaks_for(attempt.speaker):
            return await self._by_human(attempt)
        held: tuple[HoldReason, str] | None = None
        while True:
            release = PASSED
            if held is not None or self._context.holds.may_hold:
                release = await self._held_before(attempt, held)
            if release.choice == UNDO.id:
                return self._terminate_stage.undo()
            outcome = given_up(release)
            if outcome is not None:
                return outcome
            if not self.human.speaks_for(attempt.speaker):
                self._terminate_stage.seal()
                return await self._or_by_hand(attempt, None)
            # Taken over while it was held: handing back restores the hold.
            contribution = await self.human.speak(attempt)
            handed_back = not self.human.speaks_for(attempt.speaker)
            if contribution is not None or not handed_back:
                if handed_back:
                    self._context.holds.hold_next()
                return await self._heard(attempt, contribution)
            held = release.held

    async def _held_before(self, attempt: Attempt, held: tuple[HoldReason, str] | None) -> Release:
        """Holds before a side is asked, where that is due; `held` holds there again."""
        because, detail = held or (None, "")
        self.human.next = attempt.speaker
        try:
            return await self._context.holds.pass_through(
                "request",
                drafts=lambda: (
                    self._provider.request_drafts(attempt.session)
                    if attempt.speaker == "provider"
                    else []
                ),
                choices=(GO, SKIP, *self._terminate_stage.choices),
                because=because,
                detail=detail,
            )
        finally:
            self.human.next = None

    async def _by_human(self, attempt: Attempt) -> Contribution | GivenUp | Ended:
        """What the human says; the side speaks for itself if the human wants it to.

        The human is asked at once: there is no other hold at `request`.
        """
        return await self._heard(attempt, await self.human.speak(attempt))

    async def _heard(
        self, attempt: Attempt, contribution: Contribution | GivenUp | Ended | None
    ) -> Contribution | GivenUp | Ended:
        """What the human said; None lets the side speak for itself."""
        if contribution is None:
            return await self._or_by_hand(attempt, None)
        if not isinstance(contribution, (GivenUp, Ended)):
            # The human has decided: there is no earlier hold to go back to.
            attempt.edits.seal()
            attempt.reconsider = None
        return contribution

    async def _or_by_hand(
        self, attempt: Attempt, pending: Pending | None
    ) -> Contribution | GivenUp:
        """The side's own contribution, or what is written by hand when it fails."""
        try:
            if pending is not None:
                contribution = await self._reuse(attempt, pending)
            else:
                contribution = await self._own(attempt)
        except CallCancelledError as error:
            release = await self._cancelled(error)
        except ResponderError as error:
            release = await self.persona.failed(error)
        except ConversationError as error:
            release = await self._context.holds.on_error(
                error,
                "response",
                [{"field": "raw", "label": "raw reply", "text": ""}],
                (AGAIN, SUPPLY, SKIP, FAIL),
            )
        else:
            if isinstance(contribution, Undecided):
                return await self.persona.decided_by_hand(attempt, contribution)
            return contribution
        if isinstance(release, GivenUp):
            return release
        if is_forced(release):
            return self.persona.forced(attempt, release)
        text = str(release.edits.get("raw", ""))
        attempt.edits.note("raw", "", text, "response", final=True)
        return Utterance(text)

    async def _own(self, attempt: Attempt) -> Contribution | Undecided | GivenUp:
        side = self._provider if attempt.speaker == "provider" else self.persona
        return await side.speak(attempt)

    async def _cancelled(self, error: CallCancelledError) -> Release | GivenUp:
        holds = self._context.holds
        if not holds.watched:
            raise error
        arrived = self._context.journal.cut(error.partial)
        release = await holds.wait(
            "pause",
            "response",
            [{"field": "raw", "label": "what had arrived", "text": arrived}],
            (AGAIN, SUPPLY, SKIP, FAIL),
            detail="the call was cancelled",
        )
        if release.choice == FAIL.id:
            raise error
        return given_up(release) or release

    async def _reuse(
        self, attempt: Attempt, pending: Pending
    ) -> Contribution | Undecided | GivenUp:
        """Takes a reply from an earlier log: it is recorded again, but no call is made."""
        reply = pending.reply
        if pending.human:
            self._context.journal.emit_here(
                HumanWrote, text=reply.text, draft=pending.draft, reused=pending.source
            )
        elif not pending.supplied:
            self._record_again(pending)
        if pending.side == "responder":
            view = self.persona.view(attempt.session)
            action = self.persona.simulator.interpret(reply, view)
            if pending.forced is not None:
                return self.persona.forced_again(attempt, pending.forced)
            return await self.persona.decided(attempt, action, reply, held=pending.hold)
        raw = reply.text
        for before, after in pending.edits:
            attempt.edits.note("raw", before, after, "response")
            raw = after
        watched = self._context.holds.watched
        because: HoldReason | None = "pause" if pending.hold and watched else None
        detail = "this reply had been received before; it was not asked for again"
        if pending.human:
            detail = "you had written this before; you are not asked again"
        elif pending.speaker == "persona":
            return await self.persona.heard(attempt, reply, raw, because=because, detail=detail)
        text = await self._response.passed(raw, attempt.edits, because=because, detail=detail)
        if isinstance(text, GivenUp):
            return text
        if pending.tools is not None:
            return await self._provider.go_on(attempt, pending, text)
        said = Utterance.of_reply(reply, text, messages=pending.messages, human=pending.human)
        said.draft = pending.draft
        return said

    def _record_again(self, pending: Pending) -> None:
        reply = pending.reply
        self._context.journal.emit_here(
            LlmResponse,
            side=pending.side,
            round=(pending.tools or {}).get("round"),
            raw=reply.text,
            reasoning=reply.reasoning or None,
            tool_calls=[call.as_message() for call in reply.tool_calls] or None,
            finish_reason=reply.finish_reason,
            refused=reply.refused or None,
            parts=reply.parts or None,
            response_id=reply.response_id,
            model=reply.model,
            metadata=reply.metadata or None,
            incomplete=reply.incomplete or None,
            reused=pending.source,
        )
