"""The provider's turns: its calls, with rounds of tools between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convtui.engine.calls.request import CallRequest
from convtui.engine.core.edits import Edits
from convtui.engine.core.gate import EDIT, GO, REDO, UNDO
from convtui.engine.core.pending import Pending
from convtui.engine.core.reflections import with_reflections
from convtui.engine.core.state import SessionState
from convtui.engine.tools.tools import Toolbox
from convtui.engine.turn.budget import BudgetGuard
from convtui.engine.turn.context import Attempt, TurnContext
from convtui.engine.turn.outcomes import GivenUp
from convtui.engine.turn.response import ResponseStage
from convtui.engine.turn.tool_rounds import ToolRounds
from convtui.engine.turn.utterance import Utterance
from convtui.models.base import Message, Reply
from convtui.models.handed_out import HandedOut
from convtui.providers.base import Provider, Request
from convtui.providers.declared import model_of
from convtui.providers.litellm import LitellmProvider
from convtui.records.models import HoldReason
from convtui.scenario.scenario import Scenario
from convtui.warm.templates import with_context


class ProviderTurn:
    """Asks the provider."""

    def __init__(
        self,
        context: TurnContext,
        response: ResponseStage,
        budget: BudgetGuard,
        *,
        provider: Provider,
        toolbox: Toolbox,
    ) -> None:
        self._context = context
        self._response = response
        self._budget = budget
        self._provider = provider
        self._toolbox = toolbox
        self._tools = ToolRounds(context, toolbox)
        self._handed_out = HandedOut()

    async def speak(self, attempt: Attempt) -> Utterance | GivenUp:
        """Asks the provider for its turn. Raises `ConversationError`."""
        session = attempt.session
        config = self._context.scenario.provider
        if (
            not session.turns
            and config.first_message is not None
            and session.first_speaker == "provider"
            and not self._provider.opens_itself
        ):
            return Utterance(config.first_message)
        return await self._rounds(attempt, [], 1)

    async def go_on(self, attempt: Attempt, pending: Pending, raw: str) -> Utterance | GivenUp:
        """Continues after a reply in an earlier log that called tools.

        The model is not asked for that reply again. Raises `ConversationError`.
        """
        before = pending.tools or {}
        extra = list(pending.messages)
        number = int(before.get("round") or 1)
        utterance = self._last(pending.reply, raw, extra, number)
        if utterance is not None:
            return utterance
        extra += await self._tools.run(
            attempt.edits, pending.reply, raw, None, number, before=before
        )
        return await self._rounds(attempt, extra, number + 1)

    async def _rounds(
        self, attempt: Attempt, extra: list[Message], number: int
    ) -> Utterance | GivenUp:
        """Alternates calls and tools until a reply calls none, starting with round `number`.

        `extra` is what earlier rounds have added to the chat.
        """
        while True:
            if number > 1:
                await self._results_seen(attempt.edits, extra)
            await self._tools.refresh()
            if attempt.params and not isinstance(self._provider, LitellmProvider):
                self._context.warn(
                    "params",
                    "the provider's own code is asked: it finds the parameters in request.params,"
                    " and may make no use of them",
                )
            # The model is about to read the edits: they cannot be undone any more.
            attempt.edits.seal()
            call = self._call(attempt, extra, number)
            result = await self._context.caller.ask(call)
            self._budget.learn("provider", call.messages, result.reply.usage)
            because, detail = self._budget.check()
            raw = await self._response.passed(
                result.reply.text, attempt.edits, because=because, detail=detail
            )
            if isinstance(raw, GivenUp):
                return raw
            utterance = self._last(result.reply, raw, extra, number)
            if utterance is not None:
                return utterance
            extra += await self._tools.run(attempt.edits, result.reply, raw, result.call, number)
            number += 1

    async def _results_seen(self, edits: Edits, extra: list[Message]) -> None:
        """Holds before the model reads the results of a round, which can be edited there."""
        detail = ""
        because: HoldReason | None = None
        while True:
            drafts = _result_drafts(extra)
            release = await self._context.holds.pass_through(
                "request",
                drafts=lambda: drafts,  # noqa: B023
                choices=(GO, EDIT, *edits.choices),
                because=because,
                detail=detail,
            )
            if release.choice in (UNDO.id, REDO.id):
                again = release.choice == REDO.id
                edit = edits.redo() if again else edits.undo()
                index = next(draft["place"] for draft in drafts if draft["field"] == edit.field)
                text = edit.after if again else edit.before
                extra[index] = {**extra[index], "content": text}
                because, detail = "step", edit.redone if again else edit.undone
                continue
            if release.choice != EDIT.id:
                return
            for draft in drafts:
                text = release.edits.get(draft["field"])
                if isinstance(text, str) and text != draft["text"]:
                    name = f"the {draft['label']}"
                    edits.note(draft["field"], draft["text"], text, "request", name=name)
                    index = draft["place"]
                    extra[index] = {**extra[index], "content": text}
            because, detail = "step", "edited"

    def _last(self, reply: Reply, raw: str, extra: list[Message], number: int) -> Utterance | None:
        """The utterance, if the reply ends the rounds; None if its tools are to run."""
        if not reply.tool_calls:
            if reply.finish_reason == "tool_calls":
                self._context.warn("no_tool_calls", "the model said tool_calls and made none")
            return Utterance.of_reply(reply, raw, messages=extra)
        offered = bool(len(self._toolbox))
        if offered and number < self._tools.most and not self._budget.out:
            return None
        if number >= self._tools.most:
            self._context.warn("tool_rounds", f"all {self._tools.most} tool rounds are used up")
        return Utterance.of_reply(reply, raw, messages=extra, truncated=offered)

    def _call(self, attempt: Attempt, extra: Sequence[Message], number: int) -> CallRequest:
        session = attempt.session
        messages = self.messages(session, extra)
        provider = self._provider
        tools = self._toolbox.schemas
        request = Request(
            messages=self._handed_out.copies(messages),
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            history=tuple(session.turns),
            params=attempt.params,
            tools=tools,
        )
        params = {**provider.params, **attempt.params}
        model = params.pop("model", None) or model_of(provider)
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
        """The messages exactly as the provider is sent them."""
        return chat(self._provider, self._context.scenario, session, extra)

    def request_drafts(self, session: SessionState) -> list[dict[str, Any]]:
        """The request as a hold shows it."""
        messages = self.messages(session)
        text = "\n".join(f"{m['role']}: {m.get('content') or ''}" for m in messages)
        drafts = [{"field": "messages", "label": "about to be sent", "text": text}]
        estimate = self._budget.estimate("provider", messages)
        if estimate is not None:
            text = self._budget.in_words(estimate)
            drafts.append({"field": "estimate", "label": "expected to use", "text": text})
        return drafts


def chat(
    provider: Provider, scenario: Scenario, session: SessionState, extra: Sequence[Message] = ()
) -> list[Message]:
    """The chat that a provider is sent; `extra` are the tool messages of the turn so far."""
    own = with_reflections(provider.system_prompt, session.reflections)
    messages = with_context(session.warm, own, session.messages)
    if not session.turns:
        messages.append({"role": "user", "content": scenario.provider.start_prompt})
    messages += extra
    return messages


def _result_drafts(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The results at the end of a chat, in call order; `place` is the index of the message."""
    first = len(messages)
    while first and messages[first - 1].get("role") == "tool":
        first -= 1
    return [
        {
            "field": f"result:{message.get('tool_call_id')}",
            "label": f"result of {message.get('name')}",
            "text": str(message.get("content") or ""),
            "place": index,
        }
        for index, message in enumerate(messages[first:], first)
    ]
