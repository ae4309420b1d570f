"""The state of one call: what has arrived, and how much of it is shown and logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from convtui.engine.calls.guarded import GuardedStream
from convtui.engine.calls.inject import Injector, injected
from convtui.engine.calls.request import CallRequest, DeltaSink
from convtui.engine.core.journal import Journal, jsonable
from convtui.errors import ConversationError, ProviderError
from convtui.models.base import Delta, Reply, ReplyFold
from convtui.models.context import current_call, current_warn
from convtui.models.retry import RetryContext, current_retry
from convtui.records.models import DebugInjected, LlmPartial, Warned
from convtui.secrets.redactor import Redactor, moved
from convtui.secrets.stream import StreamRedactor

_PARTIAL_EVERY = 1.0
_DELTA_EVERY = 0.05
_CHUNK_EVERY = 0.02
_LET_OTHERS_EVERY = 0.02
"""Seconds after which a stream that never waits yields to the event loop."""
MOST_CHARACTERS = 64 << 20
"""Limit of text, reasoning and arguments together; a longer reply is abandoned."""


class Ticker:
    """Calls back once after some time, or earlier. On one event loop.

    A timer that is left from the call before serves the next one as well: most calls are over long
    before it is due.
    """

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._tick: Callable[[], None] | None = None

    def start(self, delay: float, tick: Callable[[], None]) -> None:
        """Calls `tick` after at most `delay` seconds, in the place of what was to be called."""
        self._tick = tick
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._fire)

    def stop(self) -> None:
        """Calls nobody."""
        self._tick = None

    def _fire(self) -> None:
        self._timer, tick, self._tick = None, self._tick, None
        if tick is not None:
            tick()


class Bell:
    """Wakes the one task that waits for it. On one event loop."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def ring(self, *_: object) -> None:
        """Wakes who waits now; also as a callback."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Waits for the next ring."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


class ActiveCall:
    """One call in progress, through all its attempts."""

    def __init__(
        self,
        journal: Journal,
        seq: int,
        request: CallRequest,
        publish: DeltaSink | None,
        injector: Injector,
        *,
        redactor: Redactor,
        ticker: Ticker,
        seen: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ticker = ticker
        self._seen = seen
        """Whether anybody sees the text as it arrives."""
        self._journal = journal
        self._redactor = redactor
        self.seq = seq
        self.request = request
        self._publish = publish
        self._injector = injector
        self.fold = ReplyFold(self.request.tools or ())
        self.started = time.perf_counter()
        self.deadline = 0.0
        """Of the current attempt, on the monotonic clock."""
        self.bell = Bell()
        """Rings at the end of an attempt and at its deadline."""
        self.retry: RetryContext | None = None
        self.error: ConversationError | None = None
        """The failure of a call whose reply is used nevertheless."""
        self.ttft: float | None = None
        self.chunks: list[list[float]] = []
        self._characters = 0
        self._public: _PublicText | None = None
        """Made when it is needed: most replies are complete before any of it is shown or logged."""
        self._logged = 0
        self._sent = 0
        self._reasoning_out: list[str] = []
        self._reasoning: StreamRedactor | None = None
        """As `_public`."""
        self._last_sent = 0.0
        self._turn = journal.current.fields()
        self._due = _PARTIAL_EVERY
        self._warned: set[str] = set()

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return time.perf_counter() - self.started

    def restart(self) -> None:
        """Drops what a failed attempt has received."""
        self.fold = ReplyFold(self.request.tools or ())
        self.started = time.perf_counter()
        self.ttft = None
        self.chunks = []
        self._characters = self._logged = self._sent = 0
        self._public = self._reasoning = None
        self._due = _PARTIAL_EVERY

    async def consume(self) -> Reply:
        """Reads the stream to its end."""
        token = current_call.set(self.seq)
        rules = current_retry.set(self.retry)
        warn = current_warn.set(self.warn)
        try:
            stream = GuardedStream(self._opening())
            breath = time.perf_counter()
            try:
                async for delta in stream:
                    self._take(delta)
                    if time.perf_counter() - breath >= _LET_OTHERS_EVERY:
                        await asyncio.sleep(0)
                        breath = time.perf_counter()
            finally:
                await stream.aclose()
            reply = self.fold.reply()
            if reply.metadata:
                reply.metadata = jsonable(reply.metadata)
            return reply
        finally:
            current_warn.reset(warn)
            current_retry.reset(rules)
            current_call.reset(token)
            self.bell.ring()

    def warn(self, code: str, message: str) -> None:
        """Records a warning about the call, once for each code, retries included."""
        if code not in self._warned:
            self._warned.add(code)
            side = self.request.side
            self._journal.emit_here(Warned, call=self.seq, side=side, code=code, message=message)

    def _opening(self) -> Callable[[], AsyncIterator[Delta]]:
        """Opens the stream of this attempt, with a fault in it if one is armed."""
        request = self.request
        armed = self._injector.take(request.side)
        if armed is None:
            return request.open
        self._journal.emit_here(
            DebugInjected,
            call=self.seq,
            side=request.side,
            fault=armed.fault,
            left=armed.left - 1 or None,
        )
        return injected(armed, request.open, own_code=request.own_code)

    def _take(self, delta: Delta) -> None:
        if delta.begins:
            waited = self.elapsed
            self.started += waited
            self.deadline += waited
            return
        now = self.elapsed
        size = len(delta.text)
        self._weigh(delta)
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
            if now - self._last_sent >= _DELTA_EVERY and self._seen():
                self._send(now)

    def _weigh(self, delta: Delta) -> None:
        """Raises `ProviderError` for a reply so long that it would use up the memory."""
        self._characters += len(delta.text) + len(delta.reasoning)
        for piece in delta.tool_calls:
            self._characters += len(piece.arguments)
        if self._characters > MOST_CHARACTERS:
            raise ProviderError(
                f"the reply is longer than {MOST_CHARACTERS >> 20} million characters: given up"
            )

    def _send(self, now: float) -> None:
        if self._publish is None:
            return
        text = self._public_text.of(self.fold.text)
        fresh = text[self._sent :]
        if self._reasoning is None:
            self._reasoning = StreamRedactor(self._redactor)
        reasoning = self._reasoning.feed("".join(self._reasoning_out))
        self._reasoning_out.clear()
        if not (fresh or reasoning):
            return
        self._journal.write_out()
        offset, self._sent = self._sent, len(text)
        self._last_sent = now
        frame: dict[str, Any] = {
            "after": self._journal.writer.count - 1,
            "call": self.seq,
            **{k: v for k, v in self._turn.items() if v is not None},
            "side": self.request.side,
            "offset": offset,
            "text": fresh,
        }
        if reasoning:
            frame["reasoning"] = reasoning
        self._publish(frame)

    def last_deltas(self) -> None:
        """Stops sending deltas: the record of the complete reply carries the text."""
        self._publish = None

    def start_ticking(self) -> None:
        """Starts sending deltas 20 times a second, logging new text once a second, and ringing the
        bell at the deadline."""
        often = self._publish is not None and self._seen()
        delay = _DELTA_EVERY if often else max(_DELTA_EVERY, self._due - self.elapsed)
        left = self.deadline - time.monotonic()
        self._ticker.start(min(delay, left) if left > 0 else delay, self._tick)

    def stop_ticking(self) -> None:
        """Stops sending and logging."""
        self._ticker.stop()

    def _tick(self) -> None:
        now = self.elapsed
        if self._seen():
            self._send(now)
        if now >= self._due:
            self._due = now + _PARTIAL_EVERY
            self._log(self._public_text.of(self.fold.text))
        if time.monotonic() >= self.deadline:
            self.bell.ring()
        self.start_ticking()

    def flush(self) -> None:
        """Logs the rest of the text."""
        self._log(self.partial)

    @property
    def partial(self) -> str:
        """The text so far as it is logged, when no more is to come."""
        return self._public_text.all_of(self.fold.text)

    @property
    def _public_text(self) -> _PublicText:
        if self._public is None:
            self._public = _PublicText(self._redactor)
        return self._public

    def public_chunks(self, raw: str) -> list[list[float]]:
        """`chunks`, counted in characters of the text as it is logged."""
        spans = self._redactor.spans(raw)
        if not spans:
            return self.chunks
        chunks: list[list[float]] = []
        end = written = 0
        for at, size in self.chunks:
            end += int(size)
            now = moved(end, spans)
            chunks.append([at, now - written])
            written = now
        return chunks

    def _log(self, text: str) -> None:
        if len(text) > self._logged:
            self._journal.emit_here(
                LlmPartial,
                call=self.seq,
                side=self.request.side,
                offset=self._logged,
                text=text[self._logged :],
            )
            self._logged = len(text)


class _PublicText:
    """A growing text with secrets masked; a possible half of one is held back."""

    def __init__(self, redactor: Redactor) -> None:
        self._stream = StreamRedactor(redactor)
        self._taken = 0
        self._text = ""

    def of(self, whole: str) -> str:
        """The part of the text `whole` that can be logged by now."""
        if len(whole) > self._taken:
            self._text += self._stream.feed(whole[self._taken :])
            self._taken = len(whole)
        return self._text

    def all_of(self, whole: str) -> str:
        """The rest as well, when the text is complete."""
        self._text = self.of(whole) + self._stream.rest()
        return self._text
