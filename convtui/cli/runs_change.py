"""The changes that `convtui runs` makes: tags and the trash."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convtui.cli.common import print_json, say, table
from convtui.errors import FileError, UsageError, did_you_mean
from convtui.text.boundary import visible_line
from convtui.text.counts import counted

if TYPE_CHECKING:
    from convtui.library.library import Library
    from convtui.library.trash import Trashed
    from convtui.log.run_summary import RunSummary

_SHOWN = 10
"""The most runs that a question names."""


def tag_runs(
    runs: Sequence[RunSummary],
    tags: Sequence[str],
    untags: Sequence[str],
    *,
    library: Library,
    as_json: bool,
) -> int:
    """Adds and removes tags of runs. Raises `UsageError` for an invalid tag."""
    from convtui.log.notes import Notes, check_tag

    for tag in (*tags, *untags):
        wrong = check_tag(tag)
        if wrong is not None:
            raise UsageError(f"--tag {visible_line(tag, 60)}: {wrong}")
    rows: list[dict[str, Any]] = []
    for run in runs:
        notes = Notes(run.log)
        before = set(run.tags)
        for tag in tags:
            if tag not in before:
                notes.tag(tag)
        for tag in untags:
            if tag in before:
                notes.tag(tag, False)
        after = [tag for tag in (*run.tags, *tags) if tag not in untags]
        rows.append({"log": str(run.path.absolute()), "tags": list(dict.fromkeys(after))})
    library.changed(run.path for run in runs)
    if as_json:
        print_json(rows)
    elif rows:
        table([["LOG", "TAGS"], *[[Path(r["log"]).name, " ".join(r["tags"]) or "-"] for r in rows]])
    return 0


def trash_runs(
    folder: Path,
    runs: Sequence[RunSummary],
    everything: Sequence[RunSummary],
    *,
    library: Library,
    yes: bool,
    as_json: bool,
) -> int:
    """Moves runs to the trash, and asks before; returns exit code 2 if some cannot be moved."""
    from convtui.library.library import dependents
    from convtui.library.trash import Trash

    if runs and not yes:
        _confirm(runs, everything)
    elif runs:
        for warning in dependents(runs, everything):
            say(f"convtui: {warning}")
    trash = Trash(folder)
    moved: list[Trashed] = []
    failed = 0
    for run in runs:
        try:
            moved.append(trash.put(run.path))
        except FileError as error:
            failed += 1
            say(f"convtui: {error}")
    library.changed(trashed.log for trashed in moved)
    if as_json:
        print_json([_as_json(trashed) for trashed in moved])
    elif moved:
        say(f"{counted(len(moved), 'run')} moved to the trash ({folder});"
            " `convtui runs --restore NAME` puts one back")  # fmt: skip
    return 2 if failed else 0


def _confirm(runs: Sequence[RunSummary], everything: Sequence[RunSummary]) -> None:
    from convtui.library.library import dependents

    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            f"--trash: {counted(len(runs), 'run')} would go, and nobody can be asked: add --yes"
        )
    for run in runs[:_SHOWN]:
        what = "" if run.batch is None else f"  ({run.batch.size_words}: {run.batch.words})"
        say(f"  {run.name}  {run.persona} → {run.provider}  {run.state}{what}")
    if len(runs) > _SHOWN:
        say(f"  ... and {len(runs) - _SHOWN:,} more")
    for warning in dependents(runs, everything)[:_SHOWN]:
        say(warning)
    click.confirm(f"Move {counted(len(runs), 'run')} to the trash?", abort=True, err=True)


def list_trash(folder: Path, *, as_json: bool) -> int:
    """Lists the runs in the trash, the last deleted first."""
    from convtui.library.trash import Trash

    listed = Trash(folder).list()
    if as_json:
        print_json([_as_json(trashed) for trashed in listed])
    elif listed:
        rows = [
            [trashed.at.astimezone().strftime("%Y-%m-%d %H:%M"), trashed.name,
             str(trashed.log.parent)]
            for trashed in listed
        ]  # fmt: skip
        table([["DELETED", "LOG", "FROM"], *rows])
    else:
        say(f"the trash is empty ({folder})")
    return 0


def restore_runs(folder: Path, names: Sequence[str], *, as_json: bool) -> int:
    """Restores runs from the trash. Raises `UsageError` for a name that is not in it."""
    from convtui.library.library import Library
    from convtui.library.trash import Trash

    trash = Trash(folder)
    there = trash.list()
    if not names:
        raise UsageError("--restore: name the logs; `convtui runs --trashed` lists them")
    chosen: list[Trashed] = []
    for name in names:
        # The one of this name that was deleted last.
        match = next(
            (entry for entry in there if name in (entry.name, Path(entry.name).stem)), None
        )
        if match is None:
            hint = did_you_mean(name, [entry.name for entry in there])
            raise UsageError(
                f"{visible_line(name, 80)}: no such run is in the trash"
                f"{hint or '; `convtui runs --trashed` lists them'}"
            )
        if match not in chosen:
            chosen.append(match)
    back = [trash.restore(trashed) for trashed in chosen]
    for path in back:
        Library(path.parent).changed([path])
    if as_json:
        print_json([{"log": str(path)} for path in back])
    else:
        for path in back:
            say(f"put back: {path}")
    return 0


def _as_json(trashed: Trashed) -> dict[str, str]:
    return {
        "log": str(trashed.log),
        "name": trashed.name,
        "place": str(trashed.folder),
        "at": trashed.at.isoformat(),
    }
