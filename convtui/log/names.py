"""The files that belong to a log."""

from __future__ import annotations

from pathlib import Path


def lock_path(path: Path) -> Path:
    """The lock file of a log; whoever writes the log holds it."""
    return path.with_name(path.name + ".lock")


def wire_path(path: Path) -> Path:
    """Where the HTTP exchanges of a log are kept."""
    return path.with_name(path.name + ".wire.jsonl")


def tool_results_path(path: Path) -> Path:
    """Where the tool results of a log are kept that are too long for it."""
    return path.with_name(path.name + ".tools.jsonl")


def notes_path(path: Path) -> Path:
    """Where marks and notes on a log are kept."""
    return path.with_name(path.name + ".notes.jsonl")
