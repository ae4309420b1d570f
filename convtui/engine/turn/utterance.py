"""Where the words of a turn come from: a side itself, a human, or a reply received before."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Literal

from convtui.engine.calls.calls import CallCancelledError
from convtui.engine.core.gate import (
    ABSTAIN,
    AGAIN,
    DRAFT,
    FAIL,
    GO,
    HAND_BACK,
    SAY,
    SIMULATE,
    SKIP,
    STOP,
    SUPPLY,
    UNDO,
    Choice,
    InterruptedRunError,
    Release,
)
from convtui.engine.core.pending import Pending
from convtui.engine.core.state import SessionState
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.context import (
    EndsAfterAllError,
    SkipTurnError,
    TurnContext,
    Utterance,
    part_types,
)
from convtui.engine.turn.persona_turn import FORCED, PersonaWords
from convtui.engine.turn.provider_turn import ProviderWords
from convtui.engine.turn.response import ResponseGate
from convtui.errors import ConversationError, ResponderError
from convtui.records.models import DebugHandedBack, DebugOverrode, HoldReason, LlmResponse, Speaker
from convtui.scenario.simulators.registry import HUMAN
from convtui.simulators.base import Abstain, CapExhausted, EndConversation, Say, Stop, UserAction

_UNDO_ENDING = Choice(UNDO.id, "undo the override of the ending")
_CHANGED_PAST = 0.5
"""Likeness (0 to 1) below which a human's text is no longer an edited draft."""
_COMPARED = 4000


class UtteranceSource:
    """Gets what a side says, up to and including stage `response`."""

    def __init__(self, table: TurnContext) -> None:
        self._table = table
        self.taken_over: set[str] = set()
        """Sides that a human speaks for."""
        if table.simulator.kind == HUMAN:
            self.taken_over.add("persona")
        self.budget = BudgetGuard(table)
        self._response = ResponseGate(table, self.budget)
        self._provider = ProviderWords(table, self._response, self.budget)
        self.persona = PersonaWords(table, self._response, self.budget)

    async def words(
        self, session: SessionState, speaker: Speaker, pending: Pending | None
    ) -> Utterance | UserAction:
        """What is said, or that the simulated user is done.

        Raises `AskAgainError`, `SkipTurnError`, `ConversationError` or `InterruptedRunError`.
        """
        if pending is not None:
            return await self._said(session, speaker, pending)
        release = await self._table.gate.pass_through(
            self._table.point("request"),
            drafts=lambda: self._provider.request_drafts(session) if speaker == "provider" else [],
            choices=(GO, SKIP, *((_UNDO_ENDING,) if self._table.overridden is not None else ())),
        )
        if release.choice == SKIP.id:
            raise SkipTurnError
        if release.choice == UNDO.id:
            raise self._ends_after_all()
        self._table.overridden = None
        if speaker in self.taken_over:
            human = await self._human(session, speaker)
            if human is not None:
                # What was made of a draft is what is said: there is no hold to go back to.
                self._table.edits.seal()
                self._table.reconsider = None
                return human
        return await self._said(session, speaker, None)

    def _ends_after_all(self) -> EndsAfterAllError:
        """Takes back that the last ending was overridden."""
        assert self._table.overridden is not None
        seq, termination, place = self._table.overridden
        self._table.overridden = None
        told = {"what": "ending", "before": None, "after": termination.as_dict(), "undoes": seq}
        self._table.journal.emit(DebugOverrode(**{**place, **told}))
        return EndsAfterAllError(termination)

    async def _said(
        self, session: SessionState, speaker: Speaker, pending: Pending | None
    ) -> Utterance | UserAction:
        """The side's own words; where that fails, whatever comes in their place."""
        while True:
            try:
                if pending is not None:
                    return await self._reuse(session, pending)
                return await self._own_words(session, speaker)
            except CallCancelledError as error:
                release = await self._cancelled(error)
            except ResponderError as error:
                if not self._table.gate.watched:
                    raise
                release = await self.persona.failed(error)
            except ConversationError as error:
                release = await self._table.failed(error)
            if release.choice == SUPPLY.id:
                text = str(release.edits.get("raw", ""))
                self._table.edits.note("raw", "", text, "response", final=True)
                return Utterance(text)
            if release.choice in {choice.id for choice in FORCED}:
                return self.persona.forced(release)
            self._table.answer_common(release)

    async def _own_words(self, session: SessionState, speaker: Speaker) -> Utterance | UserAction:
        if speaker == "provider":
            return await self._provider.words(session)
        return await self.persona.words(session)

    # --- a human

    async def _human(
        self, session: SessionState, speaker: Speaker
    ) -> Utterance | UserAction | None:
        """What a human says for a side; None when the side is to speak for itself.

        A draft is made when it is asked for: the side's own words, which are said only when the
        human sends them, edited or as they are.
        """
        if not self._table.gate.watched:
            raise InterruptedRunError("a human has to speak here, and nobody is there")
        draft: Utterance | UserAction | None = None
        detail = f"you speak for the {speaker}"
        while True:
            text = draft.raw if isinstance(draft, Utterance) else ""
            label = f"what the {speaker} says"
            release = await self._table.gate.wait(
                "human",
                self._table.point("request"),
                [{"field": "text", "label": label, "text": text, "draft": draft is not None}],
                self._choices(speaker),
                detail=detail,
            )
            if release.choice == DRAFT.id:
                draft, detail = await self._draft(session, speaker, draft)
            elif release.choice == SAY.id:
                return _human_words(str(release.edits.get("text", "")), draft)
            elif release.choice in (STOP.id, ABSTAIN.id):
                return self.persona.forced(release)
            else:
                if release.choice == HAND_BACK.id:
                    self.hand_back(speaker)
                return draft

    def _choices(self, speaker: Speaker) -> tuple[Choice, ...]:
        if speaker == "persona" and self._table.simulator.kind == HUMAN:
            # Nobody else can speak for it.
            return (SAY, HAND_BACK)
        ends = (STOP, ABSTAIN) if speaker == "persona" and self.persona.responder else ()
        return (SAY, DRAFT, SIMULATE, *ends, HAND_BACK)

    async def _draft(
        self, session: SessionState, speaker: Speaker, before: Utterance | UserAction | None
    ) -> tuple[Utterance | UserAction | None, str]:
        """The side's own words as a draft, and what to say of it; failing loses nothing."""
        try:
            draft = await self._own_words(session, speaker)
        except CallCancelledError as error:
            return (Utterance(error.partial) if error.partial else before), "the call was cancelled"
        except ConversationError as error:
            return before, f"no draft: {error}"
        if isinstance(draft, Utterance):
            return draft, f"a draft for the {speaker}: send it, edit it or write something else"
        return draft, f"the simulator would {_in_words(draft)}"

    # --- a reply received before

    async def _reuse(self, session: SessionState, pending: Pending) -> Utterance | UserAction:
        reply = pending.reply
        self._table.journal.emit_here(
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
        simulator = self._table.simulator
        if pending.side == "responder":
            action = simulator.interpret(reply, self.persona.view(session))
            if pending.forced is not None:
                return self.persona.forced_again(pending.forced)
            return await self.persona.decided(action, reply, held=pending.hold)
        raw = reply.text
        for before, after in pending.edits:
            self._table.edits.note("raw", before, after, "response")
            raw = after
        because: HoldReason | None = "pause" if pending.hold and self._table.gate.watched else None
        detail = "this reply had been received before; it was not asked for again"
        if pending.speaker == "persona":
            return await self.persona.heard(
                self.persona.view(session), reply, raw, because=because, detail=detail
            )
        raw = await self._response.passed(raw, because=because, detail=detail)
        if pending.tools is not None:
            return await self._provider.go_on(session, pending, raw)
        return Utterance(
            raw,
            metadata=dict(reply.metadata),
            messages=list(pending.messages),
            incomplete=reply.incomplete,
            finish_reason=reply.finish_reason,
            parts=part_types(reply),
        )

    async def _cancelled(self, error: CallCancelledError) -> Release:
        if not self._table.gate.watched:
            raise error
        arrived = self._table.journal.cut(error.partial)
        release = await self._table.gate.wait(
            "pause",
            self._table.point("response"),
            [{"field": "raw", "label": "what had arrived", "text": arrived}],
            (AGAIN, SUPPLY, SKIP, FAIL),
            detail="the call was cancelled",
        )
        if release.choice == FAIL.id:
            raise error
        return release

    def hand_back(self, speaker: Speaker) -> None:
        """The side speaks for itself again; does nothing when it already does."""
        if speaker in self.taken_over:
            self.taken_over.discard(speaker)
            self._table.journal.emit(
                DebugHandedBack(side="provider" if speaker == "provider" else "persona")
            )


def _human_words(text: str, draft: Utterance | UserAction | None) -> Utterance:
    """A human's words; of a draft that was sent, what it brought with it is kept."""
    if not isinstance(draft, Utterance):
        return Utterance(text, human=True, draft=None if draft is None else "replaced")
    how: Literal["sent", "edited", "replaced"] = "sent"
    if text != draft.raw:
        alike = SequenceMatcher(None, draft.raw[:_COMPARED], text[:_COMPARED]).ratio()
        how = "edited" if alike > _CHANGED_PAST else "replaced"
    return Utterance(
        text,
        human=True,
        metadata=draft.metadata,
        messages=draft.messages,
        then=draft.then if how == "sent" else None,
        truncated=draft.truncated,
        incomplete="" if how == "replaced" else draft.incomplete,
        finish_reason=draft.finish_reason,
        parts=draft.parts,
        draft=how,
    )


def _in_words(action: UserAction) -> str:
    if isinstance(action, Say):
        return "say something"
    if isinstance(action, EndConversation):
        return f"end here: {action.reason}"
    if isinstance(action, Stop):
        return f"stop here: {action.reason}"
    if isinstance(action, Abstain):
        return f"abstain here: {action.reason}"
    if isinstance(action, CapExhausted):
        return f"end here: {action.reason}"
    return f"fail here: {action.reason}"
