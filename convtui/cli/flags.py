"""The flags that `debug` and `run` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from convtui.cli.common import Choice

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS: Final = (
    click.option("--task", metavar="ID", help="Which task of a waza eval."),
    click.option("--provider", metavar="SPEC", help="demo, openai/gpt-4o, file.py:Name, ..."),
    click.option("--persona", metavar="SPEC", help="A built-in name, a YAML file, table.tsv:Name."),
    click.option("--persona-template", metavar="FILE", help="Makes a table's row into a prompt."),
    click.option(
        "--persona-context-template", metavar="FILE", help="Fills its {persona_context} first."
    ),
    click.option("--persona-reminder", metavar="FILE", help="Put before the last message."),
    click.option("--model", metavar="MODEL", help="Given to providers that take a model."),
    click.option("--user-model", metavar="MODEL", help="The model of the simulated user."),
    click.option("--api-base", metavar="URL", help="The endpoint of the provider's model."),
    click.option("--user-api-base", metavar="URL", help="The endpoint of the user's model."),
    click.option("--sessions", metavar="A,B", help="Session types, in order."),
    click.option("--max-turns", type=int, metavar="N", help="Turns of both sides in a session."),
    click.option("--max-total-words", type=int, metavar="N", help="Words of both sides."),
    click.option("--max-tool-rounds", type=int, metavar="N", help="Rounds of tools in a turn."),
    click.option("--persona-speaks-first", is_flag=True, help="The simulated user begins."),
    click.option("--provider-speaks-first", is_flag=True, help="The provider begins."),
    click.option("--warm", metavar="NAME", help="A warm-session template."),
    click.option("--budget-tokens", type=int, metavar="N", help="Tokens of both sides."),
    click.option("--budget-cost", type=float, metavar="USD", help="Cost of both sides."),
    click.option("--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any scenario key."),
    click.option(
        "--break",
        "break_",
        multiple=True,
        metavar="FILTER",
        help="A breakpoint; 'once: ~end', 'skip 2: ~signal'.",
    ),
    click.option("--out", metavar="DIR", help="Where the log goes."),
    click.option("--resume", metavar="LOG", help="Go on where a saved run stopped."),
    click.option("--trust", is_flag=True, help="Run what the log names, whoever wrote it."),
    click.option("--python", metavar="PATH", help="The interpreter with the provider's packages."),
    click.option("--env-file", metavar="FILE", help="KEY=value lines for the engine."),
    click.option("--wire", type=Choice(["recent", "all", "off"]), help="HTTP to keep."),
)


def scenario_flags(command: Command) -> Command:
    """Adds the scenario argument and the common flags to a command.

    The argument is a scenario, or a waza task or eval.
    """
    for flag in reversed(_FLAGS):
        command = flag(command)
    return click.argument("scenario", required=False, metavar="[SCENARIO]")(command)
