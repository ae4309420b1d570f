"""`convtui personas`: the simulated users that come with convtui."""

from __future__ import annotations

import click

from convtui.cli.common import example, json_flag, print_json, table


@click.command("personas", epilog=example("convtui personas", "convtui run --persona maya"))
@json_flag
def command(as_json: bool) -> int:
    """Lists the built-in personas: kind, what they want, and the file to copy."""
    from convtui.persona import Persona, builtin_personas

    found = []
    for built_in in builtin_personas():
        persona = Persona.load(built_in.path)
        found.append(
            {
                "name": built_in.name,
                "simulator": persona.simulator,
                "task": persona.task,
                "file": str(built_in.path),
            }
        )
    if as_json:
        print_json(found)
        return 0
    rows = [[str(p["name"]), str(p["simulator"]), str(p["task"] or ""), p["file"]] for p in found]
    table([["NAME", "KIND", "TASK", "FILE"], *rows], limit=48)
    click.echo("\nOthers: --persona FILE.yaml, or --persona personas.tsv:Name")
    return 0
