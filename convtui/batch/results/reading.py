"""Reads the figures of a batch from its manifest and its logs, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from convtui.batch.manifest import BatchFile, Entry, read_batch
from convtui.batch.results.conversation import Conversation, read_conversation
from convtui.errors import ConvtuiError
from convtui.files.processes import cores, shared_out
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
    read = shared_out(
        partial(read_shard, folder=batch.folder, when=when),
        shards,
        processes=(processes or min(_MOST_PROCESSES, cores())) if many else 1,
    )
    results: dict[int, list[Conversation]] = {}
    with closing(read):
        while not stop() and (result := next(read, None)) is not None:
            index, shard = result
            results[index] = shard
            progress(sum(map(len, results.values())), len(entries))
    conversations = [conversation for index in sorted(results) for conversation in results[index]]
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
