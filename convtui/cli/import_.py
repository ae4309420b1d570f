"""`convtui import`: other tools' transcripts become logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convtui.cli.common import example, json_flag, print_json, say, settings
from convtui.errors import LogError
from convtui.text import visible


@click.command(
    "import",
    epilog=example(
        "convtui import run/conversations/0a1b2c_Maya_gpt-4o_run1.txt",
        "convtui import p_gpt_4o__a_bot__t20__r3__20260304_101112 --out logs",
        "convtui import results.json --from waza",
    ),
)
@click.argument("path", metavar="FILE|DIR")
@click.option(
    "--from", "format_name", metavar="FORMAT", help="vera, waza, oharness, rath; guessed."
)
@click.option("--out", metavar="DIR", help="Where the logs go; the runs folder by default.")
@json_flag
def command(path: str, format_name: str | None, out: str | None, as_json: bool) -> int:
    """Reads transcripts of another tool and writes each conversation as a log.

    Known are VERA-MH's transcripts, waza's results and transcripts (a log for each run of a task),
    oharness' event files and rath's session files. Sessions of one conversation go into one log.
    What the files do not say is left out. A conversation that was imported before is passed over;
    nothing in the files is executed.
    """
    from convtui.log.formats.registry import reader_for
    from convtui.log.formats.store import log_name, store
    from convtui.text import Redactor, secret_values

    folder = settings(out_dir=out).runs_dir
    source = Path(path)
    results: list[dict[str, Any]] = []
    redactor = Redactor(secret_values())
    for imported in reader_for(source, format_name)(source):
        log = folder / log_name(imported)
        result: dict[str, Any] = {"log": str(log), "id": imported.id}
        result["sources"] = [str(found) for found in imported.sources]
        if log.exists():
            result["outcome"] = "there already"
        else:
            store(imported, folder, redactor)
            result["outcome"] = "imported"
        results.append(result)
        if not as_json:
            click.echo(f"{result['outcome']:13}  {visible(str(log))}")
    if as_json:
        print_json({"logs": results})
    elif not results:
        raise LogError(f"{path}: there is no conversation in it")
    fresh = sum(result["outcome"] == "imported" for result in results)
    say(f"{fresh} imported, {len(results) - fresh} there already; in {folder}")
    return 0
