"""`convtui personas`: the simulated users that come with convtui, and those of a table."""

from __future__ import annotations

from pathlib import Path

import click

from convtui.cli.common import echo, example, json_flag, print_json, say, table


@click.command(
    "personas",
    epilog=example(
        "convtui personas", "convtui run --persona maya", "convtui personas personas.tsv"
    ),
)
@click.argument("file", metavar="[TABLE]", required=False)
@json_flag
def command(file: str | None, as_json: bool) -> int:
    """Lists the built-in personas: kind, what they want, and the file to copy.

    Of a TABLE (.tsv, .csv): the persona of every row and the line it stands in; what is wrong with
    a row is named on standard error.
    """
    if file is not None:
        return _table(Path(file), as_json=as_json)
    return _built_in(as_json=as_json)


def _table(path: Path, *, as_json: bool) -> int:
    from convtui.scenario.persona_table import read_persona_table

    parsed = read_persona_table(path)
    findings = sorted([*parsed.problems, *parsed.notes], key=lambda problem: problem.line or 0)
    if as_json:
        print_json(
            {
                "personas": [
                    {"name": row.name, "line": row.line, "use": f"{path}:{row.name}"}
                    for row in parsed.rows.values()
                ],
                "findings": [
                    {"line": problem.line, "key": problem.key, "message": problem.message}
                    for problem in findings
                ],
            }
        )
    else:
        table(
            [
                ["NAME", "LINE", "USE"],
                *([row.name, str(row.line), f"{path}:{row.name}"] for row in parsed.rows.values()),
            ]
        )
    for problem in findings:
        say(f"convtui: {problem}")
    return 0


def _built_in(*, as_json: bool) -> int:
    from convtui.scenario.persona import Persona, builtin_personas

    entries = []
    for built_in in builtin_personas():
        persona = Persona.load(built_in.path)
        entries.append(
            {
                "name": built_in.name,
                "simulator": persona.simulator,
                "task": persona.task,
                "file": str(built_in.path),
            }
        )
    if as_json:
        print_json(entries)
        return 0
    rows = [[str(p["name"]), str(p["simulator"]), str(p["task"] or ""), p["file"]] for p in entries]
    table([["NAME", "KIND", "TASK", "FILE"], *rows], limit=48)
    echo("\nOthers: --persona FILE.yaml, or --persona personas.tsv:Name")
    return 0
