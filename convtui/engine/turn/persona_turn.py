"""The simulated user's turns, and the decisions of a responder."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Literal

from convtui.engine.calls.request import CallRequest, CallResult
from convtui.engine.core.gate import ABSTAIN, AGAIN, FAIL, GO, REPLY, SKIP, STOP, Release
from convtui.engine.core.state import ConversationState, SessionState
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.context import Attempt, TurnContext
from convtui.engine.turn.outcomes import AskAgain, GivenUp
from convtui.engine.turn.response import ResponseStage
from convtui.engine.turn.utterance import Contribution, Utterance
from convtui.errors import CallCancelledError, ConversationError, ResponderError
from convtui.models.base import Reply
from convtui.records.models import DebugEdited, HoldReason, RecordDict, UserDecided
from convtui.simulators.base import (
    Abstain,
    Asked,
    CapExhausted,
    Decision,
    EndConversation,
    Say,
    Stop,
    Undecided,
    UserAction,
    UserSimulator,
    View,
)
from convtui.simulators.responder import ResponderSimulator, used_up

_FORCED = (REPLY, STOP, ABSTAIN)
_HELD = (GO, REPLY, STOP, ABSTAIN, AGAIN, SKIP)


def is_forced(release: Release) -> bool:
    """Whether the answer to a hold replaces a responder's decision."""
    return release.choice in {choice.id for choice in _FORCED}


class PersonaTurn:
    """Asks the user simulator; a responder's decisions are held and can be replaced."""

    def __init__(
        self,
        context: TurnContext,
        response: ResponseStage,
        budget: BudgetGuard,
        *,
        state: ConversationState,
        simulator: UserSimulator,
    ) -> None:
        self._context = context
        self._response = response
        self._budget = budget
        self._state = state
        self.simulator = simulator

    @property
    def responder(self) -> ResponderSimulator | None:
        """The simulator, if it is a responder."""
        return self.simulator if isinstance(self.simulator, ResponderSimulator) else None

    async def speak(self, attempt: Attempt) -> Contribution | Undecided | GivenUp:
        """Asks the simulator for its turn. Raises `ConversationError`."""
        view = self.view(attempt.session)
        self.simulator.overlay = attempt.params
        asked = self.simulator.ask(view)
        if asked.say is not None:
            if attempt.params:
                self._context.warn("params", "no model is asked: parameters change nothing here")
            if not isinstance(asked.say, EndConversation) and asked.say.decision is not None:
                self._record(asked.say.decision)
            return _contribution(asked.say, Reply(""))
        if asked.side == "responder":
            return await self._decide(attempt, view, asked)
        result = await self._call(attempt, asked)
        because, detail = self._budget.check()
        return await self.heard(
            attempt, result.reply, result.reply.text, because=because, detail=detail
        )

    async def heard(
        self, attempt: Attempt, reply: Reply, raw: str, *, because: HoldReason | None, detail: str
    ) -> Contribution | GivenUp:
        """Holds a reply, already edited to `raw`, where that is due; then interprets it.

        An edit that is taken back later leads back to this hold: it may have changed what the
        reply means.
        """

        async def again(message: str) -> Contribution | GivenUp:
            last = attempt.edits.last
            text = last.after if last is not None and last.field == "raw" else reply.text
            return await self.heard(attempt, reply, text, because="step", detail=message)

        text = await self._response.passed(raw, attempt.edits, because=because, detail=detail)
        if isinstance(text, GivenUp):
            return text
        attempt.reconsider = again
        said = reply if text is reply.text else replace(reply, text=text)
        action = self.simulator.interpret(said, self.view(attempt.session))
        return _contribution(action, reply, text)

    def view(self, session: SessionState) -> View:
        """The conversation as the user can see it."""
        return View(
            turns=self._state.visible(session),
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            task=self._context.scenario.persona.task,
            start_prompt=self._context.scenario.provider.start_prompt,
            counts=self._state.visible_counts(session),
        )

    # --- calls

    async def _call(self, attempt: Attempt, asked: Asked) -> CallResult:
        assert asked.open is not None
        params = {**asked.params, **attempt.params}
        result = await self._context.caller.ask(
            CallRequest(
                asked.side,
                asked.open,
                asked.messages,
                params,
                params.pop("model", None) or asked.model,
                stands=asked.stands,
                tools=asked.tools,
                estimate=self._budget.estimate(asked.side, asked.messages),
            )
        )
        self._budget.learn(asked.side, asked.messages, result.reply.usage)
        return result

    async def _call_another_way(self, attempt: Attempt, view: View, asked: Asked) -> CallResult:
        """Calls; after a failure in another way, as long as the simulator knows one."""
        while True:
            try:
                return await self._call(attempt, asked)
            except CallCancelledError:
                raise
            except ConversationError as error:
                why = self.simulator.another_way(error)
                if why is None:
                    raise
                self._context.warn("responder_json", why)
                asked = self.simulator.ask(view)

    # --- a responder

    async def _decide(
        self, attempt: Attempt, view: View, asked: Asked
    ) -> Contribution | Undecided | GivenUp:
        started = time.perf_counter()
        try:
            result = await self._call_another_way(attempt, view, asked)
        except CallCancelledError:
            raise
        except ConversationError as error:
            failure = f"responder execution failed: {error}"
            decision = Decision("error", valid=False, reason=failure)
            if asked.for_record:
                self._record(decision, for_record=True)
                return self._exhausted(decision)
            self._record(decision)
            raise ResponderError(f"responder error: {failure}") from error
        latency = round(time.perf_counter() - started, 4)
        action = self.simulator.interpret(result.reply, view)
        return await self.decided(attempt, action, result.reply, call=result.call, latency=latency)

    async def decided(
        self,
        attempt: Attempt,
        action: UserAction,
        reply: Reply,
        *,
        call: int | None = None,
        latency: float | None = None,
        held: bool = False,
    ) -> Contribution | Undecided | GivenUp:
        """Records a decision and holds it where that is due; it may be replaced by hand.

        A decision that does not count is returned as it is.
        """
        assert not isinstance(action, EndConversation)
        decision = action.decision
        assert decision is not None
        exhausted = isinstance(action, CapExhausted)
        self._record(decision, call=call, latency=latency, for_record=exhausted)
        because, detail = self._budget.check()
        if exhausted:
            return self._exhausted(decision)
        if isinstance(action, Undecided):
            return action
        if held and because is None and self._context.holds.watched:
            because, detail = "pause", "this decision had been made before; it was not asked for"
        return await self._held(attempt, action, decision, reply, because=because, detail=detail)

    async def _held(
        self,
        attempt: Attempt,
        action: UserAction,
        decision: Decision,
        reply: Reply,
        *,
        because: HoldReason | None,
        detail: str,
    ) -> Contribution | GivenUp:
        release = await self._response.hold(lambda: _drafts(decision), _HELD, because, detail)
        if isinstance(release, GivenUp):
            return self._again_with_brief(release)
        if release is not None and is_forced(release):

            async def again(message: str) -> Contribution | GivenUp:
                # The newest record of a decision counts.
                self._record(decision)
                return await self._held(
                    attempt, action, decision, reply, because="step", detail=message
                )

            attempt.reconsider = again
            return self.forced(attempt, release, decision)
        return _contribution(action, reply)

    async def decided_by_hand(self, attempt: Attempt, action: Undecided) -> Contribution | GivenUp:
        """Asks for a decision in place of one that does not count.

        Raises `ResponderError` when nobody makes it.
        """
        error = ResponderError(f"responder error: {action.reason}")
        release = await self.failed(error, action.decision)
        if isinstance(release, GivenUp):
            return release
        return self.forced(attempt, release, action.decision)

    async def failed(
        self, error: ConversationError, decision: Decision | None = None
    ) -> Release | GivenUp:
        """Holds on a missing decision. Raises `error` when nobody makes it."""
        decision = decision or Decision("error", valid=False, reason=str(error))
        release = await self._context.holds.on_error(
            error, "response", _drafts(decision), (AGAIN, REPLY, STOP, ABSTAIN, SKIP, FAIL)
        )
        return self._again_with_brief(release) if isinstance(release, GivenUp) else release

    def _again_with_brief(self, outcome: GivenUp) -> GivenUp:
        """Applies an edited brief before the responder is asked again."""
        responder = self.responder
        if not isinstance(outcome, AskAgain) or responder is None:
            return outcome
        text = outcome.edits.get("instructions")
        if isinstance(text, str) and text.strip() and text != responder.instructions:
            before = responder.edit_brief(text)
            self._context.journal.emit_here(DebugEdited, field="brief", before=before, after=text)
        return outcome

    def forced(
        self, attempt: Attempt, release: Release, before: Decision | None = None
    ) -> Contribution:
        """Applies the decision that a human made in place of the responder."""
        text = str(release.edits.get("raw", release.edits.get("text", "")))
        reason = str(release.edits.get("reason", "")).strip()
        action: Contribution
        if release.choice == REPLY.id:
            decision = Decision("reply", arguments={"answer": text})
            # The text is the human's, even where the responder had decided to reply.
            action = Utterance(text, human=True)
        elif release.choice == STOP.id:
            reason = reason or "stopped by hand"
            decision = Decision("stop", arguments={}, reason=reason)
            action = Stop(reason, decision=decision, by="human")
        else:
            reason = reason or "abstained by hand"
            decision = Decision("abstain", arguments={"reason": reason}, reason=reason)
            action = Abstain(reason, decision=decision, by="human")
        self._record(decision, by="human")
        if before is not None:
            attempt.edits.note(
                "decision",
                _in_words(before),
                _in_words(decision),
                "response",
                final=attempt.reconsider is None,
            )
        return action

    def forced_again(self, attempt: Attempt, record: RecordDict) -> Contribution:
        """Applies a human's decision from an earlier log."""
        answer = (record.get("arguments") or {}).get("answer", "")
        edits = {"raw": answer, "reason": record.get("reason") or ""}
        return self.forced(attempt, Release(str(record.get("kind")), edits))

    def overrule(self) -> None:
        """Tells a responder that its decision to end was overridden."""
        if self.responder is not None:
            self.responder.overrule()

    def _exhausted(self, decision: Decision) -> CapExhausted:
        cap = self.responder.max_followups if self.responder is not None else 0
        return CapExhausted(used_up(cap), decision=decision)

    def _record(
        self,
        decision: Decision,
        *,
        call: int | None = None,
        latency: float | None = None,
        by: Literal["responder", "human"] = "responder",
        for_record: bool = False,
    ) -> None:
        responder = self.responder
        self._context.journal.emit_here(
            UserDecided,
            side="responder",
            call=call,
            kind=decision.kind,
            tool=decision.tool,
            arguments=decision.arguments,
            raw_arguments=decision.raw_arguments,
            valid=decision.valid,
            reason=decision.reason,
            calls=list(decision.calls) or None,
            latency=latency,
            by=by,
            followup=None if responder is None else responder.sent + 1,
            max_followups=None if responder is None else responder.max_followups,
            for_record=for_record or None,
            brief_edited=None if responder is None else responder.brief_edited or None,
        )


def _contribution(action: UserAction, reply: Reply, raw: str = "") -> Contribution:
    """What the action contributes; `raw` is the text of `reply` where it was edited."""
    if isinstance(action, Say):
        return Utterance.of_reply(reply, raw or action.text, then=action.then)
    if isinstance(action, Undecided):
        raise ResponderError(f"responder error: {action.reason}")
    return action


def _drafts(decision: Decision) -> list[dict[str, Any]]:
    arguments = decision.arguments or {}
    fields = {
        "kind": decision.kind,
        "tool": decision.tool,
        "arguments": decision.arguments,
        "valid": decision.valid,
        "reason": decision.reason,
    }
    known = {name: value for name, value in fields.items() if value is not None}
    answer = arguments.get("answer", decision.reason or "")
    return [
        {"field": "decision", "label": "decision", "text": decision.kind, "decision": known},
        {"field": "raw", "label": "answer", "text": answer if isinstance(answer, str) else ""},
    ]


def _in_words(decision: Decision) -> str:
    text = (decision.arguments or {}).get("answer", decision.reason or "")
    return f"{decision.kind}: {text}" if text else decision.kind
