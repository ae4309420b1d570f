"""The flags of commands that can have their work done on the nodes of a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import click

from convtui.errors import UsageError

LOCAL: Final = "local"
_ADDRESS: Final = re.compile(r"local|ray|ray://[^/\s]+")


def _checked(_ctx: click.Context, _param: click.Parameter, value: str) -> str | None:
    if not _ADDRESS.fullmatch(value):
        raise click.BadParameter(f"{value!r} is none of local, ray and ray://HOST:PORT")
    return None if value == LOCAL else value


def on_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--on`: None for this machine, else the address of a cluster."""
    option = click.option(
        "--on",
        default=LOCAL,
        metavar="local|ray|ray://HOST:PORT",
        callback=_checked,
        help="Where: ray starts a cluster here, ray:// uses one.",
    )
    return option(command)


def env_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--env`: the names of the variables that go to the nodes."""
    option = click.option(
        "--env",
        multiple=True,
        metavar="NAME",
        help="With --on: a variable that nodes get, such as a key.",
    )
    return option(command)


def check_remote(on: str | None, env: Sequence[str], python: str | None) -> None:
    """Raises `UsageError` for flags that mean nothing where the work is done."""
    if on is None and env:
        raise UsageError("--env is for --on ray: on this machine all variables are there")
    if on is not None and python is not None:
        raise UsageError("--python is for processes on this machine: nodes have their own")
