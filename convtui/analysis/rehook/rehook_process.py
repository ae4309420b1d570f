"""Drives a rehook: engine processes that may crash, hang or exit, and go on after the culprit."""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.client.engine_client import EngineHandle, EngineState, crash_frames
from convtui.errors import EngineError, FileError, UsageError
from convtui.protocol import REHOOK_CURSOR, RehookSpec, StartSpec

_CURSOR: Final = struct.Struct(REHOOK_CURSOR)
_LOOK_EVERY: Final = 0.02
MOST_ENDED: Final = 25
"""Engines that a provider's hooks may end before it is given up."""
_OUTPUT: Final = 64 * 1024
LOGS_PER_ENGINE: Final = 200
"""Logs from which a second engine is worth its start."""
MOST_ENGINES: Final = 4

Progress = Callable[[int, int], None]
"""Called with the logs and the replies that are done."""


@dataclass(slots=True)
class Rehooked:
    """What a provider's hooks make of recorded replies."""

    logs: list[Path]
    provider: dict[str, Any] = field(default_factory=dict)
    """`{identity, hooks}`."""
    found: list[dict[str, Any]] = field(default_factory=list)
    """For every log what `protocol.Kind.REHOOKED` says."""
    output: str = ""
    """What the provider's code printed, cut to 64 kB."""
    stopped: str = ""
    """Why it was given up before the last log; empty when all are done."""

    def interrupted(self) -> None:
        """Says that somebody stopped it before the last log."""
        self.stopped = f"stopped by hand after {len(self.found):,} of {len(self.logs):,} logs"


def start_for(
    provider: str,
    *,
    set_: Sequence[str] = (),
    env_file: str | None = None,
    cwd: Path | None = None,
) -> StartSpec:
    """What an engine needs to know to run the hooks of a provider. Blocking.

    Raises `UsageError` for a SPEC (or a `--set key=value`) that means nothing, `FileError` when a
    file is not there.
    """
    from convtui.scenario.provider_spec import absolute
    from convtui.scenario.scenario import merge_flags

    flags = {"provider": provider, "persona": "demo", "set": list(set_)}
    scenario = merge_flags(None, flags, ready=False, cwd=cwd)
    spec = scenario.provider.spec
    if spec.kind == "recorded":
        raise UsageError("--provider recorded:LOG has no hooks of its own to run again")
    if spec.kind == "file" and not absolute(spec.target, cwd or Path.cwd()).is_file():
        raise FileError(f"{spec.target}: there is no such file")
    if env_file and not Path(env_file).is_file():
        raise FileError(f"{env_file}: there is no such file of environment variables")
    return StartSpec(scenario=scenario.for_engine(), out_dir=".", env_file=env_file)


async def rehook_logs(
    start: StartSpec,
    logs: Sequence[Path],
    *,
    only: str = "",
    setup: bool = False,
    timeout: float = 10.0,  # noqa: ASYNC109 - of a hook, not of this
    python: str | None = None,
    progress: Progress = lambda logs, replies: None,
    into: Rehooked | None = None,
) -> Rehooked:
    """Runs the provider of `start` over logs; over many in several engines at a time.

    A hook that takes longer than `timeout` seconds, or that ends its process, is a failure of that
    reply; the rest goes on in a new engine. Raises `EngineError` when the provider cannot be
    loaded. With `into` what is done so far is there also when this is cancelled or fails.
    """
    result = into if into is not None else Rehooked([])
    result.logs = list(logs)
    # A provider that is set up may own something that there is one of only.
    engines = 1 if setup else max(1, min(len(logs) // LOGS_PER_ENGINE, MOST_ENGINES, _cores()))
    share = -(-len(logs) // engines)
    with tempfile.TemporaryDirectory(prefix="convtui-rehook-") as folder:
        runs: list[_Run] = []

        def told() -> None:
            progress(sum(len(run.found) for run in runs), sum(run.replies for run in runs))

        for first in range(0, len(logs), max(1, share)):
            cursor = Path(folder) / f"cursor{first}"
            cursor.write_bytes(_CURSOR.pack(-1, -1))
            some = [str(path.absolute()) for path in logs[first : first + share]]
            spec = RehookSpec(some, str(cursor), only=only, setup=setup)
            runs.append(_Run(start, spec, first, timeout=timeout, python=python, told=told))
        tasks = [asyncio.ensure_future(run.all()) for run in runs]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for run in runs:
                run.give(result)
    return result


def _cores() -> int:
    return os.cpu_count() or 1


class _Run:
    """A share of the logs, in one engine after the other."""

    def __init__(
        self,
        start: StartSpec,
        spec: RehookSpec,
        first: int,
        *,
        timeout: float,
        python: str | None,
        told: Callable[[], None],
    ) -> None:
        self._start = start
        self._spec = spec
        self._first = first
        """The place of its first log among all."""
        self._timeout = timeout
        self._python = python
        self._told = told
        self.found: list[dict[str, Any]] = []
        self.replies = 0
        self._provider: dict[str, Any] = {}
        self._output = ""
        self._stopped = ""

    def give(self, result: Rehooked) -> None:
        """Adds what was found."""
        result.provider = result.provider or self._provider
        result.found += self.found
        result.output = (result.output + self._output)[:_OUTPUT]
        result.stopped = result.stopped or self._stopped

    async def all(self) -> None:
        """Every log, in as many engines as that takes."""
        path = Path(self._spec.cursor)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
            await self._all(shared)

    async def _all(self, cursor: mmap.mmap) -> None:
        while len(self.found) < len(self._spec.logs):
            if len(self._spec.failed) >= MOST_ENDED:
                self._stopped = f"the provider's hooks have ended {MOST_ENDED} engines; given up"
                return
            self._spec.first = len(self.found)
            _CURSOR.pack_into(cursor, 0, -1, -1)
            await self._engine(cursor)

    async def _engine(self, cursor: mmap.mmap) -> None:
        handle = EngineHandle(python=self._python)
        spec = StartSpec.from_dict(self._start.as_dict())
        spec.rehook = self._spec
        try:
            await handle.start(spec, wait=False)
            hung = await self._watch(handle, cursor)
        except asyncio.CancelledError:
            handle.kill()
            raise
        finally:
            await handle.close()
        self._take(handle)
        if len(self.found) == len(self._spec.logs):
            return
        log, reply = _CURSOR.unpack_from(cursor, 0)
        # A crash may be faster than the frame that says that the provider is loaded.
        if log < 0 or reply < 0 or log >= len(self._spec.logs):
            if hung:
                raise EngineError(f"the provider was not loaded within {self._timeout:g} s")
            raise handle.failure()
        await _last_words(handle)
        self._spec.failed.append(
            {"log": log, "reply": reply, "error": _why(handle, hung, self._timeout)}
        )

    async def _watch(self, handle: EngineHandle, cursor: mmap.mmap) -> bool:
        """Waits for the end of an engine; whether it had to be killed because a hook hangs."""
        loop = asyncio.get_running_loop()
        over = asyncio.ensure_future(handle.wait())
        stands, since = _CURSOR.unpack_from(cursor, 0), loop.time()
        try:
            while not over.done():
                await asyncio.wait({over}, timeout=_LOOK_EVERY)
                self._take(handle)
                now = _CURSOR.unpack_from(cursor, 0)
                if now != stands or now[1] < 0:
                    # Loading and reading take the time that they take.
                    stands, since = now, loop.time()
                elif loop.time() - since > self._timeout:
                    await _ask_where(handle)
                    return True
        finally:
            over.cancel()
        return False

    def _take(self, handle: EngineHandle) -> None:
        while handle.rehooked:
            found = handle.rehooked.popleft()
            found["log"] += self._first
            self.found.append(found)
            self.replies += len(found.get("turns", ()))
        if handle.loaded is not None:
            self._provider = handle.loaded
        if handle.state is not EngineState.FAILED and handle.loaded is not None:
            self._told()
        if handle.over:
            room = _OUTPUT - len(self._output)
            if room > 0 and handle.exit_status == 0:
                text = "".join(text for _, text in handle.early_output)
                self._output += text[:room]


async def _ask_where(handle: EngineHandle) -> None:
    """Has a process that hangs print where it stands, and end."""
    if handle.pid is not None and sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(handle.pid, signal.SIGABRT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(handle.wait(), 2.0)
    handle.kill()


async def _last_words(handle: EngineHandle) -> None:
    """Waits a moment for the report of a crash, which may be read after the process has ended."""
    if (handle.exit_status or 0) >= 0:
        return
    for _ in range(50):
        if any(text.startswith('  File "') for _, text in list(handle.early_output)):
            return
        await asyncio.sleep(0.01)


def _why(handle: EngineHandle, hung: bool, timeout: float) -> dict[str, Any]:
    """The failure of the reply that an engine ended with, as other failures of hooks are told."""
    status = handle.exit_status or 0
    if hung:
        message = f"no answer within {timeout:g} s: a hook that hangs, or waits for something"
    elif status < 0:
        with contextlib.suppress(ValueError):
            status_name = signal.Signals(-status).name
            why = {"SIGSEGV": " (a crash in native code)", "SIGKILL": " (or out of memory)"}
            message = f"the hooks ended the process by {status_name}{why.get(status_name, '')}"
            return _described(handle, message)
        message = f"the hooks ended the process by signal {-status}"
    else:
        message = f"the hooks ended the process with status {status}: a call of os._exit()?"
    return _described(handle, message)


def _described(handle: EngineHandle, message: str) -> dict[str, Any]:
    error: dict[str, Any] = {"type": "EngineDied", "message": message, "category": "hook"}
    frames = crash_frames("".join(text for name, text in handle.early_output if name == "stderr"))
    frames = [line for line in frames if line.startswith('  File "') and "<string>" not in line]
    return error | ({"frames": [line.strip() for line in frames]} if frames else {})
