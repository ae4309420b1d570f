"""`convtui show`: prints a log."""

from __future__ import annotations

import sys

import click

from convtui.cli.common import example, json_flag, print_json, say, settings, use_color
from convtui.cli.logs import log_named
from convtui.errors import UsageError


@click.command(
    "show",
    epilog=example(
        "convtui show run.jsonl",
        "convtui show run.jsonl --plain | grep discarded",
        "convtui show run.jsonl --json | jq .termination",
    ),
)
@click.argument("log")
@click.option("--plain", is_flag=True, help="No columns, colour or wrapping: for pipes, readers.")
@click.option("--debug", is_flag=True, help="A line for every hook and call, on standard error.")
@json_flag
def command(log: str, plain: bool, debug: bool, as_json: bool) -> int:
    """Prints a log: its sessions, its turns, why they ended, and what was used.

    Damage is named on standard error; what can be read is shown. A log that is still being written
    is shown as far as it has got.
    """
    if as_json and plain:
        raise UsageError("--json and --plain exclude each other")
    return show_log(log, plain=plain, debug=debug, as_json=as_json)


def show_log(path: str, *, plain: bool = False, debug: bool = False, as_json: bool = False) -> int:
    """Prints a log as `convtui show` does; returns the exit code. Raises `LogError`."""
    from convtui.log.parents import parent_problem
    from convtui.log.reader import open_log
    from convtui.printing.logs import folded, print_findings, print_log
    from convtui.printing.wording import terminal_width

    with open_log(log_named(path)) as log:
        problem = parent_problem(log.transcript.header, log.path)
        if problem:
            say(f"{problem}; what was said before this log began is shown, its raw replies are not")
        if as_json:
            print_json(folded(log))
            print_findings(log, sys.stderr)
            return 0
        color = use_color(sys.stdout, settings().color, plain=plain)
        width = terminal_width(sys.stdout)
        print_log(log, sys.stdout, sys.stderr, width=width, color=color, plain=plain, debug=debug)
    return 0
