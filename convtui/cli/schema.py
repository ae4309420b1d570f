"""`convtui schema`: JSON Schemas for editors."""

from __future__ import annotations

import click

from convtui.cli.common import example, print_json


@click.command("schema", epilog=example("convtui schema scenario > scenario.schema.json"))
@click.argument("kind")
def command(kind: str) -> int:
    """Prints the JSON Schema of a KIND.

    There are persona, scenario, plan, theme, keymap, config, log and warm."""
    from convtui.schemas import schema

    print_json(schema(kind))
    return 0
