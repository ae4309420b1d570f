"""`convtui themes`: what the screen can look like."""

from __future__ import annotations

import click

from convtui.cli.common import echo, example, json_flag, print_json, say, settings, table
from convtui.errors import did_you_mean
from convtui.text.boundary import visible_line


@click.command("themes", epilog=example("convtui themes", "convtui demo --theme light"))
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
    origin = config.origin("theme")
    by = "" if origin.layer == "default" else f", set by {origin}"
    if config.theme not in themes:
        hint = did_you_mean(config.theme, themes)
        say(f"convtui: there is no theme {config.theme!r}{by}{hint}; dark stands in for it")
    elif by:
        echo(f"\nIn use: {visible_line(config.theme)}{visible_line(by)}")
    echo(
        f'\nChoose one with --theme NAME, CONVTUI_THEME=NAME, or theme = "NAME" in'
        f' {config.paths.config_file}; in the program, ctrl+p and "theme".'
        f"\nYour own go into {config.paths.themes_dir}"
    )
    return 0
