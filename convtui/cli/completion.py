"""`convtui completion`: shell completion."""

from __future__ import annotations

import click

from convtui.cli.common import Choice, echo, example

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    epilog=example(
        'eval "$(convtui completion bash)"',
        "convtui completion fish > ~/.config/fish/completions/convtui.fish",
    ),
)
@click.argument("shell", type=Choice(_SHELLS))
def command(shell: str) -> int:
    """Prints the script that completes commands and flags in bash, zsh or fish."""
    from click.shell_completion import ShellComplete, get_completion_class

    from convtui.cli import commands

    kind = get_completion_class(shell)
    assert kind is not None
    # The base class's source(): bash's own starts a bash to check its version.
    script = ShellComplete.source(kind(commands, {}, "convtui", "_CONVTUI_COMPLETE"))
    echo(script)
    return 0
