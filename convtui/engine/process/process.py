"""The engine process: started by a handle on the screen's side, exchanges frames, runs what it is
told to: one conversation, or as many as come.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, BinaryIO

from convtui.engine.core.event_loop import new_event_loop
from convtui.engine.process.command_reader import CommandReader
from convtui.engine.process.exit_report import describe_unforeseen, report_exit
from convtui.engine.process.hosted import Hosted
from convtui.engine.process.parts import ProcessParts
from convtui.engine.process.pipe import Channel
from convtui.engine.process.shutdown import EXIT_WITHIN
from convtui.engine.process.watchdog import start_watchdog
from convtui.engine.process.worker import WorkerProcess
from convtui.errors import ConvtuiError
from convtui.log.syncing import SYNCER
from convtui.protocol import Kind, StartSpec, describe_error, read_frame
from convtui.records.models import exit_code
from convtui.text.relocation import relocate


class Engine:
    """Runs the one conversation of a process, or what else its first frame asks for."""

    def __init__(self, parts: ProcessParts) -> None:
        self._parts = parts
        self._hosted = Hosted(
            Channel(parts.sender, parts.redactor),
            parts.capture,
            redactor=parts.redactor,
            pulse=parts.pulse,
            give_up=parts.shutdown.give_up,
            explain_failure=parts.originals.explain_failure,
            early=parts.early,
        )
        parts.shutdown.running = self._hosted
        parts.on_breakpoint = self._hosted.on_breakpoint

    def receive(self, kind: Kind, body: bytes) -> None:
        """Takes a frame, in the thread that reads."""
        if kind is Kind.COMMAND:
            self._hosted.desk.take(json.loads(body))
        elif kind is Kind.WATCH and (loop := self._parts.pulse.loop) is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._hosted.hold_endings, bool(json.loads(body)["on"]))

    async def run(self, spec: StartSpec) -> int:
        """Runs the conversation; returns the exit status."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, failure: self._hosted.on_background_failure(failure))
        self._parts.start_beating(self._beat)
        return await self._converse(spec)

    def _beat(self) -> None:
        self._parts.sender.heartbeat(**self._hosted.in_flight)

    async def _converse(self, spec: StartSpec) -> int:
        from convtui.engine.conversation.build import describe_provider
        from convtui.engine.conversation.environment import apply_env_file
        from convtui.engine.conversation.wiring import EngineModels
        from convtui.scenario.scenario import Scenario

        # Provider code may change the folder while it is imported.
        spec.out_dir = str(Path(spec.out_dir).absolute())
        parts, sender, capture = self._parts, self._parts.sender, self._parts.capture
        try:
            apply_env_file(spec.env_file)
            parts.redactor.look_everywhere()
            Scenario.from_public(spec.scenario).tell(parts.redactor)
            models = EngineModels(parts.redactor)
            if spec.only_load:
                capture.flush()
                sender.send(Kind.LOADED, **describe_provider(spec, models))
                return 0
            if spec.rehook is not None:
                from convtui.engine.process.rehook_process import rehook

                await rehook(spec, spec.rehook, models, sender, capture)
                return 0
            if spec.preview is not None:
                from convtui.engine.process.preview import preview

                await preview(spec, spec.preview, models, sender, capture)
                return 0
            conversation = self._hosted.begin(spec, models)
        except ConvtuiError as error:
            capture.flush()
            sender.send(Kind.FAILED, error=describe_error(error) | {"exit_code": error.exit_code})
            return error.exit_code
        except Exception as error:  # noqa: BLE001 - sent to the screen, whatever it is
            sender.send(Kind.FAILED, error=describe_unforeseen(error))
            return 1
        # The screen must know the log of a process that provider code ends at once.
        sender.flush()
        # Loaded modules stay; the garbage collector need not visit them again.
        gc.freeze()
        if parts.shutdown.reason:
            conversation.stop("human", parts.shutdown.reason)
        termination = await self._hosted.run(conversation, models)
        return exit_code(termination.as_dict())


def _private(fd: int) -> int:
    """A copy of a descriptor that child processes do not inherit."""
    copy = os.dup(fd)
    os.set_inheritable(copy, False)
    return copy


def _warm() -> None:
    """Imports what takes seconds before the first call needs it."""
    with contextlib.suppress(Exception):
        # A failure is raised again when a model is called.
        import convtui.engine.conversation.commands  # noqa: F401
        from convtui.models.litellm_client import LitellmClients

        LitellmClients().warm()


def main() -> None:
    """Runs the engine process, with the pipe on descriptors 0 and 1."""
    commands_fd, frames_fd, crash_fd = _private(0), _private(1), _private(2)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    start_watchdog(commands_fd, EXIT_WITHIN * 1.5)
    faulthandler.enable(file=crash_fd)
    # Ctrl+C in the terminal is for the screen, which sends a command for it.
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands = os.fdopen(commands_fd, "rb", buffering=1 << 16)
    leave = report_exit(crash_fd)
    parts = ProcessParts(frames_fd, leave)
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGTERM, parts.shutdown.on_sigterm)
    parts.streams.install()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: parts.on_fork(commands_fd, frames_fd, crash_fd))
    sys.breakpointhook = parts.breakpoint_hook
    first = read_frame(commands)
    while first is not None and first[0] is Kind.WARM:
        threading.Thread(target=_warm, name="convtui-warm", daemon=True).start()
        first = read_frame(commands)
    if first is None or first[0] not in (Kind.START, Kind.HOST):
        leave(0)
    status = 1
    try:
        # Not asyncio.run(), which would wait for tasks that provider code left behind.
        status = new_event_loop().run_until_complete(_run(parts, commands, *first))
    except BaseException as error:  # noqa: BLE001 - the last handler of this process
        parts.shutdown.report_failure(error)
    finally:
        parts.capture.flush()
        parts.sender.close()
        SYNCER.flush()
        # Threads that provider code or libraries left behind must not keep the process alive.
        leave(status)


def _die() -> None:
    """Ends this process and what it has started, as if it had been killed: others go on with its
    logs, and must not find them changed."""
    if hasattr(os, "killpg"):
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


async def _run(parts: ProcessParts, commands: BinaryIO, kind: Kind, body: bytes) -> int:
    """Runs what the first frame asks for; returns the exit status."""
    runs: Engine | WorkerProcess = WorkerProcess(parts) if kind is Kind.HOST else Engine(parts)
    asked: dict[str, Any] = json.loads(body)

    def on_end_of_file() -> None:
        if asked.get("expendable") and isinstance(runs, WorkerProcess) and runs.begun:
            _die()
        parts.shutdown.end("the screen was closed")

    reader = CommandReader(commands, runs.receive, on_end_of_file)
    threading.Thread(target=reader.listen, name="convtui-commands", daemon=True).start()
    if isinstance(runs, WorkerProcess):
        relocate((home, here) for home, here in asked.get("moved") or ())
        return await runs.run(asked.get("env_file"))
    return await runs.run(StartSpec.from_dict(asked))
