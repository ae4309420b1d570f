"""The engine in this process: an async iterator of records, for scripts and tests."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator
from pathlib import Path

from convtui.config.paths import Paths
from convtui.engine.conversation.build import apply_env_file, build
from convtui.engine.conversation.wiring import EngineModels, Wiring
from convtui.protocol import StartSpec
from convtui.records.models import RecordDict
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor


async def converse(
    scenario: Scenario, *, out_dir: Path | str | None = None, spec: StartSpec | None = None
) -> AsyncIterator[RecordDict]:
    """Runs a scenario in this process and yields its records as they are written.

    May be called any number of times side by side, on one event loop: each conversation has its own
    provider, log, wire log, budget and secrets. What their providers print goes where this
    process prints, and a provider that blocks delays all of them.

    The log is written into `out_dir`, by default the user's runs folder; the first record, the
    header, has the conversation's id. Leaving the loop early ends the conversation as
    `interrupted`; close the iterator (`contextlib.aclosing`) to end it at once.

    Raises `UsageError` before the first record (an unusable provider, an unwritable folder). Later
    failures are in the records and are not raised.
    """
    if spec is None:
        folder = Path(out_dir) if out_dir is not None else Paths.find().runs_dir
        spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(folder))
    apply_env_file(spec.env_file)
    redactor = Redactor.of_process()
    models = EngineModels(redactor)
    conversation = build(spec, Wiring(models=models, redactor=redactor))
    queue: asyncio.Queue[RecordDict | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def enqueue(record: RecordDict, offset: int, line: bytes) -> None:
        if asyncio._get_running_loop() is loop:
            queue.put_nowait(record)
        else:  # emitted by a thread, such as captured output
            loop.call_soon_threadsafe(queue.put_nowait, record)

    conversation.journal.listen(enqueue)
    # Not in the caller's context: it may send something itself, or run several side by side.
    context = contextvars.copy_context()
    context.run(models.capture, conversation.journal.writer.path, spec.wire)

    async def run() -> None:
        try:
            await conversation.run()
        finally:
            await models.close()
            queue.put_nowait(None)

    task = asyncio.create_task(run(), context=context)
    try:
        while (record := await queue.get()) is not None:
            yield record
        await task
    finally:
        if not task.done():
            conversation.stop("human", "the caller left")
            with contextlib.suppress(asyncio.CancelledError):
                await task
