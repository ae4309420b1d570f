"""`convtui rehook`: a provider's hooks again over what was recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convtui.cli.common import (
    example,
    json_flag,
    print_json,
    report_printer,
    say,
    settings,
)
from convtui.cli.logs import logs_named
from convtui.cli.progress import Bar
from convtui.cli.remote import check_remote, env_flag, on_flag
from convtui.errors import EngineError, UsageError
from convtui.files.regular import is_dir

if TYPE_CHECKING:
    from convtui.analysis.rehook.report import RehookReport
    from convtui.analysis.rehook.sources import Source
    from convtui.protocol import StartSpec


@click.command(
    "rehook",
    epilog=example(
        "convtui rehook runs/ --provider my_provider.py:Bot",
        "convtui rehook last --provider my_provider.py:Bot --diff",
        "convtui rehook runs/ --provider my_provider.py:Bot --only '~signal' --junit rehook.xml",
    ),
)
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--provider", metavar="SPEC", help="Whose hooks: file.py:Name, package.module:Name.")
@click.option("--diff", is_flag=True, help="Below each change the words that differ.")
@click.option("--only", default="", metavar="FILTER", help="Only turns that match.")
@click.option("--own", is_flag=True, help="Without what branches have from their parents.")
@click.option("--junit", metavar="FILE", help="A report in JUnit XML, for CI.")
@click.option("--setup", is_flag=True, help="Call setup() before the first hook.")
@click.option("--timeout", type=float, default=10.0, metavar="SECONDS", show_default=True,
              help="How long a hook may take.")  # fmt: skip
@click.option("--set", "set_", multiple=True, metavar="KEY=VALUE",
              help="Any scenario key, as provider.options.key=value.")  # fmt: skip
@click.option("--python", metavar="PATH", help="The interpreter with the provider's packages.")
@click.option("--env-file", metavar="FILE", help="KEY=value lines for the engine.")
@on_flag
@env_flag
@json_flag
def command(
    *,
    logs: tuple[str, ...],
    provider: str | None,
    diff: bool,
    only: str,
    own: bool,
    junit: str | None,
    setup: bool,
    timeout: float,
    set_: tuple[str, ...],
    python: str | None,
    env_file: str | None,
    on: str | None,
    env: tuple[str, ...],
    as_json: bool,
) -> int:
    """Runs a provider's hooks over the raw replies of saved runs; no model is called.

    LOG is a log or a folder of logs. What a branch has from its parents is read in their logs, up
    to where it continues them; each reply counts once, also where a parent is named as well. Only
    the provider's replies are run again, with the rules of each log's scenario; the simulated
    user's are not. What comes after the first change of a session is marked: said after that, it
    might never have been. Only the code that --provider names is loaded, never what a log names.

    Exit code 0 when nothing changed, 1 when something did, 2 when it could not be found out, 130
    when ctrl+c stopped it; what was done by then is told.
    """
    if not provider:
        raise UsageError("whose hooks? write --provider file.py:Name")
    if timeout <= 0:
        raise UsageError("--timeout must be more than 0 seconds")
    check_remote(on, env, python)
    start, interpreter = _start(provider, set_, python, env_file)
    _check_filter(only)
    paths = _paths(logs)
    if not paths:
        say("convtui: no logs there: nothing to rehook")
    from convtui.analysis.rehook.rehook_process import Rehooked
    from convtui.analysis.rehook.report import Pace, RehookReport
    from convtui.analysis.rehook.sources import sources_of

    sources = sources_of(paths, own=own)
    bar, pace = Bar(), Pace(len(sources))
    result = Rehooked(sources)
    interrupted = False
    try:
        how: dict[str, Any] = {
            "only": only,
            "setup": setup,
            "timeout": timeout,
            "progress": lambda done, replies: bar(done, len(sources), pace(done, replies)),
            "into": result,
        }
        _rehook(start, sources, how, python=interpreter, on=on, env=env)
    except EngineError as error:
        error.exit_code = 2
        raise
    except KeyboardInterrupt:
        interrupted = True
        result.interrupted()
    finally:
        bar.close()
    report = RehookReport(result)
    if junit is not None:
        from convtui.analysis.rehook.junit import write_junit

        write_junit(report, Path(junit))
    _notes(report)
    if as_json:
        print_json(report.as_dict())
    else:
        report_printer(settings().color).print(report.report(diff=diff))
    if interrupted:
        return 130
    return 0 if report.same else 1


def _rehook(
    start: StartSpec,
    sources: Sequence[Source],
    how: Mapping[str, Any],
    *,
    python: str | None,
    on: str | None,
    env: Sequence[str],
) -> None:
    """Runs the hooks, in engines on this machine or on a cluster."""
    if on is None:
        from convtui.analysis.rehook.rehook_process import rehook_logs

        asyncio.run(rehook_logs(start, sources, python=python, **how))
        return
    from convtui.batch.ray.maps import connected, rehook_on
    from convtui.scenario.scenario import Scenario

    scenario = Scenario.from_public(start.scenario)
    with connected(on, scenario, env=env, env_file=start.env_file) as cluster:
        rehook_on(cluster, start, sources, **how)


def _start(
    provider: str, set_: Sequence[str], python: str | None, env_file: str | None
) -> tuple[StartSpec, str | None]:
    from convtui.analysis.rehook.rehook_process import start_for
    from convtui.cli.run_settings import interpreter

    config = settings(python=interpreter(python), env_file=env_file)
    return start_for(provider, set_=set_, env_file=config.env_file), config.python


def _check_filter(expression: str) -> None:
    if expression:
        from convtui.filters.filter import parse

        parse(expression)


def _paths(logs: Sequence[str]) -> list[Path]:
    """The named logs, and those in folders sorted by name. Raises `LogError` for other files."""
    from convtui.batch.listing import logs_in
    from convtui.log.reader import LogReader

    paths: list[Path] = []
    for log in logs_named(logs):
        path = Path(log)
        if is_dir(path):
            paths += logs_in(path)
        else:
            LogReader(path).close()
            paths.append(path)
    return list(dict.fromkeys(paths))


def _notes(report: RehookReport) -> None:
    """Prints the notes of a report on standard error."""
    for note in report.notes():
        say(f"convtui: {note}")
    if report.result.stopped:
        say(f"convtui: {report.result.stopped}")
