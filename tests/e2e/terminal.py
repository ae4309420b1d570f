"""A terminal for tests: runs a program in a pty, types, waits for text, keeps every byte."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

from tests.builders.waiting import WITHIN

# The new session takes the pty as its controlling terminal, then becomes the program.
_BOOT = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    " os.execvp(sys.argv[1], sys.argv[1:])"
)
UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][0-9;]*[A-Za-z]")
# Colours, too: they are most of the bytes, and pyte is slow with them.
LEFT_OUT = re.compile(rb"\x1b\[(?:[<>=][0-9;]*[A-Za-z]|[0-9;:]*m)")
_QUERIES = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[6n": b"\x1b[1;1R",
    b"\x1b[c": b"\x1b[?62;c",
}
KEYS = {
    "enter": "\r",
    "alt+enter": "\x1b\r",
    "escape": "\x1b",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "ctrl+c": "\x03",
    "ctrl+q": "\x11",
    "ctrl+s": "\x13",
}


def clean_environment(home: Path | None = None, **more: str) -> dict[str, str]:
    """This process's environment with a `CONVTUI_HOME` of its own and a capable terminal."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONVTUI_", "TEXTUAL", "COVERAGE", "PYTEST"))
        and name not in ("NO_COLOR", "COLUMNS", "LINES")
    }
    kept |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
    if home is not None:
        kept["CONVTUI_HOME"] = str(home)
    return kept | more


def start_process(
    command: Sequence[str], terminal: int, *, env: Mapping[str, str], cwd: Path | str | None
) -> subprocess.Popen[bytes]:
    """A process in a session of its own whose controlling terminal is this one."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BOOT, *command],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )


class Terminal:
    """A program in a terminal of `columns` x `rows`.

    A thread reads what the program writes and answers the few questions that terminals are asked;
    `raw` is all of it. The screen is worked out when somebody looks at it.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        columns: int = 120,
        rows: int = 36,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
    ) -> None:
        self.columns, self.rows = columns, rows
        self.chunks: list[tuple[float, bytes]] = []
        """What was written and when, by `time.perf_counter()`."""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._fed = 0
        self._lines = [""] * rows
        self._changed = threading.Condition()
        self._ended = False
        self._master, slave = os.openpty()
        self._vanishing, self._vanish = os.pipe()
        self._set_size(slave)
        self.started = time.perf_counter()
        self.process = start_process(
            list(map(str, command)), slave, env=os.environ if env is None else env, cwd=cwd
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what the program writes

    def _read(self) -> None:
        while True:
            ready, _, _ = select.select([self._master, self._vanishing], [], [])
            if self._vanishing in ready:
                return
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                data = b""
            now = time.perf_counter()
            with self._changed:
                if data:
                    self.chunks.append((now, data))
                else:
                    self._ended = True
                self._changed.notify_all()
            if not data:
                return
            for query, answer in _QUERIES.items():
                if query in data:
                    with contextlib.suppress(OSError):
                        os.write(self._master, answer)

    @property
    def raw(self) -> bytes:
        """Every byte so far."""
        with self._changed:
            return b"".join(data for _, data in self.chunks)

    @property
    def lines(self) -> list[str]:
        """The screen's lines as they are now."""
        with self._changed:
            fresh = b"".join(data for _, data in self.chunks[self._fed :])
            self._fed = len(self.chunks)
        self._stream.feed(LEFT_OUT.sub(b"", fresh))
        if self._screen.dirty:
            # One line at a time: to put all of them together costs more than the rest.
            for row in sorted(row for row in self._screen.dirty if row < self.rows):
                cells = self._screen.buffer[row]
                self._lines[row] = "".join(cells[x].data for x in range(self.columns))
            self._screen.dirty.clear()
        return self._lines.copy()

    @property
    def text(self) -> str:
        """The screen as text."""
        return "\n".join(line.rstrip() for line in self.lines)

    # --- waiting

    def wait_for(
        self, condition: Callable[[], Any], what: str, *, timeout: float = WITHIN
    ) -> float:
        """Waits until `condition()` holds, looking whenever bytes have come; the time it held.

        Raises `AssertionError` with the screen when it never does.
        """
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                seen, ended = len(self.chunks), self._ended
            if condition():
                return self.chunks[-1][0] if self.chunks else self.started
            if ended or time.monotonic() > deadline:
                end = "the program has ended" if ended else f"{timeout:g} s"
                raise AssertionError(f"{what}: not within {end}; the screen:\n{self.text}")
            with self._changed:
                if len(self.chunks) == seen and not self._ended:
                    self._changed.wait(0.1)

    def until(self, *texts: str, timeout: float = WITHIN) -> str:
        """Waits until all of `texts` stand on the screen; the screen."""
        self.wait_for(
            lambda: (shown := self.text) and all(text in shown for text in texts),
            f"waiting for {texts}",
            timeout=timeout,
        )
        return self.text

    def until_gone(self, text: str, *, timeout: float = WITHIN) -> str:
        """Waits until `text` does not stand on the screen any more; the screen."""
        self.wait_for(lambda: text not in self.text, f"waiting for {text!r} to go", timeout=timeout)
        return self.text

    def until_raw(self, data: bytes, *, timeout: float = WITHIN, begin: int = 0) -> float:
        """Waits for bytes after chunk `begin`; when the chunk that completed them came."""
        place, tail = begin, b""

        def found() -> bool:
            nonlocal place, tail
            with self._changed:
                fresh = self.chunks[place:]
            for moment, piece in fresh:
                place += 1
                if data in tail + piece:
                    done.append(moment)
                    return True
                tail = (tail + piece)[-len(data) :]
            return False

        done: list[float] = []
        self.wait_for(found, f"waiting for the bytes {data!r}", timeout=timeout)
        return done[0]

    def quiet(self, seconds: float = 0.3, *, timeout: float = WITHIN) -> None:
        """Waits until nothing was written for so long."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._ended and time.monotonic() < deadline:
                count = len(self.chunks)
                self._changed.wait(seconds)
                if len(self.chunks) == count:
                    return

    def wait(self, timeout: float = WITHIN) -> int:
        """Waits for the program's end; its exit status."""
        status = self.process.wait(timeout)
        self._reader.join(2.0)
        return status

    # --- what the person does

    def send(self, text: str | bytes) -> float:
        """Types text as it is; the moment."""
        moment = time.perf_counter()
        os.write(self._master, text.encode() if isinstance(text, str) else text)
        return moment

    def press(self, *keys: str) -> None:
        """Presses keys by name; any other text is typed."""
        for key in keys:
            self.send(KEYS.get(key, key))

    def resize(self, columns: int, rows: int) -> None:
        """Makes the terminal another size; the program is told by the system."""
        _ = self.lines
        self.columns, self.rows = columns, rows
        self._screen.resize(rows, columns)
        self._lines = [""] * rows
        self._screen.dirty.update(range(rows))
        self._set_size(self._master)

    def _set_size(self, descriptor: int) -> None:
        size = struct.pack("HHHH", self.rows, self.columns, 0, 0)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)

    def hang_up(self) -> None:
        """Kills the program itself, not what it started."""
        self.process.kill()

    def vanish(self) -> None:
        """The terminal is gone, as when its window is closed or its server killed."""
        os.write(self._vanish, b"x")
        self._reader.join(WITHIN)
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        """Ends the program and everything in its session's group, and closes the terminal."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)
        self._reader.join(2.0)
        for number in (self._master, self._vanishing, self._vanish):
            with contextlib.suppress(OSError):
                os.close(number)


def convtui(*arguments: str | Path, python: str | Path | None = None) -> list[str]:
    """The command that runs convtui with these arguments."""
    return [str(python or sys.executable), "-m", "convtui.cli", *map(str, arguments)]


def children(pid: int) -> list[int]:
    """Process ids of the living children of a process (Linux)."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def until(condition: Callable[[], Any], what: str, *, timeout: float = WITHIN) -> None:
    """Waits for something that writes nothing to a terminal. Raises `AssertionError`."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}")
        select.select([], [], [], 0.01)
