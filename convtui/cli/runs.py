"""`convtui runs`: lists, searches, tags and deletes saved runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from convtui.cli.common import example, json_flag, print_json, say, settings, table
from convtui.errors import LogError, UsageError, did_you_mean

if TYPE_CHECKING:
    from convtui.library.families import RunNode
    from convtui.library.library import Library
    from convtui.log.run_summary import RunSummary


@click.command(
    "runs",
    epilog=example(
        "convtui runs",
        "convtui runs --since 7d --ended failed",
        "convtui runs '~persona maya & ~discard'",
        "convtui runs --sort -tokens --limit 10",
        "convtui runs --tag regression '~toolerror & ~date >= 2026-03-01'",
        "convtui runs --trash --ended crashed",
        "convtui runs --tree",
    ),
)
@click.argument("arguments", nargs=-1, metavar="[FILTER|LOG...]")
@click.option("--name", metavar="TEXT", help="Words in the name, persona, provider, ending or tag.")
@click.option("--since", metavar="WHEN", help="A day (2026-01-31, today) or 7d, 12h.")
@click.option("--ended", metavar="KIND", help="How it ended; also running, crashed, damaged.")
@click.option(
    "--sort",
    "order",
    metavar="KEY",
    help="when, written, name, persona, provider, ending, turns, sessions, discarded, duration,"
    " tokens, cost, latency or size; with a - before it the most first.",
)
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most so many rows.")
@click.option("--all", "every", is_flag=True, help="Branches as rows of their own.")
@click.option("--tree", is_flag=True, help="Branches below the runs that they continue.")
@click.option("--tag", "tags", metavar="NAME", multiple=True, help="Give what is found a tag.")
@click.option("--untag", "untags", metavar="NAME", multiple=True, help="Take a tag away from it.")
@click.option("--trash", is_flag=True, help="Move what is found to the trash; asks before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--trashed", is_flag=True, help="List what is in the trash.")
@click.option("--restore", is_flag=True, help="Put the named runs back from the trash.")
@click.option("--out", metavar="DIR", help="Another folder of logs.")
@json_flag
def command(
    *,
    arguments: tuple[str, ...],
    name: str | None,
    since: str | None,
    ended: str | None,
    order: str | None,
    limit: int | None,
    every: bool,
    tree: bool,
    tags: tuple[str, ...],
    untags: tuple[str, ...],
    trash: bool,
    yes: bool,
    trashed: bool,
    restore: bool,
    out: str | None,
    as_json: bool,
) -> int:
    """Lists saved runs, newest first; a FILTER asks about the runs and about their turns.

    A run and its branches (rewound, reloaded, resumed, ...) are one row; --all and --tree show all.
    With --tag, --untag or --trash what is found is changed; LOG names single runs.
    """
    if every and tree:
        raise UsageError("--all and --tree exclude each other: --tree shows all runs")
    actions = {"--tag": tags, "--untag": untags, "--trash": trash, "--trashed": trashed,
               "--restore": restore}  # fmt: skip
    chosen = [flag for flag, given in actions.items() if given]
    if len(chosen) > 1 and set(chosen) != {"--tag", "--untag"}:
        raise UsageError(f"{' and '.join(chosen)} exclude each other")
    config = settings(out_dir=out)
    if trashed or restore:
        from convtui.cli.runs_change import list_trash, restore_runs

        if restore:
            return restore_runs(config.paths.trash_dir, arguments, as_json=as_json)
        return list_trash(config.paths.trash_dir, as_json=as_json)
    wanted = Selection.of(config.runs_dir, arguments, name, since, ended)
    matches, everything = wanted.find(order)
    if chosen:
        from convtui.cli.runs_change import tag_runs, trash_runs

        if wanted.everything:
            raise UsageError(f"{chosen[0]}: which runs? Name logs, or say which with a FILTER")
        if not matches:
            say(f"no run matches ({config.runs_dir})")
        if trash:
            return trash_runs(
                config.paths.trash_dir, matches, everything, library=wanted.library, yes=yes,
                as_json=as_json,
            )  # fmt: skip
        return tag_runs(matches, tags, untags, library=wanted.library, as_json=as_json)
    if as_json:
        _print_json(matches, everything, tree=tree, limit=limit)
        return 0
    if not matches:
        what = "no run matches" if everything else "no saved runs yet; `convtui demo` makes one"
        say(f"{what} ({config.runs_dir})")
        return 0
    _print_rows(matches, everything, order, limit, every=every, tree=tree)
    return 0


@dataclass(slots=True)
class Selection:
    """The runs that the command line selects, and their library."""

    library: Library
    logs: list[Path]
    expression: str | None
    name: str | None
    since: datetime | None
    ended: str | None

    @classmethod
    def of(
        cls,
        folder: Path,
        arguments: tuple[str, ...],
        name: str | None,
        since: str | None,
        ended: str | None,
    ) -> Selection:
        """Reads the command line's arguments. Raises `UsageError` and `FilterError`."""
        from convtui.filters.filter import parse
        from convtui.library.library import Library

        named = {argument: _log(folder, argument) for argument in arguments}
        logs = [path for path in named.values() if path is not None]
        filters = [argument for argument in arguments if named[argument] is None]
        if len(filters) > 1:
            raise UsageError(
                f"{filters[1]!r} is no log here, and two filters are one too many: put a filter in"
                " quotes, and join two of them with & or |"
            )
        after = _since(since) if since is not None else None
        if ended is not None:
            _known_ending(ended)
        expression = filters[0] if filters else None
        if expression is not None:
            parse(expression)
        return cls(Library(folder), logs, expression, name, after, ended)

    @property
    def everything(self) -> bool:
        """Whether it selects all runs."""
        chosen = (self.expression, self.name, self.since, self.ended)
        return not self.logs and all(value is None for value in chosen)

    def find(self, order: str | None) -> tuple[list[RunSummary], list[RunSummary]]:
        """The selected runs and all runs, in `order`; named logs in the order given."""
        from convtui.cli.progress import Bar
        from convtui.filters.filter import parse
        from convtui.library.run_order import NEWEST, parse_order, sort_runs
        from convtui.log.run_summary import summarise

        parse_order(order or NEWEST)
        filter_ = parse(self.expression) if self.expression is not None else None
        bar = Bar("reading runs")
        try:
            about_turns = filter_ is not None and filter_.about_turns
            everything = self.library.runs(turns=about_turns, progress=bar)
            if order is not None:
                everything = sort_runs(everything, order)
            matches = everything
            if self.logs:
                by_path = {str(run.path.absolute()): run for run in everything}
                matches = [
                    by_path.get(str(path.absolute())) or summarise(path) for path in self.logs
                ]
            matches = [run for run in matches if self._is_wanted(run)]
            if filter_ is not None:
                matches = self.library.search(filter_, matches, progress=bar)
        finally:
            bar.close()
        if self.library.notice and everything:
            say(f"convtui: {self.library.notice}")
        return matches, everything

    def _is_wanted(self, run: RunSummary) -> bool:
        return (
            (self.name is None or run.matches(self.name))
            and (self.since is None or _when(run) >= self.since)
            and (self.ended is None or run.state == self.ended)
        )


def _log(folder: Path, word: str) -> Path | None:
    """The log that an argument names; None for a filter.

    Raises `LogError` for a log that does not exist.
    """
    from convtui.library.log_names import find_log, names_log

    path = names_log(word, [folder])
    if path is None and word.endswith(".jsonl"):
        path = find_log(word, [folder])
        if not path.is_file():
            raise LogError(f"{word}: there is no such log; `convtui runs` lists saved ones")
    return path


def _print_json(
    matches: list[RunSummary], everything: list[RunSummary], *, tree: bool, limit: int | None
) -> None:
    from convtui.library.families import families, walk

    wanted = {run.file for run in matches}
    rows = [
        {**as_json(branch.run), "root": root.run.id, "depth": branch.depth, "branches": branch.size}
        for root in families([*everything, *_elsewhere(matches, everything)])
        for branch in walk([root])
        if branch.run.file in wanted
    ]
    if not tree:
        position = {str(run.path.absolute()): n for n, run in enumerate(matches)}
        rows.sort(key=lambda row: position[row["log"]])
    print_json(rows[:limit])


def _elsewhere(matches: list[RunSummary], everything: list[RunSummary]) -> list[RunSummary]:
    """The matches that are in another folder."""
    here = {run.file for run in everything}
    return [run for run in matches if run.file not in here]


def _print_rows(
    matches: list[RunSummary],
    everything: list[RunSummary],
    order: str | None,
    limit: int | None,
    *,
    every: bool,
    tree: bool,
) -> None:
    if every:
        rows = [(run, run.name) for run in matches[:limit]]
        count = len(matches)
    else:
        from convtui.library.families import families, only

        paths = {run.file for run in matches}
        shown = families([*everything, *_elsewhere(matches, everything)])
        if len(matches) < len(everything):
            shown = only(shown, lambda run: run.file in paths)
        if tree:
            rows = _as_tree(shown)
            count = len(rows)
        else:
            rows = [_folded(root, paths) for root in shown[:limit]]
            count = len(shown)
    _print(rows[:limit], order)
    if limit is not None and count > limit:
        say(f"{count - limit:,} more; without --limit all are listed")


def _as_tree(shown: list[RunNode]) -> list[tuple[RunSummary, str]]:
    from convtui.library.families import guides

    rows = []
    for guide, branch in guides(shown):
        how = branch.origin()
        rows.append((branch.run, f"{guide}{branch.run.name}{f' ({how})' if how else ''}"))
    return rows


def _folded(root: RunNode, matches: set[str]) -> tuple[RunSummary, str]:
    """The one row of a family: its root, and the number of its branches that match."""
    name = root.run.name
    if not root.size:
        return root.run, name
    from convtui.library.families import walk

    branches = sum(branch.run.file in matches for branch in walk([root])) - (
        root.run.file in matches
    )
    newest = root.newest or root.run
    last = "" if newest is root.run else f", the newest {newest.state}"
    return root.run, f"{name} ({branches} branch{'es' if branches != 1 else ''}{last})"


_SHOWN_ANYWAY = ("when", "persona", "provider", "turns", "ending", "name")


def _print(shown: list[tuple[RunSummary, str]], order: str | None) -> None:
    key = (order or "").removeprefix("-")
    extra = [key] if key and key not in _SHOWN_ANYWAY else []
    rows: list[list[str]] = [
        ["WHEN", "PERSONA → PROVIDER", "TURNS", "ENDING", *map(str.upper, extra), "LOG"]
    ]
    for run, name in shown:
        who = f"{run.persona} → {run.provider}" if run.persona else "?"
        turns = "?" if run.turns is None else str(run.turns)
        state = f"damaged: {run.damaged}" if run.damaged else run.state
        tags = f" #{' #'.join(run.tags)}" if run.tags else ""
        figures = [_figure(run, column) for column in extra]
        when = _when(run).strftime("%Y-%m-%d %H:%M")
        rows.append([when, who, turns, state, *figures, name + tags])
    table(rows)


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
        return "?"
    if key == "written":
        return datetime.fromtimestamp(value).strftime("%Y-%m-%d %H:%M")
    if key == "cost":
        return f"${value:,.4f}"
    return f"{value:,.1f} s" if key in ("duration", "latency") else f"{value:,.0f}"


def _when(run: RunSummary) -> datetime:
    """When a run began, in local time; if unknown, when its file was written."""
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
    from convtui.records.codec import TerminationKind

    known = (*get_args(TerminationKind), "running", "crashed", "damaged")
    if kind not in known:
        hint = did_you_mean(kind, known) or f"; known are {', '.join(known)}"
        raise UsageError(f"--ended {kind}: there is no such ending{hint}")


def as_json(run: RunSummary) -> dict[str, Any]:
    """A run as plain data; unknown values are None."""
    return {
        "id": run.id,
        "name": run.name,
        "log": str(run.path.absolute()),
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
