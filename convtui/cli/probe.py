"""`convtui probe`: the bring-up report of a provider."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from convtui.cli.common import example, json_flag, print_json, report_printer, say
from convtui.cli.progress import Bar
from convtui.errors import EngineError, FileError, UsageError

if TYPE_CHECKING:
    from convtui.analysis.probe.report import Finding, ProbeReport

_NAME: Final = 19
"""The width in columns of an outcome and its probe."""


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
    from convtui.analysis.report.report import Report
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
    bar, printer = Bar(), report_printer()

    def show(finding: Finding) -> None:
        bar.close()
        printer.listed(finding.sentence(), _NAME)

    session = ProbeSession(
        subject,
        wanted=wanted,
        progress=_quiet if as_json else bar.step,
        on_finding=_quiet if as_json else show,
    )
    kept = out is not None
    try:
        report = _run(session)
        kept = kept or any(f.outcome in ("fail", "warn") for f in report.findings)
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        data = report.as_dict() | {"logs": str(folder) if kept else None}
        if not kept:
            data["findings"] = [finding | {"log": None} for finding in data["findings"]]
        print_json(data)
    else:
        printer.print(Report([], verdict=report.verdict()))
        say(report.usage_words())
        if kept:
            say(f"logs: {folder}")
    return 1 if report.failed else 0


def _run(session: Any) -> ProbeReport:
    from convtui.analysis.probe.probes import make_probes

    try:
        return asyncio.run(make_probes(session))
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
    """Ignores a report of progress."""
