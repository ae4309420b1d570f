"""Provider code that answers with something that is no reply: one clear failure, or the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.conversations import findings, run, scenario


async def inner() -> str:
    return "inner"


def pieces() -> Iterator[str]:
    yield "a"


async def async_pieces() -> Any:
    yield "a"


class Evil:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"evil {name}")


class Liar:
    @property
    def __class__(self) -> Any:
        raise RuntimeError("evil class")

    @__class__.setter
    def __class__(self, value: Any) -> None: ...


class Forever:
    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return self


class Text(str):
    """Text that fails whatever is done with it."""

    def fails(self, *args: Any) -> Any:
        raise RuntimeError("no")

    __str__ = __len__ = __bool__ = __add__ = __getitem__ = __contains__ = fails
    __slots__ = ()


def circle() -> Any:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (inner, "coroutine"),
        (pieces, "generator"),
        (async_pieces, "async_generator"),
        (lambda: asyncio.get_running_loop().create_future(), "Future"),
        (lambda: inner, "function"),
        (circle, "list"),
        (Evil, "Evil"),
        (Liar, "evil class|Liar"),
        (Forever, "Forever"),
        (lambda: ValueError, "type|ValueError"),
        (lambda: ..., "ellipsis"),
        (lambda: memoryview(b"x"), "memoryview"),
    ],
)
async def test_what_is_no_reply_is_a_named_failure(
    tmp_path: Path, make: Callable[[], Any], says: str
) -> None:
    made: list[Any] = []

    async def bot(messages: list[Any]) -> Any:
        made.append(make())
        return made[0]

    ran = await run(scenario(bot), tmp_path)
    if make is inner:
        made[0].close()
    assert ran.ended == ("failed", "provider")
    assert any(word in ran.termination.reason for word in says.split("|")), ran.termination.reason
    assert findings(ran.path) == []
    assert ran.said == ["one"]


async def test_what_a_plain_function_returns_is_awaited(tmp_path: Path) -> None:
    def bot(messages: list[Any]) -> Any:
        return inner()

    ran = await run(scenario(bot, script=["one"]), tmp_path)
    assert ran.said == ["one", "inner"]


async def test_text_of_a_class_of_its_own_is_text(tmp_path: Path) -> None:
    async def bot(messages: list[Any]) -> Any:
        return Text("fine")

    ran = await run(scenario(bot, script=["one"]), tmp_path)
    assert ran.said == ["one", "fine"]
    assert findings(ran.path) == []


async def test_a_reply_without_end_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.engine.calls.active_call.MOST_CHARACTERS", 1 << 20)

    async def bot(messages: list[Any]) -> Any:
        while True:
            yield "x" * 1000

    ran = await run(scenario(bot), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert ran.termination.reason == "the reply is longer than 1 million characters: given up"


@pytest.mark.parametrize("piece", ["x", ""])
async def test_a_stream_that_never_waits_does_not_stop_the_clock(
    tmp_path: Path, piece: str
) -> None:
    async def bot(messages: list[Any]) -> Any:
        while True:
            yield piece

    ran = await run(scenario(bot, turn_timeout=0.2), tmp_path)
    assert ran.termination.reason == "no end of the reply within 0.2 s (turn_timeout)"
