"""Injected faults: which are armed, and how a call behaves with one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from convtui.engine.calls.guarded import GuardedStream
from convtui.errors import (
    CommandRefused,
    ConversationError,
    ModelTimeout,
    ModelUnavailable,
    ProviderError,
    RateLimited,
    StreamDropped,
    did_you_mean,
)
from convtui.models.base import Delta
from convtui.protocol import FAULTS

ERROR_TEXT = "[[ERROR]] upstream failed"
"""The default text of the fault `error_text`."""
RETRY_AFTER = 1.0
"""`retry_after` of an injected 429, in seconds."""
FIRST_AFTER, EACH_AFTER = 2.0, 0.1
"""Seconds before the first piece of a slow reply, and between the others."""
MAX_TIMES = 1000

Open = Callable[[], AsyncIterator[Delta]]


@dataclass(slots=True, frozen=True)
class ArmedFault:
    """A fault for the next calls of a side; each attempt uses it once."""

    fault: str
    left: int = 1
    """The number of attempts left."""
    seconds: float | None = None
    """`retry_after` of a 429, or the delay of a slow reply's first piece."""
    text: str | None = None
    """The text of an `error_text`."""

    def as_dict(self) -> dict[str, Any]:
        """The fault for the screen: `{fault, left}`, and `seconds` and `text` where given."""
        fields = {
            "fault": self.fault,
            "left": self.left,
            "seconds": self.seconds,
            "text": self.text,
        }
        return {name: value for name, value in fields.items() if value is not None}


class Injector:
    """The armed faults, at most one for each side; a new one replaces it."""

    def __init__(self) -> None:
        self._armed: dict[str, ArmedFault] = {}

    def arm(
        self,
        fault: str,
        side: str,
        *,
        count: int = 1,
        seconds: float | None = None,
        text: str | None = None,
    ) -> None:
        """Arms a fault. Raises `CommandRefused` for an unknown fault or a bad argument."""
        if fault not in FAULTS:
            raise CommandRefused(f"there is no fault {fault!r}{did_you_mean(fault, FAULTS)}")
        if not 1 <= count <= MAX_TIMES:
            raise CommandRefused(f"a fault is for 1 to {MAX_TIMES} attempts, not {count}")
        if seconds is not None and not 0 <= seconds < float("inf"):
            raise CommandRefused(f"seconds must be 0 or more, not {seconds:g}")
        self._armed[side] = ArmedFault(fault, count, seconds, text)

    def disarm(self, side: str) -> bool:
        """Disarms a fault; returns whether there was one."""
        return self._armed.pop(side, None) is not None

    def take(self, side: str) -> ArmedFault | None:
        """The fault for an attempt that begins now, if any; counts it as used."""
        armed = self._armed.pop(side, None)
        if armed is not None and armed.left > 1:
            self._armed[side] = replace(armed, left=armed.left - 1)
        return armed

    def take_over(self, armed: Mapping[str, Mapping[str, Any]]) -> None:
        """Arms the faults of another engine, as its `listed()` returned them."""
        for side, item in armed.items():
            self.arm(
                str(item["fault"]),
                side,
                count=int(item.get("left") or 1),
                seconds=item.get("seconds"),
                text=item.get("text"),
            )

    def listed(self) -> dict[str, dict[str, Any]]:
        """The armed faults by side."""
        return {side: armed.as_dict() for side, armed in self._armed.items()}


def injected(armed: ArmedFault, open_stream: Open, *, own_code: bool) -> Open:
    """`open_stream` with a fault in it.

    Where the fault takes the place of the reply nobody is asked; `truncated`, `drop` and `slow`
    spoil what really comes.
    """
    spoil = {"truncated": _truncated, "drop": _dropped, "slow": _slow}.get(armed.fault)
    if spoil is not None:
        return lambda: spoil(armed, open_stream)
    return lambda: _instead(armed, own_code)


async def _instead(armed: ArmedFault, own_code: bool) -> AsyncIterator[Delta]:
    failure = _failure(armed, own_code)
    if failure is not None:
        raise failure
    text = "" if armed.fault == "empty" else ERROR_TEXT if armed.text is None else armed.text
    yield Delta(text=text, finish_reason="stop")


def _failure(armed: ArmedFault, own_code: bool) -> ConversationError | None:
    """The error that a fault raises: the same as for the real failure."""
    if armed.fault == "timeout":
        late = "injected: no end of the reply within turn_timeout"
        # The developer's own code that takes too long is not called again either.
        return ProviderError(late) if own_code else ModelTimeout(late)
    if armed.fault == "429":
        after = RETRY_AFTER if armed.seconds is None else armed.seconds
        return RateLimited("injected: 429, too many requests", status=429, retry_after=after)
    if armed.fault == "500":
        return ModelUnavailable("injected: 500, internal server error", status=500)
    return None


async def _whole(open_stream: Open) -> list[Delta]:
    async with aclosing(GuardedStream(open_stream)) as stream:
        return [delta async for delta in stream]


async def _truncated(armed: ArmedFault, open_stream: Open) -> AsyncIterator[Delta]:
    """The first half of the reply, as if the token limit had been reached."""
    deltas = await _whole(open_stream)
    for delta in _first_half(deltas):
        yield delta
    usage = next((delta.usage for delta in reversed(deltas) if delta.usage is not None), None)
    yield Delta(finish_reason="length", usage=usage)


async def _dropped(armed: ArmedFault, open_stream: Open) -> AsyncIterator[Delta]:
    for delta in _first_half(await _whole(open_stream)):
        yield delta
    raise StreamDropped("injected: the stream died before the reply was complete")


def _first_half(deltas: Sequence[Delta]) -> list[Delta]:
    """The first half of the characters, tool calls included, without usage and finish reason."""
    size = sum(_size(delta) for delta in deltas)
    room = size // 2
    half: list[Delta] = []
    for delta in deltas:
        if room <= 0:
            break
        text = delta.text[:room]
        room -= len(text)
        calls = []
        for call in delta.tool_calls:
            if room <= 0:
                break
            calls.append(replace(call, arguments=call.arguments[:room]))
            room -= len(call.arguments)
        half.append(
            replace(delta, text=text, tool_calls=tuple(calls), finish_reason=None, usage=None)
        )
    return half


def _size(delta: Delta) -> int:
    return len(delta.text) + sum(len(call.arguments) for call in delta.tool_calls)


async def _slow(armed: ArmedFault, open_stream: Open) -> AsyncIterator[Delta]:
    """The reply, late and piece by piece; the deadline of the turn still applies."""
    first = FIRST_AFTER if armed.seconds is None else armed.seconds
    pause = min(EACH_AFTER, first)
    await asyncio.sleep(first)
    async with aclosing(GuardedStream(open_stream)) as stream:
        async for delta in stream:
            for piece in _pieces(delta):
                yield piece
                await asyncio.sleep(pause)


def _pieces(delta: Delta) -> list[Delta]:
    """Splits a long piece into up to twenty; everything but the text goes with the last."""
    step = max(20, -(-len(delta.text) // 20))
    cut = [delta.text[i : i + step] for i in range(0, len(delta.text), step)] or [""]
    return [*(Delta(text=text) for text in cut[:-1]), replace(delta, text=cut[-1])]
