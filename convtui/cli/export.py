"""`convtui export`: a log in the format of another tool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convtui.cli.common import echo, example, json_flag, print_json, say
from convtui.cli.logs import batch_named, log_named
from convtui.errors import LogError, UsageError
from convtui.text.boundary import visible

if TYPE_CHECKING:
    from convtui.log.reader import Log
    from convtui.share.sharing import Shared, Sharing


@click.command(
    "export",
    epilog=example(
        "convtui export run.jsonl --to md --turns 2:3-2:9",
        "convtui export run.jsonl --to html --redact-text 'HT-\\d+'",
        "convtui export run.jsonl --to bundle",
        "convtui export run.jsonl --to oharness --out exported --json",
    ),
)
@click.argument("word", metavar="LOG|BATCH")
@click.option(
    "--to",
    "format_name",
    metavar="FORMAT",
    required=True,
    help="To share: md, html, openai, bundle. For other tools: vera, oharness, rath,"
    " hermes-trajectory.",
)
@click.option("--out", metavar="DIR", default=".", help="Where the files go.")
@click.option(
    "--turns", metavar="TURNS", multiple=True, help="Only these: 2:3-2:9, or 1:4,2:1-2:6."
)
@click.option(
    "--redact-text",
    "patterns",
    metavar="REGEX",
    multiple=True,
    help="Mask what this matches, too (repeatable).",
)
@click.option("--with-wire", "wire", is_flag=True, help="Put the HTTP exchanges into a bundle.")
@json_flag
def command(
    *,
    word: str,
    format_name: str,
    out: str,
    turns: tuple[str, ...],
    patterns: tuple[str, ...],
    wire: bool,
    as_json: bool,
) -> int:
    """Writes a log to share it, or as another tool would have written it. Overwrites nothing.

    Secrets are masked, and counted on standard error. Of a batch all logs are written. What the
    format has no place for is said on standard error.
    """
    from convtui.share.sharing import Sharing

    write = _writer(format_name)
    sharing = Sharing(format_name, turns, patterns, wire)
    sharing.check()
    files: list[Path] = []
    notes: dict[str, None] = {}
    masked: list[str] = []
    for log in _logs(word):
        shared = write(Path(log), Path(out), sharing)
        for finding in shared.findings:
            say(f"{log}: {finding}")
        files += shared.files
        notes.update(dict.fromkeys(shared.notes))
        masked += shared.masked
        if not as_json:
            for file in shared.files:
                echo(f"wrote {visible(str(file))}")
            say("; ".join(shared.masked))
    if as_json:
        print_json({"files": [str(file) for file in files], "notes": list(notes), "masked": masked})
    for note in notes:
        say(note)
    return 0


def _writer(name: str) -> Callable[[Path, Path, Sharing], Shared]:
    """What writes a log in the format of this name. Raises `UsageError`."""
    from convtui.errors import did_you_mean, listed
    from convtui.log.formats.registry import NAMES, by_name
    from convtui.share.sharing import KINDS, share, share_with

    if name in KINDS:
        return share
    if name not in NAMES:
        known = list(dict.fromkeys([*KINDS, *NAMES]))
        hint = did_you_mean(name, known) or "."
        raise UsageError(f"{name!r} is no format{hint} Known are {listed(known)}.")
    to = by_name(name).write
    if to is None:
        raise UsageError(f"{name} can be read, not written")

    def write(log: Log, out: Path) -> tuple[Sequence[Path], Sequence[str]]:
        written = to(log, out)
        return written.files, written.notes

    return lambda log, out, sharing: share_with(log, out, sharing, write)


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
