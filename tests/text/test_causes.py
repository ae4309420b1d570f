"""Exceptions of other people's code in words: the cause first, whatever the exception does."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from convtui.errors import HookError, ProviderError, UserSimulatorError
from convtui.protocol import describe_error
from convtui.text.causes import causes, chain, describe, describe_one, repr_of, roots, text_of
from convtui.text.tracebacks import location, own_frames

GATES: dict[str, str] = {}


def raised(function: Callable[[], Any]) -> BaseException:
    """What a function raises."""
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def from_key() -> None:
    try:
        GATES["gate"]
    except KeyError as error:
        raise RuntimeError("lookup failed") from error


def while_handling() -> None:
    try:
        GATES["gate"]
    except KeyError:
        raise RuntimeError("lookup failed")  # noqa: B904


def suppressed() -> None:
    try:
        GATES["gate"]
    except KeyError:
        raise RuntimeError("lookup failed") from None


def three_deep() -> None:
    try:
        from_key()
    except RuntimeError as error:
        raise ValueError("no trip") from error


def task_group() -> None:
    async def child(number: int) -> None:
        raise ConnectionError(f"refused {number}")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(child(number))

    asyncio.run(main())


def nested_groups() -> None:
    inner = BaseExceptionGroup("inner", [raised(from_key), ValueError("no")])
    raise BaseExceptionGroup("outer", [inner, KeyboardInterrupt()])


def circle() -> None:
    first, second = ValueError("a"), KeyError("b")
    first.__cause__, second.__cause__ = second, first
    raise first


def timed_out() -> None:
    async def main() -> None:
        async with asyncio.timeout(0):
            await asyncio.sleep(1)

    asyncio.run(main())


def with_a_note() -> None:
    error = ValueError("no trip")
    error.add_note("asked for Oslo")
    raise error


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (from_key, "KeyError: 'gate' (then RuntimeError: lookup failed)"),
        (while_handling, "KeyError: 'gate' (then RuntimeError: lookup failed)"),
        (suppressed, "RuntimeError: lookup failed"),
        (three_deep, "KeyError: 'gate' (then ValueError: no trip)"),
        (
            task_group,
            "ConnectionError: refused 0; ConnectionError: refused 1; ConnectionError: refused 2;"
            " and 2 more (then ExceptionGroup: unhandled errors in a TaskGroup (5 sub-exceptions))",
        ),
        (
            nested_groups,
            "KeyError: 'gate'; ValueError: no; KeyboardInterrupt (then BaseExceptionGroup: outer"
            " (2 sub-exceptions))",
        ),
        (circle, "KeyError: 'b' (then ValueError: a)"),
        (timed_out, "TimeoutError"),
        (with_a_note, "ValueError: no trip\nasked for Oslo"),
        (lambda: (_ for _ in ()).throw(ValueError()), "ValueError"),
    ],
)
def test_where_it_began_comes_first(function: Callable[[], Any], told: str) -> None:
    assert describe(raised(function)) == told


class Says(Exception):  # noqa: N818
    """Says whatever a test wants, or fails to."""

    def __init__(self, what: Callable[[], Any]) -> None:
        self._what = what

    def __str__(self) -> str:
        return self._what()  # type: ignore[no-any-return]

    __repr__ = __str__


def fails() -> str:
    raise RuntimeError("bad str")


def leaves() -> str:
    raise SystemExit(3)


class OddText(str):
    def __getitem__(self, key: Any) -> str:
        raise RuntimeError("not cut")

    def __bool__(self) -> bool:
        raise RuntimeError("not asked")


@pytest.mark.parametrize("what", [fails, leaves, lambda: 5, lambda: None, lambda: "", lambda: " "])
def test_an_exception_that_says_nothing_has_its_types_name(what: Callable[[], Any]) -> None:
    assert describe(Says(what)) == "Says"
    assert own_frames(Says(what)) == ("Says",)
    assert describe_error(Says(what))["message"] == "Says"


def test_what_it_says_cannot_harm_whoever_shows_it() -> None:
    assert describe(Says(lambda: "\x1b[2Jgone\x07")) == "Says: ␛[2Jgone␇"
    assert describe(Says(lambda: OddText("odd"))) == "Says: odd"
    enormous = describe(Says(lambda: "y" * 5_000_000))
    assert len(enormous) < 5000
    assert enormous.endswith("… (5,000,000 characters)")
    json.dumps(describe_error(Says(lambda: "half \ud835 a sign"))).encode()


@pytest.mark.parametrize("what", [fails, leaves, lambda: 5])
def test_a_value_without_a_repr_has_its_type(what: Callable[[], Any]) -> None:
    assert repr_of(Says(what)) == "<Says>"


def test_a_chain_without_an_end_is_followed_without_recursion() -> None:
    error: BaseException = ValueError("first")
    for number in range(20_000):
        outer = RuntimeError(str(number))
        outer.__cause__ = error
        error = outer
    assert sum(1 for _ in chain(error)) <= 10_000
    assert "(then RuntimeError: 19999)" in describe(error)
    group: Exception = KeyError("deep")
    for _ in range(3000):
        group = ExceptionGroup("one more", [group])
    assert [text_of(root) for root in roots(group)] == ["'deep'"]


def test_frames_are_of_the_end_and_of_the_beginning() -> None:
    frames = own_frames(raised(from_key))
    assert [frame.split(" in ")[-1].split(":")[0] for frame in frames] == [
        "raised", "from_key", "RuntimeError", "from_key", "KeyError",
    ]  # fmt: skip
    assert frames[2] == "RuntimeError: lookup failed, after:"
    where = location(raised(from_key))
    assert where is not None
    assert frames[3].startswith(f"{where[0]}:{where[1]} ")


def test_a_recursion_without_an_end_is_not_shown_whole() -> None:
    def again(number: int) -> int:
        return again(number + 1)

    frames = own_frames(raised(lambda: again(0)))
    assert len(frames) < 30
    assert any(frame.endswith(" more)") for frame in frames)


def test_an_error_of_ours_writes_down_what_is_behind_it() -> None:
    cause = raised(three_deep)
    error = ProviderError(describe(cause), frames=own_frames(cause))
    error.__cause__ = cause
    data = describe_error(error, redact=lambda text: text.replace("trip", "[redacted]"))
    assert [(item["type"], item["message"]) for item in data["causes"]] == [
        ("KeyError", "'gate'"),
        ("RuntimeError", "lookup failed"),
        ("ValueError", "no [redacted]"),
    ]
    assert "from_key" in data["causes"][0]["frames"][-1]
    assert "trip" not in json.dumps(data)


def test_a_single_cause_is_told_once() -> None:
    error = ProviderError("ValueError: no")
    error.__cause__ = ValueError("no")
    assert "causes" not in describe_error(error)


def test_the_frames_of_the_error_behind_an_error_are_kept() -> None:
    hook = HookError("setup() failed: KeyError: 'gate'", hook="setup", frames=["a.py:1 in setup"])
    with contextlib.suppress(UserSimulatorError):
        raise UserSimulatorError("the user simulator's setup() failed") from hook
    outer = UserSimulatorError("the user simulator's setup() failed")
    outer.__cause__ = hook
    assert describe_error(outer)["frames"] == ["a.py:1 in setup"]


def test_a_missing_module_names_the_interpreter() -> None:
    error = raised(lambda: __import__("no_such_module_here"))
    assert "--python PATH" in describe_one(error)


def test_a_wrapped_error_that_says_the_same_is_told_once() -> None:
    inner, outer = ConnectionError("no route"), ConnectionError("no route")
    outer.__cause__ = inner
    assert describe(outer) == "ConnectionError: no route"
    assert causes(outer) == [inner, outer]
