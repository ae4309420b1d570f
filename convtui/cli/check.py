"""`convtui check`: validates the files people write, and logs."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convtui.cli.common import echo, example, json_flag, print_json, say
from convtui.cli.logs import log_or_filter
from convtui.errors import MOST_NAMED, LogError, Problem, UsageError, did_you_mean
from convtui.files.regular import exists
from convtui.text.boundary import visible

if TYPE_CHECKING:
    from convtui.log.reader import Log

KINDS = ("persona", "scenario", "plan", "theme", "keymap", "config", "log", "warm", "waza")


@click.command(
    "check",
    epilog=example(
        "convtui check scenario.yaml persona.yaml",
        "convtui check runs/*.jsonl",
        "convtui check my_provider.py:Bot",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--kind", metavar="KIND", help=f"What it is, when that is unclear: {', '.join(KINDS)}."
)
@click.option(
    "--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any scenario key, for a provider."
)
@click.option("--python", metavar="PATH", help="The interpreter with the provider's packages.")
@click.option("--env-file", metavar="FILE", help="KEY=value lines for the engine.")
@json_flag
def command(
    files: tuple[str, ...],
    *,
    kind: str | None,
    set_: tuple[str, ...],
    python: str | None,
    env_file: str | None,
    as_json: bool,
) -> int:
    """Checks files and names every mistake with file, line and key.

    Of a log: damage, records of a wrong shape, and the digest of every request. Of a provider
    (file.py:NAME or module:NAME): that it loads, what it is called with and gives back, which
    hooks are its own, and names that are nearly a hook's; only its constructor is called.
    Of a waza task or eval, with all of its tasks: also what in it means nothing here.
    Exit code 1 for a log or a provider with findings, 2 for a wrong file.
    """
    if kind is not None and kind not in KINDS:
        raise UsageError(f"there is no kind {kind!r}{did_you_mean(kind, KINDS)}")
    code = 0
    results: list[dict[str, Any]] = []
    for file in files:
        if kind is None and _names_provider(file):
            from convtui.cli.check_provider import check_provider

            recognised: str | None = "provider"
            problems, result = check_provider(
                file, set_=set_, python=python, env_file=env_file, quiet=as_json
            )
        else:
            recognised, problems, result = _check(file, kind, quiet=as_json)
        code = max(code, result)
        results.append(
            {"file": file, "kind": recognised, "problems": [_as_json(p) for p in problems]}
        )
        if as_json:
            continue
        for problem in problems[:MOST_NAMED]:
            echo(visible(str(problem)))
        if len(problems) > MOST_NAMED:
            echo(f"{visible(file)}: and {len(problems) - MOST_NAMED:,} more")
        if not problems:
            echo(f"{visible(file)}: {recognised}, nothing wrong")
    if as_json:
        print_json(results)
    return code


def _names_provider(file: str) -> bool:
    """Whether it is the SPEC of a provider's code: `file.py:NAME` or `package.module:NAME`."""
    if re.search(r"\.py(:|$)", file):
        return True
    return re.fullmatch(r"(?!sample:)[\w.]+:[\w.]+", file) is not None and not exists(Path(file))


def _as_json(problem: Problem) -> dict[str, Any]:
    return {"message": problem.message, "line": problem.line, "key": problem.key}


def _check(
    file: str, kind: str | None, *, quiet: bool = False
) -> tuple[str | None, list[Problem], int]:
    """The kind of a file, its problems, and the exit code."""
    path = Path(file)
    if kind in (None, "log") and not exists(path):
        try:
            path = Path(log_or_filter(file) or file)
        except LogError as error:
            return "log", [Problem(str(error))], 2
    if kind == "log" or (kind is None and _is_log(path)):
        try:
            problems = check_log(path)
        except LogError as error:
            return "log", [Problem(str(error))], 2
        return "log", problems, 1 if problems else 0
    from convtui.errors import FileError
    from convtui.schemas import check_file, recognise

    try:
        kind = kind or recognise(path)
    except FileError as error:
        return None, [Problem(str(error))], 2
    except UsageError as error:
        return None, [Problem(str(error))], 2
    problems = check_file(path, kind)
    if kind == "scenario" and not problems:
        problems = [*_breakpoints(path), *_warm(path)]
    if kind == "waza" and not problems:
        from convtui.scenario.waza_task import read_waza

        for note in read_waza(path).notes():
            say(f"convtui: {note}")
    if kind == "persona" and path.suffix.lower() in (".tsv", ".csv") and not quiet:
        _table_notes(path)
    return kind, problems, 2 if problems else 0


def _table_notes(path: Path) -> None:
    """Prints what is skipped in a table of personas."""
    from convtui.scenario.persona_table import read_persona_table

    with suppress(UsageError):
        for note in read_persona_table(path).notes:
            say(f"convtui: {note}")


def _is_log(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix != ".json":
        return suffix == ".jsonl"
    from convtui.warm.templates import looks_like_template

    return not looks_like_template(path)


def _warm(path: Path) -> list[Problem]:
    """The problem of a scenario's warm template that cannot be used."""
    from convtui.cli.start import check_warm
    from convtui.files.yaml import line_of, load_yaml
    from convtui.scenario.scenario import Scenario

    try:
        check_warm(Scenario.load(path))
    except UsageError as error:
        line = line_of(load_yaml(path).lines, ("warm",))
        return [Problem(str(error), path=path, line=line, key="warm")]
    return []


def _breakpoints(path: Path) -> list[Problem]:
    """The problems of a scenario's breakpoints that are no filter expressions."""
    from convtui.errors import FilterError
    from convtui.files.yaml import dotted, line_of, load_yaml
    from convtui.filters.breaks import parse_breakpoint
    from convtui.scenario.scenario import Scenario

    problems = []
    lines = load_yaml(path).lines
    for number, text in enumerate(Scenario.load(path).breakpoints):
        try:
            parse_breakpoint(text)
        except FilterError as error:
            where = ("breakpoints", number)
            line = line_of(lines, where)
            problems.append(Problem(str(error), path=path, line=line, key=dotted(where)))
    return problems


def check_log(path: Path) -> list[Problem]:
    """All problems of a log, by line. Raises `LogError` if it cannot be opened at all."""
    from convtui.log.reader import open_log

    with open_log(path) as log:
        problems = [
            Problem(f"{finding.message} ({finding.code})", path=path, line=finding.line)
            for finding in log.findings
        ]
        problems += _records(log)
    return sorted(problems, key=lambda problem: problem.line or 0)


def _records(log: Log) -> list[Problem]:
    """Problems of records: a wrong shape, a digest that is not that of the messages."""
    from pydantic import ValidationError

    from convtui.log.requests import RequestChain, rebuild
    from convtui.records.models import RECORD_TYPES

    problems: list[Problem] = []
    damaged = {finding.line for finding in log.findings if finding.code == "bad_field"}
    messages: dict[int, list[Any]] = {}
    chains: dict[Any, RequestChain] = {}
    for record in log.records():
        seq = record["seq"]
        # In an undamaged log the line is the seq plus one; damaged lines are counted in seq too.
        line = seq + 1
        kind = str(record.get("type"))
        model = RECORD_TYPES.get(kind)
        if model is None:
            continue
        fields = {key: value for key, value in record.items() if key not in ("seq", "t", "type")}
        try:
            model.model_validate(fields)
        except ValidationError as error:
            for wrong in error.errors(include_url=False)[:3]:
                key = ".".join(map(str, wrong["loc"]))
                text = f"{wrong['msg'].lower()} (bad_record)"
                problems.append(Problem(text, path=log.path, line=line, key=f"{kind} {key}"))
            continue
        if kind != "llm.request":
            continue

        def read(base: int) -> Any:
            if base in messages:
                return {"seq": base, "append": messages[base], "keep": 0, "base": None}
            return log.reader.by_seq(base)

        try:
            messages[seq] = rebuild(record, read)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(f"{error} (broken_chain)", path=log.path, line=line, key=kind))
            continue
        chain = chains.setdefault(record.get("side"), RequestChain())
        right = chain.add(messages[seq])["sha256"] == record["sha256"]
        if not right and line not in damaged:
            text = "the digest is not that of its messages (wrong_digest)"
            problems.append(Problem(text, path=log.path, line=line, key="llm.request sha256"))
        # A request is usually based on one a few calls back; older ones are read again if needed.
        if len(messages) > 16:
            del messages[next(iter(messages))]
    return problems
