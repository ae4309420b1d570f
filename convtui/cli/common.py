"""Shared by several commands: output as JSON and as tables, and terminal capabilities."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convtui.errors import UsageError, did_you_mean, listed
from convtui.printing.output import Output

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.printing.report_printer import ReportPrinter


def _known_theme(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    """The name of a theme that there is. Raises `UsageError`."""
    if name is None:
        return None
    from convtui.config.paths import Paths, builtin_dir

    if (builtin_dir("themes") / f"{Path(name).name}.yaml").is_file():
        return name
    # pydantic, which comes with it, takes longer to import than all else that a list needs.
    from convtui.config.themes import load_themes

    themes, _ = load_themes([builtin_dir("themes"), Paths.find().themes_dir])
    if name not in themes:
        hint = did_you_mean(name, themes) or f"; there are {listed(sorted(themes))}"
        raise UsageError(f"--theme: there is no theme {name!r}{hint}")
    return name


theme_flag = click.option(
    "--theme", metavar="NAME", callback=_known_theme, help="`convtui themes` lists them."
)
json_flag = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")


class Choice(click.Choice[str]):
    """A choice of words that suggests the one that was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        words = [str(choice) for choice in self.choices]
        if value in words:
            return str(value)
        hint = did_you_mean(str(value), words)
        return self.fail(f"{value!r} is not one of {', '.join(words)}{hint}", param, ctx)


class Group(click.Group):
    """A group of commands that suggests the one that was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            hint = did_you_mean(name, known) or f"; `{ctx.command_path} --help` lists the commands"
            raise UsageError(f"unknown command {name!r}{hint}")
        return super().resolve_command(ctx, args)


def example(*lines: str) -> str:
    """The epilog of a command's help: example commands."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def print_json(data: Any) -> None:
    """Prints one JSON document on standard output, without secrets."""
    from convtui.secrets.redactor import Redactor

    text = json.dumps(data, ensure_ascii=False, default=str)
    redactor = Redactor.of_process()
    if redactor.suspects(text.encode("utf-8", "replace")):
        data = redactor.data(json.loads(text))
    Output(sys.stdout).json(data)


def echo(text: str = "") -> None:
    """Prints a line, or several, on standard output."""
    Output(sys.stdout).line(text)


def says_yes(question: str) -> bool:
    """Asks on standard error; False if the answer is not yes or there is no terminal."""
    if not sys.stdin or not sys.stdin.isatty():
        return False
    Output(sys.stderr).prompt(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def say(message: str) -> None:
    """Prints a line for people on standard error."""
    Output(sys.stderr).line(message)


def table(rows: Sequence[Sequence[str]], *, limit: int = 60) -> None:
    """Prints rows in columns on standard output; cells but the last are cut to `limit`."""
    from convtui.printing.tables import table_lines

    for lines in table_lines(rows, limit=limit):
        for line in lines:
            echo(line)


def has_screen() -> bool:
    """Whether there is a terminal, or a page of `convtui serve`, that the TUI can use."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return True
    if os.environ.get("TERM", "") in ("dumb", "unknown"):
        return False
    return bool(sys.stdin and sys.stdout and sys.stdin.isatty() and sys.stdout.isatty())


def begin_screen() -> None:
    """Prepares the process for the import of the screens, of which it makes a third less."""
    # Almost nothing becomes garbage before the first frame; then the app goes on looking for it.
    gc.disable()
    from convtui.tui.textual_startup import leave_out_palette

    leave_out_palette()


def no_screen(instead: str) -> None:
    """Explains on standard error what happens without a terminal."""
    say(f"convtui: no terminal to draw on, so {instead}")


def settings(**flags: Any) -> Config:
    """All settings; likely mistakes are named on standard error. Raises `UsageError`."""
    from convtui.config.settings import load_config

    config = load_config(flags)
    for warning in config.warnings:
        _say_once(f"convtui: {warning}")
    if config.untrusted is not None:
        _say_once(f"convtui: {config.untrusted.text}")
    return config


def _say_once(message: str) -> None:
    """`say()`, but only once in a command, which may read its settings several times."""
    context = click.get_current_context(silent=True)
    shown = context.find_root().meta.setdefault(__name__, set()) if context is not None else set()
    if message not in shown:
        shown.add(message)
        say(message)


def use_color(stream: Any, setting: str = "auto", *, plain: bool = False) -> bool:
    """Whether output is coloured: by the setting, then by the terminal and NO_COLOR."""
    from convtui.printing.wording import wants_color

    if setting == "never" or plain:
        return False
    if setting == "always" and not os.environ.get("NO_COLOR"):
        return True
    return wants_color(stream, plain=plain)


def report_printer(setting: str = "never", *, ascii_only: bool = False) -> ReportPrinter:
    """A printer of reports on standard output, in its width; `setting` is that of `color`."""
    from convtui.printing.report_printer import ReportPrinter
    from convtui.printing.wording import terminal_width

    color = use_color(sys.stdout, setting)
    return ReportPrinter(
        sys.stdout, color=color, width=terminal_width(sys.stdout), ascii_only=ascii_only
    )
