"""What runs on nodes over shards of logs. Each task returns None where it does not see its logs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.analysis.profile.profile import RunProfile, profile_run
from convtui.analysis.rehook.rehook_process import Rehooked, rehook_logs
from convtui.analysis.rehook.sources import Source
from convtui.batch.ray.environment import of_node
from convtui.batch.ray.shards import Shard
from convtui.errors import ConvtuiError, FileError, LogError
from convtui.filters.filter import parse
from convtui.log.filter_lookup import log_matches
from convtui.log.formats.registry import Imported, formats
from convtui.log.reader import open_log
from convtui.protocol import StartSpec, describe_error
from convtui.records.models import Record

Profiled = tuple[str, RunProfile | None, str]
"""A log as it is named at home, its profile where it matches, and why it cannot be opened."""


def profile_shard(shard: Shard, expression: str | None) -> list[Profiled] | None:
    """The profiles of the logs that match a filter."""
    wanted = None if expression is None else parse(expression)
    with shard.opened() as paths:
        if paths is None:
            return None
        results: list[Profiled] = []
        for path, home in zip(paths, shard.paths, strict=True):
            try:
                with open_log(path) as log:
                    run = None
                    if wanted is None or _matches(log, wanted):
                        run = profile_run(log)
                        run.path = Path(home)
            except LogError as error:
                results.append((home, None, str(error).replace(str(path), home)))
            else:
                results.append((home, run, ""))
        return results


def _matches(log: Any, wanted: Any) -> bool:
    try:
        return log_matches(log, wanted)
    except ConvtuiError:
        return False


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a transcript file holds: its conversations, and why it cannot be read further."""

    conversations: list[Imported]
    """With records that are read already; those of an unreadable one end with its error."""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class ReadRecords:
    """The records of a conversation; going through them ends with the error that they ended with.

    Raises `FileError` then.
    """

    records: list[tuple[float, Record]]
    failure: str = ""

    def __iter__(self) -> Iterator[tuple[float, Record]]:
        yield from self.records
        if self.failure:
            raise FileError(self.failure)


def read_shard(shard: Shard, format_name: str) -> list[Transcript] | None:
    """The transcripts of another tool, each file with its conversations."""
    read = next(formats([format_name])).read
    assert read is not None
    with shard.opened() as paths:
        if paths is None:
            return None
        places = dict(zip(map(str, paths), shard.paths, strict=True))
        return [_transcript(read, path, places) for path in paths]


def read_part(shard: Shard, format_name: str, part: int, parts: int) -> Transcript | None:
    """One of the parts of a folder."""
    read = next(formats([format_name])).read_part
    assert read is not None
    with shard.opened() as paths:
        if paths is None:
            return None
        places = dict(zip(map(str, paths), shard.paths, strict=True))
        return _transcript(lambda path: read(path, part, parts), paths[0], places)


def _transcript(
    read: Callable[[Path], Iterator[Imported]], path: Path, homes: Mapping[str, str]
) -> Transcript:
    home = homes[str(path)]
    here, there = str(path.parent), str(Path(home).parent)
    found: list[Imported] = []
    try:
        for imported in read(path):
            records: list[tuple[float, Record]] = []
            failure = ""
            try:
                records.extend(imported.records)
            except FileError as error:
                failure = str(error).replace(str(path), home)
            imported.records = ReadRecords(records, failure)
            imported.details = _moved(imported.details, here, there)
            imported.sources = [Path(_moved(str(file), here, there)) for file in imported.sources]
            found.append(imported)
    except FileError as error:
        return Transcript(found, str(error).replace(str(path), home))
    return Transcript(found)


@dataclass(frozen=True, slots=True)
class RehookOrder:
    """How the hooks of a provider are to be run over logs."""

    start: dict[str, Any]
    """A `StartSpec`, with the paths of home."""
    project: str | None
    """The user's folder at home; a copy of it is the current one on a node."""
    environment: Mapping[str, str]
    only: str
    setup: bool
    timeout: float


def rehook_shard(
    shard: Shard, until: list[int | None], order: RehookOrder
) -> dict[str, Any] | None:
    """The outcomes of a provider's hooks: `{outcomes, provider, output, stopped, error}`."""
    with shard.opened() as paths:
        if paths is None:
            return None
        _take_environment(order.environment)
        here = str(Path.cwd())
        start = StartSpec.from_dict(
            order.start if order.project is None else _moved(order.start, order.project, here)
        )
        sources = [Source(path, until=last) for path, last in zip(paths, until, strict=True)]
        result = Rehooked()
        error: dict[str, Any] | None = None
        try:
            asyncio.run(
                rehook_logs(
                    start,
                    sources,
                    only=order.only,
                    setup=order.setup,
                    timeout=order.timeout,
                    into=result,
                )
            )
        except ConvtuiError as failure:
            error = describe_error(failure) | {"exit_code": failure.exit_code}
        data: dict[str, Any] = {
            "outcomes": result.outcomes,
            "provider": result.provider,
            "output": result.output,
            "stopped": result.stopped,
            "error": error,
        }
        for path, home in zip(map(str, paths), shard.paths, strict=True):
            data = _moved(data, path, home) if path != home else data
        return data if order.project is None else _moved(data, here, order.project)


def _take_environment(named: Mapping[str, str]) -> None:
    """What the engine process is to inherit: nothing of the node's keys."""
    kept = of_node(os.environ) | {n: v for n, v in os.environ.items() if n.startswith("RAY_")}
    os.environ.clear()
    os.environ.update(kept | dict(named))


def _moved(data: Any, old: str, new: str) -> Any:
    """JSON data in which a path stands in the place of another."""
    if isinstance(data, str):
        return data.replace(old, new)
    if isinstance(data, dict):
        return {key: _moved(value, old, new) for key, value in data.items()}
    return [_moved(value, old, new) for value in data] if isinstance(data, list) else data
