"""`convtui runs`: lists and searches saved runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from convtui.cli.common import example, json_flag, print_json, say, settings, table
from convtui.errors import ConvtuiError, UsageError, did_you_mean

if TYPE_CHECKING:
    from convtui.filters import Filter
    from convtui.log.families import Branch
    from convtui.log.library import RunSummary


@click.command(
    "runs",
    epilog=example(
        "convtui runs",
        "convtui runs --since 7d --ended failed",
        "convtui runs '~persona maya & ~discard'",
        "convtui runs --tree",
    ),
)
@click.argument("filter_", required=False, metavar="[FILTER]")
@click.option("--name", metavar="TEXT", help="Words in the name, persona, provider or ending.")
@click.option("--since", metavar="WHEN", help="A day (2026-01-31, today) or 7d, 12h.")
@click.option("--ended", metavar="KIND", help="How it ended; also running, crashed, damaged.")
@click.option("--all", "every", is_flag=True, help="Branches as rows of their own.")
@click.option("--tree", is_flag=True, help="Branches below the runs that they continue.")
@click.option("--out", metavar="DIR", help="Another folder of logs.")
@json_flag
def command(
    *,
    filter_: str | None,
    name: str | None,
    since: str | None,
    ended: str | None,
    every: bool,
    tree: bool,
    out: str | None,
    as_json: bool,
) -> int:
    """Lists saved runs, newest first; a FILTER asks about the runs and about their turns.

    A run and its branches (rewound, reloaded, resumed, ...) are one row; --all and --tree show all.
    """
    from convtui.filters import parse
    from convtui.log.families import families, only, walk
    from convtui.log.library import list_runs

    if every and tree:
        raise UsageError("--all and --tree exclude each other: --tree shows all runs")
    folder = settings(out_dir=out).runs_dir
    expression = parse(filter_) if filter_ is not None else None
    after = _since(since) if since is not None else None
    if ended is not None:
        _known_ending(ended)
    everything = list(list_runs(folder))
    found = [
        run
        for run in everything
        if (name is None or run.matches(name))
        and (after is None or _when(run) >= after)
        and (ended is None or run.state == ended)
        and (expression is None or _matches(run, expression))
    ]
    roots = families(everything)
    if as_json:
        wanted = {run.path for run in found}
        rows = [
            {**_as_json(branch.run), "root": root.run.id, "depth": branch.depth,
             "branches": branch.size}
            for root in roots
            for branch in walk([root])
            if branch.run.path in wanted
        ]  # fmt: skip
        if not tree:
            place = {str(run.path.absolute()): n for n, run in enumerate(found)}
            rows.sort(key=lambda row: place[row["log"]])
        print_json(rows)
        return 0
    if not found:
        what = "no run matches" if everything else "no saved runs yet; `convtui demo` makes one"
        say(f"{what} ({folder})")
        return 0
    if every:
        _print([(run, run.path.name) for run in found])
        return 0
    paths = {run.path for run in found}
    shown = only(roots, lambda run: run.path in paths)
    if tree:
        _print(_as_tree(shown))
        return 0
    _print([_folded(root, paths) for root in shown])
    return 0


def _as_tree(shown: list[Branch]) -> list[tuple[RunSummary, str]]:
    from convtui.log.families import guides

    rows = []
    for guide, branch in guides(shown):
        how = branch.origin()
        rows.append((branch.run, f"{guide}{branch.run.path.name}{f' ({how})' if how else ''}"))
    return rows


def _folded(root: Branch, found: set[Path]) -> tuple[RunSummary, str]:
    """The one row of a family: its root, and how many of its branches were found."""
    name = root.run.path.name
    if not root.size:
        return root.run, name
    from convtui.log.families import walk

    branches = sum(branch.run.path in found for branch in walk([root])) - (root.run.path in found)
    newest = root.newest or root.run
    last = "" if newest is root.run else f", the newest {newest.state}"
    return root.run, f"{name} ({branches} branch{'es' if branches != 1 else ''}{last})"


def _print(shown: list[tuple[RunSummary, str]]) -> None:
    rows: list[list[str]] = [["WHEN", "PERSONA → PROVIDER", "TURNS", "ENDING", "LOG"]]
    for run, name in shown:
        who = f"{run.persona} → {run.provider}" if run.persona else "?"
        turns = "?" if run.turns is None else str(run.turns)
        state = f"damaged: {run.damaged}" if run.damaged else run.state
        rows.append([_when(run).strftime("%Y-%m-%d %H:%M"), who, turns, state, name])
    table(rows)


def _when(run: RunSummary) -> datetime:
    """When a run began, in local time; when its file was written, for one that does not say."""
    if run.created_at is not None:
        return run.created_at.astimezone()
    return datetime.fromtimestamp(run.modified).astimezone()


def _since(text: str) -> datetime:
    now = datetime.now().astimezone()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    named = {"today": midnight, "yesterday": midnight - timedelta(days=1)}
    if text in named:
        return named[text]
    try:
        if text[-1:] in units:
            return now - timedelta(**{units[text[-1]]: float(text[:-1])})
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text}: write a day (2026-01-31, today) or 7d, 12h") from None


def _known_ending(kind: str) -> None:
    from convtui.records import TerminationKind

    known = (*get_args(TerminationKind), "running", "crashed", "damaged")
    if kind not in known:
        hint = did_you_mean(kind, known) or f"; known are {', '.join(known)}"
        raise UsageError(f"--ended {kind}: there is no such ending{hint}")


def _matches(run: RunSummary, expression: Filter) -> bool:
    """What the row cannot answer is asked of the log's header and turns."""
    from convtui.filters import decide

    answer = expression.on_run(run)
    if answer is not None:
        return answer
    from convtui.log.reader import open_log
    from convtui.lookup import LogLookup

    try:
        with open_log(run.path) as log:
            if not expression.about_turns:
                return decide(expression.on_header(log.transcript))
            lookup = LogLookup(log) if expression.needs_raw else None
            return any(
                decide(expression.on_turn(turn, log.transcript, lookup))
                for turn in log.transcript.turns
            )
    except ConvtuiError:
        return False


def _as_json(run: RunSummary) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.path.name,
        "log": str(Path(run.path).absolute()),
        "persona": run.persona,
        "provider": run.provider,
        "origin": run.origin,
        "created_at": run.created_at.isoformat() if run.created_at else None,
        "turns": run.turns,
        "state": run.state,
        "ending": run.ending or None,
        "by": run.ended_by or None,
        "reason": run.reason or None,
        "parent": run.parent or None,
        "change": run.change or None,
        "at": {"session": run.at[0], "turn": run.at[1]} if run.at else None,
        "size": run.size,
        "damaged": run.damaged or None,
    }
