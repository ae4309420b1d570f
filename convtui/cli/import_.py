"""`convtui import`: other tools' transcripts become logs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from convtui.cli.common import echo, example, json_flag, print_json, say, settings, table
from convtui.cli.import_findings import as_json_finding, say_findings
from convtui.cli.import_list import choose, print_sessions
from convtui.cli.remote import on_flag
from convtui.cli.signals import ended_by_signals
from convtui.errors import LogError, UsageError, listed
from convtui.text.boundary import visible
from convtui.text.counts import counted

if TYPE_CHECKING:
    from convtui.log.formats.findings import Finding
    from convtui.log.formats.folders import Share
    from convtui.log.formats.importing import FileReader
    from convtui.log.formats.registry import Format, Imported

_FAILED: Final = 1
"""The exit code if one of several files could not be read and the others were imported."""


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
@click.argument("path", metavar="FILE|DIR", required=False)
@click.option("--list-formats", is_flag=True, help="Say which formats are read and written.")
@click.option(
    "--from",
    "format_name",
    metavar="FORMAT",
    help="See --list-formats; guessed.",
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
@on_flag
@json_flag
def command(
    *,
    path: str | None,
    list_formats: bool,
    format_name: str | None,
    out: str | None,
    listing: bool,
    every: bool,
    strict: bool,
    on: str | None,
    as_json: bool,
    **choice: Any,
) -> int:
    """Reads transcripts of another tool and writes each conversation as a log.

    Sessions of one conversation go into one log; of a chain of compressed sessions each is a log
    that names the one before, and those before come with it. What the files do not say is left out.
    A conversation that was imported before is passed over, one that has grown since is imported
    anew and names the earlier log; nothing in the files is executed.
    """
    if list_formats:
        return _print_formats(as_json=as_json)
    if path is None:
        raise UsageError("which file or folder? `convtui import FILE`; see also --list-formats")
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
        paths = format_.files(file) if format_.files is not None else [file]
        shares = _shares_beside(file, format_, paths) if format_name is None else []
        if on is not None:
            _refuse_several(path, format_, shares)
            return _import_on(on, paths, format_, path, out, strict=strict, as_json=as_json)
        files = _reader_of(paths, format_, [share for share in shares if share.joins])
        status = _import(files.read, path, out, files.damage, strict=strict, as_json=as_json)
        _say_left(share for share in shares if not share.joins)
        return status
    if on is not None:
        raise UsageError(f"--on: {path} is one file of {format_.name}: it is read on this machine")
    if every and chooses:
        raise UsageError("--all takes everything: leave --session and the filters out, or --all")
    with ExitStack() as stack:
        source = format_.source(file)
        stack.callback(source.close)
        wanted: Collection[str] | None = None
        if listing or chooses or (not every and file.suffix.lower() == ".db"):
            sessions = source.listed()
            chosen = choose(sessions, path, **choice)
            if listing:
                print_sessions(chosen, source.damage, as_json=as_json)
                return _exit_code(source.damage)
            if not chooses and sum(one.relation != "compress" for one in sessions) > 1:
                print_sessions(sessions, source.damage, as_json=as_json)
                count = counted(len(sessions), "session")
                raise UsageError(
                    f"{path}: holds {count}: choose with --session ID or"
                    " a filter (--source, --ended, --min-messages, --max-sessions), or take --all"
                )
            wanted = {one.id for one in chosen}
        status = _import(
            partial(source.read, wanted),
            path,
            out,
            source.damage,
            strict=strict,
            as_json=as_json,
        )
    if format_name is None:
        _say_left(_shares_beside(file, format_, [file]))
    return status


def _shares_beside(file: Path, format_: Format, read: list[Path]) -> list[Share]:
    from convtui.log.formats.folders import shares_beside

    return shares_beside(file, format_, set(read)) if file.is_dir() else []


def _reader_of(paths: list[Path], format_: Format, shares: list[Share]) -> FileReader:
    """Reads what is in a format, and then the other formats' shares of the folder."""
    from convtui.log.formats.importing import FileReader

    read_with = dict.fromkeys(paths, format_.read)
    for share in shares:
        read_with |= dict.fromkeys(share.files, share.format.read)

    def read(path: Path) -> Iterator[Imported]:
        reading = read_with[path]
        assert reading is not None
        return reading(path)

    return FileReader([*read_with], read)


def _refuse_several(path: str, format_: Format, shares: list[Share]) -> None:
    """Raises `UsageError` for a folder of which more than one format would be imported."""
    names = [format_.name, *(share.format.name for share in shares if share.joins)]
    if len(names) > 1:
        raise UsageError(
            f"{path}: holds files of {listed(names)}: with --on, name one of them with --from"
        )


def _say_left(shares: Iterable[Share]) -> None:
    """Names what is in a folder and was not imported."""
    for share in shares:
        name = share.format.name
        files = counted(len(share.files), "file")
        say(f"{files} of {name} left out, such as {share.files[0].name}: `--from {name}`")


def _import_on(
    on: str,
    paths: list[Path],
    format_: Format,
    path: str,
    out: str | None,
    *,
    strict: bool,
    as_json: bool,
) -> int:
    """Has the files read on the nodes of a cluster; the logs are written here."""
    from convtui.batch.ray.maps import connected, reader_on
    from convtui.log.formats.importing import FileReader

    with connected(on) as cluster:
        damage: list[Finding] = []

        def read() -> Iterator[Imported]:
            # Anew each time: with --strict all are gone through twice.
            files = FileReader(paths, reader_on(cluster, paths, format_))
            files.damage = damage
            return files.read()

        return _import(read, path, out, damage, strict=strict, as_json=as_json)


def _print_formats(*, as_json: bool) -> int:
    from convtui.log.formats.registry import formats

    known = list(formats())
    if as_json:
        print_json(
            {
                "formats": [
                    {
                        "name": one.name,
                        "reads": one.read is not None,
                        "writes": one.write is not None,
                        "description": one.description,
                    }
                    for one in known
                ]
            }
        )
        return 0
    rows = [[one.name, _yes(one.read), _yes(one.write), one.description] for one in known]
    table([["FORMAT", "READ", "WRITTEN", "WHAT"], *rows])
    return 0


def _yes(what: object) -> str:
    return "yes" if what is not None else "-"


def _import(
    read: Callable[[], Iterator[Imported]],
    path: str,
    out: str | None,
    damage: list[Finding],
    *,
    strict: bool,
    as_json: bool,
) -> int:
    from convtui.cli.progress import Bar
    from convtui.log.formats.importing import Import

    if strict:
        _refuse_findings(read, path, damage, as_json=as_json)
    bar = Bar()
    importing = Import(
        settings(out_dir=out).runs_dir,
        damage,
        lambda name, records: bar(0, 0, f"{name}: {records:,} records written"),
    )
    try:
        with ended_by_signals():
            for outcome in importing.run(read()):
                if not as_json:
                    bar.close()
                    echo(f"{outcome.outcome:13}  {visible(str(outcome.log))}")
    finally:
        # Also where it breaks off: what was written is there.
        bar.close()
        if as_json:
            print_json(
                {
                    "logs": [outcome.as_dict() for outcome in importing.outcomes],
                    "findings": [as_json_finding(finding) for finding in importing.findings],
                }
            )
    findings, outcomes = importing.findings, importing.outcomes
    if not outcomes:
        raise LogError(f"{path}: there is no conversation in it{_why_none(findings)}")
    say_findings(findings, as_json=as_json)
    there = sum(outcome.outcome == "there already" for outcome in outcomes)
    say(f"{len(outcomes) - there} imported, {there} there already; in {importing.folder}")
    return _exit_code(importing.findings)


def _why_none(findings: list[Finding]) -> str:
    """The first finding, and how many more there are: where nothing is read, each line is one."""
    if not findings:
        return ""
    more = f" (and {counted(len(findings) - 1, 'more finding')})" if len(findings) > 1 else ""
    return f": {findings[0].placed}{more}"


def _refuse_findings(
    read: Callable[[], Iterator[Imported]], path: str, damage: list[Finding], *, as_json: bool
) -> None:
    """Reads everything and writes nothing. Raises `UsageError` if there is a finding."""
    from convtui.log.formats.importing import Watched

    findings: list[Finding] = []
    for imported in read():
        watched = Watched(imported)
        for _ in imported.records:
            pass
        findings += watched.findings
    findings += damage
    if not findings:
        return
    if as_json:
        print_json({"logs": [], "findings": [as_json_finding(finding) for finding in findings]})
    say_findings(findings, as_json=as_json)
    count = counted(len(findings), "finding")
    raise UsageError(f"{path}: {count}, and --strict imports nothing then")


def _exit_code(damage: list[Finding]) -> int:
    from convtui.log.formats.findings import UNREADABLE

    return _FAILED if any(finding.code == UNREADABLE for finding in damage) else 0
