"""Streams of provider code, whose failures all become `ConversationError`s."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

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


async def guarded(open_stream: Callable[[], AsyncIterator[Delta]]) -> Any:
    """A stream whose every failure is a `ConversationError` with the developer's own frames.

    `sys.exit()` and friends in provider code must not end the engine, and a CancelledError that
    nobody of us asked for is a failure too.
    """
    try:
        stream = _pieces(open_stream())
        try:
            async for delta in stream:
                # Provider code may yield anything; text is welcome.
                yield piece_delta(delta)
        finally:
            await _close(stream)
    except TransientProviderError as error:
        raise _usable(error) from error
    except GeneratorExit:
        raise
    except ConversationError as error:
        if type(error).__module__.startswith("convtui."):
            raise
        # A class of the developer's own, which may do anything when it is looked at.
        raise ProviderError(describe(error), frames=own_frames(error)) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ProviderError("the provider raised CancelledError") from None
    except (ThreadExit, SystemExit, KeyboardInterrupt) as error:
        raise _exit(error) from error
    except BaseExceptionGroup as group:
        raise _of_group(group) from group
    except BaseException as error:  # provider code may raise anything; it becomes a named failure
        raise ProviderError(describe(error), frames=own_frames(error)) from error


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
