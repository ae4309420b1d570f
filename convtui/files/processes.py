"""Work on many files, shared out among processes.

A helper process is this interpreter with this package. It gets its work through its standard input
and ends when that ends, so that none outlives the process that started it, however that ended.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from queue import SimpleQueue
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

Part = TypeVar("Part")
Result = TypeVar("Result")


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shared_out(
    work: Callable[[Part], Result], parts: Sequence[Part], *, processes: int
) -> Generator[tuple[int, Result], None, None]:
    """The index of each part and what `work` makes of it, in the order in which they are done.

    With `processes` below 2 all is done here, one part after the other, as it is asked for. `work`,
    the parts and the results go through pickle. What a helper fails at, which the system may have
    ended, is done here. Close the iterator to end the helpers early.
    """
    if processes < 2 or len(parts) < 2:
        for index, part in enumerate(parts):
            yield index, work(part)
        return
    left = iter(enumerate(parts))
    under_way: dict[Future[_Answer[Result] | None], int] = {}
    helpers = _Helpers(min(processes, len(parts)))
    try:
        while True:
            # One more for each helper, so that none waits while a result is taken in.
            for index, part in islice(left, 2 * helpers.count - len(under_way)):
                under_way[helpers.submit(work, part)] = index
            if not under_way:
                return
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                index, answer = under_way.pop(future), future.result()
                yield index, work(parts[index]) if answer is None else answer.result
    finally:
        helpers.end()


class _Answer(NamedTuple, Generic[Result]):
    result: Result


class _Helpers:
    """Helper processes, and a thread for each that waits for its answers."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._all = [_Helper() for _ in range(count)]
        self._idle: SimpleQueue[_Helper] = SimpleQueue()
        for helper in self._all:
            self._idle.put(helper)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="helper")

    def submit(self, work: Callable[[Part], Result], part: Part) -> Future[_Answer[Result] | None]:
        """What `work` makes of a part; None where that failed."""

        def ask() -> _Answer[Result] | None:
            helper = self._idle.get()
            try:
                return helper.ask(work, part)
            finally:
                self._idle.put(helper)

        return self._threads.submit(ask)

    def end(self) -> None:
        """Ends all now, also in the middle of a part."""
        for helper in self._all:
            helper.kill()
        self._threads.shutdown(cancel_futures=True)
        for helper in self._all:
            helper.forget()


class _Helper:
    """A process that works on one part at a time: started with its first one, and again after it
    has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._starting = Lock()

    def ask(self, work: Callable[[Part], Result], part: Part) -> _Answer[Result] | None:
        """What `work` makes of a part; None where that failed."""
        try:
            with self._starting:
                if self._killed:
                    return None
                process = self._process = self._process or _start()
            assert process.stdin is not None
            assert process.stdout is not None
            pickle.dump((work, part), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            return _Answer(pickle.load(process.stdout))
        except (OSError, EOFError, pickle.UnpicklingError):
            self.forget()
            return None

    def kill(self) -> None:
        with self._starting:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def forget(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with suppress(OSError), process:
            pass  # closes the pipes, of which one may be broken, and waits


def _start() -> subprocess.Popen[bytes]:
    boot = (
        f"import sys; sys.path[:] = {sys.path!r};"
        " from convtui.files.processes import help_out; help_out()"
    )
    # -P: nothing in the current folder may shadow a module of the standard library.
    return subprocess.Popen(
        [sys.executable, "-P", "-c", boot],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def help_out() -> None:
    """What a helper process does: works on what comes in, until nothing more does."""
    # ctrl+c is for the process that started it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What is printed must not get among them.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            work, part = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(work(part), answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()
