"""What `convtui batch` prints of a batch: its results, or two batches side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.cli.common import print_json, report_printer, say, settings
from convtui.cli.progress import Bar
from convtui.errors import UsageError

if TYPE_CHECKING:
    from convtui.analysis.report.report import Report
    from convtui.batch.manifest import BatchFile
    from convtui.batch.results.reading import Results


def print_results(
    batch: BatchFile | Path,
    *,
    as_json: bool = False,
    plain: bool = False,
    junit: str | None = None,
    report: str | None = None,
) -> int:
    """Prints the results of a batch and writes the files that were asked for.

    Returns the highest exit code of its conversations. Raises `FileError` for a folder without a
    batch and for a file that cannot be written.
    """
    from convtui.batch.results.data import as_dict
    from convtui.batch.results.report import results_report

    _exclude(as_json, plain)
    results = _read(batch)
    if junit is not None:
        _write_junit(results, junit)
    whole = results_report(results)
    if report is not None:
        _write_page(whole, report)
    if as_json:
        print_json(as_dict(results))
    else:
        _print(whole, plain=plain)
    return results.exit_code


def print_against(
    batch: BatchFile | Path,
    against: BatchFile | Path,
    *,
    as_json: bool = False,
    plain: bool = False,
    junit: str | None = None,
    report: str | None = None,
) -> int:
    """Compares a batch with an earlier one, `against`; returns 1 where more went wrong than then.

    `junit` is about the batch alone.

    Raises `FileError`, and `UsageError` for two batches that have nothing in common.
    """
    from convtui.batch.results.compare import compare_batches
    from convtui.batch.results.compare_data import as_dict
    from convtui.batch.results.compare_report import comparison_report
    from convtui.batch.results.scenario_changes import scenario_changes

    _exclude(as_json, plain)
    results = _read(batch)
    if junit is not None:
        _write_junit(results, junit)
    comparison = compare_batches(_read(against), results)
    changes = scenario_changes(comparison)
    whole = comparison_report(comparison, changes)
    if report is not None:
        _write_page(whole, report)
    if as_json:
        print_json(as_dict(comparison, changes))
    else:
        _print(whole, plain=plain)
    return 1 if comparison.verdict == "worse" else 0


def _exclude(as_json: bool, plain: bool) -> None:
    if as_json and plain:
        raise UsageError("--json and --plain exclude each other")


def _read(batch: BatchFile | Path) -> Results:
    from convtui.batch.results.reading import read_results

    bar = Bar("reading logs")
    try:
        return read_results(batch, progress=bar)
    finally:
        bar.close()


def _print(report: Report, *, plain: bool) -> None:
    if plain:
        report_printer().print_sentences(report)
    else:
        # The tables have the same figures in fewer lines.
        report_printer(settings().color).print(replace(report, plots=()))


def _write_junit(results: Results, path: str) -> None:
    from convtui.batch.results.junit import write_junit

    write_junit(results, Path(path))
    say(path)


def _write_page(report: Report, path: str) -> None:
    from convtui.analysis.report.html import write_html

    write_html(report, Path(path))
    say(path)
