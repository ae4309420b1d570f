"""Which conversations of a batch are run again because somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from convtui.batch.attempts import best_of, matches
from convtui.batch.manifest import BatchFile, Entry
from convtui.errors import LogError
from convtui.filters.filter import parse
from convtui.log.reader import open_log
from convtui.records.codec import exit_code

FAILED: Final = "failed"
BAD: Final = "bad"


@dataclass(frozen=True, slots=True)
class Again:
    """The runs of a batch that are run again from the beginning."""

    which: str
    keys: tuple[str, ...]
    """Of their first attempts, in the order of the plan."""
    unread: tuple[str, ...] = ()
    """Those of whose logs a filter could not be asked."""

    @property
    def because(self) -> str:
        """What the manifest says of why."""
        return f"asked for: --rerun {self.which}"


def choose(batch: BatchFile, which: str) -> Again:
    """The runs that have ended as `which` says, by their best attempt.

    `failed` are those that ended as failed, `bad` all that went wrong; anything else is a filter
    over a conversation and its ending. Blocking: a filter reads the logs. Raises `FilterError`.
    """
    bests = list(_bests(batch))
    if which == FAILED:
        return Again(which, tuple(key for key, best in bests if best.ending == "failed"))
    if which == BAD:
        return Again(which, tuple(key for key, best in bests if exit_code(best.termination) == 3))
    wanted = parse(which)
    keys, unread = [], []
    for key, best in bests:
        try:
            with open_log(batch.log_of(best) or batch.folder / f"{key}.jsonl") as log:
                if matches(wanted, log):
                    keys.append(key)
        except LogError:
            unread.append(key)
    return Again(which, tuple(keys), tuple(unread))


def _bests(batch: BatchFile) -> Iterator[tuple[str, Entry]]:
    """The runs that have ended: the key of the first attempt, and the best attempt."""
    for key, entry in batch.entries.items():
        if entry.attempt == 1:
            attempts = batch.attempts(entry)
            if all(attempt.settled for attempt in attempts):
                yield key, best_of(attempts)
