"""What the provider says: its calls, and the rounds of tools between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convtui.engine.budget import BudgetGuard
from convtui.engine.calls import Question
from convtui.engine.response import ResponseGate
from convtui.engine.state import SessionState
from convtui.engine.table import Table, Words
from convtui.events import ToolCalled, ToolReturned
from convtui.models.base import Message, Reply
from convtui.providers.base import Request
from convtui.providers.litellm import LitellmProvider


class ProviderWords:
    """Asks the provider."""

    def __init__(self, table: Table, response: ResponseGate, budget: BudgetGuard) -> None:
        self._table = table
        self._response = response
        self._budget = budget

    async def words(self, session: SessionState) -> Words:
        """What the provider says. Raises `ConversationError`."""
        config = self._table.scenario.provider
        if (
            not session.turns
            and config.first_message is not None
            and session.first_speaker == "provider"
            and not self._table.provider.opens_itself
        ):
            return Words(config.first_message)
        extra: list[Message] = []
        toolbox = self._table.toolbox
        rounds = self._table.scenario.limits.max_tool_rounds
        number = 0
        while True:
            number += 1
            question = self._question(session, extra, number)
            answer = await self._table.caller.ask(question)
            self._budget.learn("provider", question.messages, answer.reply.usage)
            raw = await self._response.after(answer)
            reply = answer.reply
            if not reply.tool_calls:
                if reply.finish_reason == "tool_calls":
                    self._table.warn("no_tool_calls", "the model said tool_calls and made none")
                return Words(raw, metadata=reply.metadata, messages=extra)
            if not len(toolbox) or number >= rounds or self._budget.out:
                if number >= rounds:
                    self._table.warn("tool_rounds", f"all {rounds} tool rounds are used up")
                return Words(
                    raw,
                    metadata=reply.metadata,
                    messages=extra,
                    truncated=bool(len(toolbox)),
                )
            extra += await self._run_tools(reply, answer.call, number)

    def _question(self, session: SessionState, extra: Sequence[Message], number: int) -> Question:
        messages = self.messages(session, extra)
        provider = self._table.provider
        tools = self._table.toolbox.schemas
        request = Request(
            messages=[dict(message) for message in messages],
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            history=tuple(session.turns),
            tools=tools,
        )
        params = {
            key: value for key, value in dict(provider.params).items() if "key" not in key.lower()
        }
        return Question(
            "provider",
            lambda: provider.respond(request),
            messages,
            params,
            getattr(provider, "model", None),
            number,
            own_code=not isinstance(provider, LitellmProvider),
            tools=[str(tool["function"]["name"]) for tool in tools] or None,
            estimate=self._budget.estimate("provider", messages),
        )

    def messages(self, session: SessionState, extra: Sequence[Message] = ()) -> list[Message]:
        """Exactly what the provider is sent."""
        messages: list[Message] = []
        if self._table.provider.system_prompt:
            messages.append({"role": "system", "content": self._table.provider.system_prompt})
        messages += session.messages
        if not session.turns:
            prompt = self._table.scenario.provider.start_prompt
            messages.append({"role": "user", "content": prompt})
        return [*messages, *extra]

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
