"""Compression: replaces the provider's history of a session by a summary.

The provider is called once, without tools, with the whole history and an instruction; its answer
becomes the only message of the history. The log keeps every turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from convtui.engine.calls.calls import Caller
from convtui.engine.calls.request import CallRequest
from convtui.engine.core.gate import CONTINUE, FAIL, RETRY, Gate, Point
from convtui.engine.core.journal import Journal
from convtui.engine.core.reflections import with_reflections
from convtui.engine.core.sides import CheckedHooks
from convtui.engine.core.state import ConversationState, SessionState
from convtui.errors import CallCancelledError, CompressionError, ConversationError
from convtui.models.base import Message, Reply
from convtui.protocol import describe_error
from convtui.providers.base import Provider, Request
from convtui.providers.declared import model_of
from convtui.providers.litellm import LitellmProvider
from convtui.records.models import ContextCompressed, Warned
from convtui.warm.templates import with_context

INSTRUCTION: Final = """\
Stop here and write a summary of this conversation, from which it can be gone on with by somebody
who has read nothing else. Keep every fact, name, number, date and identifier, what was agreed, what
was tried and what came of it, and what is still open. Write the summary only; call no tool."""

_FINISHED: Final = frozenset({None, "stop", "end_turn", "eos", "completed"})


def summary_of(reply: Reply, post_process: Callable[[str], str] = str) -> str:
    """The summary in a reply, after `post_process`.

    Raises `CompressionError` by the rules of rath's compression: a summary has no tool calls, an
    ordinary finish reason, and text.
    """
    if reply.tool_calls:
        names = ", ".join(call.name for call in reply.tool_calls)
        raise CompressionError(f"the model called tools instead of summarising: {names}")
    if reply.finish_reason not in _FINISHED:
        raise CompressionError(
            f"the summary has no proper end (finish_reason {reply.finish_reason})"
        )
    text = post_process(reply.text).strip()
    if not text:
        raise CompressionError("the summary is empty")
    return text


class Compressor:
    """Has the provider summarise the history of a session."""

    def __init__(
        self,
        *,
        journal: Journal,
        gate: Gate,
        caller: Caller,
        state: ConversationState,
        provider: Provider,
        redact: Callable[[str], str],
    ) -> None:
        self._journal = journal
        self._gate = gate
        self._caller = caller
        self._state = state
        self._provider = provider
        self._redact = redact

    async def compress(self, session: SessionState) -> None:
        """Replaces the provider's history of a session by a summary.

        A failure holds, for another attempt or to go on without; raises its `ConversationError`
        where nobody watches, or where the hold is answered with `fail`.
        """
        self._journal.current.move_to(session.index, side="provider")
        while True:
            try:
                await self._try(session)
                return
            except ConversationError as error:
                if not self._gate.watched:
                    raise
                choice = await self._hold_on(session, error)
                if choice == FAIL.id:
                    raise
                if choice == CONTINUE.id:
                    self._journal.emit_here(
                        Warned, code="not_compressed", message=f"not compressed: {error}"
                    )
                    return

    async def _hold_on(self, session: SessionState, error: ConversationError) -> str:
        cancelled = isinstance(error, CallCancelledError)
        release = await self._gate.wait(
            "error",
            Point(session.index, None, "restore", "provider"),
            [],
            (RETRY, CONTINUE, FAIL),
            detail="the compression was cancelled" if cancelled else f"not compressed: {error}",
            error=describe_error(error, redact=self._redact),
        )
        return release.choice

    async def _try(self, session: SessionState) -> None:
        messages: list[Message] = with_context(
            session.warm,
            with_reflections(self._provider.system_prompt, session.reflections),
            session.messages,
        )
        messages.append({"role": "user", "content": INSTRUCTION})
        request = Request(
            messages=[dict(message) for message in messages],
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers + 1,
            history=tuple(session.turns),
            tools=[],
        )
        params = dict(self._provider.params)
        answer = await self._caller.ask(
            CallRequest(
                "provider",
                lambda: self._provider.respond(request),
                messages,
                params,
                model_of(self._provider),
                own_code=not isinstance(self._provider, LitellmProvider),
            )
        )
        summary = summary_of(answer.reply, CheckedHooks(self._provider).post_process)
        before = len(session.messages)
        self._state.compress(session, summary)
        self._journal.emit_here(
            ContextCompressed,
            call=answer.call,
            summary=summary,
            upto=session.turns[-1].turn if session.turns else 0,
            rows_in=before,
            rows_out=len(session.messages),
        )
