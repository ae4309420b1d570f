"""What `convtui batch` does: a dry run, a new batch, going on with one, or showing one."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from convtui.batch.again import Again, choose
from convtui.batch.folders import batch_folders, begun_with, new_folder
from convtui.batch.manifest import BatchFile, read_batch
from convtui.batch.manifest_writer import locked_by_other
from convtui.batch.plan_changes import PlanChanges, plan_changes
from convtui.batch.record import PlanSource
from convtui.cli.batch_again import announce, dry_rerun
from convtui.cli.batch_dry_run import dry_run
from convtui.cli.batch_how import How, batch_folder
from convtui.cli.batch_plan import Planned, planned
from convtui.cli.common import begin_screen, say, says_yes
from convtui.errors import FileError, FilterError, UsageError
from convtui.files.regular import is_file

_OF_COMMAND: Final = frozenset({
    "on", "env", "anew", "rerun", "agreed", "speed", "dry_run", "tui", "against", "junit", "report",
    "plain", "as_json",
})  # fmt: skip
"""Flags that make no part of a plan."""
_MAY_CHANGE: Final = frozenset({
    "concurrency", "workers", "budget_tokens", "budget_cost", "stop_after", "on_pause", "out",
    "python", "env_file", "wire", "theme",
})  # fmt: skip
"""Flags of a plan that may be others when its batch is gone on with by name."""
_NEWEST: Final = 50
"""Batches that are looked through for one that the same command began."""


def run_batch(what: str | None, flags: Mapping[str, Any]) -> int:
    """Does what the command line says; returns the exit code. Raises `UsageError`."""
    how = How.of(flags)
    plan_flags = {name: value for name, value in flags.items() if name not in _OF_COMMAND}
    folder = None if what is None else batch_folder(what, flags.get("out"))
    if folder is not None:
        return _saved(folder, plan_flags, how)
    made = planned(what, plan_flags)
    if how.dry and how.rerun is None:
        return dry_run(made, as_json=how.wanted.as_json)
    folder = None if how.anew else _begun(made, how)
    if folder is not None:
        return _resume(folder, made, how)
    if how.rerun is not None:
        raise UsageError(f"--rerun {how.rerun}: there is no batch of this plan; leave it out")
    folder = new_folder(made.config.runs_dir, made.plan.title)
    return _run(folder, made, how)


def _saved(folder: Path, flags: Mapping[str, Any], how: How) -> int:
    """Shows a batch that is finished or runs elsewhere, and resumes any other one."""
    batch = read_batch(folder)
    over = how.wanted.against is not None or batch.finished or batch.running
    if how.rerun is None and over:
        if how.dry:
            raise UsageError(f"--dry-run: {folder.name} has run; name its plan")
        return _show(batch, how, flags.get("theme"))
    source = PlanSource.of(batch.plan)
    if source is None or not source.readable:
        return _without_plan(batch, source, how, flags.get("theme"))
    if not source.own:
        named = source.file or "what it ran"
        raise UsageError(
            f"{folder.name} was begun under another account, or its manifest was changed since:"
            f" look at {named}, and name it yourself to go on with it (`convtui batch PLAN`)"
        )
    own = {name: value for name, value in flags.items() if value not in (None, (), False)}
    for name in own:
        if name not in _MAY_CHANGE:
            flag = f"--{name.rstrip('_').replace('_', '-')}"
            raise UsageError(f"{flag}: {folder.name} has its plan; change that, or name the plan")
    made = planned(
        None if source.file is None else str(source.file),
        {**source.flags, **own, "out": str(folder.parent)},
        source.cwd,
    )
    if how.dry and how.rerun is None:
        return dry_run(made, as_json=how.wanted.as_json)
    return _resume(folder, made, how)


def _without_plan(batch: BatchFile, source: PlanSource | None, how: How, theme: str | None) -> int:
    """Shows what there is of a batch whose plan cannot be read again."""
    why = "it does not say what its plan was"
    if source is not None:
        why = "values of its flags may be secret and were not kept; give the same command again"
        if source.file is not None and not is_file(source.file):
            why = f"its plan {source.file} is gone"
    what = "run again" if how.rerun is not None else "resumed"
    unfinished = "" if batch.finished else "is unfinished and "
    say(f"convtui: {batch.folder.name} {unfinished}cannot be {what} by its name: {why}")
    return _show(batch, how, theme)


def _show(batch: BatchFile, how: How, theme: str | None) -> int:
    if not how.screen:
        return how.wanted.print(batch.folder)
    begin_screen()
    from convtui.cli.batch_screen import show_saved

    return show_saved(batch, how, theme)


def _begun(made: Planned, how: How) -> Path | None:
    """The newest batch that the same plan or scenario began, if it shares a cell.

    One that is finished only where conversations of it are to run again.
    """
    file = None if made.source.file is None else made.source.file.absolute()
    digests = {cell.digest for cell in made.cells}
    for folder in batch_folders(made.config.runs_dir)[:_NEWEST]:
        source = PlanSource.of(begun_with(folder))
        if source is None or source.file != file:
            continue
        if file is None and source.cwd != made.source.cwd:
            continue
        try:
            batch = read_batch(folder)
        except FileError:
            continue
        open_ = not batch.finished or how.rerun is not None
        if open_ and digests & {cell.digest for cell in batch.cells.values()}:
            return folder
    return None


def _resume(folder: Path, made: Planned, how: How) -> int:
    batch = read_batch(folder)
    if batch.running:
        raise locked_by_other(batch)
    changes = plan_changes(batch, made.plan, made.cells)
    again = None if how.rerun is None else _chosen(batch, how.rerun)
    if again is not None and how.dry:
        return dry_rerun(batch, again, as_json=how.wanted.as_json)
    if again is not None and batch.finished and not (again.keys or changes):
        announce(batch, again)
        return _show(batch, how, None)
    over = sum(entry.settled for entry in batch.entries.values())
    many = len(batch.entries)
    say(f"convtui: going on with {folder.name}: {over} of {many} conversations have ended")
    if again is not None:
        announce(batch, again)
    for file in _changed_code(batch, made):
        say(
            f"convtui: {file} was changed since the batch began: its figures will be of old and new"
            " code; --new begins another batch"
        )
    if changes and not _agreed(changes, how):
        raise UsageError(
            "its plan has changed: --yes goes on with the plan as it is now, --new begins another"
            " batch"
        )
    return _run(folder, made, how, resumes=True, again=again)


def _chosen(batch: BatchFile, which: str) -> Again:
    try:
        return choose(batch, which)
    except FilterError as error:
        raise UsageError(f"--rerun: {error}") from None


def _changed_code(batch: BatchFile, made: Planned) -> list[str]:
    """The files of providers that were written after a batch began."""
    specs = [cell.scenario.provider.spec for cell in made.cells if cell.scenario is not None]
    files = dict.fromkeys(spec.target for spec in specs if spec.kind == "file")
    began = None if batch.at is None else batch.at.timestamp()
    changed = []
    for file in files:
        with contextlib.suppress(OSError):
            if began is not None and Path(file).stat().st_mtime > began:
                changed.append(file)
    return changed


def _agreed(changes: PlanChanges, how: How) -> bool:
    say("convtui: the plan has changed since:")
    for line in changes.lines():
        say(f"  {line}")
    return how.agreed or says_yes("Go on with it as it is now?")


def _run(
    folder: Path,
    made: Planned,
    how: How,
    *,
    resumes: bool = False,
    again: Again | None = None,
) -> int:
    if how.screen:
        begin_screen()
        from convtui.cli.batch_screen import run_on_screen

        return run_on_screen(folder, made, how, resumes=resumes, again=again)
    from convtui.cli.batch_run import run_headless

    return run_headless(folder, made, how, resumes=resumes, again=again)
