"""The files that belong to a log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOCK: Final = ".lock"
WIRE: Final = ".wire.jsonl"
TOOLS: Final = ".tools.jsonl"
NOTES: Final = ".notes.jsonl"
PARTIAL: Final = ".part"


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
