"""An engine process that hosts many conversations on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import json
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from convtui.engine.calls.permits import Permits
from convtui.engine.core.output import OutputCapture, current_output
from convtui.engine.process.attribution import note_tasks, owner_of_failure
from convtui.engine.process.blocked import BlockedWatch
from convtui.engine.process.exit_report import describe_unforeseen
from convtui.engine.process.hosted import Hosted, background_failure, current_hosted
from convtui.engine.process.matching import Matching, matching_for
from convtui.engine.process.parts import ProcessParts
from convtui.engine.process.pipe import Channel
from convtui.engine.process.rows import RowBoard, row_of
from convtui.errors import ConvtuiError
from convtui.protocol import Kind, Row, StartSpec, describe_error, json_body, pack, unpack_of
from convtui.records.models import RecordDict, exit_code
from convtui.secrets.redactor import Redactor

_COLLECT_AFTER: Final = (20_000, 20, 50)
"""Thresholds of the garbage collector."""
_OVER: Final = "the conversation is over"


class WorkerProcess:
    """Runs the conversations that it is told to begin, each apart from the others.

    What one prints, its records, its redactor, its budget and its commands are its own; the
    interpreter, the event loop and the imported modules are shared.
    """

    def __init__(self, parts: ProcessParts) -> None:
        self._parts = parts
        self._hosted: dict[int, Hosted] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._rows = RowBoard(self._send_rows)
        self._ending = asyncio.Event()
        self._frozen = False
        self._permits = Permits(self._send_used)
        self._new_matching: Callable[[], Matching | None] = lambda: None
        self._looking_back: asyncio.Task[None] | None = None
        self._takers: dict[Kind, Callable[..., None]] = {
            Kind.BEGIN: self._begin,
            Kind.WATCH: self._watch,
            Kind.FILTER: self._filter,
            Kind.LIMITS: self._limit,
        }
        parts.shutdown.running = self
        parts.on_breakpoint = self._on_breakpoint

    # --- frames

    def receive(self, kind: Kind, body: bytes) -> None:
        """Takes a frame, in the thread that reads."""
        if kind is Kind.OF:
            number, inner, of = unpack_of(body)
            if inner is Kind.COMMAND:
                self._command(number, json.loads(of))
            return
        taker = self._takers.get(kind)
        loop = self._parts.pulse.loop
        if taker is not None and loop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(partial(taker, **json.loads(body)))

    def _command(self, number: int, command: dict[str, Any]) -> None:
        hosted = self._hosted.get(number)
        if hosted is not None:
            hosted.desk.take(command)
            return
        channel = Channel(self._parts.sender, self._parts.redactor, number)
        channel.send(Kind.ACK, id=command.get("id"), ok=False, reason=_OVER)

    def _watch(self, conversation: int, on: bool) -> None:
        hosted = self._hosted.get(conversation)
        if hosted is not None:
            hosted.watch(on)

    def _send_rows(self, rows: list[tuple[int, Row]]) -> None:
        if rows:
            self._parts.sender.put(pack(Kind.ROWS, json_body(rows=rows)))
        self._send_used()

    def _send_used(self) -> None:
        used = self._permits.used()
        if used:
            self._parts.sender.send(Kind.USED, calls=used)

    def _limit(self, limits: dict[str, int]) -> None:
        self._permits.limit({key: int(most) for key, most in limits.items()})

    def _filter(self, expression: str) -> None:
        self._new_matching = matching_for(expression)
        for number, hosted in self._hosted.items():
            hosted.matching = self._new_matching()
            self._rows.changed(number, hosted)
        if self._looking_back is not None:
            self._looking_back.cancel()
        self._looking_back = asyncio.create_task(self._look_back())

    async def _look_back(self) -> None:
        """Has the filter look at what was said before it was set."""
        for number, hosted in list(self._hosted.items()):
            if hosted.matching is not None and hosted.conversation is not None:
                await hosted.matching.look_back(hosted.conversation)
                if number in self._hosted:
                    self._rows.changed(number, hosted)

    # --- the process

    async def run(self, env_file: str | None) -> int:
        """Hosts conversations until the process is told to end; returns the exit status."""
        from convtui.engine.conversation.environment import apply_env_file
        from convtui.providers.imported import FILES

        FILES.keep()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_background_failure)
        note_tasks(loop)
        self._parts.start_beating(self._beat)
        try:
            apply_env_file(env_file)
        except ConvtuiError as error:
            failure = describe_error(error) | {"exit_code": error.exit_code}
            self._parts.sender.send(Kind.FAILED, error=failure)
            return error.exit_code
        self._parts.redactor.look_everywhere()
        self._rows.start()
        watch = BlockedWatch(self._parts.pulse, threading.get_ident(), self._on_blocked)
        watch.start()
        self._parts.sender.send(Kind.READY, log=None, id="", pid=os.getpid())
        await self._ending.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)
        return 0

    def _beat(self) -> None:
        self._parts.sender.heartbeat(None)
        for hosted in self._hosted.values():
            if hosted.channel.watched:
                hosted.channel.send(Kind.HEARTBEAT, **hosted.in_flight)

    @property
    def begun(self) -> bool:
        """Whether there are conversations."""
        return bool(self._hosted)

    def interrupt(self, reason: str) -> None:
        """Ends all conversations; the process ends with the last of them."""
        self._ending.set()
        for hosted in list(self._hosted.values()):
            hosted.interrupt(reason)

    def force_close(
        self,
        reason: str,
        *,
        kind: Literal["interrupted", "failed"] = "interrupted",
        by: Literal["human", "provider"] = "human",
    ) -> None:
        """Closes all logs that are still open, in any thread."""
        for hosted in list(self._hosted.values()):
            hosted.force_close(reason, kind=kind, by=by)

    def _on_breakpoint(self, location: str) -> None:
        hosted = current_hosted.get()
        if hosted is not None:
            hosted.on_breakpoint(location)
        else:
            self._parts.capture.take("stderr", f"breakpoint() at {location} was passed over\n")

    def _on_background_failure(
        self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]
    ) -> None:
        hosted = owner_of_failure(context)
        if hosted is not None:
            hosted.on_background_failure(context)
        else:
            self._parts.capture.take("stderr", background_failure(context))

    def _on_blocked(self, hosted: Hosted | None, seconds: float, where: str) -> None:
        number = None if hosted is None else hosted.channel.number
        self._parts.sender.send(Kind.BLOCKED, conversation=number, seconds=seconds, where=where)

    # --- conversations

    def _begin(self, conversation: int, spec: dict[str, Any]) -> None:
        redactor = Redactor.of_process()
        hosted = Hosted(
            Channel(self._parts.sender, redactor, conversation),
            OutputCapture(lambda stream, text, dropped: None, redactor),
            redactor=redactor,
            pulse=self._parts.pulse,
            give_up=lambda reason: self._give_up(conversation, reason),
            explain_failure=self._parts.originals.explain_failure,
            permits=self._permits,
        )
        hosted.matching = self._new_matching()
        hosted.on_change = lambda: self._rows.changed(conversation, hosted)
        self._hosted[conversation] = hosted
        context = contextvars.copy_context()
        context.run(current_hosted.set, hosted)
        context.run(current_output.set, hosted.capture)
        task = asyncio.get_running_loop().create_task(
            self._host(conversation, hosted, StartSpec.from_dict(spec)), context=context
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _give_up(self, number: int, reason: str) -> None:
        """Ends one conversation as failed, in the thread that reads: the loop may be blocked."""
        hosted, loop = self._hosted.get(number), self._parts.pulse.loop
        if hosted is None or loop is None:
            return
        hosted.force_close(reason, kind="failed", by="provider")
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(hosted.interrupt, reason)

    async def _host(self, number: int, hosted: Hosted, spec: StartSpec) -> None:
        """Runs a conversation; whatever becomes of it, the driver is told of its end."""
        from convtui.engine.conversation.wiring import EngineModels

        # Provider code may change the folder while it is imported.
        spec.out_dir = str(Path(spec.out_dir).absolute())
        status = 1
        try:
            models = EngineModels(hosted.redactor)
            conversation = hosted.begin(spec, models)
            if not self._frozen:
                # Loaded modules stay; the garbage collector need not visit them again. What many
                # conversations allocate is mostly freed without it.
                self._frozen = True
                gc.freeze()
                gc.set_threshold(*_COLLECT_AFTER)
            await hosted.run(conversation, models)
        except ConvtuiError as error:
            status = error.exit_code
            hosted.fail(describe_error(error) | {"exit_code": status})
        except BaseException as error:  # noqa: BLE001 - sent to the driver, whatever it is
            hosted.fail(describe_unforeseen(error))
        finally:
            self._end(number, hosted, status)

    def _end(self, number: int, hosted: Hosted, status: int) -> None:
        hosted.over = True
        self._rows.forget(number)
        conversation = hosted.conversation
        trailer: RecordDict = {}
        if conversation is not None:
            trailer = conversation.journal.transcript.trailer or {}
        termination = trailer.get("termination")
        self._parts.sender.send(
            Kind.ENDED,
            conversation=number,
            status=status if termination is None else exit_code(termination),
            termination=termination,
            log=None if conversation is None else str(conversation.journal.writer.path),
            totals=trailer.get("totals"),
            row=row_of(hosted),
        )
        self._hosted.pop(number, None)
