"""The list that `convtui runs` prints, as rows and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from convtui.cli.common import echo, print_json, say, table
from convtui.cli.runs_columns import RunLine, list_lines
from convtui.errors import ConvtuiError
from convtui.log.run_summary import short_id
from convtui.records.times import time_of_stamp
from convtui.scenario.provider_spec import parse_provider_spec
from convtui.text.counts import counted
from convtui.transcript.ending_words import short_ending

if TYPE_CHECKING:
    from convtui.cli.runs_batches import FoundBatch
    from convtui.library.families import RunNode
    from convtui.log.batch_counts import BatchCounts
from convtui.log.run_summary import RunSummary


def print_runs_json(
    matches: list[RunSummary],
    everything: list[RunSummary],
    *,
    batches: Sequence[FoundBatch] = (),
    tree: bool,
    limit: int | None,
) -> None:
    from convtui.library.families import families, walk, with_conversations

    matches, everything = _with_rows(matches, everything, batches)
    roots = families([*everything, *_elsewhere(matches, everything)])
    with_conversations(roots, {found.row.file: found.conversations for found in batches})
    matches += [run for found in batches for run in found.conversations]
    wanted = {run.file for run in matches}
    rows = [
        {
            **_as_json(branch.run),
            "root": root.run.id,
            "depth": branch.depth,
            "branches": branch.size,
            "in_batch": root.run.id if root.run.batch is not None and branch is not root else None,
        }
        for root in roots
        for branch in walk([root])
        if branch.run.file in wanted
    ]
    if not tree:
        position = {str(run.path.absolute()): n for n, run in enumerate(matches)}
        rows.sort(key=lambda row: position[row["log"] or row["folder"]])
    print_json(rows[:limit])


def _elsewhere(matches: list[RunSummary], everything: list[RunSummary]) -> list[RunSummary]:
    """The matches that are in another folder."""
    here = {run.file for run in everything}
    return [run for run in matches if run.file not in here]


def _with_rows(
    matches: list[RunSummary], everything: list[RunSummary], batches: Sequence[FoundBatch]
) -> tuple[list[RunSummary], list[RunSummary]]:
    """The same with the rows of the batches."""
    rows = [found.row for found in batches]
    return [*matches, *rows], [*everything, *rows]


def print_rows(
    matches: list[RunSummary],
    everything: list[RunSummary],
    order: str,
    limit: int | None,
    *,
    batches: Sequence[FoundBatch] = (),
    every: bool,
    tree: bool,
) -> None:
    from convtui.library.run_order import sort_runs

    matches, everything = _with_rows(matches, everything, batches)
    matching = {found.row.file: len(found.conversations) for found in batches if found.selected}
    if every:
        inside = [run for found in batches if found.selected for run in found.conversations]
        if batches:
            matches = sort_runs([*matches, *inside], order)
        rows = [_row(run, matching) for run in matches[:limit]]
        count = len(matches)
    else:
        from convtui.library.families import only, sorted_families, with_conversations

        paths = {run.file for run in matches}
        shown = sorted_families([*everything, *_elsewhere(matches, everything)], order)
        if len(matches) < len(everything):
            shown = only(shown, lambda run: run.file in paths)
        with_conversations(shown, {found.row.file: found.conversations for found in batches})
        if tree:
            rows = _as_tree(shown, matching)
            count = len(rows)
        else:
            rows = [_folded(root, paths, matching) for root in shown[:limit]]
            count = len(shown)
    _print(rows[:limit], order)
    if limit is not None and count > limit:
        say(f"{count - limit:,} more; without --limit all are listed")


@dataclass(frozen=True, slots=True)
class _Row:
    run: RunSummary
    notes: str = ""
    guide: str = ""
    newest: RunSummary | None = None
    """The run of its family that began last, whose time a family's one row shows."""


def _row(run: RunSummary, matching: Mapping[str, int]) -> _Row:
    """A row; of a batch, with its counts and how many of its conversations match."""
    if run.batch is None:
        return _Row(run)
    count = matching.get(run.file)
    found = "" if count is None else f"; {count:,} match{'es' if count == 1 else ''}"
    return _Row(run, f" ({run.batch.size_words}: {run.batch.words}{found})")


def _as_tree(shown: list[RunNode], matching: Mapping[str, int]) -> list[_Row]:
    from convtui.library.families import guides

    rows = []
    for guide, branch in guides(shown):
        if branch.run.batch is not None:
            rows.append(_row(branch.run, matching))
            continue
        how = branch.origin()
        rows.append(_Row(branch.run, f" ({how})" if how else "", guide))
    return rows


def _folded(root: RunNode, matches: set[str], matching: Mapping[str, int]) -> _Row:
    """The one row of a family: its root, and the number of its branches that match."""
    if not root.size or root.run.batch is not None:
        return _row(root.run, matching)
    from convtui.library.families import walk

    branches = sum(branch.run.file in matches for branch in walk([root])) - (
        root.run.file in matches
    )
    newest = root.newest or root.run
    last = "" if newest is root.run else f", the newest {short_ending(newest.state)}"
    notes = f" ({counted(branches, 'branch', 'branches')}{last})"
    return _Row(root.run, notes, newest=newest)


_SHOWN_ANYWAY = ("when", "persona", "provider", "turns", "ending", "name")


def _print(shown: list[_Row], order: str) -> None:
    from convtui.printing.wording import terminal_width

    key = order.removeprefix("-")
    extra = [key] if key and key not in _SHOWN_ANYWAY else []
    titles = [name.upper() for name in extra]
    lines = [_line(row, extra) for row in shown]
    width = terminal_width(sys.stdout)
    if width is not None:
        for line in list_lines(lines, titles, width):
            echo(line)
        return
    rows = [["WHEN", "PERSONA → PROVIDER", "TURNS", "ENDING", *titles, "LOG"]]
    for run in lines:
        began = run.began.strftime("%Y-%m-%d %H:%M")
        log = f"{run.guide}{run.name}{run.notes}"
        rows.append([began, run.who, run.turns, run.state, *run.figures, log])
    table(rows)


def _line(row: _Row, extra: list[str]) -> RunLine:
    run = row.run
    return RunLine(
        began=when(row.newest or run),
        who=f"{run.persona} → {_short_provider(run.provider)}" if run.persona else "?",
        turns="?" if run.turns is None else str(run.turns),
        state=f"damaged: {run.damaged}" if run.damaged else short_ending(run.state),
        name=run.name if run.batch is None else f"{run.name}/",
        id=short_id(run.id) if run.batch is None else "",
        guide=row.guide,
        notes=row.notes + (f" #{' #'.join(run.tags)}" if run.tags else ""),
        figures=[_figure(run, column) for column in extra],
    )


def _short_provider(spec: str) -> str:
    """A provider SPEC for a list: a file or a log without its folders."""
    try:
        return parse_provider_spec(spec).short
    except ConvtuiError:
        return spec


def _figure(run: RunSummary, key: str) -> str:
    """The value of a sort key, for people."""
    value: float | None = {
        "written": run.modified,
        "sessions": run.sessions,
        "discarded": run.discarded,
        "duration": run.duration,
        "tokens": run.tokens,
        "cost": run.cost,
        "latency": run.latency,
        "size": run.size,
    }[key]
    if value is None:
        return "-"
    if key == "written":
        return time_of_stamp(value).astimezone().strftime("%Y-%m-%d %H:%M")
    if key == "cost":
        return f"${value:,.4f}"
    return f"{value:,.1f} s" if key in ("duration", "latency") else f"{value:,.0f}"


def when(run: RunSummary) -> datetime:
    """When a run began, in local time; if unknown, when its file was written."""
    if run.created_at is not None:
        return run.created_at.astimezone()
    return time_of_stamp(run.modified).astimezone()


def _as_json(run: RunSummary) -> dict[str, Any]:
    """A run as plain data; unknown values are None."""
    return {
        "id": run.id,
        "name": run.name,
        "log": str(run.path.absolute()) if run.batch is None else None,
        "folder": str(run.path.absolute()) if run.batch is not None else None,
        "batch": None if run.batch is None else _batch(run.batch),
        "persona": run.persona,
        "provider": run.provider,
        "model": run.model or None,
        "origin": run.origin,
        "created_at": run.created_at.isoformat() if run.created_at else None,
        "turns": run.turns,
        "sessions": run.sessions,
        "discarded": run.discarded,
        "duration": run.duration,
        "tokens": run.tokens,
        "cost": run.cost,
        "latency": run.latency,
        "state": run.state,
        "ending": run.ending or None,
        "by": run.ended_by or None,
        "reason": run.reason or None,
        "tags": list(run.tags),
        "parent": run.parent or None,
        "change": run.change or None,
        "at": {"session": run.at[0], "turn": run.at[1]} if run.at else None,
        "size": run.size,
        "damaged": run.damaged or None,
    }


def _batch(batch: BatchCounts) -> dict[str, Any]:
    return {
        "cells": batch.cells,
        "runs": batch.runs,
        "conversations": batch.conversations,
        "states": dict(batch.states),
        "endings": dict(batch.endings),
        "bad": batch.bad,
    }
