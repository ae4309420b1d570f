"""Reads runs for the library's index: in helper processes, where they are many."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from convtui.files.processes import cores, shared_out
from convtui.library.index_rows import Wanted
from convtui.library.run_rows import RunRows, read_run

_PART = 32
"""Runs that a helper reads at a time."""
_PART_BYTES = 2 << 20
_MANY_FROM = 1 << 20
"""Bytes of logs from which on they are read as long ones are."""
_HELPERS_FROM = 8 << 20
"""Bytes of logs from which helpers save more time than they take to start."""
_MOST_HELPERS = 4
"""More would read faster than the index can be written."""


def read_all(
    folder: Path, wanted: Sequence[Wanted]
) -> Generator[tuple[int, list[RunRows]], None, None]:
    """Some of the wanted runs of a folder at a time: how many, and those that are still there.

    In no order. Close the iterator to stop early.
    """
    size = sum(run.size for run in wanted if run.turns)
    processes = min(_MOST_HELPERS, cores()) if size >= _HELPERS_FROM else 1
    parts = list(_parts(wanted, _PART if processes > 1 else 1))
    work = partial(_read, folder, size >= _MANY_FROM)
    with closing(shared_out(work, parts, processes=processes)) as results:
        for index, runs in results:
            yield len(parts[index]), runs


def _read(folder: Path, many: bool, part: Sequence[Wanted]) -> list[RunRows]:
    paths = [(folder / run.name, run.turns) for run in part]
    return [read_run(path, turns=turns, many=many) for path, turns in paths if path.exists()]


def _parts(wanted: Iterable[Wanted], most: int) -> Iterator[list[Wanted]]:
    """The wanted runs, `most` at a time, and fewer large ones."""
    part: list[Wanted] = []
    size = 0
    for run in wanted:
        part.append(run)
        size += run.size
        if len(part) >= most or size >= _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
