"""`convtui serve`: the program in a browser on this machine."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from typing import Final

import click

from convtui.cli.common import echo, example, say, theme_flag
from convtui.errors import UsageError

_THIS_MACHINE: Final = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}


@click.command(
    "serve",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=example(
        "convtui serve", "convtui serve demo --speed 3", "convtui serve --port 8000 replay last"
    ),
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="By default a free one.")
@click.option("--host", default="127.0.0.1", help="127.0.0.1, ::1 or localhost.")
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=600,
    metavar="SECONDS",
    help="How long a program goes on without a page. Default 600.",
)
@theme_flag
@click.argument("command_line", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND [ARGS]...]")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    port: int,
    host: str,
    keep: int,
    theme: str | None,
    command_line: tuple[str, ...],
) -> int:
    """Serves the program to a browser on this machine.

    Prints the address; whoever has it can do all that you can do here, so keep it. What follows is
    what you would give to convtui in a terminal: nothing for the picker, or a command that has a
    screen. A page that is loaded again shows the same program. ctrl+c ends the server and every
    program.
    """
    if host not in _THIS_MACHINE:
        raise UsageError(
            f"--host {host}: only this machine is served (127.0.0.1, ::1 or localhost); "
            "from elsewhere use an SSH tunnel"
        )
    _check(ctx, command_line)
    if find_spec("textual_serve") is None or find_spec("aiohttp") is None:
        raise UsageError(
            "convtui serve needs textual-serve, which is not installed:"
            f" {sys.executable} -m pip install 'convtui[serve]'"
        )
    from convtui.serve.program import command_of
    from convtui.serve.server import listening, serve

    listener = listening(_THIS_MACHINE[host], port)
    chosen = ("--theme", theme) if theme is not None else ()

    def ready(address: str) -> None:
        echo(address)
        sys.stdout.flush()
        say("convtui: open this address in a browser; ctrl+c ends it")

    asyncio.run(
        serve(
            listener,
            command_of([*chosen, *command_line]),
            title=" ".join(["convtui", *command_line]),
            grace=keep,
            ready=ready,
            say=say,
        )
    )
    return 0


def _check(ctx: click.Context, command_line: tuple[str, ...]) -> None:
    """Raises what the command line itself would raise, before anything is served."""
    if not command_line:
        return
    root = ctx.find_root()
    commands = root.command
    assert isinstance(commands, click.Group)
    name, served, rest = commands.resolve_command(root, list(command_line))
    if served is None or name is None or all(flag.name != "theme" for flag in served.params):
        raise UsageError(f"`convtui {command_line[0]}` has no screen to serve: run it as it is")
    if name == ctx.info_name:
        raise UsageError("`convtui serve` cannot serve itself")
    served.make_context(name, rest, parent=root)
