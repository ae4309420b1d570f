"""The files that belong to a log."""

from __future__ import annotations

from pathlib import Path
from typing import Final

LOCK: Final = ".lock"
WIRE: Final = ".wire.jsonl"
TOOLS: Final = ".tools.jsonl"
NOTES: Final = ".notes.jsonl"


def lock_path(path: Path) -> Path:
    """The lock file of a log; whoever writes the log holds it."""
    return path.with_name(path.name + LOCK)


def wire_path(path: Path) -> Path:
    """Where the HTTP exchanges of a log are kept."""
    return path.with_name(path.name + WIRE)


def tool_results_path(path: Path) -> Path:
    """Where the tool results of a log are kept that are too long for it."""
    return path.with_name(path.name + TOOLS)


def notes_path(path: Path) -> Path:
    """Where marks and notes on a log are kept."""
    return path.with_name(path.name + NOTES)
