"""Drives a rehook in engine processes that may crash, hang or exit.

A process that ends early is replaced by one that continues after the reply that ended it.
"""

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

from convtui.analysis.rehook.sources import Source, carry_over
from convtui.client.engine_client import EngineHandle, EngineState, crash_frames
from convtui.errors import EngineError, FileError, UsageError
from convtui.files.env import check_env_file
from convtui.files.near import no_file
from convtui.files.regular import is_file
from convtui.protocol import REHOOK_CURSOR, RehookSpec, StartSpec

_CURSOR: Final = struct.Struct(REHOOK_CURSOR)
_LOOK_EVERY: Final = 0.02
MOST_ENDED: Final = 25
"""Engines that a provider's hooks may end before the rehook is stopped."""
_OUTPUT: Final = 64 * 1024
LOGS_PER_ENGINE: Final = 200
"""Logs per engine: below it, another engine costs more than it saves."""
MOST_ENGINES: Final = 4

Progress = Callable[[int, int], None]
"""Called with the numbers of logs and replies that are done."""


@dataclass(slots=True)
class Rehooked:
    """The results of a provider's hooks for recorded replies."""

    sources: list[Source] = field(default_factory=list)
    """The logs that are read."""
    provider: dict[str, Any] = field(default_factory=dict)
    """`{identity, hooks}`."""
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    """One per finished log, as `protocol.Kind.REHOOKED` describes; `log` indexes `sources`."""
    output: str = ""
    """What the provider's code printed, truncated to 64 kB."""
    stopped: str = ""
    """Why it stopped before the last log; empty when all are done."""

    def interrupted(self) -> None:
        """Records that the user stopped it before the last log."""
        self.stopped = f"stopped by hand after {len(self.outcomes):,} of {len(self.sources):,} logs"


def start_for(
    provider: str,
    *,
    set_: Sequence[str] = (),
    env_file: str | None = None,
    cwd: Path | None = None,
) -> StartSpec:
    """How to start an engine that runs the hooks of a provider. Blocking.

    Raises `UsageError` for an invalid SPEC or `--set key=value`, `FileError` for a file that does
    not exist.
    """
    from convtui.scenario.merge import merge_flags
    from convtui.scenario.provider_spec import absolute

    flags = {"provider": provider, "persona": "demo", "set": list(set_)}
    scenario = merge_flags(None, flags, ready=False, cwd=cwd)
    spec = scenario.provider.spec
    if spec.kind == "recorded":
        raise UsageError("--provider recorded:LOG has no hooks of its own to run again")
    file = absolute(spec.target, cwd or Path.cwd())
    if spec.kind == "file" and not is_file(file):
        raise FileError(no_file(file))
    check_env_file(env_file)
    return StartSpec(scenario=scenario.for_engine(), out_dir=".", env_file=env_file)


async def rehook_logs(
    start: StartSpec,
    sources: Sequence[Source],
    *,
    only: str = "",
    setup: bool = False,
    timeout: float = 10.0,  # noqa: ASYNC109 - of a hook, not of this
    python: str | None = None,
    progress: Progress = lambda logs, replies: None,
    into: Rehooked | None = None,
) -> Rehooked:
    """Runs the hooks of `start`'s provider on logs; on many in several engines concurrently.

    A hook that takes longer than `timeout` seconds, or that ends its process, is a failure of that
    reply; the rest continues in a new engine. Raises `EngineError` when the provider cannot be
    loaded. `into` receives the results so far even if this is cancelled or fails.
    """
    result = into if into is not None else Rehooked()
    result.sources = list(sources)
    # After setup() a provider may hold a resource that only one process can have.
    engines = 1 if setup else max(1, min(len(sources) // LOGS_PER_ENGINE, MOST_ENGINES, _cores()))
    share = -(-len(sources) // engines)
    with tempfile.TemporaryDirectory(prefix="convtui-rehook-") as folder:
        runs: list[_Run] = []

        def report_progress() -> None:
            progress(sum(len(run.outcomes) for run in runs), sum(run.replies for run in runs))

        for first in range(0, len(sources), max(1, share)):
            cursor = Path(folder) / f"cursor{first}"
            cursor.write_bytes(_CURSOR.pack(-1, -1))
            some = sources[first : first + share]
            spec = RehookSpec(
                [str(source.path.absolute()) for source in some],
                str(cursor),
                only=only,
                setup=setup,
                until=[source.until for source in some],
            )
            runs.append(
                _Run(
                    start,
                    spec,
                    first,
                    timeout=timeout,
                    python=python,
                    on_progress=report_progress,
                )
            )
        tasks = [asyncio.ensure_future(run.all()) for run in runs]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for run in runs:
                run.add_to(result)
            carry_over(result.sources, result.outcomes)
    return result


def _cores() -> int:
    return os.cpu_count() or 1


class _Run:
    """Rehooks a share of the logs in consecutive engines."""

    def __init__(
        self,
        start: StartSpec,
        spec: RehookSpec,
        first: int,
        *,
        timeout: float,
        python: str | None,
        on_progress: Callable[[], None],
    ) -> None:
        self._start = start
        self._spec = spec
        self._first = first
        """The index of its first log among all logs."""
        self._timeout = timeout
        self._python = python
        self._on_progress = on_progress
        self.outcomes: list[dict[str, Any]] = []
        self.replies = 0
        self._provider: dict[str, Any] = {}
        self._output = ""
        self._stopped = ""

    def add_to(self, result: Rehooked) -> None:
        result.provider = result.provider or self._provider
        result.outcomes += self.outcomes
        result.output = (result.output + self._output)[:_OUTPUT]
        result.stopped = result.stopped or self._stopped

    async def all(self) -> None:
        """Rehooks every log, in as many engines as that takes."""
        path = Path(self._spec.cursor)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
            await self._all(shared)

    async def _all(self, cursor: mmap.mmap) -> None:
        while len(self.outcomes) < len(self._spec.logs):
            if len(self._spec.failed) >= MOST_ENDED:
                self._stopped = f"the provider's hooks have ended {MOST_ENDED} engines; given up"
                return
            self._spec.first = len(self.outcomes)
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
        if len(self.outcomes) == len(self._spec.logs):
            return
        log, reply = _CURSOR.unpack_from(cursor, 0)
        # A crash may come before the frame that reports the provider as loaded.
        if log < 0 or reply < 0 or log >= len(self._spec.logs):
            if hung:
                raise EngineError(f"the provider was not loaded within {self._timeout:g} s")
            raise handle.failure()
        await _wait_for_crash_report(handle)
        self._spec.failed.append(
            {"log": log, "reply": reply, "error": _why(handle, hung, self._timeout)}
        )

    async def _watch(self, handle: EngineHandle, cursor: mmap.mmap) -> bool:
        """Waits for the end of an engine; returns whether a hook hung and the engine was killed."""
        loop = asyncio.get_running_loop()
        over = asyncio.ensure_future(handle.wait())
        position, since = _CURSOR.unpack_from(cursor, 0), loop.time()
        try:
            while not over.done():
                await asyncio.wait({over}, timeout=_LOOK_EVERY)
                self._take(handle)
                current = _CURSOR.unpack_from(cursor, 0)
                if current != position or current[1] < 0:
                    # Loading the provider and reading a log are not subject to the timeout.
                    position, since = current, loop.time()
                elif loop.time() - since > self._timeout:
                    await _abort(handle)
                    return True
        finally:
            over.cancel()
        return False

    def _take(self, handle: EngineHandle) -> None:
        while handle.rehooked:
            outcome = handle.rehooked.popleft()
            outcome["log"] += self._first
            self.outcomes.append(outcome)
            self.replies += len(outcome.get("turns", ()))
        if handle.loaded is not None:
            self._provider = handle.loaded
        if handle.state is not EngineState.FAILED and handle.loaded is not None:
            self._on_progress()
        if handle.over:
            room = _OUTPUT - len(self._output)
            if room > 0 and handle.exit_status == 0:
                text = "".join(text for _, text in handle.early_output)
                self._output += text[:room]


async def _abort(handle: EngineHandle) -> None:
    """Ends a process that hangs; where the platform allows, it prints its stack first."""
    if handle.pid is not None and sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(handle.pid, signal.SIGABRT)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(handle.wait(), 2.0)
    handle.kill()


async def _wait_for_crash_report(handle: EngineHandle) -> None:
    """Waits up to half a second for a crash's stack, which may arrive after the process ended."""
    if (handle.exit_status or 0) >= 0:
        return
    for _ in range(50):
        if any(text.startswith('  File "') for _, text in list(handle.early_output)):
            return
        await asyncio.sleep(0.01)


def _why(handle: EngineHandle, hung: bool, timeout: float) -> dict[str, Any]:
    """The error of the reply on which an engine ended, in the form of other hook failures."""
    status = handle.exit_status or 0
    if hung:
        message = f"no answer within {timeout:g} s: a hook that hangs, or waits for something"
    elif status < 0:
        with contextlib.suppress(ValueError):
            status_name = signal.Signals(-status).name
            hint = {"SIGSEGV": " (a crash in native code)", "SIGKILL": " (or out of memory)"}
            message = f"the hooks ended the process by {status_name}{hint.get(status_name, '')}"
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
