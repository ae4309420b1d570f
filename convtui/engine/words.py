"""Where the words of a turn come from: a model or code, a human, or a reply received before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from convtui.engine.calls import Answer, CallCancelledError, Question
from convtui.engine.gate import (
    AGAIN,
    EDIT,
    END,
    FAIL,
    GO,
    HAND_BACK,
    SAY,
    SIMULATE,
    SKIP,
    SUPPLY,
    Choice,
    InterruptedRunError,
    Release,
)
from convtui.engine.state import SessionState
from convtui.engine.table import (
    Pending,
    SkipTurnError,
    Table,
    Words,
)
from convtui.errors import ConversationError
from convtui.events import (
    BudgetCrossed,
    DebugHandedBack,
    HoldReason,
    LlmResponse,
    Speaker,
    Termination,
    ToolCalled,
    ToolReturned,
    UserDecided,
)
from convtui.models.base import Message, Reply
from convtui.providers.base import Request
from convtui.providers.litellm import LitellmProvider
from convtui.scenario import Budget
from convtui.simulators.base import Decision, Say, UserAction, View, user_visible


class Speakers:
    """Gets what a side says, up to and including stage `response`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.taken_over: set[str] = set()
        """Sides that a human speaks for."""
        if table.simulator.kind == "human":
            self.taken_over.add("persona")
        self.out_of_budget: Termination | None = None
        self._budget_fired: bool | None = None
        """None until it was looked at whether an earlier log of the conversation had crossed it."""
        self._simulate_once = False
        self._raw = ""

    async def words(
        self, session: SessionState, speaker: Speaker, pending: Pending | None
    ) -> Words | UserAction:
        """What is said, or that the simulated user is done.

        Raises `AskAgainError`, `SkipTurnError`, `ConversationError` or `InterruptedRunError`.
        """
        if pending is not None:
            return await self._reuse(session, pending)
        release = await self._table.gate.pass_through(
            self._table.point("request"),
            drafts=lambda: self._request_drafts(session, speaker),
            choices=(GO, SKIP),
        )
        if release.choice == SKIP.id:
            raise SkipTurnError
        if speaker in self.taken_over and not self._simulate_once:
            human = await self._human(speaker)
            if human is not None:
                return human
        self._simulate_once = False
        while True:
            try:
                if speaker == "provider":
                    return await self._provider_words(session)
                return await self._persona_words(session)
            except CallCancelledError as error:
                release = await self._cancelled(error)
            except ConversationError as error:
                release = await self._table.failed(error)
            if release.choice == SUPPLY.id:
                text = str(release.edits.get("raw", ""))
                self._table.note_edit("raw", "", text)
                return Words(text)
            self._table.answer_common(release)

    async def _human(self, speaker: Speaker) -> Words | None:
        if not self._table.gate.watched:
            raise InterruptedRunError("a human has to speak here, and nobody is there")
        release = await self._table.gate.wait(
            "human",
            self._table.point("request"),
            [{"field": "text", "label": f"what the {speaker} says", "text": ""}],
            (SAY, SIMULATE, HAND_BACK),
            detail=f"you speak for the {speaker}",
        )
        if release.choice == SAY.id:
            return Words(str(release.edits.get("text", "")), human=True)
        if release.choice == HAND_BACK.id:
            self.hand_back(speaker)
        return None

    async def _reuse(self, session: SessionState, pending: Pending) -> Words | UserAction:
        reply = pending.reply
        self._table.journal.emit_here(
            LlmResponse,
            raw=reply.text,
            reasoning=reply.reasoning or None,
            finish_reason=reply.finish_reason,
            response_id=reply.response_id,
            model=reply.model,
            metadata=reply.metadata or None,
            reused=pending.source,
        )
        await self._after_response(
            reply.text,
            because="pause" if pending.hold and self._table.gate.watched else None,
            detail="this reply had been received before; it was not asked for again",
        )
        if pending.speaker == "persona":
            reply.text = self._raw
            action = self._table.simulator.interpret(reply, self._view(session))
            if not isinstance(action, Say):
                return action
            return Words(self._raw, metadata=dict(reply.metadata), then=action.then)
        return Words(self._raw, metadata=dict(reply.metadata), messages=list(pending.messages))

    async def _persona_words(self, session: SessionState) -> Words | UserAction:
        view = self._view(session)
        asked = self._table.simulator.ask(view)
        if asked.say is not None:
            action: UserAction = asked.say
            raw = action.text if isinstance(action, Say) else ""
            metadata: dict[str, Any] = {}
        else:
            assert asked.open is not None
            answer = await self._table.caller.ask(
                Question("persona", asked.open, asked.messages, asked.params, asked.model)
            )
            await self._after_answer(answer)
            reply = answer.reply
            reply.text = raw = self._raw
            metadata = reply.metadata
            action = self._table.simulator.interpret(reply, view)
        self._record_decision(getattr(action, "decision", None))
        if isinstance(action, Say):
            return Words(raw or action.text, metadata=metadata, then=action.then)
        return action

    def _view(self, session: SessionState) -> View:
        return user_visible(
            self._table.state.remembered(session),
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            task=self._table.scenario.persona.task,
            start_prompt=self._table.scenario.provider.start_prompt,
        )

    async def _provider_words(self, session: SessionState) -> Words:
        config = self._table.scenario.provider
        if (
            not session.turns
            and config.first_message is not None
            and session.first_speaker == ("provider")
            and not self._table.provider.opens_itself
        ):
            return Words(config.first_message)
        extra: list[Message] = []
        rounds = self._table.scenario.limits.max_tool_rounds
        number = 0
        while True:
            number += 1
            answer = await self._table.caller.ask(self._question(session, extra, number))
            await self._after_answer(answer)
            reply = answer.reply
            if not reply.tool_calls:
                if reply.finish_reason == "tool_calls":
                    self._table.warn("no_tool_calls", "the model said tool_calls and made none")
                return Words(self._raw, metadata=reply.metadata, messages=extra)
            if not len(self._table.toolbox) or number >= rounds or self.out_of_budget:
                if number >= rounds:
                    self._table.warn("tool_rounds", f"all {rounds} tool rounds are used up")
                return Words(
                    self._raw,
                    metadata=reply.metadata,
                    messages=extra,
                    truncated=bool(len(self._table.toolbox)),
                )
            extra += await self._run_tools(reply, answer.call, number)

    def _question(self, session: SessionState, extra: Sequence[Message], number: int) -> Question:
        messages = self._provider_messages(session, extra)
        request = Request(
            messages=[dict(message) for message in messages],
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            history=tuple(session.turns),
            tools=self._table.toolbox.schemas,
        )
        params = {
            key: value
            for key, value in dict(self._table.provider.params).items()
            if "key" not in key.lower()
        }
        return Question(
            "provider",
            lambda: self._table.provider.respond(request),
            messages,
            params,
            getattr(self._table.provider, "model", None),
            number,
            own_code=not isinstance(self._table.provider, LitellmProvider),
        )

    def _provider_messages(
        self, session: SessionState, extra: Sequence[Message] = ()
    ) -> list[Message]:
        messages: list[Message] = []
        if self._table.provider.system_prompt:
            messages.append({"role": "system", "content": self._table.provider.system_prompt})
        messages += session.messages
        if not session.turns:
            prompt = self._table.scenario.provider.start_prompt
            messages.append({"role": "user", "content": prompt})
        return [*messages, *extra]

    def _request_drafts(self, session: SessionState, speaker: Speaker) -> list[dict[str, Any]]:
        if speaker == "provider":
            text = "\n".join(
                f"{m['role']}: {m.get('content') or ''}" for m in self._provider_messages(session)
            )
            return [{"field": "messages", "label": "about to be sent", "text": text}]
        return []

    async def _run_tools(self, reply: Reply, seq: int, number: int) -> list[Message]:
        calls = reply.tool_calls
        for tool_call in calls:
            self._table.journal.emit_here(
                ToolCalled,
                round=number,
                call=seq,
                id=tool_call.id,
                name=tool_call.name,
                arguments=self._table.toolbox.arguments(tool_call),
                raw_arguments=tool_call.arguments,
            )
        await self._table.gate.pass_through(
            self._table.point("tools"),
            drafts=lambda: [
                {"field": c.id, "label": f"call of {c.name}", "text": c.arguments} for c in calls
            ],
        )
        results = await self._table.toolbox.run(calls)
        for result in results:
            self._table.journal.emit_here(
                ToolReturned,
                round=number,
                call=seq,
                id=result.call.id,
                name=result.call.name,
                ok=result.ok,
                result=result.body,
                error_kind=result.error_kind,
                duration=result.duration,
            )
        return [
            {
                "role": "assistant",
                "content": reply.text or None,
                "tool_calls": [tool_call.as_message() for tool_call in calls],
            },
            *(result.as_message() for result in results),
        ]

    async def _after_answer(self, answer: Answer) -> None:
        because, detail = self._check_budget()
        choices = (GO, END) if because else (GO, EDIT, AGAIN, SKIP)
        await self._after_response(
            answer.reply.text, because=because, detail=detail, choices=choices
        )

    async def _after_response(
        self,
        raw: str,
        *,
        because: HoldReason | None = None,
        detail: str = "",
        choices: tuple[Choice, ...] = (GO, EDIT, AGAIN, SKIP),
    ) -> None:
        """Stage `response`: the raw reply is there; leaves it, perhaps edited, in `_raw`."""
        self._raw = raw
        while True:
            release = await self._table.gate.pass_through(
                self._table.point("response"),
                drafts=lambda: [{"field": "raw", "label": "raw reply", "text": self._raw}],
                choices=choices,
                because=because,
                detail=detail,
            )
            self._table.answer_common(release)
            if because == "budget" and (release.choice == END.id or not self._table.gate.watched):
                self.out_of_budget = Termination(
                    kind="budget", by="harness", reason=detail, at_turn=self._table.number
                )
                return
            if release.choice != EDIT.id:
                return
            edited = str(release.edits.get("raw", self._raw))
            self._table.note_edit("raw", self._raw, edited)
            self._raw = edited
            because, detail = because or "step", "edited"

    def _check_budget(self) -> tuple[HoldReason | None, str]:
        """Whether the reply that has just come crosses the budget, and what to do then."""
        budget = self._table.scenario.budget
        if self._budget_fired or (budget.tokens is None and budget.cost is None):
            return None, ""
        transcript = self._table.journal.transcript
        before = list((transcript.seed.get("counters") or {}).get("usage", {}).values())
        tokens, cost = used_before(before)
        if self._budget_fired is None:
            self._budget_fired = exceeded(budget, tokens, cost)
            if self._budget_fired:
                return None, ""
        tokens += sum(total.tokens or 0 for total in transcript.totals.values())
        cost += sum(total.cost or 0.0 for total in transcript.totals.values())
        if budget.tokens is not None and tokens > budget.tokens:
            detail = f"{tokens:,} tokens, the budget is {budget.tokens:,}"
            crossed: dict[str, Any] = {"what": "tokens", "limit": budget.tokens, "used": tokens}
        elif budget.cost is not None and cost > budget.cost:
            detail = f"${cost:.4f}, the budget is ${budget.cost:.4f}"
            crossed = {"what": "cost", "limit": budget.cost, "used": cost}
        else:
            return None, ""
        self._budget_fired = True
        self._table.journal.emit_here(BudgetCrossed, **crossed)
        if budget.on_exceeded == "pause" and (
            self._table.gate.watched or self._table.gate.on_pause != "continue"
        ):
            return "budget", detail
        if budget.on_exceeded == "stop":
            self.out_of_budget = Termination(
                kind="budget", by="harness", reason=detail, at_turn=self._table.number
            )
        return None, ""

    async def _cancelled(self, error: CallCancelledError) -> Release:
        if not self._table.gate.watched:
            raise error
        release = await self._table.gate.wait(
            "pause",
            self._table.point("response"),
            [{"field": "raw", "label": "what had arrived", "text": error.partial}],
            (AGAIN, SUPPLY, SKIP, FAIL),
            detail="the call was cancelled",
        )
        if release.choice == FAIL.id:
            raise error
        return release

    def _record_decision(self, decision: Decision | None) -> None:
        if decision is not None:
            self._table.journal.emit_here(
                UserDecided,
                kind=decision.kind,
                tool=decision.tool,
                arguments=decision.arguments,
                valid=decision.valid,
                reason=decision.reason,
            )

    def hand_back(self, speaker: Speaker) -> None:
        """The side speaks for itself again; does nothing when it already does."""
        if speaker in self.taken_over:
            self.taken_over.discard(speaker)
            self._table.journal.emit(
                DebugHandedBack(side="provider" if speaker == "provider" else "persona")
            )


def used_before(usage: Iterable[Mapping[str, Any]]) -> tuple[int, float]:
    """Tokens and cost that each side's `usage` names, together."""
    sides = list(usage)
    tokens = sum(side.get("prompt_tokens") or 0 for side in sides) + sum(
        side.get("completion_tokens") or 0 for side in sides
    )
    return tokens, sum(side.get("cost") or 0.0 for side in sides)


def exceeded(budget: Budget, tokens: int, cost: float) -> bool:
    """Whether so much is over a budget."""
    over_tokens = budget.tokens is not None and tokens > budget.tokens
    return over_tokens or (budget.cost is not None and cost > budget.cost)
