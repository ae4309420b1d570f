"""Prints what a batch came to, and writes it for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.batch.results.reading import Results, read_results
from convtui.cli.common import print_json, report_printer, say, settings
from convtui.cli.progress import Bar
from convtui.errors import FileError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is made of the results of a batch."""

    as_json: bool = False
    plain: bool = False
    junit: Path | None = None
    report: Path | None = None
    against: Path | None = None
    """The folder of an earlier batch."""

    @classmethod
    def of(cls, flags: Mapping[str, Any], against: Path | None) -> Wanted:
        """From flags. Raises `FileError` for a file in a folder that does not exist."""
        files = [flags.get(name) for name in ("junit", "report")]
        for name in filter(None, files):
            # Said before hours are spent, not after.
            folder = Path(name).absolute().parent
            if not folder.is_dir():
                raise FileError(f"{name}: there is no folder {folder}")
            if Path(name).is_dir():
                raise FileError(f"{name}: this is a folder; name a file")
        junit, report = (Path(name) if name else None for name in files)
        return cls(bool(flags.get("as_json")), bool(flags.get("plain")), junit, report, against)


def print_results(folder: Path, wanted: Wanted) -> int:
    """Prints the results of a batch, finished or not; returns the highest exit code in them.

    Against another batch it is 1 where this one is worse, else 0. Raises `FileError`.
    """
    results = _read(folder)
    if wanted.junit is not None:
        from convtui.batch.results.junit import write_junit

        write_junit(results, wanted.junit)
        say(str(wanted.junit))
    if wanted.against is not None:
        return _compare(_read(wanted.against), results, wanted)
    from convtui.batch.results.data import as_dict
    from convtui.batch.results.report import results_report

    report = results_report(results)
    _write_page(report, wanted)
    if wanted.as_json:
        print_json(as_dict(results))
    else:
        _print(report, wanted)
    return results.exit_code


def _compare(before: Results, after: Results, wanted: Wanted) -> int:
    from convtui.batch.results.compare import compare_batches
    from convtui.batch.results.compare_data import as_dict
    from convtui.batch.results.compare_report import comparison_report
    from convtui.batch.results.scenario_changes import scenario_changes

    comparison = compare_batches(before, after)
    changes = scenario_changes(comparison)
    report = comparison_report(comparison, changes)
    _write_page(report, wanted)
    if wanted.as_json:
        print_json(as_dict(comparison, changes))
    else:
        _print(report, wanted)
    return 1 if comparison.verdict == "worse" else 0


def _read(folder: Path) -> Results:
    bar = Bar("reading logs")
    try:
        return read_results(folder, progress=bar)
    finally:
        bar.close()


def _write_page(report: Any, wanted: Wanted) -> None:
    if wanted.report is None:
        return
    from convtui.analysis.report.html import write_html

    write_html(report, wanted.report)
    say(str(wanted.report))


def _print(report: Any, wanted: Wanted) -> None:
    if wanted.plain:
        report_printer().print_sentences(report)
    else:
        report_printer(settings().color).print(report)
