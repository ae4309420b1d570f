"""`convtui compare`: two runs or branches side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convtui.cli.common import (
    begin_screen,
    example,
    has_screen,
    json_flag,
    no_screen,
    print_json,
    report_printer,
    settings,
    theme_flag,
)
from convtui.cli.compare_arms import MARK, print_arms
from convtui.cli.logs import log_named
from convtui.errors import UsageError


class _Compare(click.Command):
    """Keeps the `--` between two arms, which click would drop."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--ab" in args and "--" in args:
            index = args.index("--")
            args = [*args[:index], MARK, *args[index + 1 :]]
        return super().parse_args(ctx, args)


@click.command(
    "compare",
    cls=_Compare,
    epilog=example(
        "convtui compare before.jsonl after.jsonl",
        "convtui compare run.jsonl branch.jsonl --tui",
        "convtui compare a.jsonl b.jsonl --json | jq .first",
        "convtui compare --ab warm/*.jsonl -- cold/*.jsonl",
        "convtui compare --ab --runs 5 scenario.yaml --warm billing",
    ),
)
@click.argument("logs", nargs=-1, metavar="A B")
@click.option("--plain", is_flag=True, help="A line for each turn, no columns and no colour.")
@click.option("--tui", is_flag=True, help="On the screen: both side by side.")
@theme_flag
@click.option("--ab", is_flag=True, help="Arms of many runs: `--ab WARM... -- COLD...`.")
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Makes the runs of both arms itself: of a scenario with and without --warm, or of two.",
)
@click.option("--warm", metavar="NAME", help="With --runs: the template of the first arm.")
@click.option("--provider", metavar="SPEC", help="With --runs: as in `convtui run`.")
@click.option("--persona", metavar="SPEC", help="With --runs: as in `convtui run`.")
@click.option("--set", "set_", multiple=True, metavar="KEY=VALUE",
              help="With --runs: any scenario key.")  # fmt: skip
@click.option("--out", metavar="DIR", help="With --runs: where the logs go.")
@click.option("--trust", is_flag=True, help="With --runs: as in `convtui run`.")
@click.option("--python", metavar="PATH", help="With --runs: as in `convtui run`.")
@click.option("--env-file", metavar="FILE", help="With --runs: as in `convtui run`.")
@click.option("--test-name", metavar="TEXT", default="", help="With --ab: what it is called.")
@json_flag
def command(
    *,
    logs: tuple[str, ...],
    plain: bool,
    tui: bool,
    theme: str | None,
    ab: bool,
    runs: int | None,
    test_name: str,
    as_json: bool,
    **flags: Any,
) -> int:
    """Compares two runs, or two branches of one: turn by turn, with the words that differ.

    Exit code 1 when they differ in what was said or in what happened, 0 when not: texts, raw
    replies, signals, discards, decisions, tools, errors, endings. Times, tokens and cost are shown
    and are no difference.

    With --ab, many runs against many: tool errors of warm runs (A) against cold ones (B), logs or
    folders of logs, with an interval of the difference; endings, turns, latency and tokens of both.
    No verdict where the interval includes 0 or an arm has one run only. Exit code 1 when the warm
    runs are worse; with --runs also 3 when a conversation failed.
    """
    if theme is not None and not tui:
        raise UsageError("--theme is for --tui")
    if ab:
        if tui:
            raise UsageError("--tui shows two logs side by side; --ab prints")
        return print_arms(logs, flags, runs, name=test_name, as_json=as_json, plain=plain)
    if runs is not None or any(flags.values()) or test_name:
        raise UsageError("--runs and what belongs to it need --ab")
    if len(logs) < 2:
        raise click.UsageError(f"Missing argument '{'B' if logs else 'A'}'.")
    if len(logs) > 2:
        raise UsageError("two logs are compared; for two arms of many: --ab WARM... -- COLD...")
    if as_json + plain + tui > 1:
        raise UsageError("--json, --plain and --tui exclude each other")
    log_a, log_b = (log_named(log) for log in logs)
    if tui:
        code = _on_screen(log_a, log_b, theme)
        if code is not None:
            return code
    return _print(log_a, log_b, as_json=as_json, plain=plain)


def _on_screen(log_a: str, log_b: str, theme: str | None) -> int | None:
    """Compares on the screen; returns the exit code, or None if there is no terminal."""
    from convtui.log.reader import LogReader

    # A file that is no log is reported before the screen opens.
    for log in (log_a, log_b):
        LogReader(log).close()
    if not has_screen():
        no_screen("the comparison is printed")
        return None
    begin_screen()
    from convtui.tui.launch import run_compare

    return run_compare(Path(log_a), Path(log_b), config=settings(theme=theme))


def _print(log_a: str, log_b: str, *, as_json: bool, plain: bool) -> int:
    from convtui.analysis.compare.comparison import compare_logs

    comparison = compare_logs(log_a, log_b)
    if as_json:
        from convtui.analysis.compare.data import as_dict

        print_json(as_dict(comparison))
    else:
        from convtui.analysis.compare.report import comparison_report, turn_report

        if plain:
            report_printer().print_sentences(turn_report(comparison))
        else:
            report_printer(settings().color).print(comparison_report(comparison))
    return 0 if comparison.same else 1
