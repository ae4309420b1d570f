"""The engine process: started by `client.EngineHandle`, exchanges frames, runs a conversation."""

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
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from convtui.engine.core.output import OutputCapture, StreamName
from convtui.engine.process.command_reader import CommandReader
from convtui.engine.process.last_words import describe_unforeseen, report_exit
from convtui.engine.process.originals import Originals
from convtui.engine.process.pipe import FrameSender
from convtui.engine.process.shutdown import EXIT_WITHIN, Shutdown
from convtui.engine.process.watchdog import start_watchdog
from convtui.errors import ConvtuiError
from convtui.protocol import (
    HEARTBEAT_EVERY,
    Kind,
    StartSpec,
    describe_error,
    read_frame,
)
from convtui.records.models import ProviderOutput, exit_code
from convtui.secrets.redactor import Redactor
from convtui.text.causes import describe

if TYPE_CHECKING:
    from convtui.engine.conversation.runner import Conversation

_TURN_ENDS = frozenset({"turn.committed", "turn.discarded", "turn.skipped", "llm.failed"})


class Engine:
    """The process around a conversation: its output, records, gate and heartbeat."""

    def __init__(
        self, commands: BinaryIO, frames_fd: int, leave: Callable[[int], NoReturn]
    ) -> None:
        self._leave = leave
        self._redactor = Redactor.of_process()
        self.sender = FrameSender(frames_fd, self._redactor)
        self.capture = OutputCapture(self._output, self._redactor)
        self._originals = Originals()
        self.shutdown = Shutdown(self.sender, self._originals, leave)
        self.sender.on_error = self.shutdown.on_send_error
        self.reader = CommandReader(commands, self.sender, self.shutdown)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._conversation: Conversation | None = None
        self._early: list[tuple[StreamName, str, int]] = []
        self._current_turn: tuple[Any, Any] = (None, None)

    # --- output

    def _output(self, stream: StreamName, text: str, dropped: int) -> None:
        conversation = self._conversation
        if conversation is None:
            self._early.append((stream, text, dropped))
            self.sender.send(Kind.OUTPUT, stream=stream, text=text)
            return
        journal = conversation.journal
        if journal.writer.closed:
            return
        with contextlib.suppress(Exception):
            journal.emit(
                ProviderOutput(
                    **journal.current.fields(),
                    call=journal.current.call,
                    stream=stream,
                    text=text,
                    dropped=dropped or None,
                )
            )

    def breakpoint_hook(self, *_: Any, **__: Any) -> None:
        """Replaces `breakpoint()`, which has no terminal here, by a warning."""
        frame = sys._getframe(1)
        location = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        message = (
            f"breakpoint() at {location} was passed over: the engine has no terminal;"
            " `convtui run --in-process` leaves it to pdb"
        )
        if self._conversation is None:
            self.capture.take("stderr", message + "\n")
            return
        from convtui.records.models import Warned

        journal = self._conversation.journal
        journal.emit_here(Warned, code="breakpoint", message=message)

    def _log_early_output(self) -> None:
        """Records what was printed while the provider was imported."""
        early, self._early = self._early, []
        for stream, text, dropped in early:
            self._output(stream, text, dropped)

    def on_fork(self, *private: int) -> None:
        """Lets go of the engine's resources in a child that provider code has forked.

        The child ends when its code returns to the event loop. `private` are the engine's
        descriptors, which the child must not keep open.
        """
        faulthandler.disable()
        self.sender.forget()
        self.capture.forget()
        for fd in private:
            with contextlib.suppress(OSError):
                os.close(fd)
        if self._loop is not None:
            self._loop.call_soon(self._leave, 0)

    # --- the run

    async def run(self, spec: StartSpec) -> int:
        """Runs the conversation; returns the exit status."""
        self._loop = self.shutdown.loop = self.reader.loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._background_failure)
        self._heartbeat(self._loop)
        return await self._converse(spec)

    def _background_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Shows the error of a provider's task that nothing awaited as output."""
        error = context.get("exception")
        cause = describe(error) if isinstance(error, BaseException) else "no exception"
        self.capture.take("stderr", f"{context.get('message')}: {cause}\n")

    def _heartbeat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sends a heartbeat and schedules the next.

        Not a task: provider code may cancel all tasks.
        """
        self.reader.beat()
        if self._conversation is None:
            self.sender.heartbeat(None)
        else:
            caller = self._conversation.caller
            wait = caller.waiting
            self.sender.heartbeat(caller.busy, None if wait is None else wait.as_dict())
        loop.call_later(HEARTBEAT_EVERY, self._heartbeat, loop)

    async def _converse(self, spec: StartSpec) -> int:
        from convtui.engine.conversation.build import apply_env_file, build, describe_provider
        from convtui.engine.conversation.commands import CommandHandler
        from convtui.engine.conversation.wiring import EngineModels, Wiring
        from convtui.scenario.scenario import Scenario

        # Provider code may change the folder while it is imported.
        spec.out_dir = str(Path(spec.out_dir).absolute())
        try:
            apply_env_file(spec)
            redactor = self._redactor
            redactor.look_everywhere()
            Scenario.from_public(spec.scenario).tell(redactor)
            models = EngineModels(redactor)
            if spec.only_load:
                self.capture.flush()
                self.sender.send(Kind.LOADED, **describe_provider(spec, models))
                return 0
            if spec.rehook is not None:
                from convtui.engine.process.rehook_process import rehook

                await rehook(spec, spec.rehook, models, self.sender, self.capture)
                return 0
            if spec.preview is not None:
                from convtui.engine.process.preview import preview

                await preview(spec, spec.preview, models, self.sender, self.capture)
                return 0
            conversation = build(
                spec,
                Wiring(
                    models=models,
                    publish_gate=self._publish_gate,
                    publish_delta=self.sender.delta,
                    redactor=redactor,
                    explain_failure=self._originals.explain_failure,
                ),
            )
        except ConvtuiError as error:
            self.capture.flush()
            self.sender.send(
                Kind.FAILED, error=describe_error(error) | {"exit_code": error.exit_code}
            )
            return error.exit_code
        except Exception as error:  # noqa: BLE001 - sent to the screen, whatever it is
            self.sender.send(Kind.FAILED, error=describe_unforeseen(error))
            return 1
        self._conversation = self.shutdown.conversation = conversation
        conversation.journal.listen(self._on_record)
        conversation.on_begin = self._log_early_output
        self.reader.handler = CommandHandler(conversation)
        log = conversation.journal.writer.path
        models.capture(log, spec.wire)
        self.sender.send(Kind.READY, log=str(log), id=conversation.id, pid=os.getpid())
        # The screen must know the log of a process that provider code ends at once.
        self.sender.flush()
        # Loaded modules stay; the garbage collector need not visit them again.
        gc.freeze()
        if self.shutdown.reason:
            conversation.stop("human", self.shutdown.reason)
        try:
            termination = await conversation.run()
        finally:
            self.capture.flush()
            await models.close()
        return exit_code(termination.as_dict())

    def _on_record(self, data: dict[str, Any], offset: int, line: bytes) -> None:
        address = (data.get("session"), data.get("turn"))
        if address != self._current_turn and address[1] is not None:
            self._current_turn = address
            self.capture.begin_turn()
        self.sender.record(data, offset, line)
        if data.get("type") in _TURN_ENDS:
            self.capture.settle()

    def _publish_gate(self, state: str, hold: dict[str, Any] | None) -> None:
        # An engine whose gate moves is alive, also before the first heartbeat after an import.
        self.reader.beat()
        after = self._conversation.journal.writer.count - 1 if self._conversation else -1
        self.sender.send(Kind.GATE, after=after, state=state, hold=hold)


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
    engine = Engine(commands, frames_fd, leave)
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGTERM, engine.shutdown.on_sigterm)
    engine.capture.install()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: engine.on_fork(commands_fd, frames_fd, crash_fd))
    sys.breakpointhook = engine.breakpoint_hook
    first = read_frame(commands)
    while first is not None and first[0] is Kind.WARM:
        threading.Thread(target=_warm, name="convtui-warm", daemon=True).start()
        first = read_frame(commands)
    if first is None or first[0] is not Kind.START:
        leave(0)
    threading.Thread(target=engine.reader.listen, name="convtui-commands", daemon=True).start()
    spec = StartSpec.from_dict(json.loads(first[1]))
    status = 1
    try:
        # Not asyncio.run(), which would wait for tasks that provider code left behind.
        status = asyncio.new_event_loop().run_until_complete(engine.run(spec))
    except BaseException as error:  # noqa: BLE001 - the last handler of this process
        engine.shutdown.report_failure(error)
    finally:
        engine.capture.flush()
        engine.sender.close()
        # Threads that provider code or libraries left behind must not keep the process alive.
        leave(status)
