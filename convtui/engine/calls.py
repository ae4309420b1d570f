"""Calls: whoever answers is asked in one place, timed, retried, cancelled and recorded.

A call is a stream of deltas from a model or from provider code. Retries, the deadline, partial
text and every `llm.*` record are here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
)

from convtui.engine.finish import FinishJudge
from convtui.engine.inject import Injector, injected
from convtui.engine.journal import Journal, jsonable
from convtui.errors import (
    ConversationError,
    ModelTimeout,
    ProviderError,
    TransientModelError,
    TransientProviderError,
)
from convtui.events import (
    DebugInjected,
    LlmFailed,
    LlmPartial,
    LlmRequest,
    LlmResponse,
    LlmRetry,
    Side,
    TurnCancelled,
    Warned,
)
from convtui.log.requests import RequestChain
from convtui.models.base import Delta, Message, Reply, ReplyFold
from convtui.models.context import current_call, current_warn
from convtui.models.retry import RetryDesk, current_retry, full_jitter
from convtui.protocol import describe_error
from convtui.providers.base import ThreadExit, as_delta
from convtui.providers.frames import describe, own_frames

_CANCEL_WITHIN = 0.15
"""Seconds that cancelled code gets to notice; after that it is left behind."""
_PARTIAL_EVERY = 1.0
_DELTA_EVERY = 0.05
_CHUNK_EVERY = 0.02


class CallCancelledError(ConversationError):
    """The call was cancelled by hand; `partial` is what had arrived."""

    category = "cancelled"

    def __init__(self, partial: str) -> None:
        self.partial = partial
        super().__init__("the call was cancelled")


@dataclass(slots=True, frozen=True)
class RetryRules:
    """How often and how long: full jitter between 0 and `base_delay * 2**n`, capped."""

    attempts: int = 4
    base_delay: float = 0.75
    """Seconds."""
    max_delay: float = 8.0
    """Seconds."""

    def wait(self, state: RetryCallState) -> float:
        """Seconds to wait before the next attempt; what the endpoint asked for is honoured."""
        error = state.outcome.exception() if state.outcome is not None else None
        return self.delay(state.attempt_number, error)

    def delay(self, n: int, error: BaseException | None) -> float:
        """Seconds to wait after attempt `n` failed with `error`."""
        asked = getattr(error, "retry_after", None)
        if isinstance(asked, (int, float)) and asked >= 0:
            return float(asked)
        return full_jitter(n, self.base_delay, self.max_delay)


@dataclass(slots=True)
class Question:
    """One call to make: what is sent, and how to open the stream of the answer."""

    side: Side
    open: Callable[[], AsyncIterator[Delta]]
    messages: Sequence[Message]
    params: Mapping[str, Any] = field(default_factory=dict)
    model: str | None = None
    round: int = 1
    own_code: bool = False
    """Whether the developer's own code answers: nothing but `TransientProviderError` is transient
    then, a timeout is not."""
    tools: list[str] | None = None
    """Names of the tools that are offered."""
    estimate: dict[str, Any] | None = None
    """What the call is expected to use."""
    stands: Callable[[Reply], bool] | None = None
    """Whether what had arrived when an attempt failed is enough: it is the reply then."""


@dataclass(slots=True)
class Answer:
    """A complete reply and the `seq` of its request."""

    reply: Reply
    call: int


DeltaSink = Callable[[dict[str, Any]], None]


class Caller:
    """Makes calls, one at a time, and records them."""

    def __init__(
        self,
        journal: Journal,
        *,
        retry: RetryRules,
        timeout: float,
        publish_delta: DeltaSink | None = None,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._journal = journal
        self._retry = retry
        self._timeout = timeout
        self._publish = publish_delta
        self._redact = redact
        self.injector = Injector()
        """Faults for the calls to come."""
        self._finish = FinishJudge()
        self._chains: dict[str, RequestChain] = {}
        self._task: asyncio.Task[Any] | None = None
        self._cancelled: asyncio.Future[None] | None = None
        """Done when the call in flight was cancelled by hand."""
        self._started: float | None = None
        self._others: Callable[[], bool] | None = None
        """Cancels what is in flight that is no call to anybody: tools."""

    @property
    def busy(self) -> float | None:
        """Seconds the call in flight has taken so far, or None."""
        return None if self._started is None else time.monotonic() - self._started

    def cancel(self) -> bool:
        """Cancels the call in flight, or the tools; whether there was something."""
        if self._others is not None:
            return self._others()
        if self._task is None or self._task.done():
            return False
        if self._cancelled is not None and not self._cancelled.done():
            self._cancelled.set_result(None)
        self._task.cancel()
        return True

    @contextlib.contextmanager
    def busy_with(self, cancel: Callable[[], bool]) -> Iterator[None]:
        """While tools run: `busy` counts them, `cancel()` calls `cancel`."""
        self._started, self._others = time.monotonic(), cancel
        try:
            yield
        finally:
            self._started = self._others = None

    async def ask(self, question: Question) -> Answer:
        """Makes a call and returns the reply.

        Raises `CallCancelledError` when it was cancelled by hand, and the last `ConversationError`
        when it failed for good; both are in the log then, with the partial text.
        """
        chain = self._chains.setdefault(question.side, RequestChain(self._journal.clean))
        seq = self._journal.emit_here(
            LlmRequest,
            side=question.side,
            round=question.round if question.round > 1 else None,
            params=jsonable(question.params),
            model=question.model,
            tools=question.tools,
            estimate=question.estimate,
            **chain.add(question.messages),
        )
        chain.placed(seq)
        self._journal.place.call = seq
        run = _Run(self._journal, seq, question, self._publish, self.injector)
        run.desk = RetryDesk(
            attempts=self._retry.attempts,
            delay=self._retry.delay,
            failed=lambda n, delay, error: self._retries_itself(run, n, delay, error),
        )
        self._started = time.monotonic()
        self._cancelled = asyncio.get_running_loop().create_future()
        try:
            reply = await self._with_retries(run)
        finally:
            self._started = None
            self._task = None
            self._journal.place.call = None
        self._record_reply(run, reply)
        return Answer(reply, seq)

    async def _with_retries(self, run: _Run) -> Reply:
        try:
            try:
                return await self._attempt_or_standing(run)
            except (TransientModelError, TransientProviderError) as error:
                return await self._again(run, error)
        except CallCancelledError:
            raise
        except ConversationError as error:
            self._fail(run, error)
            raise

    async def _again(self, run: _Run, error: Exception) -> Reply:
        """Retries; the attempt that failed with `error` counts as the first of them."""
        failed: list[Exception] = [error]

        async def attempt() -> Reply:
            if failed:
                raise failed.pop()
            return await self._attempt_or_standing(run)

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self._retry.attempts),
            wait=self._retry.wait,
            retry=retry_if_exception_type((TransientModelError, TransientProviderError)),
            before_sleep=lambda state: self._record_retry(run, state),
            sleep=lambda seconds: self._sleep(run, seconds),
            reraise=True,
        )
        return await retrying(attempt)

    def _record_retry(self, run: _Run, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        assert error is not None and state.next_action is not None
        self._retry_recorded(run, state.attempt_number, state.next_action.sleep, error)

    def _retries_itself(self, run: _Run, n: int, delay: float, error: BaseException) -> None:
        """Provider code tries again by itself: recorded, and its deadline begins again."""
        self._retry_recorded(run, n, delay, error)
        run.restart()
        run.deadline = time.monotonic() + delay + self._timeout

    def _retry_recorded(self, run: _Run, n: int, delay: float, error: BaseException) -> None:
        self._journal.emit_here(
            LlmRetry,
            call=run.seq,
            side=run.question.side,
            n=n,
            delay=round(delay, 4),
            error=describe_error(error, redact=self._redact),
            partial=run.fold.text or None,
        )

    async def _sleep(self, run: _Run, seconds: float) -> None:
        self._task = asyncio.create_task(asyncio.sleep(seconds))
        try:
            await self._task
        except asyncio.CancelledError:
            if self._cancelled is None or not self._cancelled.done():
                raise
            self._give_up(run)
            raise CallCancelledError(run.fold.text) from None
        run.restart()

    async def _attempt_or_standing(self, run: _Run) -> Reply:
        try:
            return await self._attempt(run)
        except CallCancelledError:
            raise
        except ConversationError as error:
            stands = run.question.stands
            reply = run.fold.reply()
            if stands is None or not stands(reply):
                raise
            run.error = error
            reply.metadata = jsonable(reply.metadata)
            return reply

    async def _attempt(self, run: _Run) -> Reply:
        task = self._task = asyncio.create_task(run.consume())
        by_hand = self._cancelled
        assert by_hand is not None
        run.start_ticking()
        run.deadline = time.monotonic() + self._timeout
        try:
            while not (task.done() or by_hand.done()) and run.deadline > time.monotonic():
                await asyncio.wait(
                    {task, by_hand},
                    timeout=run.deadline - time.monotonic(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
            if by_hand.done():
                # Code that takes no notice is left behind.
                await asyncio.wait({task}, timeout=_CANCEL_WITHIN)
                self._give_up(run)
                raise CallCancelledError(run.fold.text)
            if not task.done():
                await self._leave(task)
                late = f"no end of the reply within {self._timeout:g} s (turn_timeout)"
                raise ProviderError(late) if run.question.own_code else ModelTimeout(late)
            reply: Reply = task.result()
            return reply
        except asyncio.CancelledError:
            # The whole engine is being stopped.
            await self._leave(task)
            run.flush()
            raise
        finally:
            run.stop_ticking()

    @staticmethod
    async def _leave(task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_WITHIN)

    def _give_up(self, run: _Run) -> None:
        run.flush()
        self._journal.emit_here(
            TurnCancelled,
            call=run.seq,
            side=run.question.side,
            partial=run.fold.text,
            reason="cancelled by hand",
        )

    def _fail(self, run: _Run, error: ConversationError) -> None:
        run.flush()
        self._journal.emit_here(
            LlmFailed,
            call=run.seq,
            side=run.question.side,
            error=describe_error(error, redact=self._redact),
            partial=run.fold.text or None,
            duration=round(run.elapsed, 4),
        )

    def _record_reply(self, run: _Run, reply: Reply) -> None:
        run.last_deltas()
        reply.incomplete = self._finish.judge(
            run.question.side,
            reply,
            died=run.error is not None,
            own_code=run.question.own_code,
            silent=lambda message: run.warn("no_finish_reason", message),
        )
        self._journal.emit_here(
            LlmResponse,
            call=run.seq,
            side=run.question.side,
            round=run.question.round if run.question.round > 1 else None,
            raw=reply.text,
            reasoning=reply.reasoning or None,
            tool_calls=[call.as_message() for call in reply.tool_calls] or None,
            finish_reason=reply.finish_reason,
            refused=reply.refused or None,
            parts=jsonable(reply.parts) or None,
            usage=reply.usage.model_dump(exclude_none=True) if reply.usage else None,
            response_id=reply.response_id,
            model=reply.model,
            ttft=None if run.ttft is None else round(run.ttft, 4),
            duration=round(run.elapsed, 4),
            chunks=run.chunks if len(run.chunks) > 1 else None,
            metadata=reply.metadata or None,
            error=None if run.error is None else describe_error(run.error, redact=self._redact),
            incomplete=reply.incomplete or None,
        )
        if reply.doubtful:
            run.warn("tool_calls_doubtful", "tool calls: " + "; ".join(reply.doubtful))


class _Run:
    """The state of one call: what has arrived, and what of it is already out."""

    def __init__(
        self,
        journal: Journal,
        seq: int,
        question: Question,
        publish: DeltaSink | None,
        injector: Injector,
    ) -> None:
        self._journal = journal
        self.seq = seq
        self.question = question
        self._publish = publish
        self._injector = injector
        self.fold = ReplyFold(question.tools or ())
        self.started = time.perf_counter()
        self.deadline = 0.0
        """Of the attempt in progress, by the monotonic clock."""
        self.desk: RetryDesk | None = None
        self.error: ConversationError | None = None
        """What the call failed of after a reply that stands had arrived."""
        self.ttft: float | None = None
        self.chunks: list[list[float]] = []
        self._logged = 0
        self._sent = 0
        self._reasoning_out: list[str] = []
        self._last_sent = 0.0
        self._place = journal.place.fields()
        self._timer: asyncio.TimerHandle | None = None
        self._due = _PARTIAL_EVERY
        self._warned: set[str] = set()

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return time.perf_counter() - self.started

    def restart(self) -> None:
        """Forgets what a failed attempt has brought."""
        self.fold = ReplyFold(self.question.tools or ())
        self.started = time.perf_counter()
        self.ttft = None
        self.chunks = []
        self._logged = self._sent = 0
        self._due = _PARTIAL_EVERY

    async def consume(self) -> Reply:
        """Takes the stream in to its end."""
        token = current_call.set(self.seq)
        rules = current_retry.set(self.desk)
        warn = current_warn.set(self.warn)
        try:
            stream = guarded(self._opening())
            try:
                async for delta in stream:
                    self._take(delta)
            finally:
                await stream.aclose()
            reply = self.fold.reply()
            reply.metadata = jsonable(reply.metadata)
            return reply
        finally:
            current_warn.reset(warn)
            current_retry.reset(rules)
            current_call.reset(token)

    def warn(self, code: str, message: str) -> None:
        """Whoever answers tells something of the call; of each kind once, also when retried."""
        if code not in self._warned:
            self._warned.add(code)
            side = self.question.side
            self._journal.emit_here(Warned, call=self.seq, side=side, code=code, message=message)

    def _opening(self) -> Callable[[], AsyncIterator[Delta]]:
        """How this attempt's stream is opened: with a fault in it when one is armed."""
        question = self.question
        armed = self._injector.take(question.side)
        if armed is None:
            return question.open
        self._journal.emit_here(
            DebugInjected,
            call=self.seq,
            side=question.side,
            fault=armed.fault,
            left=armed.left - 1 or None,
        )
        return injected(armed, question.open, own_code=question.own_code)

    def _take(self, delta: Delta) -> None:
        if delta.begins:
            waited = self.elapsed
            self.started += waited
            self.deadline += waited
            return
        now = self.elapsed
        size = len(delta.text)
        if self.ttft is None and (delta.text or delta.reasoning or delta.tool_calls or delta.parts):
            self.ttft = now
        if size:
            if self.chunks and now - self.chunks[-1][0] < _CHUNK_EVERY:
                self.chunks[-1][1] += size
            else:
                self.chunks.append([round(now, 3), size])
        self.fold.add(delta)
        if self._publish is not None:
            if delta.reasoning:
                self._reasoning_out.append(delta.reasoning)
            if now - self._last_sent >= _DELTA_EVERY:
                self._send(now)

    def _send(self, now: float) -> None:
        text = self.fold.text
        fresh = text[self._sent :]
        if self._publish is None or not (fresh or self._reasoning_out):
            return
        self._sent = len(text)
        self._last_sent = now
        frame: dict[str, Any] = {
            "after": self._journal.writer.count - 1,
            "call": self.seq,
            **{k: v for k, v in self._place.items() if v is not None},
            "side": self.question.side,
            "text": fresh,
        }
        if self._reasoning_out:
            frame["reasoning"] = "".join(self._reasoning_out)
            self._reasoning_out.clear()
        self._publish(frame)

    def last_deltas(self) -> None:
        """Nothing is sent after the reply is complete: its record carries the text."""
        self._sent = len(self.fold.text)

    def start_ticking(self) -> None:
        """20 times a second: what waits to be shown; once a second: the new text into the log."""
        self._timer = asyncio.get_running_loop().call_later(_DELTA_EVERY, self._tick)

    def stop_ticking(self) -> None:
        """Ends that."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now = self.elapsed
        self._send(now)
        if now >= self._due:
            self._due = now + _PARTIAL_EVERY
            self.flush()
        self.start_ticking()

    def flush(self) -> None:
        """Puts the text that is not in the log yet into it."""
        text = self.fold.text
        if len(text) > self._logged:
            self._journal.emit_here(
                LlmPartial,
                call=self.seq,
                side=self.question.side,
                offset=self._logged,
                text=text[self._logged :],
            )
            self._logged = len(text)


async def guarded(open_stream: Callable[[], AsyncIterator[Delta]]) -> Any:
    """A stream whose every failure is a `ConversationError` with the developer's own frames.

    `sys.exit()` and friends in provider code must not end the engine, and a CancelledError that
    nobody of us asked for is a failure too.
    """
    try:
        stream = open_stream()
        if not hasattr(stream, "__aiter__"):
            # `async def respond(...)` with a return instead of a yield: the whole reply at once.
            yield as_delta(await stream if inspect.isawaitable(stream) else stream)
            return
        try:
            async for delta in stream:
                # Provider code may yield anything; text is welcome.
                yield as_delta(delta)
        finally:
            close = getattr(stream, "aclose", None)
            if close is not None:
                with contextlib.suppress(RuntimeError):
                    await close()
    except TransientProviderError as error:
        error.frames = error.frames or own_frames(error)
        raise
    except (ConversationError, GeneratorExit):
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ProviderError("the provider raised CancelledError") from None
    except (SystemExit, ThreadExit) as error:
        cause = error.cause if isinstance(error, ThreadExit) else error
        code = f"sys.exit({cause.code!r})" if isinstance(cause, SystemExit) else repr(cause)
        raise ProviderError(f"the provider called {code}", frames=own_frames(cause)) from error
    except KeyboardInterrupt as error:
        raise ProviderError(
            "the provider raised KeyboardInterrupt", frames=own_frames(error)
        ) from error
    except BaseException as error:  # provider code may raise anything; it becomes a named failure
        raise ProviderError(describe(error), frames=own_frames(error)) from error
