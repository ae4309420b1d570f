"""Batches on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from convtui.batch.again import Again
from convtui.batch.attempts import best_of
from convtui.batch.manifest import BatchFile, read_batch
from convtui.batch.scheduler import Batch
from convtui.cli.batch_again import hint
from convtui.cli.batch_how import How
from convtui.cli.batch_plan import Planned
from convtui.cli.batch_run import open_batch
from convtui.cli.common import say, settings
from convtui.records.codec import exit_code
from convtui.tui.launch import run_batch, run_saved_batch

_FAILED: Final = 3
"""The exit code of a conversation that went wrong."""


def run_on_screen(
    folder: Path, made: Planned, how: How, *, resumes: bool, again: Again | None = None
) -> int:
    """Runs a batch on the screen; returns the exit code of its conversations, 130 if it is not
    finished."""

    def begin() -> Batch:
        return open_batch(folder, made, how, resumes=resumes, again=again)

    run_batch(begin, config=made.config)
    code = _write(folder, how)
    batch = read_batch(folder)
    say(f"{batch.name}: {_state(batch)}")
    verb = "shows its results" if batch.finished else "goes on with it"
    say(f"`convtui batch {folder.name}` {verb}")
    next_step = hint(batch)
    if next_step is not None:
        say(next_step)
    say(str(folder))
    return code if code is not None else _exit_code(batch)


def show_saved(batch: BatchFile, how: How, theme: str | None) -> int:
    """Shows a batch that is finished, or that another process runs."""
    run_saved_batch(batch.folder, config=settings(theme=theme))
    return _write(batch.folder, how) or 0


def _write(folder: Path, how: How) -> int | None:
    """Writes the files that are wanted; returns the exit code that goes with them."""
    wanted = how.wanted
    return wanted.print(folder) if wanted.junit or wanted.report else None


def _state(batch: BatchFile) -> str:
    """How many conversations have ended, and how many of them badly."""
    ended = [entry for entry in batch.entries.values() if entry.settled]
    bad = sum(exit_code(entry.termination) == _FAILED for entry in ended)
    wrong = f", {bad:,} went wrong" if bad else ""
    return f"{len(ended):,} of {len(batch.entries):,} conversations have ended{wrong}"


def _exit_code(batch: BatchFile) -> int:
    if not batch.finished:
        return 130
    firsts = [entry for entry in batch.entries.values() if entry.attempt == 1]
    return max((exit_code(best_of(batch.attempts(each)).termination) for each in firsts), default=0)
