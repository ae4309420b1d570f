"""`convtui import`: other tools' transcripts become logs."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from convtui.cli.common import example, json_flag, print_json, say, settings, table
from convtui.errors import LogError, UsageError, did_you_mean
from convtui.text import one_line, visible

if TYPE_CHECKING:
    from convtui.log.formats.registry import Imported, Listed

_DAMAGED: Final = 2
"""The exit code when something could not be read and the rest was imported."""


@click.command(
    "import",
    epilog=example(
        "convtui import run/conversations/0a1b2c_Maya_gpt-4o_run1.txt",
        "convtui import p_gpt_4o__a_bot__t20__r3__20260304_101112 --out logs",
        "convtui import results.json --from waza",
        "convtui import ~/.hermes/state.db --list --source cli",
        "convtui import ~/.hermes/state.db --session 20260413_100000_aaaa11",
    ),
)
@click.argument("path", metavar="FILE|DIR")
@click.option(
    "--from",
    "format_name",
    metavar="FORMAT",
    help="vera, waza, oharness, rath, hermes, hermes-trajectory; guessed.",
)
@click.option("--out", metavar="DIR", help="Where the logs go; the runs folder by default.")
@click.option("--list", "listing", is_flag=True, help="Say what is in the file; import nothing.")
@click.option("--session", "ids", metavar="ID", multiple=True, help="Only this; several times.")
@click.option("--all", "every", is_flag=True, help="All sessions of a database.")
@click.option("--source", metavar="NAME", help="Only those from there: cli, telegram, cron, ...")
@click.option("--ended", metavar="REASON", help="Only those that ended so; `open` has no end.")
@click.option("--min-messages", metavar="N", type=click.IntRange(0), help="Only longer ones.")
@click.option("--max-sessions", metavar="N", type=click.IntRange(1), help="The first N listed.")
@json_flag
def command(
    *,
    path: str,
    format_name: str | None,
    out: str | None,
    listing: bool,
    every: bool,
    as_json: bool,
    **choice: Any,
) -> int:
    """Reads transcripts of another tool and writes each conversation as a log.

    Known are VERA-MH's transcripts, waza's results and transcripts (a log for each run of a task),
    oharness' event files, rath's session files, and hermes' state.db, exports, session logs and
    trajectories. Sessions of one conversation go into one log; of a chain of compressed sessions
    each is a log that names the one before, and those before come with it. What the files do not
    say is left out. A conversation that was imported before is passed over; nothing in the files is
    executed.
    """
    from convtui.log.formats.registry import format_for

    file = Path(path)
    found = format_for(file, format_name)
    chooses = any(value not in (None, ()) for value in choice.values())
    if found.source is None:
        if listing or every or chooses:
            raise UsageError(
                f"{path}: files of {found.name} are imported whole: --list, --session, --all and"
                " the filters are for hermes"
            )
        assert found.read is not None
        return _import(found.read(file), path, out, [], as_json=as_json)
    if every and chooses:
        raise UsageError("--all takes everything: leave --session and the filters out, or --all")
    with ExitStack() as stack:
        source = found.source(file)
        stack.callback(source.close)
        wanted: Collection[str] | None = None
        if listing or chooses or (not every and file.suffix.lower() == ".db"):
            listed = source.listed()
            chosen = _chosen(listed, path, **choice)
            if listing:
                _print(chosen, as_json=as_json)
                return _damaged(source.damage)
            if not chooses and sum(one.relation != "compress" for one in listed) > 1:
                _print(listed, as_json=as_json)
                raise UsageError(
                    f"{path}: holds {len(listed)} sessions: choose with --session ID or a filter"
                    " (--source, --ended, --min-messages, --max-sessions), or take --all"
                )
            wanted = {one.id for one in chosen}
        return _import(source.read(wanted), path, out, source.damage, as_json=as_json)


def _import(
    conversations: Iterator[Imported],
    path: str,
    out: str | None,
    damage: list[str],
    *,
    as_json: bool,
) -> int:
    from convtui.log.formats.store import Parents, place_of, store
    from convtui.text import Redactor, secret_values

    folder = settings(out_dir=out).runs_dir
    results: list[dict[str, Any]] = []
    redactor, parents = Redactor(secret_values()), Parents(folder)
    for imported in conversations:
        log, there = place_of(imported, folder)
        result: dict[str, Any] = {"log": str(log), "id": imported.id}
        result["sources"] = [str(found) for found in imported.sources]
        if there:
            result["outcome"] = "there already"
        else:
            store(imported, folder, redactor, parents)
            result["outcome"] = "imported"
        parents.add(imported, log)
        results.append(result)
        if not as_json:
            click.echo(f"{result['outcome']:13}  {visible(str(log))}")
    if as_json:
        print_json({"logs": results, **({"damage": damage} if damage else {})})
    elif not results and not damage:
        raise LogError(f"{path}: there is no conversation in it")
    code = _damaged(damage)
    fresh = sum(result["outcome"] == "imported" for result in results)
    say(f"{fresh} imported, {len(results) - fresh} there already; in {folder}")
    return code


def _damaged(damage: list[str]) -> int:
    for sentence in damage:
        say(f"{sentence}; passed over")
    return _DAMAGED if damage else 0


def _chosen(
    listed: list[Listed],
    path: str,
    *,
    ids: tuple[str, ...],
    source: str | None,
    ended: str | None,
    min_messages: int | None,
    max_sessions: int | None,
) -> list[Listed]:
    """What is asked for, in the order of the list. Raises `UsageError` for what is not there."""
    known = [one.id for one in listed]
    for id_ in ids:
        if id_ not in known:
            raise UsageError(
                f"{path}: there is no session {id_!r} in it{did_you_mean(id_, known)}; --list says"
                " which there are"
            )
    found = [
        one
        for one in listed
        if (not ids or one.id in ids)
        and (source is None or one.source == source)
        and (ended is None or (one.ended or "open") == ended)
        and (min_messages is None or (one.messages or 0) >= min_messages)
    ]
    if listed and not found:
        raise UsageError(f"{path}: none of its {len(listed)} sessions is like that; see --list")
    return found[:max_sessions]


def _print(listed: list[Listed], *, as_json: bool) -> None:
    if as_json:
        rows = [asdict(one) for one in listed]
        for row in rows:
            row["created_at"] = row["created_at"] and row["created_at"].isoformat()
        print_json({"sessions": rows})
        return
    table(
        [
            ["SESSION", "STARTED (UTC)", "FROM", "MESSAGES", "ENDED", "MODEL", "TITLE"],
            *([*_row(one)] for one in listed),
        ]
    )


def _row(one: Listed) -> Iterator[str]:
    yield one.id
    yield f"{one.created_at:%Y-%m-%d %H:%M}" if one.created_at is not None else "unknown"
    yield one.source
    yield "unknown" if one.messages is None else str(one.messages)
    yield one.ended or "open"
    yield one.model
    relation = f"({one.relation} of {one.parent}) " if one.relation else ""
    yield relation + one_line(one.title)
