"""What the provider says: its calls, and the rounds of tools between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convtui.engine.calls.calls import CallRequest
from convtui.engine.core.gate import EDIT, GO, REDO, UNDO
from convtui.engine.core.pending import Pending
from convtui.engine.core.state import SessionState
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.context import TurnContext, Utterance, part_types
from convtui.engine.turn.response import ResponseGate
from convtui.engine.turn.tool_rounds import ToolRounds
from convtui.models.base import Message, Reply
from convtui.providers.base import Provider, Request
from convtui.providers.litellm import LitellmProvider
from convtui.records.models import HoldReason
from convtui.scenario.scenario import Scenario
from convtui.warm.templates import with_context


class ProviderWords:
    """Asks the provider."""

    def __init__(self, table: TurnContext, response: ResponseGate, budget: BudgetGuard) -> None:
        self._table = table
        self._response = response
        self._budget = budget
        self._tools = ToolRounds(table)

    async def words(self, session: SessionState) -> Utterance:
        """What the provider says. Raises `ConversationError`."""
        config = self._table.scenario.provider
        if (
            not session.turns
            and config.first_message is not None
            and session.first_speaker == "provider"
            and not self._table.provider.opens_itself
        ):
            return Utterance(config.first_message)
        return await self._rounds(session, [], 1)

    async def go_on(self, session: SessionState, pending: Pending, raw: str) -> Utterance:
        """What the provider says after a reply of an earlier log that called tools.

        The model is not asked for that reply again. Raises `ConversationError`.
        """
        before = pending.tools or {}
        extra = list(pending.messages)
        number = int(before.get("round") or 1)
        words = self._last(pending.reply, raw, extra, number)
        if words is not None:
            return words
        extra += await self._tools.run(pending.reply, raw, None, number, before)
        return await self._rounds(session, extra, number + 1)

    async def _rounds(self, session: SessionState, extra: list[Message], number: int) -> Utterance:
        while True:
            if number > 1:
                await self._results_seen(extra)
            await self._tools.refresh()
            if self._table.params and not isinstance(self._table.provider, LitellmProvider):
                self._table.warn(
                    "params",
                    "the provider's own code is asked: it finds the parameters in request.params,"
                    " and may make no use of them",
                )
            # What the model reads is past taking back.
            self._table.edits.seal()
            question = self._question(session, extra, number)
            answer = await self._table.caller.ask(question)
            self._budget.learn("provider", question.messages, answer.reply.usage)
            raw = await self._response.after(answer)
            words = self._last(answer.reply, raw, extra, number)
            if words is not None:
                return words
            extra += await self._tools.run(answer.reply, raw, answer.call, number)
            number += 1

    async def _results_seen(self, extra: list[Message]) -> None:
        """The gate before the model sees the results of a round: there they may be edited."""
        table = self._table
        detail = ""
        because: HoldReason | None = None
        edits = table.edits
        while True:
            drafts = _result_drafts(extra)
            release = await table.gate.pass_through(
                table.point("request"),
                drafts=lambda: drafts,  # noqa: B023
                choices=(GO, EDIT, *edits.choices),
                because=because,
                detail=detail,
            )
            if release.choice in (UNDO.id, REDO.id):
                again = release.choice == REDO.id
                edit = edits.redo() if again else edits.undo()
                place = next(draft["place"] for draft in drafts if draft["field"] == edit.field)
                text = edit.after if again else edit.before
                extra[place] = {**extra[place], "content": text}
                because, detail = "step", edit.redone if again else edit.undone
                continue
            if release.choice != EDIT.id:
                return
            for draft in drafts:
                text = release.edits.get(draft["field"])
                if isinstance(text, str) and text != draft["text"]:
                    name = f"the {draft['label']}"
                    edits.note(draft["field"], draft["text"], text, "request", name=name)
                    place = draft["place"]
                    extra[place] = {**extra[place], "content": text}
            because, detail = "step", "edited"

    def _last(self, reply: Reply, raw: str, extra: list[Message], number: int) -> Utterance | None:
        """The words of a reply with which the turn's rounds end; None when its tools are to run."""
        if not reply.tool_calls:
            if reply.finish_reason == "tool_calls":
                self._table.warn("no_tool_calls", "the model said tool_calls and made none")
            return self._words(reply, raw, extra)
        offered = bool(len(self._table.toolbox))
        if offered and number < self._tools.most and not self._budget.out:
            return None
        if number >= self._tools.most:
            self._table.warn("tool_rounds", f"all {self._tools.most} tool rounds are used up")
        return self._words(reply, raw, extra, truncated=offered)

    @staticmethod
    def _words(
        reply: Reply, raw: str, extra: list[Message], *, truncated: bool = False
    ) -> Utterance:
        return Utterance(
            raw,
            metadata=dict(reply.metadata),
            messages=extra,
            truncated=truncated,
            incomplete=reply.incomplete,
            finish_reason=reply.finish_reason,
            parts=part_types(reply),
        )

    def _question(
        self, session: SessionState, extra: Sequence[Message], number: int
    ) -> CallRequest:
        messages = self.messages(session, extra)
        provider = self._table.provider
        tools = self._table.toolbox.schemas
        request = Request(
            messages=[dict(message) for message in messages],
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            history=tuple(session.turns),
            params=self._table.params,
            tools=tools,
        )
        params = {**provider.params, **self._table.params}
        model = params.pop("model", None) or getattr(provider, "model", None)
        return CallRequest(
            "provider",
            lambda: provider.respond(request),
            messages,
            params,
            model,
            number,
            own_code=not isinstance(provider, LitellmProvider),
            tools=[str(tool["function"]["name"]) for tool in tools] or None,
            estimate=self._budget.estimate("provider", messages),
        )

    def messages(self, session: SessionState, extra: Sequence[Message] = ()) -> list[Message]:
        """Exactly what the provider is sent."""
        return chat(self._table.provider, self._table.scenario, session, extra)

    def request_drafts(self, session: SessionState) -> list[dict[str, Any]]:
        """What is about to be sent, for a hold."""
        messages = self.messages(session)
        text = "\n".join(f"{m['role']}: {m.get('content') or ''}" for m in messages)
        drafts = [{"field": "messages", "label": "about to be sent", "text": text}]
        estimate = self._budget.estimate("provider", messages)
        if estimate is not None:
            words = self._budget.in_words(estimate)
            drafts.append({"field": "estimate", "label": "expected to use", "text": words})
        return drafts


def chat(
    provider: Provider, scenario: Scenario, session: SessionState, extra: Sequence[Message] = ()
) -> list[Message]:
    """What a provider is sent of a session; `extra` are the tool messages of the turn so far."""
    messages = with_context(session.warm, provider.system_prompt, session.messages)
    if not session.turns:
        messages.append({"role": "user", "content": scenario.provider.start_prompt})
    return [*messages, *extra]


def _result_drafts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The results at the end of a chat, in call order; `place` is where each stands."""
    first = len(messages)
    while first and messages[first - 1].get("role") == "tool":
        first -= 1
    return [
        {
            "field": f"result:{message.get('tool_call_id')}",
            "label": f"result of {message.get('name')}",
            "text": str(message.get("content") or ""),
            "place": place,
        }
        for place, message in enumerate(messages[first:], first)
    ]
