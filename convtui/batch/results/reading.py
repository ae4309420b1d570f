"""Reads the figures of a batch from its manifest and its logs, in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Final

from convtui.batch.manifest import BatchFile, Entry, read_batch
from convtui.batch.results.conversation import Conversation, read_conversation
from convtui.errors import ConvtuiError
from convtui.filters.filter import Filter, parse
from convtui.records.values import as_object

SHARD: Final = 50
"""Logs that a process reads at a time."""
_PROCESSES_FROM: Final = 200
"""Logs from which a second process saves more than its start costs."""
_MOST_PROCESSES: Final = 8
Progress = Callable[[int, int], None]
"""Told how many of how many conversations were read."""


@dataclass(slots=True)
class Results:
    """A batch and the figures of its conversations."""

    batch: BatchFile
    conversations: list[Conversation]
    """In the order of the plan, attempts after the runs that they repeat."""
    _runs: list[list[Conversation]] = field(default_factory=list, repr=False)

    @property
    def runs(self) -> list[list[Conversation]]:
        """The attempts at each run of each cell, the first one first."""
        if not self._runs:
            runs: dict[tuple[str, int], list[Conversation]] = {}
            for conversation in self.conversations:
                runs.setdefault((conversation.cell, conversation.run), []).append(conversation)
            self._runs = [sorted(run, key=lambda each: each.attempt) for run in runs.values()]
        return self._runs

    @property
    def partial(self) -> bool:
        """Whether some conversations have not ended."""
        return any(conversation.outcome == "open" for conversation in self.conversations)

    @property
    def exit_code(self) -> int:
        """The highest exit code of `convtui run` for the best attempts; 3 before their end."""
        return max((conversation.exit_code for conversation in self.best()), default=0)

    def first(self) -> list[Conversation]:
        """The first attempt at each run."""
        return [run[0] for run in self.runs]

    def best(self) -> list[Conversation]:
        """The best attempt at each run; of equal ones the last."""
        return [min(run, key=_rank) for run in self.runs]


def _rank(conversation: Conversation) -> tuple[bool, int, int]:
    """How far an attempt is from what was wanted: it need not be tried again, and ended well."""
    order = {"good": 0, "bad": 1, "interrupted": 2, "open": 3}
    return bool(conversation.matches), order[conversation.outcome], -conversation.attempt


def read_results(
    batch: BatchFile | Path | str,
    *,
    progress: Progress = lambda done, of: None,
    stop: Callable[[], bool] = lambda: False,
    processes: int | None = None,
) -> Results:
    """The results of a batch, also of one that is running. Blocking: reads every log.

    `stop` is asked after each few: the results are then of those that were read. `processes` are
    at most as many as there are cores, by default. Raises `FileError` for a folder
    that holds no batch; a log that cannot be read is the `problem` of its conversation.
    """
    batch = batch if isinstance(batch, BatchFile) else read_batch(batch)
    when = _when(batch)
    entries = list(batch.entries.values())
    shards = [entries[start : start + SHARD] for start in range(0, len(entries), SHARD)]
    many = sum(entry.log is not None for entry in entries) >= _PROCESSES_FROM
    wanted = processes or min(_MOST_PROCESSES, os.cpu_count() or 1)
    conversations: list[Conversation] = []
    if many and wanted > 1:
        conversations = _in_processes(
            shards, batch.folder, when, processes=wanted, progress=progress, stop=stop
        )
    else:
        for shard in shards:
            if stop():
                break
            conversations += read_shard(shard, batch.folder, when)
            progress(len(conversations), len(entries))
    for conversation in conversations:
        cell = batch.cells.get(conversation.cell)
        if cell is not None and cell.error and conversation.figures is None:
            conversation.state = "ended"
            conversation.problem = conversation.problem or cell.error
    return Results(batch, conversations)


def read_shard(entries: Sequence[Entry], folder: Path, when: str | None) -> list[Conversation]:
    """The figures of some conversations; runs in whatever process. Raises `FilterError`."""
    wanted: Filter | None = parse(when) if when is not None else None
    return [read_conversation(entry, folder, wanted) for entry in entries]


def _when(batch: BatchFile) -> str | None:
    """The plan's `attempts.when`, if it is one that this version understands."""
    when = as_object(batch.plan.get("attempts")).get("when")
    if not isinstance(when, str):
        return None
    try:
        parse(when)
    except ConvtuiError:
        return None
    return when


def _in_processes(
    shards: Sequence[Sequence[Entry]],
    folder: Path,
    when: str | None,
    *,
    processes: int,
    progress: Progress,
    stop: Callable[[], bool],
) -> list[Conversation]:
    """As `read_shard()` for all shards, with few of them in memory or under way at a time."""
    results: dict[int, list[Conversation]] = {}
    total = sum(map(len, shards))

    def took(index: int, shard: list[Conversation]) -> None:
        results[index] = shard
        progress(sum(map(len, results.values())), total)

    left = iter(enumerate(shards))
    # The system may end a process, for lack of memory perhaps: what it read is read here instead.
    with suppress(BrokenProcessPool), _pool(min(processes, len(shards))) as pool:
        under_way: dict[Future[list[Conversation]], int] = {}
        while not stop():
            for index, shard in islice(left, 2 * processes - len(under_way)):
                under_way[pool.submit(read_shard, shard, folder, when)] = index
            if not under_way:
                break
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                took(under_way.pop(future), future.result())
    for index, shard in enumerate(shards):
        if index not in results and not stop():
            took(index, read_shard(shard, folder, when))
    return [conversation for index in sorted(results) for conversation in results[index]]


@contextmanager
def _pool(processes: int) -> Iterator[Executor]:
    # Not forked: whoever asks may have threads.
    context = multiprocessing.get_context("spawn")
    # It passes on the descriptor of the standard error, which that of a screen does not have.
    with redirect_stderr(sys.__stderr__ or sys.stderr):
        resource_tracker.ensure_running()
    with ProcessPoolExecutor(processes, context, _ignore_interrupts) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
