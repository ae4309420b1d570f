"""Batches as rows of the list of runs, and the words that name one."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from convtui.batch.manifest import BatchFile, Entry, counts, read_batch
from convtui.errors import ConvtuiError, FileError, did_you_mean, listed
from convtui.files.regular import is_file
from convtui.library.index_file import stamp
from convtui.library.library import Library
from convtui.log.batch_counts import BatchCounts
from convtui.log.lock import is_being_written
from convtui.log.names import MANIFEST
from convtui.log.notes import Notes
from convtui.log.run_summary import RunSummary, log_files, summarise, total
from convtui.records.codec import exit_code
from convtui.records.times import parse_time
from convtui.text.boundary import visible_line
from convtui.text.counts import counted

_LAST: Final = "last"
_SHORTEST: Final = 4
"""Characters of a start that can only be meant as one."""


def list_batches(library: Library) -> list[RunSummary]:
    """A row for each batch of a folder, the last written first. Blocking.

    Manifests that did not change are not read again, where the folder has an index. One that cannot
    be read has `damaged` set; nothing is raised.
    """
    stats = dict(_manifests(library.folder))
    if not stats:
        return []
    known = library.kept_batches()
    rows: list[RunSummary] = []
    read: dict[str, tuple[tuple[int, int], str]] = {}
    for name, stat in stats.items():
        folder = library.folder / name
        kept = known.get(name)
        row = _loaded(folder, stat, kept[1]) if kept is not None and kept[0] == stat else None
        if row is None:
            row = _read_row(folder)
            read[name] = stat, _stored(row)
        rows.append(_as_it_is_now(row))
    gone = known.keys() - stats.keys()
    if read or gone:
        library.keep_batches(read, gone)
    return sorted(rows, key=lambda row: (-row.modified, row.file))


def batch_row(folder: Path) -> RunSummary:
    """The row of one batch. Blocking: reads its manifest; `damaged` says why it cannot be read."""
    return _as_it_is_now(_read_row(folder))


def _read_row(folder: Path) -> RunSummary:
    row = RunSummary(str(folder), origin="batch", batch=BatchCounts(0, 0, 0, {}, {}, 0))
    with suppress(OSError):
        stat = (folder / MANIFEST).stat()
        row = replace(row, modified=stat.st_mtime, size=stat.st_size)
    try:
        return _row(row, read_batch(folder))
    except ConvtuiError as error:
        return replace(row, damaged=str(error))


def _row(row: RunSummary, batch: BatchFile) -> RunSummary:
    entries = batch.entries.values()
    over = [entry for entry in entries if entry.over]
    last = {(entry.cell, entry.run): entry for entry in sorted(entries, key=_attempt)}.values()
    ended_last = [entry for entry in last if entry.over]
    began = [entry.started_at for entry in entries if entry.started_at is not None]
    ended = [entry.ended_at for entry in over if entry.ended_at is not None]
    turns = [entry.turns for entry in over if entry.turns is not None]
    duration = (max(ended) - min(began)).total_seconds() if began and ended else None
    tokens = total(entry.tokens for entry in over)
    state = "finished" if batch.finished else "stopped" if batch.stopped else ""
    return replace(
        row,
        id=batch.id,
        persona=_several([cell.persona for cell in batch.cells.values()], "persona"),
        provider=_several([cell.provider for cell in batch.cells.values()], "provider"),
        created_at=batch.at,
        created=batch.at.isoformat() if batch.at is not None else "",
        ending=state,
        reason=batch.stopped or "",
        turns=sum(turns) if turns else None,
        duration=duration,
        tokens=None if tokens is None else int(tokens),
        cost=total(entry.cost for entry in over),
        batch=BatchCounts(
            len(batch.cells),
            batch.runs,
            len(last),
            dict(counts(last).items()),
            dict(Counter(entry.ending or "failed" for entry in ended_last)),
            sum(exit_code(entry.termination) == 3 for entry in ended_last),
            len(entries) - len(last),
        ),
    )


def _attempt(entry: Entry) -> int:
    return entry.attempt


def _several(names: Sequence[str], what: str) -> str:
    different = list(dict.fromkeys(names))
    return different[0] if len(different) == 1 else counted(len(different), what)


def _as_it_is_now(row: RunSummary) -> RunSummary:
    """What changes without a change of the manifest: whether it is running, and its tags."""
    tags = Notes(row.log).tags(())
    batch = row.batch
    if is_being_written(row.log):
        return replace(row, running=True, tags=tags)
    if batch is not None and (
        stopped := batch.states.get("running", 0) + batch.states.get("held", 0)
    ):
        crashed = batch.states.get("crashed", 0) + stopped
        states = {**batch.states, "running": 0, "held": 0, "crashed": crashed}
        return replace(row, tags=tags, batch=replace(batch, states=states))
    return replace(row, tags=tags)


# --- logs


def logs_in(folder: Path) -> list[Path]:
    """The logs of a folder, by name; of a batch those that count. Blocking.

    What a worker that died has left counts where the conversation went on from it, and not where it
    began again.
    """
    logs = sorted(Path(entry.path) for entry in log_files(folder))
    if not is_file(folder / MANIFEST):
        return logs
    try:
        entries = read_batch(folder).entries.values()
    except ConvtuiError:
        return logs
    left = {name for entry in entries for name in entry.earlier}
    left -= {name for entry in entries for name in _line(folder, entry)}
    return [log for log in logs if log.name not in left]


def _line(folder: Path, entry: Entry) -> Iterator[str]:
    """The log of a conversation, and those that it goes on from."""
    earlier = set(entry.earlier)
    name = entry.log
    while name is not None:
        yield name
        earlier.discard(name)
        parent = Path(summarise(folder / name).parent_file).name if earlier else ""
        name = parent if parent in earlier else None


# --- kept in the library's index

_TEXTS = ("id", "persona", "provider", "created", "ending", "reason", "damaged")
_FIGURES = ("modified", "turns", "duration", "tokens", "cost")


def _stored(row: RunSummary) -> str:
    data: dict[str, Any] = {name: getattr(row, name) for name in (*_TEXTS, *_FIGURES)}
    batch = row.batch
    if batch is not None:
        data["batch"] = {name: getattr(batch, name) for name in BatchCounts.__slots__}
    return json.dumps(data)


def _loaded(folder: Path, stat: tuple[int, int], text: str) -> RunSummary | None:
    """The row; None for what another version has kept."""
    try:
        data: dict[str, Any] = json.loads(text)
        batch = BatchCounts(**data.pop("batch"))
        created = parse_time(data["created"]) if data["created"] else None
        return RunSummary(
            str(folder), origin="batch", size=stat[0], created_at=created, batch=batch, **data
        )
    except (ValueError, TypeError, KeyError):
        return None


def _manifests(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """The names of the folders of batches, with size and time of their manifests."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            # Logs are many, and no folders: nothing is asked of them.
            if entry.name.endswith(".jsonl") or not entry.is_dir():
                continue
            with suppress(OSError):
                stat = os.stat(os.path.join(entry.path, MANIFEST))  # noqa: PTH116, PTH118
                yield entry.name, stamp(stat)


# --- names


def names_batch(word: str, folders: Sequence[Path]) -> Path | None:
    """The folder of the batch that `word` names; None for what names none, such as a filter.

    That is a path of it or of its manifest, its name in the first of `folders` that has it, or a
    unique start of that which is long enough and has a digit, as all names that are given here
    have. Raises `FileError` for a start of several.
    """
    try:
        path = Path(word)
        if word.strip() and path.name == MANIFEST and is_file(path):
            return path.parent
        if word.strip() and is_file(path / MANIFEST):
            return path
    except (OSError, ValueError):
        return None
    if not word.strip() or path.name != word:
        return None
    is_start = len(word) >= _SHORTEST and any(sign.isdigit() for sign in word)
    for folder in folders:
        names = [name for name, _ in _manifests(folder)]
        if word in names:
            return folder / word
        begun = [name for name in names if name.startswith(word)] if is_start else []
        if len(begun) > 1:
            several = listed(sorted(begun)).replace(" and ", " or ")
            raise FileError(f"{visible_line(word, 80)} may be {several}: write more of it")
        if begun:
            return folder / begun[0]
    return None


def find_batch(word: str, folders: Sequence[Path]) -> Path:
    """As `names_batch()`, and `last`: the batch that began last.

    Raises `FileError` with the nearest name for what names none.
    """
    if word == _LAST:
        rows = [row for folder in folders[:1] for row in list_batches(Library(folder))]
        if not rows:
            raise FileError(f"there is no saved batch yet ({folders[0]})")
        return max(rows, key=lambda row: row.when).path
    batch = names_batch(word, folders)
    if batch is not None:
        return batch
    known = [name for folder in folders for name, _ in _manifests(folder)]
    hint = did_you_mean(word, known) or "; `convtui runs` lists saved ones"
    raise FileError(f"{visible_line(word, 200)}: there is no such batch{hint}")
