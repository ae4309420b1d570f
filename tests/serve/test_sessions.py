"""Pages come and go; the program stays."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.builders.waiting import WITHIN
from tests.serve.conftest import Start

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks for processes by signal 0")


def pid_of(drawn: str) -> int:
    match = re.search(r"pid (\d+)", drawn)
    assert match is not None
    return int(match[1])


async def gone(pid: int) -> None:
    """Waits until a process has ended and was waited for."""
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.005)


async def test_a_page_draws_and_types(start: Start) -> None:
    served = await start()
    async with served.page(await served.offered(), "100x30") as page:
        await page.until("100x30")
        await page.send(json.dumps(["stdin", "né\ud800"]))
        await page.until("keys né?")
        await page.send(json.dumps(["resize", {"width": 60, "height": 16}]))
        await page.until("size 60x16")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "[]",
        "{}",
        '["stdin"]',
        '["stdin", 1]',
        '["resize", {"width": "a", "height": 1}]',
        '["resize", {"width": -1, "height": 10}]',
        '["resize", {"width": 9999999, "height": 10}]',
        '["resize"]',
        '["nothing", 1]',
        pytest.param("[" * 5000, id="deep"),
    ],
)
async def test_what_is_no_message_is_passed_over(start: Start, message: str) -> None:
    served = await start()
    async with served.page(await served.offered()) as page:
        await page.send(message)
        await page.send('["stdin", "x"]')
        assert "size" not in await page.until("keys x")


async def test_a_page_that_is_loaded_again_shows_the_same_program_whole(start: Start) -> None:
    served = await start()
    session = await served.offered()
    async with served.page(session, "100x30") as page:
        first = pid_of(await page.until("100x30"))
    async with served.page(session, "60x16") as page:
        drawn = await page.until("60x16")
    assert pid_of(drawn) == first
    assert "only the page before" not in drawn, "half a screen would come first"


async def test_another_page_takes_over_and_the_first_is_told(start: Start) -> None:
    served = await start()
    session = await served.offered()
    async with served.page(session) as first:
        await first.until("pid ")
        async with served.page(session) as second:
            await second.until("pid ")
            assert "in another tab" in await first.closed()
            await second.send('["stdin", "x"]')
            await second.until("keys x")


async def test_a_new_page_gets_what_was_left_and_else_a_program_of_its_own(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.serve.session._RELOAD", 0)
    served = await start()
    first = await served.offered()
    async with served.page(first) as page:
        await page.until("pid ")
        assert await served.offered() != first, "somebody looks at it"
    async with asyncio.timeout(WITHIN):
        while await served.offered() != first:
            await asyncio.sleep(0.005)


async def test_what_is_being_reloaded_is_offered_to_no_other_page(start: Start) -> None:
    served = await start()
    first = await served.offered()
    async with served.page(first) as page:
        await page.until("pid ")
    assert await served.offered() != first


async def test_a_program_without_a_page_ends_after_a_while(start: Start) -> None:
    served = await start(grace=0)
    async with served.page(await served.offered()) as page:
        pid = pid_of(await page.until("\n"))
    await gone(pid)


async def test_the_end_is_shown_and_the_next_load_starts_anew(start: Start) -> None:
    served = await start("fails")
    session = await served.offered()
    for _ in range(2):
        async with served.page(session) as page:
            drawn = await page.closed()
        assert "no such log: " in drawn
        assert "\x1b]0" not in drawn, "what it prints may be foreign"


async def test_arguments_are_passed_as_they_are_without_a_shell(
    start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "made by a shell"
    hostile = ["; touch", f"$(touch '{file}')", f"`touch '{file}'`", "a b", "'", '"', "*"]
    served = await start("prints", *hostile)
    async with served.page(await served.offered()) as page:
        drawn = await page.closed()
    assert json.loads(drawn[drawn.index("[", drawn.rindex("\x1b[H") + 3) :]) == hostile
    assert not file.exists()


@pytest.mark.parametrize("session", ["x", "0" * 31, "0" * 33, "Z" * 32])
async def test_a_session_of_another_form_starts_nothing(start: Start, session: str) -> None:
    served = await start()
    async with served.page(session) as page:
        assert await page.closed() == ""


async def test_programs_are_limited(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convtui.serve.session.MOST_PROGRAMS", 1)
    served = await start()
    async with served.page("1" * 32) as page:
        await page.until("pid ")
        async with served.page("2" * 32) as second:
            assert "close one first" in await second.closed()


async def test_the_server_ends_all_programs_also_those_that_will_not(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.serve.program._PATIENCE", 0.05)
    served = await start("stubborn")
    async with served.page("1" * 32) as first, served.page("2" * 32) as second:
        pids = [pid_of(await page.until("\n")) for page in (first, second)]
        served.stop.set()
        await served.over
        for pid in pids:
            await gone(pid)


async def test_what_nobody_was_shown_is_said_in_the_terminal(start: Start) -> None:
    served = await start(grace=0)
    async with served.page(await served.offered()) as page:
        pid = pid_of(await page.until("\n"))
    await gone(pid)
    async with asyncio.timeout(WITHIN):
        while not served.said:
            await asyncio.sleep(0.005)
    assert served.said == ["log: run.jsonl"]
