"""The flags of `convtui batch`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from convtui.cli.common import Choice, json_flag, theme_flag
from convtui.cli.flags import common_flags
from convtui.cli.remote import env_flag, on_flag

Command = TypeVar("Command", bound=Callable[..., Any])

_OTHERWISE: Final = (
    "provider", "persona", "sessions", "budget-tokens", "budget-cost", "break", "out", "resume",
    "trust",
)  # fmt: skip
"""Flags of a single run that mean something else for many, or nothing."""

_PLAN: Final = (
    click.option("--persona", multiple=True, metavar="SPEC",
                 help="In place of the plan's; repeat it, personas/*.yaml, people.tsv:*."),
    click.option("--provider", multiple=True, metavar="SPEC",
                 help="In place of the plan's; repeat it to compare several."),
    click.option("--sessions", multiple=True, metavar="A,B",
                 help="Session types, in order; repeat it for several lists."),
    click.option("--runs", type=int, metavar="N", help="Conversations of each cell."),
    click.option("--concurrency", metavar="N|auto", help="Conversations at once."),
    click.option("--workers", type=int, metavar="N",
                 help="Processes; as many as there are cores when left out."),
    click.option("--order", type=Choice(["mixed", "listed"]),
                 help="mixed spreads the cells, listed goes through them."),
    click.option("--isolation", type=Choice(["worker", "process"]),
                 help="process: each conversation has a process of its own."),
    click.option("--break", "break_", multiple=True, metavar="FILTER",
                 help="Holds the conversations that it matches."),
    click.option("--on-pause", type=Choice(["end", "continue"]),
                 help="Without a screen: what follows where a conversation would wait."),
    click.option("--budget-tokens", type=int, metavar="N", help="Tokens of the whole batch."),
    click.option("--budget-cost", type=float, metavar="USD", help="Cost of the whole batch."),
    click.option("--stop-after", type=int, metavar="N",
                 help="Starts no more conversations after N that failed."),
    click.option("--attempts", type=int, metavar="N",
                 help="Tries a conversation that ends badly again, N times in all."),
)  # fmt: skip
_HOW: Final = (
    on_flag,
    env_flag,
    click.option("--out", metavar="DIR", help="Where the batch's folder goes."),
    click.option("--new", "anew", is_flag=True,
                 help="Begins a new batch, also where one of this plan is unfinished."),
    click.option("--rerun", metavar="WHICH",
                 help="Runs conversations that have ended again: failed, bad (all that went wrong),"
                      " or a FILTER."),
    click.option("-y", "--yes", "agreed", is_flag=True, help="Goes on after a plan was changed."),
    click.option("--speed", type=click.FloatRange(0, 1000), metavar="X",
                 help="How fast the demo speaks: 1 is a person's pace, 0 at once."),
    click.option("--dry-run", is_flag=True,
                 help="Lists the cells, their calls and what they may cost; runs nothing."),
    click.option("--tui/--no-tui", "tui", default=None,
                 help="With or without the screen; by default with one on a terminal."),
    click.option("--against", metavar="BATCH", help="Compares with an earlier batch."),
    click.option("--junit", metavar="FILE", help="Writes a JUnit file, a case a conversation."),
    click.option("--report", metavar="FILE.html", help="Writes the results as a page."),
    click.option("--plain", is_flag=True, help="The results in sentences, without columns."),
    json_flag,
    theme_flag,
)  # fmt: skip


def batch_flags(command: Command) -> Command:
    """Adds the flags of a batch to a command: the plan's, the scenario's, and how it is run."""
    for flag in reversed(_HOW):
        command = flag(command)
    command = common_flags(but=_OTHERWISE)(command)
    for flag in reversed(_PLAN):
        command = flag(command)
    return command
