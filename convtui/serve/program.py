"""A process of the program whose screen goes to a web page, in textual-serve's packets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

DRIVER: Final = "convtui.tui.web_driver:ServedDriver"
PRELUDE: Final = b"__GANGLION__\n"
"""What Textual's web driver writes before its first packet."""
_TEXT_LIMIT: Final = 64 * 1024
_PATIENCE: Final = 5.0


class Program(AppService):
    """One process. What it draws goes to `on_screen`, everything else that it prints is `text`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        on_screen: Callable[[bytes], Awaitable[None]],
        on_meta_data: Callable[[Mapping[str, Any]], Awaitable[None]],
    ) -> None:
        super().__init__(
            "",  # a line for a shell; there is none
            write_bytes=on_screen,
            write_str=_no_text,
            close=_nothing,
            download_manager=DownloadManager(),
        )
        self._argv = tuple(command)
        self._on_meta_data = on_meta_data
        self._printed = bytearray()
        self._errors = bytearray()

    @property
    def text(self) -> str:
        """What it printed beside its screen, on both streams; 64 KB of each at most."""
        return (self._printed + self._errors).decode("utf-8", "replace")

    @property
    def status(self) -> int | None:
        """Its exit code, None while it runs."""
        return None if self._process is None else self._process.returncode

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        environment = self._build_environment(width=width, height=height)
        environment |= {"TEXTUAL_DRIVER": DRIVER, "TERM": "xterm-256color"}
        self._process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=environment,
            # ctrl+c in the server's terminal is the server's: it lets each program end in its turn.
            start_new_session=True,
        )
        self._stdin = self._process.stdin
        return self._process

    async def run(self) -> None:
        """Reads what the process writes until it has ended."""
        process = self._process
        assert process is not None and process.stdout is not None and process.stderr is not None
        errors = asyncio.create_task(_keep(process.stderr, self._errors))
        if await self._begins(process.stdout):
            await self._packets(process.stdout)
        await _keep(process.stdout, self._printed)
        await errors
        await process.wait()

    async def _begins(self, stdout: asyncio.StreamReader) -> bool:
        """Whether the process draws a screen; lines before that, or instead, are kept."""
        with contextlib.suppress(ValueError):  # a line of more than 64 KB
            while line := await stdout.readline():
                if line == PRELUDE:
                    return True
                _append(self._printed, line)
        return False

    async def _packets(self, stdout: asyncio.StreamReader) -> None:
        """Hands on the packets up to that which says that the screen is over."""
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await stdout.readexactly(5)
                payload = await stdout.readexactly(int.from_bytes(head[1:], "big"))
                if head[:1] == b"D":
                    await self.on_data(payload)
                elif head[:1] == b"M":
                    data = json.loads(payload)
                    if data.get("type") == "exit":
                        return
                    await self._on_meta_data(data)

    async def ended(self) -> None:
        """Waits until the process has ended and everything that it wrote was read."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self) -> None:
        """Asks the process to quit, and makes it after five seconds."""
        process = self._process
        if process is None or self._task is None or process.returncode is not None:
            return
        await self.send_meta({"type": "quit"})
        for end in (None, signal.SIGTERM, signal.SIGKILL):
            if end is not None:
                _signal_group(process, end)
            if (await asyncio.wait([self._task], timeout=_PATIENCE))[0]:
                return


def command_of(arguments: Sequence[str]) -> list[str]:
    """The command line of convtui with `arguments`, in this Python.

    A folder `convtui` in the working directory is not the program.
    """
    return [sys.executable, "-P", "-m", "convtui", *arguments]


async def _keep(stream: asyncio.StreamReader, text: bytearray) -> None:
    while data := await stream.read(4096):
        _append(text, data)


def _append(text: bytearray, data: bytes) -> None:
    text += data[: max(0, _TEXT_LIMIT - len(text))]


def _signal_group(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.kill()


async def _nothing() -> None:
    """There is no page to close: that is the session's."""


async def _no_text(text: str) -> None:
    """Links and downloads, which the program has none of."""
