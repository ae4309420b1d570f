"""`convtui import`: other tools' transcripts become logs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from convtui.cli.common import echo, example, json_flag, print_json, say, settings, table
from convtui.errors import FileError, LogError, UsageError, did_you_mean
from convtui.text.boundary import one_line, visible
from convtui.text.counts import counted

if TYPE_CHECKING:
    from convtui.log.formats.findings import Finding
    from convtui.log.formats.registry import Imported, Listed
    from convtui.records.models import Record

_FAILED: Final = 1
"""The exit code if one of several files could not be read and the others were imported."""
_SHOWN: Final = 20
"""The most findings of a file that are printed."""


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
@click.option("--strict", is_flag=True, help="Import nothing when anything cannot be read.")
@json_flag
def command(
    *,
    path: str,
    format_name: str | None,
    out: str | None,
    listing: bool,
    every: bool,
    strict: bool,
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
    format_ = format_for(file, format_name)
    chooses = any(value not in (None, ()) for value in choice.values())
    if format_.source is None:
        if listing or every or chooses:
            raise UsageError(
                f"{path}: files of {format_.name} are imported whole: --list, --session, --all and"
                " the filters are for hermes"
            )
        assert format_.read is not None
        paths = format_.files(file) if format_.files is not None else [file]
        files = _Files(paths, format_.read)
        return _import(files.read, path, out, files.damage, strict=strict, as_json=as_json)
    if every and chooses:
        raise UsageError("--all takes everything: leave --session and the filters out, or --all")
    with ExitStack() as stack:
        source = format_.source(file)
        stack.callback(source.close)
        wanted: Collection[str] | None = None
        if listing or chooses or (not every and file.suffix.lower() == ".db"):
            listed = source.listed()
            chosen = _chosen(listed, path, **choice)
            if listing:
                _print(chosen, source.damage, as_json=as_json)
                return _exit_code(source.damage)
            if not chooses and sum(one.relation != "compress" for one in listed) > 1:
                _print(listed, source.damage, as_json=as_json)
                raise UsageError(
                    f"{path}: holds {counted(len(listed), 'session')}: choose with --session ID or"
                    " a filter (--source, --ended, --min-messages, --max-sessions), or take --all"
                )
            wanted = {one.id for one in chosen}
        return _import(
            partial(source.read, wanted),
            path,
            out,
            source.damage,
            strict=strict,
            as_json=as_json,
        )


class _Files:
    """Reads files one after the other; unreadable ones are collected in `damage`."""

    def __init__(self, paths: list[Path], read: Callable[[Path], Iterator[Imported]]) -> None:
        self._paths = paths
        self._read = read
        self.damage: list[Finding] = []

    def read(self) -> Iterator[Imported]:
        """Yields the conversations. Raises `FileError` if the only file is unreadable."""
        from convtui.log.formats.findings import EMPTY, UNREADABLE, Finding, finding_of
        from convtui.log.formats.json_objects import is_empty

        self.damage.clear()
        for path in self._paths:
            if len(self._paths) > 1 and is_empty(path):
                self.damage.append(Finding(path, "the file is empty", code=EMPTY))
                continue
            try:
                yield from self._read(path)
            except FileError as error:
                if len(self._paths) == 1:
                    raise
                self.damage.append(finding_of(error, path, None, UNREADABLE))


def _import(
    read: Callable[[], Iterator[Imported]],
    path: str,
    out: str | None,
    damage: list[Finding],
    *,
    strict: bool,
    as_json: bool,
) -> int:
    from convtui.log.formats.store import Parents, place_of, store
    from convtui.secrets.redactor import Redactor

    if strict:
        _refuse_findings(read, path, damage, as_json=as_json)
    folder = settings(out_dir=out).runs_dir
    results: list[dict[str, Any]] = []
    findings: list[Finding] = []
    redactor, parents = Redactor.of_process(), Parents(folder)
    for imported in read():
        log, there = place_of(imported, folder)
        result: dict[str, Any] = {"log": str(log), "id": imported.id}
        result["sources"] = [str(source) for source in imported.sources]
        watched = _Watched(imported)
        if there:
            result["outcome"] = "there already"
        else:
            store(imported, folder, redactor, parents)
            result["outcome"] = "imported"
        parents.add(imported, log)
        findings += watched.findings
        results.append(result)
        if not as_json:
            echo(f"{result['outcome']:13}  {visible(str(log))}")
    findings += damage
    if as_json:
        print_json({"logs": results, "findings": [_as_json(finding) for finding in findings]})
    _say_findings(findings, as_json=as_json)
    if not results:
        why = f": {findings[0].placed}" if len(findings) == 1 else ""
        raise LogError(f"{path}: there is no conversation in it{why}")
    fresh = sum(result["outcome"] == "imported" for result in results)
    say(f"{fresh} imported, {len(results) - fresh} there already; in {folder}")
    return _exit_code(damage)


class _Watched:
    """Collects the findings among the records of a conversation while they are written."""

    def __init__(self, imported: Imported) -> None:
        from convtui.log.formats.sound import sound

        self.findings: list[Finding] = []
        self._records = imported.records
        self._sound = sound
        self._path = imported.sources[0] if imported.sources else Path()
        imported.records = self

    def __iter__(self) -> Iterator[tuple[float, Record]]:
        from convtui.log.formats.findings import finding_of
        from convtui.records.models import Warned

        self.findings.clear()
        for seconds, record in self._sound(self._records):
            if isinstance(record, Warned):
                error = FileError(record.message)
                self.findings.append(finding_of(error, self._path, record.line, record.code))
            yield seconds, record


def _refuse_findings(
    read: Callable[[], Iterator[Imported]], path: str, damage: list[Finding], *, as_json: bool
) -> None:
    """Reads everything and writes nothing. Raises `UsageError` if there is a finding."""
    findings: list[Finding] = []
    for imported in read():
        watched = _Watched(imported)
        for _ in imported.records:
            pass
        findings += watched.findings
    findings += damage
    if not findings:
        return
    if as_json:
        print_json({"logs": [], "findings": [_as_json(finding) for finding in findings]})
    _say_findings(findings, as_json=as_json)
    count = counted(len(findings), "finding")
    raise UsageError(f"{path}: {count}, and --strict imports nothing then")


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "file": str(finding.path),
        "line": finding.line,
        "code": finding.code,
        "message": finding.message,
    }


def _say_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Prints the first findings of each file on standard error."""
    counts: dict[Path, int] = {}
    for finding in findings:
        counts[finding.path] = counts.get(finding.path, 0) + 1
        if counts[finding.path] <= _SHOWN:
            say(f"convtui: {finding}")
    for path, count in counts.items():
        if count > _SHOWN:
            where = "" if as_json else " (all are in the logs and in --json)"
            say(f"convtui: {path}: {count - _SHOWN} more findings{where}")


def _exit_code(damage: list[Finding]) -> int:
    from convtui.log.formats.findings import UNREADABLE

    return _FAILED if any(finding.code == UNREADABLE for finding in damage) else 0


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
    """The sessions that the flags select, in order. Raises `UsageError` if there are none."""
    known = [one.id for one in listed]
    for id_ in ids:
        if id_ not in known:
            raise UsageError(
                f"{path}: there is no session {id_!r} in it{did_you_mean(id_, known)}; --list says"
                " which there are"
            )
    matches = [
        one
        for one in listed
        if (not ids or one.id in ids)
        and (source is None or one.source == source)
        and (ended is None or (one.ended or "open") == ended)
        and (min_messages is None or (one.messages or 0) >= min_messages)
    ]
    if listed and not matches:
        raise UsageError(f"{path}: none of its {len(listed)} sessions is like that; see --list")
    return matches[:max_sessions]


def _print(listed: list[Listed], damage: list[Finding], *, as_json: bool) -> None:
    if as_json:
        rows = [asdict(one) for one in listed]
        for row in rows:
            row["created_at"] = row["created_at"] and row["created_at"].isoformat()
        print_json({"sessions": rows, "findings": [_as_json(finding) for finding in damage]})
        return
    table(
        [
            ["SESSION", "STARTED (UTC)", "FROM", "MESSAGES", "ENDED", "MODEL", "TITLE"],
            *([*_row(one)] for one in listed),
        ]
    )
    _say_findings(damage, as_json=as_json)


def _row(one: Listed) -> Iterator[str]:
    yield one.id
    yield f"{one.created_at:%Y-%m-%d %H:%M}" if one.created_at is not None else "-"
    yield one.source
    yield "-" if one.messages is None else str(one.messages)
    yield one.ended or "open"
    yield one.model
    relation = f"({one.relation} of {one.parent}) " if one.relation else ""
    yield relation + one_line(one.title)
