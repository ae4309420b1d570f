"""Wherever foreign code fails the log, and whoever reads it, is told where that began."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import ProviderLoadError, TransientProviderError
from convtui.models.base import Delta
from convtui.printing.printer import Printer
from convtui.providers.base import Request
from convtui.providers.loader import import_file
from tests.builders.conversations import Bot, Ran, calls, plant, run, scenario

GATES: dict[str, str] = {}
CHAIN = "KeyError: 'gate' (then RuntimeError: lookup failed)"


class OddError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("bad str")

    __repr__ = __str__


class OwnBaseError(BaseException):
    pass


def chained(*_: Any) -> Any:
    try:
        return GATES["gate"]
    except KeyError as error:
        raise RuntimeError("lookup failed") from error


def odd(*_: Any) -> Any:
    raise OddError


def own_base(*_: Any) -> Any:
    raise OwnBaseError("of my own")


def leaves(*_: Any) -> Any:
    raise SystemExit(OddError())


def grouped(*_: Any) -> Any:
    raise BaseExceptionGroup("both", [ConnectionError("refused"), KeyboardInterrupt()])


FAILURES = [
    (chained, CHAIN),
    (odd, "OddError"),
    (own_base, "OwnBaseError: of my own"),
    (grouped, "ConnectionError: refused; KeyboardInterrupt (then BaseExceptionGroup: both"),
    (leaves, "<OddError>"),
]


def printed(ran: Ran) -> str:
    """What `run` and `show` print of it."""
    out = io.StringIO()
    printer = Printer(out, plain=True)
    for record in ran.records:
        printer.record(record)
    printer.finish()
    return out.getvalue()


@pytest.mark.parametrize(("fails", "told"), FAILURES)
async def test_a_provider_function_that_fails(fails: Any, told: str, tmp_path: Path) -> None:
    ran = await run(scenario(None, ["hi"], config={"use": plant(fails)}), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert told in ran.termination.reason
    assert told in ran.one("llm.failed")["error"]["message"]
    assert "test_causes_told.py" in printed(ran)


@pytest.mark.parametrize("hook", ["extract_signals", "post_process_response", "setup"])
@pytest.mark.parametrize(("fails", "told"), FAILURES)
async def test_a_hook_that_fails(hook: str, fails: Any, told: str, tmp_path: Path) -> None:
    if fails is leaves:
        told = "SystemExit"
    bot = Bot("fine", **{hook: lambda *given: fails()})
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert f"{hook}() failed: {told}" in ran.termination.reason
    lines = printed(ran)
    assert "test_causes_told.py" in lines
    assert lines.count(" in <lambda>: bot = Bot") == 1, "the frames are printed once"


@pytest.mark.parametrize(("fails", "told"), FAILURES)
async def test_a_tool_that_fails(fails: Any, told: str, tmp_path: Path) -> None:
    def broken() -> Any:
        return fails()

    bot = Bot(calls(("broken", "")), "I see", tools=[broken])
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    message = ran.one("tool.returned")["result"]["message"]
    assert ("SystemExit" if fails is leaves else told) in message
    assert ran.said[-1] == "I see"


async def test_the_whole_chain_is_in_the_log(tmp_path: Path) -> None:
    class Grouping(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            async def child() -> None:
                chained()

            async with asyncio.TaskGroup() as group:
                group.create_task(child())
            yield Delta(text="never")

    ran = await run(scenario(Grouping(), ["hi"]), tmp_path)
    error = ran.one("llm.failed")["error"]
    assert error["message"].startswith("KeyError: 'gate' (then ExceptionGroup: ")
    assert [cause["type"] for cause in error["causes"]] == [
        "KeyError", "RuntimeError", "ExceptionGroup",
    ]  # fmt: skip
    assert error["frames"][-1] == "KeyError: 'gate'"


async def test_a_property_that_fails(tmp_path: Path) -> None:
    class Failing(Bot):
        pass

    Failing.first_speaker = property(chained)  # type: ignore[assignment]
    ran = await run(scenario(Failing(), ["hi"]), tmp_path)
    assert ran.termination.reason == f"first_speaker failed: {CHAIN}"


@pytest.mark.parametrize(
    ("body", "line", "last"),
    [
        ("try:\n    {}['gate']\nexcept KeyError as e:\n    raise RuntimeError('no') from e\n",
         2, "KeyError: 'gate'"),
        ("class Mine(BaseException): pass\nraise Mine('own')\n", 2, "Mine: own"),
        ("raise BaseExceptionGroup('both', [ValueError('a'), SystemExit(2)])\n",
         1, "ValueError: a"),
        ("class Odd(Exception):\n    def __str__(self): return 5\nraise Odd\n", 3, "Odd"),
    ],
)  # fmt: skip
def test_a_module_that_fails(body: str, line: int, last: str, tmp_path: Path) -> None:
    path = tmp_path / "failing_module.py"
    path.write_text(body)
    with pytest.raises(ProviderLoadError) as caught:
        import_file(path)
    assert caught.value.frames[-1] == last
    assert caught.value.location == (str(path), line)


async def test_a_transient_error_says_what_is_behind_it(tmp_path: Path) -> None:
    class Busy(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            self.answered += 1
            if self.answered == 1:
                raise TransientProviderError("busy") from ConnectionError("refused")
            yield Delta(text="fine")

    ran = await run(scenario(Busy(), ["hi"]), tmp_path)
    assert ran.one("llm.retry")["error"]["message"] == "busy (after ConnectionError: refused)"
    assert ran.said == ["hi", "fine"]


async def test_transient_errors_of_a_task_group_are_transient(tmp_path: Path) -> None:
    class Busy(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            self.answered += 1
            if self.answered == 1:
                raise ExceptionGroup("all", [TransientProviderError("busy")])
            if self.answered == 2:
                raise ExceptionGroup("all", [TransientProviderError("busy"), ValueError("no")])
            yield Delta(text="never")

    busy = Busy()
    ran = await run(scenario(busy, ["hi"]), tmp_path)
    assert [record["error"]["message"] for record in ran.of("llm.retry")] == ["busy"]
    assert busy.answered == 2, "something else is in the second group"
    assert "ValueError: no" in ran.termination.reason


async def test_a_transient_error_of_a_class_of_their_own(tmp_path: Path) -> None:
    class OddTransientError(TransientProviderError):
        def __str__(self) -> str:
            raise RuntimeError("bad str")

    bot = Bot(OddTransientError("x"), "fine")
    ran = await run(scenario(bot, ["hi"]), tmp_path)
    assert ran.said == ["hi", "fine"]
    assert ran.one("llm.retry")["error"]["message"] == "OddTransientError"
