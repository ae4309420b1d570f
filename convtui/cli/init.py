"""`convtui init`: something to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from convtui.cli.common import echo, example


@click.command("init", epilog=example("convtui init mine", "convtui init mine --style class"))
@click.argument("folder", default=".", metavar="[DIR]")
@click.option("--style", default="function", metavar="STYLE", help="function, class or vera.")
def command(folder: str, style: str) -> int:
    """Writes a provider, a persona and a scenario that run at once; never overwrites anything."""
    from convtui.scenario.starter import write_starter

    starter = write_starter(Path(folder), style)
    for file in starter.files:
        echo(f"wrote {file}")
    echo(f"\nNext: {starter.next_command}")
    return 0
