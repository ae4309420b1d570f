"""The engine in this process: an async iterator of records, for scripts and tests."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from convtui.config.paths import Paths
from convtui.engine.conversation.build import build
from convtui.engine.conversation.environment import ENVIRONMENT
from convtui.engine.conversation.wiring import EngineModels, Wiring
from convtui.protocol import StartSpec
from convtui.records.models import RecordDict
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor


async def converse(
    scenario: Scenario, *, out_dir: Path | str | None = None, spec: StartSpec | None = None
) -> AsyncIterator[RecordDict]:
    """Runs a scenario in this process and yields its records as they are written.

    The log is written into `out_dir`, by default the user's runs folder; the first record, the
    header, has the conversation's id. Leaving the loop early ends the conversation as
    `interrupted`; close the iterator (`contextlib.aclosing`) to end it at once.

    Any number of conversations may run side by side on one event loop. Each has its own provider
    and simulator, log, redactor, wire log, budget and tools. What they share is the process: its
    modules, what a provider keeps outside of itself, and its environment; what is printed goes
    where the process prints, and a provider that blocks delays all of them. Variables of
    `spec.env_file` are set as long as a conversation needs them.

    Raises `UsageError` before the first record (an unusable provider, an unwritable folder, an
    `env_file` that says otherwise than that of a conversation that still runs). Later failures are
    in the records and are not raised.
    """
    if spec is None:
        folder = Path(out_dir) if out_dir is not None else Paths.find().runs_dir
        spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(folder))
    give_back = ENVIRONMENT.borrow(spec.env_file)
    try:
        async with contextlib.aclosing(_records(spec)) as records:
            async for record in records:
                yield record
    finally:
        give_back()


async def _records(spec: StartSpec) -> AsyncGenerator[RecordDict]:
    redactor = Redactor.of_process()
    models = EngineModels(redactor)
    # What is set here is seen by this conversation's code alone, and by what it starts.
    context = contextvars.copy_context()
    conversation = context.run(build, spec, Wiring(models=models, redactor=redactor))
    context.run(models.capture, conversation.journal.writer.path, spec.wire)
    queue: asyncio.Queue[RecordDict | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def enqueue(record: RecordDict, offset: int, line: bytes) -> None:
        if asyncio._get_running_loop() is loop:
            queue.put_nowait(record)
        else:  # emitted by a thread, such as captured output
            loop.call_soon_threadsafe(queue.put_nowait, record)

    conversation.journal.listen(enqueue)

    async def run() -> None:
        try:
            await conversation.run()
        finally:
            await models.close()
            queue.put_nowait(None)

    task = loop.create_task(run(), context=context)
    try:
        while (record := await queue.get()) is not None:
            yield record
        await task
    finally:
        if not task.done():
            conversation.stop("human", "the caller left")
            with contextlib.suppress(asyncio.CancelledError):
                await task
