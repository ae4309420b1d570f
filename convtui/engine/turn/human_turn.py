"""Turns of sides that a human has taken over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from difflib import SequenceMatcher
from typing import Literal

from convtui.engine.core.gate import (
    ABSTAIN,
    DRAFT,
    HAND_BACK,
    SAY,
    SIMULATE,
    SKIP,
    STOP,
    UNDO,
    Choice,
    Release,
)
from convtui.engine.turn.context import Attempt, TurnContext
from convtui.engine.turn.outcomes import Ended, GivenUp, Skipped
from convtui.engine.turn.persona_turn import PersonaTurn
from convtui.engine.turn.terminate import TerminateStage
from convtui.engine.turn.utterance import Contribution, Utterance
from convtui.errors import CallCancelledError, ConversationError, InterruptedRunError
from convtui.records.models import DebugHandedBack, DebugTookOver, HumanWrote, Speaker
from convtui.scenario.simulators.registry import HUMAN
from convtui.simulators.base import Abstain, Stop, Undecided

_PROVIDER_SPEAKS = Choice(SIMULATE.id, "let the provider speak")
_CHANGED_PAST = 0.5
"""Likeness (0 to 1) below which a human's text is no longer an edited draft."""
_COMPARED = 4000


class HumanTurn:
    """Asks a human to speak for a side.

    `own` asks the side itself for a draft, which is said only when the human sends it.
    """

    def __init__(
        self,
        context: TurnContext,
        persona: PersonaTurn,
        terminate_stage: TerminateStage,
        own: Callable[[Attempt], Awaitable[Contribution | Undecided | GivenUp]],
    ) -> None:
        self._context = context
        self._persona = persona
        self._terminate_stage = terminate_stage
        self._own = own
        self._sides: set[Speaker] = set()
        self.next: Speaker | None = None
        """The side that is held before it is asked: a human can speak for it at once."""
        if persona.simulator.kind == HUMAN:
            self._sides.add("persona")

    def speaks_for(self, side: Speaker) -> bool:
        """Whether a human speaks for a side."""
        return side in self._sides

    def take_over(self, side: Speaker) -> None:
        """Lets a human speak for a side from now on."""
        self._sides.add(side)
        self._context.journal.emit(DebugTookOver(side=side))

    def hand_back(self, side: Speaker) -> None:
        """Lets a side speak for itself again, if a human speaks for it."""
        if side in self._sides:
            self._sides.discard(side)
            self._context.journal.emit(DebugHandedBack(side=side))

    async def speak(self, attempt: Attempt) -> Contribution | GivenUp | Ended | None:
        """What the human says; None when the side is to speak for itself.

        This is the only hold at `request`: a pause or a step stops here. Raises
        `InterruptedRunError` when nobody watches.
        """
        holds = self._context.holds
        if not holds.watched:
            raise InterruptedRunError("a human has to speak here, and nobody is there")
        draft: Contribution | None = None
        detail = f"you speak for the {attempt.speaker}"
        if broke := holds.stop_for_human("request"):
            detail = f"{broke}: {detail}"
        while True:
            release = await self._ask(attempt.speaker, draft, detail)
            if release.choice != DRAFT.id:
                return self._answer(attempt, release, draft)
            try:
                made = await self._own(attempt)
                if isinstance(made, Undecided):
                    made = await self._persona.decided_by_hand(attempt, made)
            except CallCancelledError as error:
                draft = Utterance(error.partial) if error.partial else draft
                detail = "the call was cancelled"
            except ConversationError as error:
                detail = f"no draft: {error}"
            else:
                if isinstance(made, GivenUp):
                    return made
                draft, detail = made, _about(made, attempt.speaker)

    async def _ask(self, speaker: Speaker, draft: Contribution | None, detail: str) -> Release:
        text = draft.raw if isinstance(draft, Utterance) else ""
        label = f"what the {speaker} says"
        release = await self._context.holds.wait(
            "human",
            "request",
            [{"field": "text", "label": label, "text": text, "draft": draft is not None}],
            self._choices(speaker),
            detail=detail,
        )
        if release.choice != UNDO.id:
            self._terminate_stage.seal()
        return release

    def _answer(
        self, attempt: Attempt, release: Release, draft: Contribution | None
    ) -> Contribution | GivenUp | Ended | None:
        if release.choice == UNDO.id:
            return self._terminate_stage.undo()
        if release.choice == SKIP.id:
            return Skipped()
        if release.choice == SAY.id:
            said = _said_by_hand(str(release.edits.get("text", "")), draft)
            self._context.journal.emit_here(HumanWrote, text=said.raw, draft=said.draft)
            return said
        if release.choice in (STOP.id, ABSTAIN.id):
            return self._persona.forced(attempt, release)
        if release.choice == HAND_BACK.id:
            self.hand_back(attempt.speaker)
        return draft

    def _choices(self, speaker: Speaker) -> tuple[Choice, ...]:
        undo = self._terminate_stage.choices
        if speaker == "persona" and self._persona.simulator.kind == HUMAN:
            # Nobody else can speak for it.
            return (SAY, HAND_BACK, SKIP, *undo)
        ends = (STOP, ABSTAIN) if speaker == "persona" and self._persona.responder else ()
        simulate = SIMULATE if speaker == "persona" else _PROVIDER_SPEAKS
        return (SAY, DRAFT, simulate, *ends, HAND_BACK, SKIP, *undo)


def _said_by_hand(text: str, draft: Contribution | None) -> Utterance:
    """The human's text, with the metadata of the draft that it came from."""
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


def _about(draft: Contribution, speaker: Speaker) -> str:
    if isinstance(draft, Utterance):
        return f"a draft for the {speaker}: send it, edit it or write something else"
    if isinstance(draft, Stop):
        return f"the simulator would stop here: {draft.reason}"
    if isinstance(draft, Abstain):
        return f"the simulator would abstain here: {draft.reason}"
    return f"the simulator would end here: {draft.reason}"
