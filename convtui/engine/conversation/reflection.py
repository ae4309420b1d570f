"""Reflection: before another attempt a model says what to do otherwise than in the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from convtui.engine.calls.calls import Caller
from convtui.engine.calls.request import CallRequest
from convtui.engine.core.gate import CONTINUE, FAIL, RETRY, Gate, Point
from convtui.engine.core.journal import Journal
from convtui.engine.core.reflections import Reflection, with_reflections
from convtui.engine.core.state import ConversationState
from convtui.errors import CallCancelledError, ConversationError, ReflectionError, UsageError
from convtui.models.base import Message, ModelClient, ModelClients, Reply
from convtui.protocol import AttemptSpec, describe_error
from convtui.providers.base import Provider
from convtui.providers.litellm import LitellmProvider
from convtui.records.models import ReflectionAdded, Warned
from convtui.text_checks.reasoning import without_reasoning

INSTRUCTION: Final = """\
You are shown a conversation that you had, and how it ended. It should not have ended like that, and
you will have it again from the beginning, with somebody who does not know of this attempt. Write
down for yourself what to do otherwise: where it went wrong, why, and what to do there instead. At
most five sentences or points, each concrete enough to be followed. Write nothing else."""
MOST_CHARACTERS: Final = 8_000
"""Of a reflection; what is longer is cut."""


def reflection_of(reply: Reply) -> str:
    """The reflection in a reply. Raises `ReflectionError` for one without text."""
    text = without_reasoning(reply.text).strip()
    if not text:
        raise ReflectionError("the reflection is empty")
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS].rstrip() + " ..."


def reflecting_client(
    attempt: AttemptSpec, provider: Provider, models: ModelClients
) -> ModelClient | None:
    """Who reflects: the model that is named, else the provider's own; None where nobody is to.

    Raises `UsageError` where there is no model.
    """
    if not attempt.material:
        return None
    if attempt.model is not None:
        return models.client(attempt.model)
    if isinstance(provider, LitellmProvider):
        return models.client(provider.model, provider.params)
    raise UsageError(
        f"{provider.name} has no model of its own to reflect with: name one under attempts.model"
    )


class Reflector:
    """Has the attempt before reflected on, and puts the outcome into the system prompt."""

    def __init__(
        self,
        attempt: AttemptSpec,
        client: ModelClient | None,
        *,
        journal: Journal,
        gate: Gate,
        caller: Caller,
        state: ConversationState,
        provider: Provider,
        run_id: str,
        redact: Callable[[str], str],
    ) -> None:
        self._attempt = attempt
        self._client = client
        self._journal = journal
        self._gate = gate
        self._caller = caller
        self._state = state
        self._provider = provider
        self._run_id = run_id
        self._redact = redact

    async def reflect(self) -> None:
        """Adds a reflection on the attempt before, unless there is one.

        A failure holds, for another try or to go on without; where nobody watches it is a warning.
        Raises the `ConversationError` where the hold is answered with `fail`.
        """
        of = self._attempt.number - 1
        if self._client is None or any(known.of == of for known in self._state.reflections):
            return
        self._journal.current.move_to(None, side="reflection")
        try:
            await self._until_done(self._client)
        finally:
            self._journal.current.move_to(None)

    async def _until_done(self, client: ModelClient) -> None:
        while True:
            try:
                await self._try(client)
                return
            except ConversationError as error:
                choice = await self._hold_on(error) if self._gate.watched else CONTINUE.id
                if choice == FAIL.id:
                    raise
                if choice == CONTINUE.id:
                    self._journal.emit_here(
                        Warned, code="not_reflected", message=f"no reflection: {error}"
                    )
                    return

    async def _hold_on(self, error: ConversationError) -> str:
        cancelled = isinstance(error, CallCancelledError)
        release = await self._gate.wait(
            "error",
            Point(None, None, "setup", "provider"),
            [],
            (RETRY, CONTINUE, FAIL),
            detail="the reflection was cancelled" if cancelled else f"no reflection: {error}",
            error=describe_error(error, redact=self._redact),
        )
        return release.choice

    async def _try(self, client: ModelClient) -> None:
        messages = self._messages()
        answer = await self._caller.ask(
            CallRequest(
                "reflection",
                lambda: client.stream(messages),
                messages,
                client.params,
                client.model,
            )
        )
        text = reflection_of(answer.reply)
        of = self._attempt.number - 1
        seq = self._journal.emit_here(
            ReflectionAdded, call=answer.call, text=text, of=of, model=client.model
        )
        reflection = Reflection(text, of, self._run_id, seq, client.model)
        self._state.reflections = (*self._state.reflections, reflection)

    def _messages(self) -> list[Message]:
        """What the model is asked with: one user message, which every endpoint takes."""
        own = with_reflections(self._provider.system_prompt, self._state.reflections)
        told = [f"Your instructions were:\n\n{own}"] if own else []
        return [
            {"role": "system", "content": INSTRUCTION},
            {"role": "user", "content": "\n\n".join([*told, self._attempt.material])},
        ]


class PromptKeeper:
    """Keeps reflections in the own system prompt of a provider that does not read messages.

    The others get them with every request.
    """

    def __init__(self, journal: Journal, state: ConversationState, provider: Provider) -> None:
        self._journal = journal
        self._state = state
        self._provider = provider
        self._warned = False

    def keep(self) -> None:
        """Puts them there, also where a hook of the provider has written a new prompt."""
        provider = self._provider
        if not self._state.reflections or provider.takes_messages:
            return
        wanted = with_reflections(provider.system_prompt, self._state.reflections)
        if provider.system_prompt == wanted:
            return
        provider.system_prompt = wanted
        if provider.system_prompt != wanted and not self._warned:
            self._warned = True
            self._journal.emit(
                Warned(
                    code="reflection_unseen",
                    message=f"{provider.name} has no set_system_prompt(): it will not see what"
                    " was reflected after earlier attempts",
                )
            )
