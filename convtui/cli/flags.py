"""The flags that `debug` and `run` share, and of which `batch` has most."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

import click

from convtui.cli.common import Choice

Command = TypeVar("Command", bound=Callable[..., Any])

_FLAGS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "task": click.option("--task", metavar="ID", help="Which task of a waza eval."),
    "provider": click.option(
        "--provider", metavar="SPEC", help="demo, openai/gpt-4o, file.py:Name, ..."
    ),
    "persona": click.option(
        "--persona", metavar="SPEC", help="A built-in name, a YAML file, table.tsv:Name."
    ),
    "persona-template": click.option(
        "--persona-template", metavar="FILE", help="Makes a table's row into a prompt."
    ),
    "persona-context-template": click.option(
        "--persona-context-template", metavar="FILE", help="Fills its {persona_context} first."
    ),
    "persona-reminder": click.option(
        "--persona-reminder", metavar="FILE", help="Put before the last message."
    ),
    "model": click.option("--model", metavar="MODEL", help="Given to providers that take a model."),
    "user-model": click.option(
        "--user-model", metavar="MODEL", help="The model of the simulated user."
    ),
    "api-base": click.option(
        "--api-base", metavar="URL", help="The endpoint of the provider's model."
    ),
    "user-api-base": click.option(
        "--user-api-base", metavar="URL", help="The endpoint of the user's model."
    ),
    "sessions": click.option("--sessions", metavar="A,B", help="Session types, in order."),
    "max-turns": click.option(
        "--max-turns", type=int, metavar="N", help="Turns of both sides in a session."
    ),
    "max-total-words": click.option(
        "--max-total-words", type=int, metavar="N", help="Words of both sides."
    ),
    "max-tool-rounds": click.option(
        "--max-tool-rounds", type=int, metavar="N", help="Rounds of tools in a turn."
    ),
    "persona-speaks-first": click.option(
        "--persona-speaks-first", is_flag=True, help="The simulated user begins."
    ),
    "provider-speaks-first": click.option(
        "--provider-speaks-first", is_flag=True, help="The provider begins."
    ),
    "warm": click.option("--warm", metavar="NAME", help="A warm-session template."),
    "budget-tokens": click.option(
        "--budget-tokens", type=int, metavar="N", help="Tokens of both sides."
    ),
    "budget-cost": click.option(
        "--budget-cost", type=float, metavar="USD", help="Cost of both sides."
    ),
    "set": click.option(
        "--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any scenario key."
    ),
    "break": click.option(
        "--break",
        "break_",
        multiple=True,
        metavar="FILTER",
        help="A breakpoint; 'once: ~end', 'skip 2: ~signal'.",
    ),
    "out": click.option("--out", metavar="DIR", help="Where the log goes."),
    "resume": click.option("--resume", metavar="LOG", help="Go on where a saved run stopped."),
    "trust": click.option(
        "--trust", is_flag=True, help="Run what the log names, whoever wrote it."
    ),
    "python": click.option(
        "--python", metavar="PATH", help="The interpreter with the provider's packages."
    ),
    "env-file": click.option("--env-file", metavar="FILE", help="KEY=value lines for the engine."),
    "wire": click.option("--wire", type=Choice(["recent", "all", "off"]), help="HTTP to keep."),
}


def scenario_flags(command: Command) -> Command:
    """Adds the scenario argument and the common flags to a command.

    The argument is a scenario, or a waza task or eval.
    """
    command = common_flags()(command)
    return click.argument("scenario", required=False, metavar="[SCENARIO]")(command)


def common_flags(*, but: Collection[str] = ()) -> Callable[[Command], Command]:
    """Adds the common flags to a command, but for those whose names are listed."""

    def add(command: Command) -> Command:
        for name, flag in reversed(list(_FLAGS.items())):
            if name not in but:
                command = flag(command)
        return command

    return add
