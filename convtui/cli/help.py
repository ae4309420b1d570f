"""`convtui help`: the pages of the manual."""

from __future__ import annotations

import shutil
import sys

import click
from click.shell_completion import CompletionItem

from convtui.cli.common import echo, example, say, table, use_color
from convtui.manual.layout import lay_out, topics_linked
from convtui.manual.pages import TOPICS, page
from convtui.printing.output import Output

_MIN_WIDTH, _MAX_WIDTH = 40, 96
_SGR = {"title": "1;36", "heading": "1", "strong": "1", "code": "36", "link": "4"}


def _complete(
    _ctx: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [
        CompletionItem(topic, help=about)
        for topic, about in TOPICS.items()
        if topic.startswith(incomplete)
    ]


@click.command(
    "help", epilog=example("convtui help", "convtui help filters", "convtui help keys | less")
)
@click.argument("topic", required=False, shell_complete=_complete)
@click.pass_context
def command(ctx: click.Context, topic: str | None) -> int:
    """Prints a page of the manual; without a TOPIC, lists the pages.

    The name of a command prints its `--help`.
    """
    if topic is None:
        _print_topics()
    elif topic in TOPICS:
        _print_page(topic)
    else:
        _print_usage(topic, ctx)
    return 0


def _print_topics() -> None:
    echo("The manual's pages:\n")
    table([(f"  {topic}", about) for topic, about in TOPICS.items()])
    echo("\n`convtui help TOPIC` prints one; `convtui COMMAND --help` lists a command's flags.")


def _print_usage(name: str, ctx: click.Context) -> None:
    """Prints a command's `--help`. Raises `UsageError` if there is no such command."""
    from convtui.cli import commands
    from convtui.errors import UsageError, did_you_mean

    named = commands.get_command(ctx, name)
    if named is None:
        hint = did_you_mean(name, [*TOPICS, *commands.list_commands(ctx)])
        rest = hint or "; `convtui help` lists the pages"
        raise UsageError(f"the manual has no page {name!r}{rest}")
    echo(named.get_help(click.Context(named, info_name=name, parent=ctx.parent)))


def _print_page(topic: str) -> None:
    from convtui.actions.registry import Keymap, load_keymap
    from convtui.config.settings import load_config
    from convtui.errors import ConvtuiError

    color, keymap = "auto", Keymap()
    try:
        # Help must work even if the settings do not load.
        config = load_config()
        color = config.color
        keymap = load_keymap(config.keymap_file) if topic == "keys" else keymap
    except ConvtuiError as error:
        say(f"convtui: {error}")
    markdown = page(topic, keymap)
    linked = [name for name in topics_linked(markdown) if name != topic]
    if linked:
        markdown += f"\nSee also (`convtui help TOPIC`): {', '.join(linked)}.\n"
    colored = use_color(sys.stdout, color)
    width = min(max(shutil.get_terminal_size().columns, _MIN_WIDTH), _MAX_WIDTH)
    lines = lay_out(markdown, width, ticks=not colored)
    output = Output(sys.stdout, color=colored)
    for line in lines:
        output.line(*((piece.text, _SGR.get(piece.style, "")) for piece in line))
