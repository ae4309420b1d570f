"""`convtui providers`: what can be debugged, and how to name it."""

from __future__ import annotations

import click

from convtui.cli.common import echo, example, json_flag, print_json, table

_FORMS = (
    ("demo", "the built-in provider: no key, no network"),
    ("openai/gpt-4o", "a litellm model; --api-base names another endpoint"),
    ("my_provider.py:Bot", "a function messages -> str, or a class, in a file"),
    ("package.module:Bot", "the same in a package that can be imported"),
    ("recorded:run.jsonl", "the answers of a saved run"),
)


@click.command("providers", epilog=example("convtui providers", "convtui run --provider demo"))
@json_flag
def command(as_json: bool) -> int:
    """Lists installed providers (entry points of the group convtui.providers) and SPEC forms.

    Nothing is imported to list them.
    """
    from importlib.metadata import entry_points

    entries = sorted(entry_points(group="convtui.providers"), key=lambda entry: entry.name)
    installed = [
        {
            "name": entry.name,
            "value": entry.value,
            "package": entry.dist.name if entry.dist is not None else None,
        }
        for entry in entries
    ]
    if as_json:
        built_in = {"name": "demo", "value": None, "package": "convtui"}
        print_json([built_in, *installed])
        return 0
    echo("Ways to name a provider (--provider SPEC):")
    table([[f"  {spec}", meaning] for spec, meaning in _FORMS])
    echo("\nInstalled under a name of their own:")
    if installed:
        table([[f"  {e['name']}", f"{e['value']} ({e['package']})"] for e in installed])
    else:
        echo("  none (packages register them as entry points of the group convtui.providers)")
    return 0
