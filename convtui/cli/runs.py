"""`convtui runs`: lists, searches, tags and deletes saved runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click

from convtui.cli.common import example, json_flag, say, settings
from convtui.cli.runs_list import print_rows, print_runs_json, when
from convtui.errors import FileError, LogError, UsageError, did_you_mean
from convtui.files.collecting import uncollected
from convtui.files.regular import is_dir

if TYPE_CHECKING:
    from convtui.cli.runs_batches import FoundBatch
    from convtui.filters.filter import Filter
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
        "convtui runs 20261130T0630 '~fault provider'",
    ),
)
@click.argument("arguments", nargs=-1, metavar="[FILTER|LOG|BATCH...]")
@click.option("--name", metavar="TEXT", help="Words in the name, persona, provider, ending or tag.")
@click.option("--since", metavar="WHEN", help="A day (2026-01-31, today) or 7d, 12h.")
@click.option("--ended", metavar="KIND", help="How it ended; also running, crashed, damaged.")
@click.option(
    "--sort",
    "order",
    metavar="KEY",
    help="when, written, name, persona, provider, ending, turns, sessions, discarded, duration,"
    " tokens, cost, latency or size; with a - before it the most first. Else -when.",
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

    They are sorted by when they began; `last` is the first. A run and its branches (rewound,
    reloaded, resumed, ...) are one row; --all and --tree show all. So is a batch, which a FILTER
    finds by its conversations; with BATCH, only those are listed. With --tag, --untag or --trash
    what is found is changed; LOG names single runs, BATCH a whole one: a batch is never changed
    for a few of its conversations.
    """
    if every and tree:
        raise UsageError("--all and --tree exclude each other: --tree shows all runs")
    lists = {"--sort": order, "--limit": limit, "--all": every, "--tree": tree}
    selects = {"--name": name, "--since": since, "--ended": ended}
    changes = {"--tag": tags, "--untag": untags, "--trash": trash, "--trashed": trashed,
               "--restore": restore}  # fmt: skip
    chosen = [flag for flag, given in changes.items() if given]
    if chosen:
        _check(chosen, lists, selects, arguments)
    if yes and not trash:
        raise UsageError("--yes answers the question of --trash: without it, nothing is asked")
    # All that is made for a list is kept until it is printed.
    click.get_current_context().with_resource(uncollected())
    config = settings(out_dir=out)
    if trashed or restore:
        from convtui.cli.runs_change import list_trash, restore_runs

        if restore:
            return restore_runs(config.paths.trash_dir, arguments, as_json=as_json)
        return list_trash(config.paths.trash_dir, as_json=as_json)
    from convtui.library.run_order import NEWEST

    _check_folder(config.runs_dir)
    order = order or NEWEST
    wanted = Selection.of(config.runs_dir, arguments, name, since, ended, changes=bool(chosen))
    matches, everything = wanted.find(order)
    if chosen:
        matches += wanted.batch_rows()
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
    batches = wanted.find_batches(deep=tree)
    if as_json:
        print_runs_json(matches, everything, batches=batches, tree=tree, limit=limit)
        return 0
    if not matches and not batches:
        what = "no run matches" if everything else "no saved runs yet; `convtui demo` makes one"
        folder = wanted.library.folder
        say(f"{what} ({folder}{'' if is_dir(folder) else ': there is no such folder'})")
        return 0
    print_rows(matches, everything, order, limit, batches=batches, every=every, tree=tree)
    return 0


def _check_folder(folder: Path) -> None:
    """Raises `FileError` for what is no folder, or cannot be read. One that is missing is empty."""
    try:
        with os.scandir(folder):
            pass
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        raise FileError(f"{folder}: this is a file; runs are saved in a folder") from None
    except OSError as error:
        raise FileError(f"{folder}: cannot be read: {error.strerror}") from None


def _check(
    chosen: list[str],
    lists: Mapping[str, object],
    selects: Mapping[str, object],
    arguments: tuple[str, ...],
) -> None:
    """Refuses changes that exclude each other, and flags that do nothing beside them."""
    if len(chosen) > 1 and set(chosen) != {"--tag", "--untag"}:
        raise UsageError(f"{' and '.join(chosen)} exclude each other")
    change = chosen[0]
    flags, why = dict(lists), "everything that is found is changed"
    if change == "--trashed":
        flags |= {**selects, "an argument": arguments}
        why = "the whole trash is listed"
    elif change == "--restore":
        flags |= selects
        why = "name the logs to put back"
    idle = next((flag for flag, given in flags.items() if given), None)
    if idle is not None:
        raise UsageError(f"{idle} does nothing with {change}: {why}")


@dataclass(slots=True)
class Selection:
    """The runs that the command line selects, and their library."""

    library: Library
    logs: list[Path]
    filter_: Filter | None
    name: str | None
    since: datetime | None
    ended: str | None
    batches: list[Path]
    """Batches that are named, to be changed; one that is named to be listed is the library."""

    @classmethod
    def of(
        cls,
        folder: Path,
        arguments: tuple[str, ...],
        name: str | None,
        since: str | None,
        ended: str | None,
        *,
        changes: bool,
    ) -> Selection:
        """Reads the command line's arguments; `changes` says whether what they name is changed.

        Raises `UsageError` and `FilterError`.
        """
        from convtui.batch.listing import names_batch
        from convtui.library.library import Library

        inside = {argument: names_batch(argument, [folder]) for argument in arguments}
        batches = [path for path in inside.values() if path is not None]
        arguments = tuple(argument for argument in arguments if inside[argument] is None)
        if batches and not changes:
            if len(batches) > 1:
                raise UsageError(
                    f"{batches[1].name}: conversations are listed of one batch at a time;"
                    " `convtui batch A --against B` compares two"
                )
            folder, batches = batches[0], []
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
        if batches and (filters or any(flag is not None for flag in (name, since, ended))):
            raise UsageError(
                f"{batches[0].name}: a batch is changed as a whole: leave out what selects some of"
                " its conversations"
            )
        filter_ = _parsed(filters[0]) if filters else None
        return cls(Library(folder), logs, filter_, name, after, ended, batches)

    @property
    def everything(self) -> bool:
        """Whether it selects all runs."""
        chosen = (self.filter_, self.name, self.since, self.ended)
        named = self.logs or self.batches
        return not named and all(value is None for value in chosen)

    def batch_rows(self) -> list[RunSummary]:
        """The batches that are named."""
        from convtui.batch.listing import batch_row

        return [batch_row(folder) for folder in self.batches]

    def find_batches(self, *, deep: bool) -> list[FoundBatch]:
        """The batches that are listed among the runs; `deep` reads all their conversations."""
        if self.logs:
            return []
        from convtui.cli.progress import Bar
        from convtui.cli.runs_batches import find_batches

        bar = Bar("reading batches")
        try:
            return find_batches(
                self.library,
                wanted=self._is_wanted,
                filter_=self.filter_,
                everything=self.everything,
                deep=deep,
                progress=bar,
            )
        finally:
            bar.close()

    def find(self, order: str) -> tuple[list[RunSummary], list[RunSummary]]:
        """The selected runs and all runs, in `order`; named logs in the order given."""
        from convtui.cli.progress import Bar
        from convtui.library.run_order import parse_order, sort_runs
        from convtui.log.run_summary import summarise

        parse_order(order)
        filter_ = self.filter_
        bar = Bar("reading runs")
        try:
            about_turns = filter_ is not None and filter_.about_turns
            everything = sort_runs(self.library.runs(turns=about_turns, progress=bar), order)
            matches = [] if self.batches and not self.logs else everything
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
            and (self.since is None or when(run) >= self.since)
            and (self.ended is None or run.state == _kind(self.ended))
        )


def _parsed(expression: str) -> Filter:
    from convtui.filters.filter import parse

    return parse(expression)


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


def _kind(text: str) -> str:
    """A kind of ending as logs have it: `turn limit`, as the list says it, is `max_turns`."""
    from convtui.records.codec import TerminationKind
    from convtui.transcript.ending_words import short_ending

    words = text.strip().casefold().replace("_", " ").replace("-", " ")
    kinds = {short_ending(kind): kind for kind in get_args(TerminationKind)}
    return kinds.get(words) or words.replace(" ", "_")


_OF_BATCHES: Final = ("finished", "stopped", "unfinished")


def _known_ending(kind: str) -> None:
    from convtui.records.codec import TerminationKind

    known = (*get_args(TerminationKind), "running", "crashed", "damaged", *_OF_BATCHES)
    if _kind(kind) not in known:
        hint = did_you_mean(kind, known) or f"; known are {', '.join(known)}"
        raise UsageError(f"--ended {kind}: there is no such ending{hint}")
