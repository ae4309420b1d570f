"""The files that belong to a log, and that of a batch of logs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOCK: Final = ".lock"
WIRE: Final = ".wire.jsonl"
TOOLS: Final = ".tools.jsonl"
NOTES: Final = ".notes.jsonl"
PARTIAL: Final = ".part"
MANIFEST: Final = "batch.jsonl"
"""In the folder of a batch; no log."""


def lock_path(path: Path) -> Path:
    """The lock file that the writer of a log holds."""
    return path.with_name(path.name + LOCK)


def wire_path(path: Path) -> Path:
    """The file of a log's HTTP exchanges."""
    return path.with_name(path.name + WIRE)


def tool_results_path(path: Path) -> Path:
    """The file of the tool results that are too long for the log."""
    return path.with_name(path.name + TOOLS)


def notes_path(path: Path) -> Path:
    """The file of marks, notes, corrections and tags."""
    return path.with_name(path.name + NOTES)


def partial_path(path: Path) -> Path:
    """What a log is called while an import writes it: no log yet, in no list of runs."""
    return path.with_name(path.name + PARTIAL)


def free_log_path(folder: Path, stem: str) -> Path:
    """`<stem>.jsonl` in a folder; `<stem>-2.jsonl` and so on where there is such a file."""
    path = folder / f"{stem}.jsonl"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}.jsonl"
        number += 1
    return path


def logs_named(folder: Path, stem: str) -> list[Path]:
    """The logs in a folder that `free_log_path()` has named after a stem, in order."""
    paths = []
    path = folder / f"{stem}.jsonl"
    while path.exists():
        paths.append(path)
        path = folder / f"{stem}-{len(paths) + 1}.jsonl"
    return paths
