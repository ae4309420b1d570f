"""`convtui themes`: what the screen can look like."""

from __future__ import annotations

import click

from convtui.cli.common import echo, example, json_flag, print_json, say, settings, table


@click.command("themes", epilog=example("convtui themes", "CONVTUI_THEME=light convtui demo"))
@json_flag
def command(as_json: bool) -> int:
    """Lists all themes and where each comes from; broken ones are named on standard error."""
    from convtui.config.paths import builtin_dir
    from convtui.config.themes import load_themes

    config = settings()
    themes, problems = load_themes([builtin_dir("themes"), config.paths.themes_dir])
    for problem in problems:
        say(str(problem))
    entries = [
        {
            "name": theme.name,
            "description": theme.description,
            "file": theme.source,
            "in_use": theme.name == config.theme,
        }
        for theme in themes.values()
    ]
    if as_json:
        print_json(entries)
        return 0
    rows = [
        [f"{t['name']}{' (in use)' if t['in_use'] else ''}", str(t["description"]), str(t["file"])]
        for t in entries
    ]
    table([["NAME", "", "FILE"], *rows])
    echo(f"\nYour own go into {config.paths.themes_dir}")
    return 0
