"""What the simulated user says, or decides."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from convtui.engine.calls.calls import CallRequest, CallResult
from convtui.engine.core.gate import ABSTAIN, AGAIN, FAIL, GO, REPLY, SKIP, STOP, Release
from convtui.engine.core.state import SessionState
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.context import TurnContext, Utterance, part_types
from convtui.engine.turn.response import ResponseGate
from convtui.errors import CallCancelledError, ConversationError, ResponderError
from convtui.models.base import Reply
from convtui.records.models import DebugEdited, HoldReason, RecordDict, UserDecided, Warned
from convtui.simulators.base import (
    Abstain,
    Asked,
    CapExhausted,
    Decision,
    Say,
    Stop,
    Undecided,
    UserAction,
    View,
)
from convtui.simulators.responder import ResponderSimulator, used_up

FORCED = (REPLY, STOP, ABSTAIN)
_HELD = (GO, REPLY, STOP, ABSTAIN, AGAIN, SKIP)


class PersonaWords:
    """Asks the user simulator, and takes a responder's decisions through the gate."""

    def __init__(self, table: TurnContext, response: ResponseGate, budget: BudgetGuard) -> None:
        self._table = table
        self._response = response
        self._budget = budget

    @property
    def responder(self) -> ResponderSimulator | None:
        """The simulator, where it decides before it speaks."""
        simulator = self._table.simulator
        return simulator if isinstance(simulator, ResponderSimulator) else None

    async def words(self, session: SessionState) -> Utterance | UserAction:
        """What the simulated user says, or that it is done. Raises `ConversationError`."""
        view = self.view(session)
        self._table.simulator.overlay = self._table.params
        asked = self._table.simulator.ask(view)
        if asked.say is not None:
            if self._table.params:
                self._table.warn("params", "no model is asked: parameters change nothing here")
            decision = getattr(asked.say, "decision", None)
            if decision is not None:
                self._record(decision)
            return said(asked.say, asked.say.text if isinstance(asked.say, Say) else "", Reply(""))
        if asked.side == "responder":
            return await self._decide(view, asked)
        answer = await self._answer(asked)
        because, detail = self._budget.check()
        return await self.heard(
            view, answer.reply, answer.reply.text, because=because, detail=detail
        )

    async def heard(
        self, view: View, reply: Reply, raw: str, *, because: HoldReason | None, detail: str
    ) -> Utterance | UserAction:
        """A reply is there, perhaps edited to `raw`: held where that is due, then interpreted.

        An edit that is taken back later leads back to this hold: it may have changed what the
        reply means.
        """
        original = reply.text

        async def again(told: str) -> Utterance | UserAction:
            last = self._table.edits.last
            text = last.after if last is not None and last.field == "raw" else original
            return await self.heard(
                view, replace(reply, text=original), text, because="step", detail=told
            )

        text = await self._response.passed(raw, because=because, detail=detail)
        self._table.reconsider = again
        interpreted = self._table.simulator.interpret(replace(reply, text=text), view)
        return said(interpreted, text, reply)

    def view(self, session: SessionState) -> View:
        """What a user could see by now."""
        return View(
            turns=self._table.state.visible(session),
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            task=self._table.scenario.persona.task,
            start_prompt=self._table.scenario.provider.start_prompt,
        )

    # --- a responder

    async def _decide(self, view: View, asked: Asked) -> Utterance | UserAction:
        started = time.perf_counter()
        try:
            answer = await self._ask(view, asked)
        except CallCancelledError:
            raise
        except ConversationError as error:
            failure = f"responder execution failed: {error}"
            wrong = Decision("error", valid=False, reason=failure)
            if asked.for_record:
                self._record(wrong, for_record=True)
                return self._exhausted(wrong)
            self._record(wrong)
            raise ResponderError(f"responder error: {failure}") from error
        latency = round(time.perf_counter() - started, 4)
        action = self._table.simulator.interpret(answer.reply, view)
        return await self.decided(action, answer.reply, call=answer.call, latency=latency)

    def _question(self, asked: Asked) -> CallRequest:
        assert asked.open is not None
        params = {**asked.params, **self._table.params}
        return CallRequest(
            asked.side,
            asked.open,
            asked.messages,
            params,
            params.pop("model", None) or asked.model,
            stands=asked.stands,
            tools=asked.tools,
            estimate=self._budget.estimate(asked.side, asked.messages),
        )

    async def _answer(self, asked: Asked) -> CallResult:
        answer = await self._table.caller.ask(self._question(asked))
        self._budget.learn(asked.side, asked.messages, answer.reply.usage)
        return answer

    async def _ask(self, view: View, asked: Asked) -> CallResult:
        while True:
            try:
                return await self._answer(asked)
            except CallCancelledError:
                raise
            except ConversationError as error:
                why = self._table.simulator.another_way(error)
                if why is None:
                    raise
                self._table.journal.emit_here(Warned, code="responder_json", message=why)
                asked = self._table.simulator.ask(view)

    async def decided(
        self,
        action: UserAction,
        reply: Reply,
        *,
        call: int | None = None,
        latency: float | None = None,
        held: bool = False,
    ) -> Utterance | UserAction:
        """A decision is there: recorded, held where that is due, and perhaps replaced by hand.

        Raises `ResponderError` for one that does not count, when nobody deals with it.
        """
        decision: Decision | None = getattr(action, "decision", None)
        assert decision is not None
        exhausted = isinstance(action, CapExhausted)
        self._record(decision, call=call, latency=latency, for_record=exhausted)
        because, detail = self._budget.check()
        if exhausted:
            return self._exhausted(decision)
        if isinstance(action, Undecided):
            return await self._undecided(action, decision)
        if held and because is None and self._table.gate.watched:
            because, detail = "pause", "this decision had been made before; it was not asked for"
        return await self._held(action, decision, reply, because, detail)

    async def _held(
        self,
        action: UserAction,
        decision: Decision,
        reply: Reply,
        because: HoldReason | None,
        detail: str,
    ) -> Utterance | UserAction:
        release = await self._response.hold(
            lambda: _drafts(decision), _HELD, because, detail, answered=self._again_with_brief
        )
        if release is not None and release.choice in {choice.id for choice in FORCED}:

            async def again(told: str) -> Utterance | UserAction:
                # The newest record of a decision counts.
                self._record(decision)
                return await self._held(action, decision, reply, "step", told)

            self._table.reconsider = again
            return self.forced(release, decision)
        return said(action, action.text if isinstance(action, Say) else "", reply)

    async def _undecided(self, action: Undecided, decision: Decision) -> Utterance | UserAction:
        error = ResponderError(f"responder error: {action.reason}")
        release = await self.failed(error, decision)
        return self.forced(release, decision)

    async def failed(self, error: ConversationError, decision: Decision | None = None) -> Release:
        """Holds on a decision that is missing, until one is made by hand; else lets it fail."""
        if not self._table.gate.watched:
            raise error
        wrong = decision or Decision("error", valid=False, reason=str(error))
        release = await self._table.hold_on(
            error, "response", _drafts(wrong), (AGAIN, REPLY, STOP, ABSTAIN, SKIP, FAIL)
        )
        if release.choice == FAIL.id:
            raise error
        self._again_with_brief(release)
        self._table.answer_common(release)
        return release

    def _again_with_brief(self, release: Release) -> None:
        """Puts an edited brief in place before it is asked again."""
        text = release.edits.get("instructions")
        responder = self.responder
        if release.choice != AGAIN.id or not isinstance(text, str) or responder is None:
            return
        if text.strip() and text != responder.instructions:
            before = responder.edit_brief(text)
            self._table.journal.emit_here(DebugEdited, field="brief", before=before, after=text)

    def forced(self, release: Release, before: Decision | None = None) -> Utterance | UserAction:
        """The decision that a human makes in place of the responder."""
        kind = release.choice
        text = str(release.edits.get("raw", release.edits.get("text", "")))
        reason = str(release.edits.get("reason", "")).strip()
        action: UserAction
        if kind == REPLY.id:
            action = Say(text, decision=Decision("reply", arguments={"answer": text}))
        elif kind == STOP.id:
            reason = reason or "stopped by hand"
            stop = Decision("stop", arguments={}, reason=reason)
            action = Stop(reason, decision=stop, by="human")
        else:
            reason = reason or "abstained by hand"
            abstain = Decision("abstain", arguments={"reason": reason}, reason=reason)
            action = Abstain(reason, decision=abstain, by="human")
        assert action.decision is not None
        self._record(action.decision, by="human")
        if before is not None:
            self._table.edits.note(
                "decision",
                _in_words(before),
                _in_words(action.decision),
                "response",
                final=self._table.reconsider is None,
            )
        # What a human wrote is the human's; that the responder replied at all may be its own.
        return said(action, text, Reply(""), human=kind == REPLY.id)

    def forced_again(self, record: RecordDict) -> Utterance | UserAction:
        """The decision of a human that a log holds."""
        answer = (record.get("arguments") or {}).get("answer", "")
        edits = {"raw": answer, "reason": record.get("reason") or ""}
        return self.forced(Release(str(record.get("kind")), edits))

    def _exhausted(self, decision: Decision) -> CapExhausted:
        cap = self.responder.max_followups if self.responder is not None else 0
        return CapExhausted(used_up(cap), decision=decision)

    def _record(
        self,
        decision: Decision,
        *,
        call: int | None = None,
        latency: float | None = None,
        by: str = "responder",
        for_record: bool = False,
    ) -> None:
        responder = self.responder
        self._table.journal.emit_here(
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


def said(
    action: UserAction, raw: str, reply: Reply, *, human: bool = False
) -> Utterance | UserAction:
    """An action as the turn takes it: words where something is said, in `reply` or without one."""
    if isinstance(action, Say):
        return Utterance(
            raw or action.text,
            metadata=dict(reply.metadata),
            then=action.then,
            human=human,
            incomplete=reply.incomplete,
            finish_reason=reply.finish_reason,
            parts=part_types(reply),
        )
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
    told = {name: value for name, value in fields.items() if value is not None}
    answer = arguments.get("answer", decision.reason or "")
    return [
        {"field": "decision", "label": "decision", "text": decision.kind, "decision": told},
        {"field": "raw", "label": "answer", "text": answer if isinstance(answer, str) else ""},
    ]


def _in_words(decision: Decision) -> str:
    text = (decision.arguments or {}).get("answer", decision.reason or "")
    return f"{decision.kind}: {text}" if text else decision.kind
