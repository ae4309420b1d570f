"""Calls: whoever answers is asked in one place, timed, retried, cancelled and recorded.

A call is a stream of deltas from a model or from provider code. Retries, the deadline, partial
text and every `llm.*` record are here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any

from convtui.engine.calls.active_call import ActiveCall, Bell, Ticker
from convtui.engine.calls.begun import begin
from convtui.engine.calls.finish import FinishJudge
from convtui.engine.calls.inject import Injector
from convtui.engine.calls.objections import with_turn
from convtui.engine.calls.permits import Permits, endpoint_key
from convtui.engine.calls.request import CallRequest, CallResult, DeltaSink
from convtui.engine.calls.retrying import RetryRules, Wait
from convtui.engine.core.journal import Journal, jsonable
from convtui.errors import (
    CallCancelledError,
    ConversationError,
    ModelTimeout,
    ProviderError,
)
from convtui.log.requests import RequestChain
from convtui.models.base import Message, Reply
from convtui.models.retry import RetryContext
from convtui.protocol import describe_error
from convtui.records.models import LlmFailed, LlmRequest, LlmResponse, LlmRetry, TurnCancelled
from convtui.secrets.masking import public_params
from convtui.secrets.redactor import Redactor
from convtui.text.causes import text_of

_CANCEL_WITHIN = 0.15
"""Seconds that cancelled code gets to react; after that it is abandoned."""


class Caller:
    """Makes calls, one at a time, and records them.

    `waits` is called when a call begins to wait for another attempt or for a permit; it may cancel
    the conversation.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        retry: RetryRules,
        timeout: float,
        publish_delta: DeltaSink | None = None,
        seen: Callable[[], bool] = lambda: True,
        redactor: Redactor | None = None,
        permits: Permits | None = None,
        waits: Callable[[], None] = lambda: None,
    ) -> None:
        self._permits = permits or Permits()
        self._journal = journal
        self._redactor = redactor or Redactor()
        self._retry = retry
        self._timeout = timeout
        self._publish = publish_delta
        self._seen = seen
        self.injector = Injector()
        """Faults for future calls."""
        self._finish = FinishJudge()
        self._chains: dict[str, RequestChain] = {}
        self._task: asyncio.Task[Any] | None = None
        self._by_hand = False
        """Whether the call in flight, or the wait before the next, was cancelled by hand."""
        self._bell: Bell | None = None
        """That of the attempt in flight."""
        self._ticker = Ticker()
        self._started: float | None = None
        self._others: Callable[[], bool] | None = None
        """Cancels the tools in flight."""
        self._wait: Wait | None = None
        self._queued = ""
        self._on_wait = waits

    @property
    def queued(self) -> str:
        """The endpoint for whose permit the call waits; empty for a call that has one."""
        return self._queued

    @property
    def busy(self) -> float | None:
        """Seconds that the call in flight has taken so far, or None."""
        return None if self._started is None else time.monotonic() - self._started

    @property
    def waiting(self) -> Wait | None:
        """The wait in progress before another attempt."""
        wait = self._wait
        return wait if wait is not None and wait.left > 0 else None

    @property
    def waits(self) -> bool:
        """Whether nothing is in flight because of a wait: for another attempt, or for a permit."""
        return bool(self._queued) or self.waiting is not None

    def cancel(self) -> bool:
        """Cancels the call in flight, the wait before the next attempt, or the tools.

        Returns whether there was something.
        """
        if self._others is not None:
            return self._others()
        if self._task is None or self._task.done():
            return False
        self._by_hand = True
        self._task.cancel()
        if self._bell is not None:
            self._bell.ring()
        return True

    @contextlib.contextmanager
    def busy_with(self, cancel: Callable[[], bool]) -> Iterator[None]:
        """Counts tools as `busy` while they run; `cancel()` calls `cancel`."""
        self._started, self._others = time.monotonic(), cancel
        try:
            yield
        finally:
            self._started = self._others = None

    async def ask(self, request: CallRequest) -> CallResult:
        """Makes a call and returns the reply.

        Raises `CallCancelledError` when it was cancelled by hand, and the last `ConversationError`
        when it failed for good; both are in the log then, with the partial text.
        """
        chain = self._chains.get(request.side)
        if chain is None:
            chain = self._chains[request.side] = RequestChain(self._journal.clean)
        # What was said is in the log before anybody else gets it, whatever ends this process then.
        if not request.own_code:
            self._journal.write_out()
        seq = self._journal.emit_soon(
            LlmRequest,
            partial(_chained, chain, request.messages),
            side=request.side,
            round=request.round if request.round > 1 else None,
            params=public_params(request.params, self._redactor),
            model=request.model,
            tools=request.tools,
            estimate=request.estimate,
        )
        if request.own_code:
            # It may do anything: that it was asked is in the log, too.
            self._journal.write_out()
        self._journal.current.call = seq
        call = ActiveCall(
            self._journal,
            seq,
            request,
            self._publish,
            self.injector,
            redactor=self._redactor,
            ticker=self._ticker,
            seen=self._seen,
        )
        call.retry = RetryContext(
            attempts=self._retry.attempts,
            delay=self._retry.delay,
            failed=lambda n, delay, error: self._retries_itself(call, n, delay, error),
            too_long=self._retry.too_long,
        )
        self._started = time.monotonic()
        self._by_hand = False
        try:
            reply = await self._with_retries(call)
        finally:
            self._started = self._task = self._wait = None
            self._journal.current.call = None
            # It refers back to the call, which would stay until the next look for garbage.
            call.retry = None
        self._record_reply(call, reply)
        return CallResult(reply, seq)

    async def _with_retries(self, call: ActiveCall) -> Reply:
        n = 1
        while True:
            try:
                return await self._permitted_attempt(call)
            except CallCancelledError:
                raise
            except ConversationError as error:
                if not self._retry.allows_another(n, error):
                    final = self._final(call, error)
                    self._fail(call, final)
                    raise final from error.__cause__
                delay = self._retry.delay(n, error)
                self._announce_retry(call, n, delay, error)
            await self._sleep(call, delay)
            n += 1

    def _final(self, call: ActiveCall, error: ConversationError) -> ConversationError:
        """The error of a failed call, with everything that is known about it."""
        request = call.request
        located = with_turn(error, request.messages, request.side, self._journal.transcript)
        return self._retry.final(located)

    def _announce_retry(self, call: ActiveCall, n: int, delay: float, error: BaseException) -> None:
        """Records that attempt `n` failed, and shows the wait before the next one."""
        attempts = self._retry.attempts
        self._journal.emit_here(
            LlmRetry,
            call=call.seq,
            side=call.request.side,
            n=n,
            delay=round(delay, 4),
            attempts=attempts,
            error=describe_error(error, redact=self._redactor.text),
            partial=call.partial or None,
        )
        why = self._redactor.text(text_of(error))
        self._wait = Wait.of(delay, why, attempt=n + 1, attempts=attempts)

    def _retries_itself(self, call: ActiveCall, n: int, delay: float, error: BaseException) -> None:
        """Records a retry made by provider code itself, and restarts the deadline."""
        self._announce_retry(call, n, delay, error)
        self._on_wait()
        call.restart()
        call.deadline = time.monotonic() + delay + self._timeout

    async def _sleep(self, call: ActiveCall, seconds: float) -> None:
        if not await self._slept(seconds):
            self._give_up(call)
            raise CallCancelledError(call.fold.text) from None
        call.restart()

    async def _slept(self, seconds: float) -> bool:
        """Waits; returns False when cancelled by hand."""
        return await self._waited(asyncio.sleep(seconds))

    async def _waited(self, what: Coroutine[Any, Any, None]) -> bool:
        """Waits for something; returns False when cancelled by hand."""
        self._on_wait()
        self._task = asyncio.create_task(what)
        try:
            await self._task
        except asyncio.CancelledError:
            if not self._by_hand:
                raise
            return False
        finally:
            self._task = self._wait = None
        return True

    async def wait(self, seconds: float, why: str) -> bool:
        """Waits where no call is in flight; whether that came to its end.

        It is announced, and cancelled by hand, as the wait before another attempt is.
        """
        self._by_hand = False
        self._wait = Wait.of(seconds, why)
        return await self._slept(seconds)

    async def _permitted_attempt(self, call: ActiveCall) -> Reply:
        """Makes an attempt once the endpoint's limit allows it; code of the developer's has none.

        Waiting for that counts for no deadline.
        """
        request, permits = call.request, self._permits
        key = None if request.own_code else endpoint_key(request.model, request.params)
        if key is None:
            return await self._attempt_or_standing(call)
        if permits.must_wait(key):
            self._queued = key
            try:
                let_in = await self._waited(permits.wait(key))
            finally:
                self._queued = ""
            if not let_in:
                self._give_up(call)
                raise CallCancelledError(call.fold.text)
            call.restart()
        else:
            await permits.wait(key)
        error: BaseException | None = None
        try:
            reply = await self._attempt_or_standing(call)
            error = call.error
            return reply
        except BaseException as failure:
            error = failure
            raise
        finally:
            permits.done(key, error)

    async def _attempt_or_standing(self, call: ActiveCall) -> Reply:
        try:
            return await self._attempt(call)
        except CallCancelledError:
            raise
        except ConversationError as error:
            stands = call.request.stands
            reply = call.fold.reply()
            if stands is None or not stands(reply):
                raise
            call.error = error
            reply.metadata = jsonable(reply.metadata)
            return reply

    async def _attempt(self, call: ActiveCall) -> Reply:
        self._bell = call.bell
        call.deadline = time.monotonic() + self._timeout
        # A model's request goes out here; all else can be done while it is under way. Code of the
        # developer's may block at once, before a signal that has come is noticed.
        start = asyncio.create_task if call.request.own_code else begin
        task = self._task = start(call.consume())
        # It tells itself of its end, which is sooner; if it ended at once, nobody else would.
        task.add_done_callback(call.bell.ring)
        self._journal.postpone(call.bell.ring)
        if self._journal.much_to_fold:
            asyncio.get_running_loop().call_soon(self._journal.fold)
        call.start_ticking()
        try:
            waited = False
            # Once at least: code that has blocked for too long may have come to its end.
            while not (task.done() or self._by_hand) and (
                not waited or call.deadline > time.monotonic()
            ):
                await call.bell.wait()
                waited = True
                if self._journal.failed:
                    await self._leave(task)
                    self._journal.raise_failure()
            if self._by_hand:
                # Code that takes no notice is left behind.
                await asyncio.wait({task}, timeout=_CANCEL_WITHIN)
                self._give_up(call)
                raise CallCancelledError(call.fold.text)
            if not task.done():
                await self._leave(task)
                late = f"no end of the reply within {self._timeout:g} s (turn_timeout)"
                raise ProviderError(late) if call.request.own_code else ModelTimeout(late)
            reply: Reply = task.result()
            return reply
        except asyncio.CancelledError:
            # The whole engine is being stopped.
            await self._leave(task)
            call.flush()
            raise
        finally:
            call.stop_ticking()
            self._bell = None

    @staticmethod
    async def _leave(task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_WITHIN)

    def _give_up(self, call: ActiveCall) -> None:
        call.flush()
        self._journal.emit_here(
            TurnCancelled,
            call=call.seq,
            side=call.request.side,
            partial=call.partial,
            reason="cancelled by hand",
        )

    def _fail(self, call: ActiveCall, error: ConversationError) -> None:
        call.flush()
        self._journal.emit_here(
            LlmFailed,
            call=call.seq,
            side=call.request.side,
            error=describe_error(error, redact=self._redactor.text),
            partial=call.partial or None,
            duration=round(call.elapsed, 4),
        )

    def _record_reply(self, call: ActiveCall, reply: Reply) -> None:
        if call.request.own_code:
            self._journal.end_child()
        call.last_deltas()
        reply.incomplete = self._finish.judge(
            call.request.side,
            reply,
            died=call.error is not None,
            own_code=call.request.own_code,
            silent=lambda message: call.warn("no_finish_reason", message),
        )
        self._journal.emit_soon(
            LlmResponse,
            call=call.seq,
            side=call.request.side,
            round=call.request.round if call.request.round > 1 else None,
            raw=reply.text,
            reasoning=reply.reasoning or None,
            tool_calls=[call.as_message() for call in reply.tool_calls] or None,
            finish_reason=reply.finish_reason,
            refused=reply.refused or None,
            parts=jsonable(reply.parts) if reply.parts else None,
            usage=reply.usage.model_dump(exclude_none=True) if reply.usage else None,
            response_id=reply.response_id,
            model=reply.model,
            ttft=None if call.ttft is None else round(call.ttft, 4),
            duration=round(call.elapsed, 4),
            chunks=call.public_chunks(reply.text) if len(call.chunks) > 1 else None,
            metadata=reply.metadata or None,
            error=(
                None
                if call.error is None
                else describe_error(call.error, redact=self._redactor.text)
            ),
            incomplete=reply.incomplete or None,
        )
        if reply.doubtful:
            call.warn("tool_calls_doubtful", "tool calls: " + "; ".join(reply.doubtful))


def _chained(chain: RequestChain, messages: Sequence[Message], seq: int) -> dict[str, Any]:
    fields = chain.add(messages)
    chain.placed(seq)
    return fields
