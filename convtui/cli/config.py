"""`convtui config`: every setting, its value and where it comes from."""

from __future__ import annotations

import json

import click

from convtui.cli.common import example, json_flag, print_json, settings, table
from convtui.secrets.redactor import Redactor


@click.command("config", epilog=example("convtui config", "CONVTUI_THEME=light convtui config"))
@json_flag
def command(as_json: bool) -> int:
    """Prints every setting. Nearest wins: flag, CONVTUI_ variable, convtui.toml, config.toml."""
    config = settings()
    about = config.describe()
    if as_json:
        print_json(
            {
                name: {
                    "value": getattr(config, name),
                    "origin": str(config.origin(name)),
                    "layer": config.origin(name).layer,
                    "help": text,
                }
                for name, text in about.items()
            }
        )
        return 0
    redactor = Redactor.of_process()
    rows = []
    for name, text in about.items():
        value = getattr(config, name)
        shown = "not set" if value is None else json.dumps(redactor.data(value), ensure_ascii=False)
        rows.append([name, shown, str(config.origin(name)), text])
    table([["SETTING", "VALUE", "FROM", "MEANING"], *rows], limit=200)
    return 0
