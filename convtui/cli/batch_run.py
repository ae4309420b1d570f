"""Runs a batch: opens it for whoever runs it, and runs it without a screen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from convtui.batch.again import Again
from convtui.batch.estimate import OWN_CODE
from convtui.batch.record import plan_record
from convtui.batch.scheduler import Batch
from convtui.batch.work import HowToRun
from convtui.cli.batch_again import hint
from convtui.cli.batch_how import How
from convtui.cli.batch_plan import Planned
from convtui.cli.batch_progress import BatchProgress
from convtui.cli.common import say
from convtui.cli.remote import check_remote
from convtui.cli.signals import heard_by_loop
from convtui.client.engine_client import inspect_provider
from convtui.client.port import WorkerPort
from convtui.errors import ConvtuiError
from convtui.protocol import StartSpec


def open_batch(
    folder: Path, made: Planned, how: How, *, resumes: bool, again: Again | None = None
) -> Batch:
    """The batch in a folder, begun or gone on with. Blocking.

    Raises `BatchLocked` where another process runs it, `FileError`, and `EngineError` for the
    provider of all cells that cannot be loaded; the folder of a new one is removed then.
    """
    config = made.config
    how_to_run = HowToRun(
        watched=how.screen,
        on_pause=made.plan.on_pause,
        wire="last" if config.wire == "recent" else config.wire,
        env_file=config.env_file,
        python=config.python,
        speed=how.demo_speed,
    )
    record = plan_record(made.plan, made.source)
    begin = partial(Batch.resume, again=again) if resumes else Batch.create
    try:
        check_remote(how.on, how.env, config.python)
        if how.on is None:
            asyncio.run(_load_once(made, how_to_run))
        else:
            how_to_run = replace(how_to_run, port=_ports(how.on, folder, made, how))
        return begin(made.plan, made.cells, folder, record=record, how=how_to_run)
    except ConvtuiError:
        if not resumes:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _ports(on: str, folder: Path, made: Planned, how: How) -> Callable[[int], WorkerPort]:
    from convtui.batch.ray.ports import ports_for

    if not how.screen:
        what = "starting Ray here" if on == "ray" else f"connecting to {on}"
        say(f"convtui: {what} ...")
    env_file = made.config.env_file
    return ports_for(on, made.plan, made.cells, folder, env=how.env, env_file=env_file)


async def _load_once(made: Planned, how: HowToRun) -> None:
    """Loads the provider that all cells name: what cannot be loaded is refused, not run.

    Where there are several, one that cannot be loaded fails its own cells. Raises `EngineError`,
    with the exit code of its cause.
    """
    scenarios = [cell.scenario for cell in made.cells if cell.scenario is not None]
    specs = {scenario.provider.use for scenario in scenarios}
    if len(specs) != 1 or scenarios[0].provider.spec.kind not in OWN_CODE:
        return
    spec = StartSpec(scenario=scenarios[0].for_engine(), out_dir=".", env_file=how.env_file)
    await inspect_provider(spec, python=how.python)


def run_headless(
    folder: Path, made: Planned, how: How, *, resumes: bool, again: Again | None = None
) -> int:
    """Runs a batch without a screen and prints its results; returns the exit code.

    Raises `EngineError` when no worker can be started.
    """
    batch = open_batch(folder, made, how, resumes=resumes, again=again)
    interrupted = asyncio.run(_run(batch))
    code = how.wanted.print(folder)
    next_step = hint(batch.file)
    if next_step is not None:
        say(f"convtui: {next_step}")
    say(str(folder))
    return 130 if interrupted else code


async def _run(batch: Batch) -> bool:
    """Runs a batch to its end with its progress; returns whether it was interrupted."""
    progress = BatchProgress(batch.file)
    interrupts = Interrupts(batch, progress.note)

    def changed() -> None:
        keys, batch.changed = batch.changed, set()
        progress.show(keys)

    unsubscribe = batch.subscribe(changed)
    try:
        with interrupts.heard():
            await batch.run()
    finally:
        unsubscribe()
        changed()
        progress.close()
    if batch.stopped is not None and not interrupts.count:
        progress.note(f"convtui: no more conversations were started: {batch.stopped}")
    return interrupts.count > 0


class Interrupts:
    """Ctrl+c: the first one ends the batch after the turns that run, the second one at once."""

    def __init__(self, batch: Batch, note: Callable[[str], None]) -> None:
        self.count = 0
        self._batch = batch
        self._note = note
        self._stopping: asyncio.Task[None] | None = None

    def heard(self) -> contextlib.AbstractContextManager[None]:
        """Listens for them until the end of the block."""
        return heard_by_loop(self._interrupt)

    def _interrupt(self) -> None:
        self.count += 1
        if self.count == 1:
            self._note(
                "convtui: no new conversations; those that run end after their turn (ctrl+c again"
                " ends them at once)"
            )
            self._stopping = asyncio.ensure_future(self._batch.stop())
        else:
            self._batch.kill()
