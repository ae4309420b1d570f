"""`convtui run --runs N`: a batch of one cell, each run printed when it has ended."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.batch.folders import new_folder
from convtui.batch.manifest import Entry, counts
from convtui.batch.record import plan_record
from convtui.batch.scheduler import Batch
from convtui.batch.work import HowToRun
from convtui.cli.batch_plan import Planned, planned
from convtui.cli.batch_run import Interrupts
from convtui.cli.common import echo, say
from convtui.cli.headless import summary
from convtui.cli.progress import Bar
from convtui.client.exits import failure_of
from convtui.errors import EngineError
from convtui.log.reader import open_log
from convtui.printing.printer import Printer
from convtui.records.codec import exit_code
from convtui.records.values import as_object, as_text

_LISTS: Final = ("persona", "provider", "sessions")
"""Flags that name one for a run, and several for a batch."""
_BUDGET: Final = {"budget_tokens": "budget.tokens", "budget_cost": "budget.cost"}
"""Flags that mean the conversation for a run, and all of them for a batch."""


@dataclass(slots=True)
class Runs:
    """What has become of them."""

    folder: Path
    """Gone where none had begun."""
    summaries: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By number of the run, as `summary()` makes them; those that have not begun are not there."""
    last: Path | None = None
    """The log that was printed last."""
    code: int = 0
    """The highest exit code; 130 after an interruption."""
    interrupted: bool = False


def run_several(
    scenario: str | None,
    flags: Mapping[str, Any],
    runs: int,
    *,
    on_pause: str,
    make_printer: Callable[[], Printer],
    headings: bool,
) -> Runs:
    """Has a conversation so many times, some of them at once, and prints each when it is over.

    `headings` says whether a line with its number comes before each. Raises `EngineError`, with the
    exit code of the cause, if they cannot begin.
    """
    wanted = {**flags_of_batch(flags), "runs": runs, "on_pause": on_pause}
    # `convtui run` has said by now what there is to say of the scenario.
    made = planned(scenario, wanted, tell=lambda note: None)
    batch = _batch(made)
    printing = _Printing(batch, runs, make_printer, headings=headings)
    asyncio.run(printing.run())
    result = printing.result
    if all(entry.log is None for entry in batch.entries.values()):
        # Nothing was said, so nothing is kept, as with a single run.
        shutil.rmtree(result.folder, ignore_errors=True)
    if printing.error is not None:
        raise printing.error
    result.code = max((run["exit_code"] for run in result.summaries.values()), default=0)
    if result.interrupted:
        result.code = 130
    return result


def flags_of_batch(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags of a run as those of a batch that mean the same."""
    given = {name: value for name, value in flags.items() if value not in (None, False, ())}
    for name in _LISTS:
        if name in given:
            given[name] = (given[name],)
    settings = [f"{key}={given.pop(name)}" for name, key in _BUDGET.items() if name in given]
    if settings:
        given["set_"] = (*given.get("set_", ()), *settings)
    return given


def _batch(made: Planned) -> Batch:
    config, plan = made.config, made.plan
    how = HowToRun(
        on_pause=plan.on_pause,
        wire="last" if config.wire == "recent" else config.wire,
        env_file=config.env_file,
        python=config.python,
    )
    folder = new_folder(config.runs_dir, plan.title)
    return Batch.create(plan, made.cells, folder, record=plan_record(plan, made.source), how=how)


class _Printing:
    """Runs the batch and prints its conversations as they end."""

    def __init__(
        self, batch: Batch, runs: int, make_printer: Callable[[], Printer], *, headings: bool
    ) -> None:
        self.result = Runs(batch.file.folder)
        self.error: BaseException | None = None
        self._batch = batch
        self._runs = runs
        self._make_printer = make_printer
        self._headings = headings
        self._bar = Bar()
        self._busy = False
        self._queued: set[str] = set()
        self._ended: asyncio.Queue[Entry | None] = asyncio.Queue()
        self._stopping: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Returns when all have ended and are printed; `error` is what has stopped them."""
        batch = self._batch
        interrupts = Interrupts(batch, self._note)
        unsubscribe = batch.subscribe(self._changed)
        printing = asyncio.create_task(self._print_all())
        try:
            with interrupts.heard():
                await batch.run()
        finally:
            unsubscribe()
            self._changed()
            self._ended.put_nowait(None)
            await printing
            self._bar.close()
        self.result.interrupted = interrupts.count > 0
        if batch.stopped is not None and not interrupts.count and self.error is None:
            say(f"convtui: no more runs were started: {batch.stopped}")

    def _changed(self) -> None:
        batch = self._batch
        keys, batch.changed = batch.changed, set()
        for key in sorted(keys):
            entry = batch.entries.get(key)
            if entry is not None and entry.over and key not in self._queued:
                self._queued.add(key)
                self._ended.put_nowait(entry)
        if not self._busy:
            states = counts(batch.entries.values())
            done = states["ended"]
            words = f"{done} of {self._runs} runs done, {states['running']} running"
            self._bar(done, self._runs, words)

    def _note(self, text: str) -> None:
        self._bar.close()
        say(text)

    async def _print_all(self) -> None:
        try:
            while (entry := await self._ended.get()) is not None:
                self._busy = True
                self._bar.close()
                await asyncio.to_thread(self._print, entry)
                self._busy = False
        except BaseException as error:  # noqa: BLE001  (raised again when all have ended)
            self.error = error
            # Without a reader, paid conversations must not go on.
            reason = "a run could not begin"
            if not isinstance(error, EngineError):
                reason = "its output is not read any more"
            self._stopping = asyncio.ensure_future(self._batch.stop(reason))

    def _print(self, entry: Entry) -> None:
        """Prints one run. Raises `EngineError` for one that could not begin."""
        path = self._batch.file.log_of(entry)
        ending = entry.termination or {}
        if path is None:
            described = {
                "message": as_text(ending.get("reason")),
                **as_object(ending.get("detail")),
            }
            raise failure_of(described)
        if self.result.last is not None:
            say(str(self.result.last))
        if self._headings:
            between = "\n" if self.result.last is not None else ""
            echo(f"{between}run {entry.run} of {self._runs}")
        shown = self._make_printer()
        with open_log(path) as log:
            for record in log.records():
                shown.record(record)
        shown.finish()
        if not shown.transcript.complete:
            say(f"convtui: {as_text(ending.get('reason'))}")
        sys.stdout.flush()
        code = exit_code(ending)
        self.result.summaries[entry.run] = summary(shown.transcript, path, code)
        self.result.last = path
