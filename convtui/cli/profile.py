"""`convtui profile`: how reliable runs were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convtui.cli.common import example, json_flag, print_json, report_printer, say, settings
from convtui.cli.logs import log_named, log_or_filter, logs_named
from convtui.cli.progress import Bar
from convtui.cli.remote import on_flag
from convtui.errors import ConvtuiError, LogError, UsageError
from convtui.files.regular import exists, is_dir

if TYPE_CHECKING:
    from convtui.analysis.profile.profile import Profile, RunProfile
    from convtui.filters.filter import Filter
    from convtui.log.reader import Log


@click.command(
    "profile",
    epilog=example(
        "convtui profile run.jsonl",
        "convtui profile runs/ '~model gpt-4o'",
        "convtui profile '~date > 2026-01-31' --report profile.html",
    ),
)
@click.argument("arguments", nargs=-1, metavar="[LOG...] [FILTER]")
@click.option("--plain", is_flag=True, help="Lines that need no columns; plots in words.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Plots of ASCII signs.")
@click.option("--report", metavar="FILE", help="A page with tables and plots, whole in one file.")
@click.option("--out", metavar="DIR", help="Another folder of logs, where no LOG is named.")
@on_flag
@json_flag
def command(
    *,
    arguments: tuple[str, ...],
    plain: bool,
    ascii_only: bool,
    report: str | None,
    out: str | None,
    on: str | None,
    as_json: bool,
) -> int:
    """The reliability profile of saved runs together: tools, errors, early against late, times.

    LOG is a log or a folder of logs; without one, all saved runs. The FILTER is one of `convtui
    runs`. Of each tool call it is shown which rule says how it went: exit codes, flags and error
    fields of the result first, words in its text last. A call without a result is unknown, never
    a success. Early and late are the first and the last fifth of a run's calls; without enough
    calls there is no verdict, and it says why.
    """
    if as_json and plain:
        raise UsageError("--json and --plain exclude each other")
    from convtui.analysis.profile.data import as_dict
    from convtui.filters.filter import parse

    logs, expression = split_filter(arguments, out)
    logs = logs_named(logs, out)
    wanted = parse(expression) if expression is not None else None
    folder = settings(out_dir=out).runs_dir
    profile = read_profile(logs or ([str(folder)] if is_dir(folder) else []), wanted, on=on)
    if not profile.runs:
        what = "no run matches" if expression is not None else "no saved runs there"
        hint = "`convtui runs` lists them, `convtui demo` makes one"
        say(f"nothing to profile: {what} ({', '.join(logs) or folder}); {hint}")
        if as_json:
            print_json(as_dict(profile))
        return 0
    if report is not None:
        from convtui.analysis.profile.report import profile_page
        from convtui.analysis.report.html import write_html

        write_html(profile_page(profile), Path(report))
        say(report)
    if as_json:
        print_json(as_dict(profile))
        return 0
    from convtui.analysis.profile.report import profile_report

    if plain:
        report_printer().print_sentences(profile_report(profile))
    else:
        printer = report_printer(settings().color, ascii_only=ascii_only)
        printer.print(profile_report(profile))
    return 0


def split_filter(arguments: Sequence[str], out: str | None = None) -> tuple[list[str], str | None]:
    """The logs among the arguments, and the filter: the last argument, if it names no log.

    Raises `LogError` if the last argument looks like a path but does not exist.
    """
    logs = list(arguments)
    last = logs[-1] if logs else ""
    if not last or exists(Path(last)) or log_or_filter(last, out) is not None:
        return logs, None
    if last.endswith(".jsonl") or (len(last.split()) == 1 and ("/" in last or "\\" in last)):
        # Says what there is instead.
        log_named(last, out)
        raise LogError(f"{last}: there is no such log; `convtui runs` lists saved ones")
    return logs[:-1], last


def log_paths(logs: Sequence[str]) -> list[tuple[Path, bool]]:
    """Paths of logs, each with whether it is named itself: files in a folder may be no logs.

    Files beside logs (`*.wire.jsonl`, which a shell's `*` includes) are left out.
    """
    from convtui.batch.listing import logs_in

    paths: dict[Path, bool] = {}
    for log in logs_named(logs):
        path = Path(log)
        if is_dir(path):
            for file in logs_in(path):
                paths.setdefault(file, False)
        elif not path.name.endswith(_BESIDE):
            paths[path] = True
    return list(paths.items())


_BESIDE = (".wire.jsonl", ".notes.jsonl", ".tools.jsonl")


def read_profile(
    logs: Sequence[str], wanted: Filter | None = None, *, on: str | None = None
) -> Profile:
    """The profile of logs and of folders of logs, read here or on a cluster.

    Raises `LogError` if a named log cannot be opened; in a folder it is skipped, with a note on
    standard error.
    """
    from convtui.analysis.profile.profile import combine

    paths = dict(log_paths(logs))
    runs: list[RunProfile] = []
    bar = Bar("reading logs")
    try:
        done = _here(paths, wanted) if on is None else _on_cluster(on, paths, wanted)
        for number, (named, profile, problem) in enumerate(done, 1):
            bar(number, len(paths))
            if problem:
                if named:
                    raise LogError(problem)
                bar.close()
                say(f"convtui: left out: {problem}")
            elif profile is not None:
                runs.append(profile)
    finally:
        bar.close()
    return combine(runs)


_Read = tuple[bool, "RunProfile | None", str]
"""Whether a log is named itself, its profile where it matches, and why it cannot be opened."""


def _here(paths: Mapping[Path, bool], wanted: Filter | None) -> Iterator[_Read]:
    from convtui.analysis.profile.profile import profile_run
    from convtui.log.reader import open_log

    for path, named in paths.items():
        try:
            with open_log(path) as log:
                matches = wanted is None or _matches(log, wanted)
                yield named, profile_run(log) if matches else None, ""
        except LogError as error:
            yield named, None, str(error)


def _on_cluster(on: str, paths: Mapping[Path, bool], wanted: Filter | None) -> Iterator[_Read]:
    from convtui.batch.ray.maps import connected, profile_logs

    with connected(on) as cluster:
        read = profile_logs(cluster, list(paths), None if wanted is None else wanted.expression)
        for named, (_, profile, problem) in zip(paths.values(), read, strict=True):
            yield named, profile, problem


def _matches(log: Log, wanted: Filter) -> bool:
    """Whether a log matches, as in `convtui runs`: one turn that matches is enough."""
    from convtui.log.filter_lookup import log_matches

    try:
        return log_matches(log, wanted)
    except ConvtuiError:
        return False
