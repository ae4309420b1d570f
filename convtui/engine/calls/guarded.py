"""Streams of provider code, whose failures all become `ConversationError`s."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import AsyncGeneratorType
from typing import Any, Self

from convtui.errors import (
    WORTH_ANOTHER_ATTEMPT,
    ConversationError,
    ProviderError,
    ThreadExit,
    TransientProviderError,
)
from convtui.models.base import Delta
from convtui.models.waits import seconds_of
from convtui.providers.pieces import delta_of, piece_delta
from convtui.providers.streams import plain_stream
from convtui.text.causes import chain, describe, describe_one, repr_of, roots, text_of
from convtui.text.tracebacks import own_frames


class GuardedStream:
    """A stream whose every failure is a `ConversationError` with the developer's own frames.

    `sys.exit()` and friends in provider code must not end the engine, and a CancelledError that
    nobody of us asked for is a failure too. `open_stream` is called for the first piece.
    """

    # No generator: this is a layer around each stream, and a generator costs as much as a stream.
    __slots__ = ("_open", "_over", "_pieces", "_stream")

    def __init__(self, open_stream: Callable[[], AsyncIterator[Delta]]) -> None:
        self._open = open_stream
        self._stream: Any = None
        self._pieces: AsyncIterator[Any] | None = None
        self._over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delta:
        if self._over:
            raise StopAsyncIteration
        try:
            try:
                pieces = self._pieces or self._opened()
                # Provider code may yield anything; text is welcome.
                return piece_delta(await anext(pieces))
            except BaseException:
                self._over = True
                await _close(self._stream)
                raise
        except StopAsyncIteration:
            raise
        except BaseException as error:
            named = _named(error)
            if named is error:
                raise
            raise named from _cause(error)

    def _opened(self) -> AsyncIterator[Any]:
        try:
            self._stream = _pieces(self._open())
            self._pieces = aiter(self._stream)
        except StopAsyncIteration as error:  # the end of a stream that is none yet
            raise RuntimeError("opening the stream raised StopAsyncIteration") from error
        return self._pieces

    async def aclose(self) -> None:
        """Closes the stream before its end."""
        if self._over:
            return
        self._over = True
        try:
            await _close(self._stream)
        except BaseException as error:
            named = _named(error)
            if named is error:
                raise
            raise named from _cause(error)


def _cause(error: BaseException) -> BaseException | None:
    return None if isinstance(error, asyncio.CancelledError) else error


def _named(error: BaseException) -> BaseException:
    """What is raised in the place of an exception of provider code, which may be any."""
    named: BaseException
    match error:
        case TransientProviderError():
            named = _usable(error)
        case GeneratorExit():
            named = error
        case ConversationError():
            ours = type(error).__module__.startswith("convtui.")
            # A class of the developer's own may do anything when it is looked at.
            named = error if ours else ProviderError(describe(error), frames=own_frames(error))
        case asyncio.CancelledError():
            task = asyncio.current_task()
            asked_for = task is not None and task.cancelling()
            named = error if asked_for else ProviderError("the provider raised CancelledError")
        case ThreadExit() | SystemExit() | KeyboardInterrupt():
            named = _exit(error)
        case BaseExceptionGroup():
            named = _of_group(error)
        case _:
            named = ProviderError(describe(error), frames=own_frames(error))
    return named


def _pieces(stream: Any) -> AsyncIterator[Any]:
    """What `respond()` returned, piece by piece."""
    if hasattr(stream, "__aiter__"):
        result: AsyncIterator[Any] = stream
        return result
    # `def respond(...)` with a yield, or one with a return: the whole reply at once.
    return plain_stream(stream) if isinstance(stream, Iterator) else _whole(stream)


async def _whole(reply: Any) -> AsyncIterator[Delta]:
    yield delta_of(await reply if inspect.isawaitable(reply) else reply)


async def _close(stream: Any) -> None:
    if stream.__class__ is AsyncGeneratorType and stream.ag_frame is None:
        return  # it has come to its end
    close = getattr(stream, "aclose", None)
    if close is not None:
        with contextlib.suppress(RuntimeError):
            await close()


def _exit(error: ThreadExit | SystemExit | KeyboardInterrupt) -> ProviderError:
    """The failure for an exception that would have ended the engine."""
    cause = error.cause if isinstance(error, ThreadExit) else error
    did = f"raised {describe_one(cause)}"
    if isinstance(cause, SystemExit):
        did = f"called sys.exit({repr_of(cause.code)})"
    return ProviderError(f"the provider {did}", frames=own_frames(cause))


def _of_group(group: BaseExceptionGroup[BaseException]) -> ConversationError:
    """The failure for a group: transient if everything in it is."""
    transient, others = group.split(WORTH_ANOTHER_ATTEMPT)
    if transient is None or others is not None:
        return ProviderError(describe(group), frames=own_frames(group))
    first = next(item for item in chain(transient) if isinstance(item, ConversationError))
    return _usable(first) if isinstance(first, TransientProviderError) else first


def _usable(error: TransientProviderError) -> TransientProviderError:
    """A provider's transient error, with its fields checked."""
    text = text_of(error)
    first = [cause for cause in roots(error) if cause is not error]
    after = f" (after {'; '.join(map(describe_one, first[:3]))})" if first else ""
    return TransientProviderError(
        text.removesuffix(after) + after,
        retry_after=seconds_of(error.retry_after),
        frames=error.frames or own_frames(error),
    )
