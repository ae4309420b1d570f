"""Analyses over many logs on the nodes of a cluster, as they are done on one machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.analysis.rehook.rehook_process import Rehooked
from convtui.analysis.rehook.sources import Source, carry_over
from convtui.batch.ray.cluster import Cluster, require_ray
from convtui.batch.ray.environment import named_variables
from convtui.batch.ray.project import excludes_of, project_of
from convtui.batch.ray.shards import (
    Shard,
    files_around,
    files_below,
    log_files_of,
    map_shards,
    shards_of,
)
from convtui.batch.ray.tasks import (
    Profiled,
    RehookOrder,
    Transcript,
    profile_shard,
    read_part,
    read_shard,
    rehook_shard,
)
from convtui.client.exits import failure_of
from convtui.errors import FileError
from convtui.log.formats.registry import Format, Imported
from convtui.protocol import StartSpec
from convtui.scenario.scenario import Scenario

_SHARDS_PER_CORE: Final = 3
"""Some take longer than others."""


@contextmanager
def connected(
    address: str,
    scenario: Scenario | None = None,
    *,
    env: Sequence[str] = (),
    env_file: str | None = None,
) -> Iterator[Cluster]:
    """A cluster with the folder of a scenario's provider on its nodes.

    Blocking, seconds. Raises `UsageError` and `EngineError` as `ports_for()` does.
    """
    require_ray()
    environment = named_variables(env, os.environ, env_file)
    scenarios = [] if scenario is None else [scenario]
    project = project_of(scenarios)
    excludes = [] if project is None else excludes_of(project, scenarios)
    cluster = Cluster.connect(address, project=project, excludes=excludes, environment=environment)
    try:
        yield cluster
    finally:
        cluster.close()


def profile_logs(
    cluster: Cluster, paths: Sequence[Path], expression: str | None
) -> Iterator[Profiled]:
    """The profiles of logs, in their order; a profile is None where the filter does not match."""
    shards = shards_of(paths, at_least=cluster.cores * _SHARDS_PER_CORE)
    arguments = [(expression,)] * len(shards)
    for results in map_shards(cluster, profile_shard, shards, arguments, files_of=log_files_of):
        yield from results


def reader_on(
    cluster: Cluster, paths: Sequence[Path], format: Format
) -> Callable[[Path], Iterator[Imported]]:
    """What reads these files of another tool on the nodes of a cluster, as `format.read` does.

    Files are to be asked for in their order, each once; some may be left out.
    """
    tasks = cluster.cores * _SHARDS_PER_CORE
    if format.read_part is not None and len(paths) == 1 and paths[0].is_dir():
        return partial(_read_parts, cluster, format.name, tasks)
    shards = shards_of(paths, at_least=tasks)
    arguments = [(format.name,)] * len(shards)
    results = map_shards(cluster, read_shard, shards, arguments, files_of=files_around)
    names = (name for shard in shards for name in shard.paths)
    transcripts = (transcript for result in results for transcript in result)

    def read(path: Path) -> Iterator[Imported]:
        for name, transcript in zip(names, transcripts, strict=True):
            if name == str(path.absolute()):
                yield from _conversations(transcript)
                return

    return read


def _read_parts(cluster: Cluster, format: str, tasks: int, folder: Path) -> Iterator[Imported]:
    """The conversations of a folder, which tasks share."""
    (shard,) = shards_of([folder])
    parts = map_shards(
        cluster,
        read_part,
        [shard] * tasks,
        [(format, part, tasks) for part in range(tasks)],
        files_of=files_below,
    )
    for part in parts:
        yield from _conversations(part)


def _conversations(transcript: Transcript) -> Iterator[Imported]:
    yield from transcript.conversations
    if transcript.failure:
        raise FileError(transcript.failure)


def rehook_on(
    cluster: Cluster,
    start: StartSpec,
    sources: Sequence[Source],
    *,
    only: str = "",
    setup: bool = False,
    timeout: float = 10.0,
    progress: Callable[[int, int], None] = lambda logs, replies: None,
    into: Rehooked | None = None,
) -> Rehooked:
    """As `rehook_logs()`, on the nodes of a cluster. Blocking.

    With `setup` there is one task at a time: a provider may hold what only one process can have.
    """
    result = into if into is not None else Rehooked()
    result.sources = list(sources)
    order = RehookOrder(
        start.as_dict() | {"env_file": None},
        None if cluster.project is None else str(cluster.project),
        cluster.environment,
        only,
        setup,
        timeout,
    )
    paths = [source.path for source in sources]
    shards = shards_of(paths, at_least=1 if setup else cluster.cores * _SHARDS_PER_CORE)
    arguments: list[tuple[list[int | None], RehookOrder]] = []
    first = 0
    for shard in shards:
        until = [source.until for source in sources[first : first + len(shard.paths)]]
        arguments.append((until, order))
        first += len(shard.paths)
    first = replies = 0
    try:
        for shard, data in zip(shards, _rehooked(cluster, shards, arguments), strict=True):
            for outcome in data["outcomes"]:
                outcome["log"] += first
                replies += len(outcome.get("turns", ()))
            first += len(shard.paths)
            result.outcomes += data["outcomes"]
            result.provider = result.provider or data["provider"]
            result.output = result.output or data["output"]
            result.stopped = result.stopped or data["stopped"]
            if data["error"] is not None:
                raise failure_of(data["error"])
            progress(len(result.outcomes), replies)
    finally:
        carry_over(result.sources, result.outcomes)
    return result


def _rehooked(
    cluster: Cluster,
    shards: Sequence[Shard],
    arguments: Sequence[tuple[list[int | None], RehookOrder]],
) -> Iterator[dict[str, Any]]:
    alone = bool(arguments) and arguments[0][1].setup
    for first in range(len(shards)) if alone else (0,):
        last = first + 1 if alone else len(shards)
        yield from map_shards(
            cluster, rehook_shard, shards[first:last], arguments[first:last], files_of=log_files_of
        )
