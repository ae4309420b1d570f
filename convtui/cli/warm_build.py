"""`convtui warm build`: a template of the tool calls that worked in saved runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convtui.cli.common import example, json_flag, print_json, report_printer, say, settings
from convtui.cli.logs import logs_named
from convtui.cli.progress import Bar
from convtui.errors import FileError, LogError, UsageError
from convtui.files.regular import is_dir

if TYPE_CHECKING:
    from convtui.warm.store import WarmStore


def user_store() -> WarmStore:
    """The user's templates."""
    from convtui.warm.store import WarmStore

    return WarmStore(settings().paths.warm_dir)


@click.command(
    "build",
    short_help="Make a template of saved runs.",
    epilog=example(
        "convtui warm build refunds",
        "convtui warm build refunds runs/ --source hermes --min-messages 10",
        "convtui warm build refunds --filter '~provider desk & ~tool' --ended completed,max_turns",
    ),
)
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[LOG...] [FILTER]")
@click.option("--filter", "filter_", metavar="FILTER", help="Only runs that it finds.")
@click.option(
    "--min-messages",
    type=click.IntRange(0),
    default=30,
    show_default=True,
    metavar="N",
    help="Of a run: turns, calls of tools and their results.",
)
@click.option(
    "--max-sessions",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    metavar="N",
    help="Runs that are used, of those that pass.",
)
@click.option("--source", metavar="NAME", help="run, import, hermes, cli, telegram, ...")
@click.option("--ended", metavar="KIND[,KIND]", help="How the runs ended.")
@click.option(
    "--max-error-rate",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="R",
    help="Of a run's calls whose outcome is known.",
)
@click.option(
    "--min-success-rate",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    metavar="R",
    help="Of a tool, in a run.",
)
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="A tag; may be repeated.")
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@click.option("--addendum", default="", metavar="TEXT", help="Added to the system prompt.")
@click.option("--force", is_flag=True, help="Replace a template of this name.")
@click.option("--out", metavar="DIR", help="Another folder of logs, where no LOG is named.")
@json_flag
def build(
    *,
    name: str,
    arguments: tuple[str, ...],
    filter_: str | None,
    min_messages: int,
    max_sessions: int,
    source: str | None,
    ended: str | None,
    max_error_rate: float,
    min_success_rate: float,
    tags: tuple[str, ...],
    description: str,
    addendum: str,
    force: bool,
    out: str | None,
    as_json: bool,
) -> int:
    """Makes a template NAME of the tool calls that worked in saved runs, the newest first.

    LOG is a log or a folder of logs; without one, all saved runs. A FILTER is one of `convtui
    runs`. Exit code 1, and nothing saved, where no call is left.
    """
    from convtui.analysis.mining.mining import Rules, mine
    from convtui.analysis.mining.report import mined_report, saved_verdict
    from convtui.secrets.redactor import Redactor

    store = user_store()
    if store.path(name).exists() and not force:
        raise FileError(
            f"there is a warm template {name!r} already ({store.path(name)}); --force replaces it"
        )
    rules = Rules(
        min_messages,
        max_sessions,
        (source or "").strip().lower(),
        tuple(kind.strip() for kind in (ended or "").split(",") if kind.strip()),
        max_error_rate,
        min_success_rate,
    )
    logs = _logs(arguments, filter_, out)
    bar = Bar("reading logs")
    try:
        redactor = Redactor.of_process()
        mined = mine(logs, rules, redactor, progress=lambda scanned: bar(scanned, len(logs)))
    finally:
        bar.close()
    path = None
    if mined.patterns:
        template = mined.template(name, description=description, tags=tags, addendum=addendum)
        path = store.save(template, force=force)
    why = mined.why_nothing(rules)
    verdict = saved_verdict(name, str(path or ""), why)
    if as_json:
        data = {**mined.metrics(), "unreliable": dict(mined.unreliable)}
        saved = str(path) if path is not None else None
        print_json({"name": name, "saved": saved, **data, **({"reason": why} if why else {})})
    else:
        report_printer().print(mined_report(mined))
        say(verdict.text)
    return 1 if path is None else 0


def _logs(arguments: Sequence[str], filter_: str | None, out: str | None) -> list[Path]:
    """The logs that the arguments select, the newest first. Raises `UsageError` and `LogError`."""
    from convtui.cli.profile import split_filter
    from convtui.filters.filter import parse
    from convtui.library.library import Library
    from convtui.log.run_summary import summarise

    named, last = split_filter(arguments, out)
    named = logs_named(named, out)
    if last is not None and filter_ is not None:
        raise UsageError(f"{last} and --filter {filter_}: give one filter, joined by &")
    expression = last if filter_ is None else filter_
    wanted = None if expression is None else parse(expression)
    folders = [Path(name) for name in named if is_dir(Path(name))]
    if not named:
        folders = [settings(out_dir=out).runs_dir]
    runs = []
    for folder in folders:
        library = Library(folder)
        saved = library.runs()
        runs += saved if wanted is None else library.search(wanted, saved)
    for name in named:
        if is_dir(Path(name)):
            continue
        run = summarise(Path(name))
        if run.damaged:
            raise LogError(f"{name}: {run.damaged}")
        runs += [run] if wanted is None else Library(run.path.parent).search(wanted, [run])
    newest = sorted(runs, key=lambda run: -run.when)
    return list(dict.fromkeys(run.path.absolute() for run in newest))
