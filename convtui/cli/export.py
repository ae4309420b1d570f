"""`convtui export`: a log in the format of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from convtui.cli.common import echo, example, json_flag, print_json, say
from convtui.cli.logs import log_named
from convtui.errors import UsageError
from convtui.text.boundary import visible


@click.command(
    "export",
    epilog=example(
        "convtui export run.jsonl --to vera",
        "convtui export run.jsonl --to oharness --out exported --json",
    ),
)
@click.argument("log")
@click.option(
    "--to",
    "format_name",
    metavar="FORMAT",
    required=True,
    help="vera, oharness, rath, hermes-trajectory.",
)
@click.option("--out", metavar="DIR", default=".", help="Where the files go.")
@json_flag
def command(log: str, format_name: str, out: str, as_json: bool) -> int:
    """Writes a log as another tool would have written it; never overwrites anything.

    What was said is the same when it is imported again; what the format has no place for is said
    on standard error.
    """
    from convtui.log.formats.registry import by_name
    from convtui.log.reader import open_log
    from convtui.secrets.redactor import Redactor

    format_ = by_name(format_name)
    if format_.write is None:
        raise UsageError(f"{format_name} can be read, not written")
    log = log_named(log)
    with open_log(log, Redactor.of_process()) as opened:
        for finding in opened.findings:
            say(f"{log}: {finding}")
        written = format_.write(opened, Path(out))
    if as_json:
        print_json({"files": [str(file) for file in written.files], "notes": written.notes})
    else:
        for file in written.files:
            echo(f"wrote {visible(str(file))}")
    for note in written.notes:
        say(note)
    return 0
