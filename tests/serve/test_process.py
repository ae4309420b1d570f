"""The server as a process: how it begins and what it leaves behind."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import pyte
import pytest

from convtui.log.reader import open_log
from tests.browser.serving import logs_of, serving
from tests.builders.waiting import WITHIN
from tests.e2e.terminal import LEFT_OUT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_processes,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the processes from /proc"),
]


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and those that they started."""
    children: set[int] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            children |= {child} | descendants(child)
    return children


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def drawn(chunks: bytes, width: int, height: int) -> str:
    screen = pyte.Screen(width, height)
    pyte.ByteStream(screen).feed(LEFT_OUT.sub(b"", chunks))
    return "\n".join(screen.display)


async def test_it_is_drawn_anew_and_a_killed_server_leaves_no_process(tmp_path: Path) -> None:
    with serving(tmp_path, "demo") as (server, address):
        async with asyncio.timeout(WITHIN), aiohttp.ClientSession() as client:
            socket = await client.ws_connect(
                f"{address}ws/{'0' * 32}?width=100&height=30", origin=address.rsplit("/", 2)[0]
            )
            # Until the engine runs: then there is a log.
            while not logs_of(tmp_path):
                await socket.receive()
            # A page that comes later is blank, and gets the whole screen.
            again = await client.ws_connect(
                f"{address}ws/{'0' * 32}?width=90&height=24", origin=address.rsplit("/", 2)[0]
            )
            data = b""
            while not all(
                text in drawn(data, 90, 24) for text in ("Robin -> demo", "transcript", "help")
            ):
                data += (await again.receive()).data
            started = descendants(server.pid)
            assert len(started) >= 2
            server.kill()
            while any(map(lives, started)):
                await asyncio.sleep(0.02)
            await socket.close()
            await again.close()
    [log] = logs_of(tmp_path)
    with open_log(log) as run:
        assert run.transcript.trailer is not None, "the run was ended in order"
