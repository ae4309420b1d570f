"""`convtui probe`: the bring-up report of a provider."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from convtui.cli.common import echo, example, json_flag, print_json, say
from convtui.cli.progress import Bar
from convtui.errors import EngineError, FileError, UsageError
from convtui.text.boundary import visible, visible_line

if TYPE_CHECKING:
    from convtui.analysis.probe.report import Finding, Report

_MARKS: Final = {"pass": "pass", "fail": "FAIL", "warn": "warn", "n/a": "n/a "}


@click.command(
    "probe",
    epilog=example(
        "convtui probe --provider my_provider.py:Bot",
        "convtui probe --provider openai/gpt-4o-mini --api-base http://localhost:8000/v1",
        "convtui probe scenario.yaml --only cancel,timeout --out probes",
    ),
)
@click.argument("scenario", required=False, metavar="[SCENARIO]")
@click.option("--provider", metavar="SPEC", help="demo, openai/gpt-4o, file.py:Name, ...")
@click.option("--model", metavar="MODEL", help="Given to providers that take a model.")
@click.option("--api-base", metavar="URL", help="The endpoint of the provider's model.")
@click.option("--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any scenario key.")
@click.option("--only", multiple=True, metavar="NAME", help="Only these probes: cancel,timeout.")
@click.option("--out", metavar="DIR", help="Keeps the logs there, a folder for each probe.")
@click.option("--python", metavar="PATH", help="The interpreter with the provider's packages.")
@click.option("--env-file", metavar="FILE", help="KEY=value lines for the engine.")
@json_flag
def command(
    *,
    scenario: str | None,
    only: tuple[str, ...],
    out: str | None,
    as_json: bool,
    **flags: Any,
) -> int:
    """Tries a provider: odd messages, leaks, cancelling, timeouts, hooks, faults of the network.

    Every probe is a real conversation with a log. A scenario is taken for its provider, its tools
    and its limits. About a dozen short calls are made, one with 200,000 characters; the last line
    says how many. Without --out the logs are kept only when something is not well. Exit code 1
    when a probe fails, 2 when there is nothing to try.
    """
    from convtui.analysis.probe.conversation import Subject
    from convtui.analysis.probe.report import ProbeSession, chosen
    from convtui.cli.start import plan

    wanted = chosen(only)
    if flags["provider"] is None and scenario is None:
        raise UsageError("what is to be tried? Name it: convtui probe --provider SPEC")
    if scenario is None:
        flags["persona"] = "demo"
    planned = plan(scenario, flags, watched=True)
    folder = _folder(out)
    subject = Subject(
        planned.spec.scenario,
        folder,
        python=planned.python,
        env_file=planned.spec.env_file,
        trust=planned.spec.trust,
    )
    bar = Bar()
    bench = ProbeSession(
        subject,
        wanted=wanted,
        progress=_quiet if as_json else bar.step,
        found=_quiet if as_json else partial(_print, bar),
    )
    kept = out is not None
    try:
        report = _run(bench)
        kept = kept or any(f.outcome in ("fail", "warn") for f in report.findings)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        told = report.as_dict() | {"logs": str(folder) if kept else None}
        if not kept:
            told["findings"] = [finding | {"log": None} for finding in told["findings"]]
        print_json(told)
    else:
        _summary(report, folder if kept else None)
    return 1 if report.failed else 0


def _run(bench: Any) -> Report:
    from convtui.analysis.probe.probes import make_probes

    try:
        return asyncio.run(make_probes(bench))
    except EngineError as error:
        raise UsageError(str(error)) from None


def _folder(out: str | None) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="convtui-probe-"))
    path = Path(out).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"--out {out}: {error.strerror or error}") from error
    return path


def _quiet(_: object) -> None:
    """Says nothing."""


def _print(bar: Bar, finding: Finding) -> None:
    bar.close()
    echo(f"{_MARKS[finding.outcome]}  {finding.probe:14} {visible_line(finding.says, 400)}")
    if finding.outcome in ("fail", "warn"):
        for line in finding.detail:
            echo(f"      {visible(line)}")
        if finding.log is not None:
            place = f" at turn {finding.turn}" if finding.turn else ""
            echo(f"      see {visible_line(str(finding.log))}{place}")


def _summary(report: Report, folder: Path | None) -> None:
    counts, usage = report.counts(), report.usage()
    words = {"pass": "passed", "fail": "failed", "warn": "to look at", "n/a": "not applicable"}
    echo(", ".join(f"{counts[name]} {word}" for name, word in words.items()))
    used = "1 call was made" if usage["calls"] == 1 else f"{usage['calls']} calls were made"
    used += f", {usage['tokens']:,} tokens" if "tokens" in usage else ", tokens unknown"
    used += f", ${usage['cost']:.4f}" if "cost" in usage else ", cost unknown"
    say(used)
    if folder is not None:
        say(f"logs: {folder}")
