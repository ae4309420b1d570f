"""Shards of logs, on which tasks work on the nodes of a cluster.

A node that sees the logs reads them where they are; to another one they are sent, with the files
that belong to them and the logs that they continue.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.batch.ray.cluster import Cluster
from convtui.errors import ConvtuiError
from convtui.files.regular import read_regular
from convtui.log.names import notes_path, tool_results_path
from convtui.log.parents import MAX_GENERATIONS, ParentFinder, parent_of
from convtui.log.run_summary import header_of

_MOST_FILES: Final = 200
_MOST_BYTES: Final = 16 << 20
_MOST_BESIDE: Final = 4 << 20
"""Bytes of a file that is sent because it lies beside another one."""
_ABOVE: Final = 2
"""Folders above that of a transcript in which there may be more about it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Files that one task works on."""

    paths: tuple[str, ...]
    """As they are named at home."""
    looks: tuple[tuple[int, int], ...]
    """Size and time of each: a node sees the same file where these are the same."""
    contents: dict[str, tuple[bytes, int]] | None = None
    """The files themselves, with their time in nanoseconds, and those that belong to them; None
    while nodes may see them."""

    @contextlib.contextmanager
    def opened(self) -> Iterator[list[Path] | None]:
        """Where the files are on this node; None where it does not see them."""
        if self.contents is None:
            paths = [Path(path) for path in self.paths]
            seen = all(map(_looks_like, paths, self.looks))
            yield paths if seen else None
            return
        with tempfile.TemporaryDirectory(prefix="convtui-shard-") as folder:
            places = {path: _place(Path(folder), path) for path in self.contents}
            for path, (data, time) in self.contents.items():
                places[path].parent.mkdir(parents=True, exist_ok=True)
                places[path].write_bytes(data)
                os.utime(places[path], ns=(time, time))
            yield [_place(Path(folder), path) for path in self.paths]


def _place(folder: Path, path: str) -> Path:
    """A place for a file: as at home, so that files that belong together find each other."""
    home = Path(path)
    return folder / home.relative_to(home.anchor)


def _looks_like(path: Path, look: tuple[int, int]) -> bool:
    with contextlib.suppress(OSError):
        return _look_of(path) == look
    return False


def _look_of(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def shards_of(paths: Sequence[Path], *, at_least: int = 1) -> list[Shard]:
    """The files in shards of a size that is worth a task, in their order.

    There are `at_least` as many as there are nodes to work, where there are enough files. Files
    that cannot be read are left to the task, which says so.
    """
    most = max(1, min(_MOST_FILES, -(-len(paths) // at_least)))
    shards: list[Shard] = []
    some: list[tuple[str, tuple[int, int]]] = []
    size = 0
    for path in paths:
        look = (-1, 0)
        with contextlib.suppress(OSError):
            look = _look_of(path)
        if some and (len(some) >= most or size + look[0] > _MOST_BYTES):
            shards.append(_shard(some))
            some, size = [], 0
        some.append((str(path.absolute()), look))
        size += max(0, look[0])
    return [*shards, _shard(some)] if some else shards


def _shard(files: Sequence[tuple[str, tuple[int, int]]]) -> Shard:
    return Shard(tuple(path for path, _ in files), tuple(look for _, look in files))


def map_shards(
    cluster: Cluster,
    task: Callable[..., Any],
    shards: Sequence[Shard],
    arguments: Sequence[tuple[Any, ...]],
    *,
    files_of: Callable[[str], list[str]],
) -> Iterator[Any]:
    """What `task(shard, *arguments)` returns for each shard, in their order.

    A task returns None where its node does not see the files; it is run again with them then.
    `files_of` are the files that a named one needs, itself among them.
    """
    if not cluster.share:
        shards = [_with_files(shard, files_of) for shard in shards]
    first = [(shard, *rest) for shard, rest in zip(shards, arguments, strict=True)]
    for index, result in enumerate(cluster.map(task, first)):
        if result is None:
            again = (_with_files(shards[index], files_of), *arguments[index])
            yield from cluster.map(task, [again])
        else:
            yield result


def _with_files(shard: Shard, files_of: Callable[[str], list[str]]) -> Shard:
    contents: dict[str, tuple[bytes, int]] = {}
    names = dict.fromkeys(name for path in shard.paths for name in files_of(path))
    for name in names:
        with contextlib.suppress(OSError):
            contents[name] = read_regular(name), Path(name).stat().st_mtime_ns
    return Shard(shard.paths, shard.looks, contents)


def log_files_of(path: str) -> list[str]:
    """A log with its notes, its long results, and the logs that it continues, with theirs."""
    files: list[str] = []
    log = Path(path)
    finder = ParentFinder()
    for _ in range(MAX_GENERATIONS):
        files += map(str, (log, notes_path(log), tool_results_path(log)))
        try:
            parent = parent_of(header_of(log))
            if parent is None:
                break
            log = finder.find(parent, log)
        except (ConvtuiError, OSError, ValueError):
            # What reads the log says what is wrong with it.
            break
    return [file for file in files if Path(file).is_file()]


def files_around(path: str) -> list[str]:
    """A transcript with what lies beside it and in the folders above: formats look there."""
    home = Path(path)
    folders = [home.parent, *list(home.parent.parents)[:_ABOVE]]
    files = [path]
    for folder in folders:
        with contextlib.suppress(OSError):
            files += [
                str(file)
                for file in sorted(folder.iterdir())
                if file.is_file() and file.stat().st_size <= _MOST_BESIDE
            ]
    return list(dict.fromkeys(files))


def files_below(path: str) -> list[str]:
    """All files of a folder, and those beside and above it."""
    home = Path(path)
    below = [str(file) for file in sorted(home.rglob("*")) if file.is_file()]
    return list(dict.fromkeys([*below, *files_around(str(home / "x"))[1:]]))
