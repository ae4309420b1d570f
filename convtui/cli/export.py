"""`convtui export`: a log in the format of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from convtui.cli.common import echo, example, json_flag, print_json, say
from convtui.cli.logs import batch_named, log_named
from convtui.errors import LogError, UsageError
from convtui.text.boundary import visible


@click.command(
    "export",
    epilog=example(
        "convtui export run.jsonl --to vera",
        "convtui export run.jsonl --to oharness --out exported --json",
    ),
)
@click.argument("word", metavar="LOG|BATCH")
@click.option(
    "--to",
    "format_name",
    metavar="FORMAT",
    required=True,
    help="vera, oharness, rath, hermes-trajectory.",
)
@click.option("--out", metavar="DIR", default=".", help="Where the files go.")
@json_flag
def command(word: str, format_name: str, out: str, as_json: bool) -> int:
    """Writes a log as another tool would have written it; never overwrites anything.

    Of a batch all logs are written.

    What was said is the same when it is imported again; what the format has no place for is said
    on standard error.
    """
    from convtui.log.formats.registry import by_name
    from convtui.log.reader import open_log
    from convtui.secrets.redactor import Redactor

    format_ = by_name(format_name)
    if format_.write is None:
        raise UsageError(f"{format_name} can be read, not written")
    files: list[Path] = []
    notes: dict[str, None] = {}
    for log in _logs(word):
        with open_log(log, Redactor.of_process()) as opened:
            for finding in opened.findings:
                say(f"{log}: {finding}")
            written = format_.write(opened, Path(out))
        files += written.files
        notes.update(dict.fromkeys(written.notes))
    if as_json:
        print_json({"files": [str(file) for file in files], "notes": list(notes)})
    else:
        for file in files:
            echo(f"wrote {visible(str(file))}")
    for note in notes:
        say(note)
    return 0


def _logs(word: str) -> list[str]:
    """The log that is named, or all logs of a batch. Raises `LogError`."""
    from convtui.batch.listing import logs_in

    batch = batch_named(word)
    if batch is None:
        return [log_named(word)]
    logs = [str(path) for path in logs_in(Path(batch))]
    if not logs:
        raise LogError(f"{visible(word)}: no conversation of this batch has begun")
    return logs
