"""`convtui profile`: how reliable runs were."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convtui.cli.common import example, json_flag, print_json, say, settings, use_color
from convtui.cli.progress import Bar
from convtui.errors import ConvtuiError, FileError, LogError, UsageError
from convtui.printing.output import Output

if TYPE_CHECKING:
    from convtui.analysis.profile.profile import Profile, RunProfile
    from convtui.filters.filter import Filter
    from convtui.log.reader import Log

_BOLD, _DIM = "1", "2"
_PLOT_WIDTH = 60
_PLOT_HEIGHT = 3
_MOST_CELL = 60
_LEAST, _LAST = 12, 24
"""Columns that a name has at least, and that are left for the last cell, which can be wrapped."""


@click.command(
    "profile",
    epilog=example(
        "convtui profile run.jsonl",
        "convtui profile runs/ '~model gpt-4o'",
        "convtui profile '~date > 2026-01-31' --report profile.html",
    ),
)
@click.argument("arguments", nargs=-1, metavar="[LOG...] [FILTER]")
@click.option("--plain", is_flag=True, help="Lines that need no columns; plots in words.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Plots of ASCII signs.")
@click.option("--report", metavar="FILE", help="A page with tables and plots, whole in one file.")
@click.option("--out", metavar="DIR", help="Another folder of logs, where no LOG is named.")
@json_flag
def command(
    *,
    arguments: tuple[str, ...],
    plain: bool,
    ascii_only: bool,
    report: str | None,
    out: str | None,
    as_json: bool,
) -> int:
    """The reliability profile of saved runs together: tools, errors, early against late, times.

    LOG is a log or a folder of logs; without one, all saved runs. The FILTER is one of `convtui
    runs`. Of each tool call it is shown which rule says how it went: exit codes, flags and error
    fields of the result first, words in its text last. A call without a result is unknown, never
    a success. Early and late are the first and the last fifth of a run's calls; without enough
    calls there is no verdict, and it says why.
    """
    if as_json and plain:
        raise UsageError("--json and --plain exclude each other")
    from convtui.analysis.profile.report import as_dict
    from convtui.filters.filter import parse

    logs, expression = split_filter(arguments)
    wanted = parse(expression) if expression is not None else None
    folder = settings(out_dir=out).runs_dir
    profile = read_profile(logs or ([str(folder)] if folder.is_dir() else []), wanted)
    if not profile.runs:
        what = "no run matches" if expression is not None else "no saved runs there"
        hint = "`convtui runs` lists them, `convtui demo` makes one"
        say(f"nothing to profile: {what} ({', '.join(logs) or folder}); {hint}")
        if as_json:
            print_json(as_dict(profile))
        return 0
    if report is not None:
        from convtui.analysis.profile.html import write_report

        write_report(profile, Path(report))
        say(report)
    if as_json:
        print_json(as_dict(profile))
    elif plain:
        _Lines(profile).plain()
    else:
        from convtui.analysis.report.plots import can_draw_blocks
        from convtui.printing.printer import terminal_width

        color = use_color(sys.stdout, settings().color)
        shown = _Lines(profile, color=color, width=terminal_width(sys.stdout))
        shown.tables(ascii_only or not can_draw_blocks(sys.stdout))
    return 0


def split_filter(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The logs among the arguments, and the filter, the last of them where it names no file.

    Raises `FileError` for what is neither.
    """
    logs = list(arguments)
    last = logs[-1] if logs else ""
    if not last or Path(last).exists():
        return logs, None
    if last.endswith(".jsonl") or (len(last.split()) == 1 and ("/" in last or "\\" in last)):
        raise FileError(f"{last}: there is no such log; `convtui runs` lists saved ones")
    return logs[:-1], last


def log_paths(logs: Sequence[str]) -> list[tuple[Path, bool]]:
    """The logs that are named, and whether each by itself: those of folders may be no logs.

    Files that stand beside logs (`*.wire.jsonl`, as a shell's `*` names them) are left out.
    """
    from convtui.log.run_summary import log_files

    found: dict[Path, bool] = {}
    for log in logs:
        path = Path(log)
        if path.is_dir():
            for each in sorted(Path(entry.path) for entry in log_files(path)):
                found.setdefault(each, False)
        elif not path.name.endswith(_BESIDE):
            found[path] = True
    return list(found.items())


_BESIDE = (".wire.jsonl", ".notes.jsonl", ".tools.jsonl")


def read_profile(logs: Sequence[str], wanted: Filter | None = None) -> Profile:
    """The profile of logs and of folders of them.

    Raises `LogError` for one that is named and cannot be opened; one of a folder is passed over,
    which is said.
    """
    from convtui.analysis.profile.profile import combine, profile_run
    from convtui.log.reader import open_log

    paths = log_paths(logs)
    runs: list[RunProfile] = []
    bar = Bar("reading logs")
    try:
        for number, (path, named) in enumerate(paths, 1):
            bar(number, len(paths))
            try:
                with open_log(path) as log:
                    if wanted is None or _matches(log, wanted):
                        runs.append(profile_run(log))
            except LogError as error:
                if named:
                    raise
                bar.close()
                say(f"convtui: left out: {error}")
    finally:
        bar.close()
    return combine(runs)


def _matches(log: Log, wanted: Filter) -> bool:
    """As for `convtui runs`: what is asked about turns is true of any of them."""
    from convtui.filters.filter import decide
    from convtui.log.filter_lookup import LogLookup

    if not wanted.about_turns:
        return decide(wanted.on_header(log.transcript))
    try:
        lookup = LogLookup(log) if wanted.needs_raw else None
        return any(
            decide(wanted.on_turn(turn, log.transcript, lookup)) for turn in log.transcript.turns
        )
    except ConvtuiError:
        return False


def _end_of(text: str, room: int) -> str:
    """As much of a text as fits: names of logs differ at their ends."""
    return text if len(text) <= room else f"…{text[1 - room :]}"


class _Lines:
    """Writes a profile for people. Whatever is foreign is made visible here."""

    def __init__(self, profile: Profile, *, color: bool = False, width: int | None = None) -> None:
        self._profile = profile
        self._color = color
        self._width = width

    def _line(self, text: str = "", code: str = "") -> None:
        from convtui.text.boundary import visible_line

        Output(sys.stdout, color=self._color).line((visible_line(text), code))

    def tables(self, ascii_only: bool) -> None:
        """Tables, then the plots."""
        from convtui.analysis.profile.report import RULE_OF_VERDICT, sections

        for section in sections(self._profile):
            if section.title:
                self._line()
                self._line(section.title, _BOLD)
            self._table(section.head, section.rows)
            if section.note:
                self._line(f"  {section.note}")
        self._plots(ascii_only)
        if self._profile.tally.calls:
            self._line()
            for line in self._wrapped(RULE_OF_VERDICT):
                self._line(line, _DIM)

    def _table(self, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        from convtui.text.boundary import visible_line

        lines = [head, *rows] if head else rows
        ends = [visible_line(row[-1]) for row in lines]
        shown = [[visible_line(cell, _MOST_CELL) for cell in row[:-1]] for row in lines]
        if head:
            room = _MOST_CELL
            if self._width is not None:
                # What is too wide is the name.
                others = list(zip(*shown, strict=True))[1:]
                room = self._width - min(_LAST, max(map(len, ends))) - 4
                room -= sum(max(map(len, column)) + 2 for column in others)
            for named, line in zip(shown, lines, strict=True):
                named[0] = _end_of(visible_line(line[0]), max(_LEAST, room))
        shown = [[*cells, end] for cells, end in zip(shown, ends, strict=True)]
        widths = [max(map(len, column), default=0) for column in zip(*shown, strict=True)]
        for place, row in enumerate(shown):
            cells = [f"{cell:<{width}}" for cell, width in zip(row[:-1], widths, strict=False)]
            begin = "  " + "".join(f"{cell}  " for cell in cells)
            for piece in self._wrapped(row[-1], len(begin)):
                self._line(begin + piece, _DIM if head and not place else "")
                begin = " " * len(begin)

    def _wrapped(self, text: str, indent: int = 0) -> list[str]:
        """A text in lines of the terminal's width; whole where nobody looks at it."""
        if self._width is None:
            return [text]
        return textwrap.wrap(text, max(10, self._width - indent - 1)) or [""]

    def _plots(self, ascii_only: bool) -> None:
        from convtui.analysis.profile.series import series
        from convtui.analysis.report.plots import columns, figure, resample

        for each in series(self._profile):
            if len(each.values) < 2:
                continue
            drawn = resample(each.values, _PLOT_WIDTH, adds=each.adds)
            most = max(value for value in drawn if value is not None)
            self._line()
            title = f"{each.name} over {len(each.values):,} {each.over}"
            if most <= 0:
                self._line(f"{title}: none", _BOLD)
                continue
            if len(drawn) < len(each.values):
                many = len(each.values) / len(drawn)
                title += f", a column is the {'sum' if each.adds else 'highest'} of {many:.0f}"
            self._line(title, _BOLD)
            lines = columns(drawn, width=len(drawn), height=_PLOT_HEIGHT, ascii_only=ascii_only)
            wall = "|" if ascii_only else "▏"
            for place, line in enumerate(lines):
                high = figure(most, each.unit) if place == 0 else ""
                low = figure(0, each.unit) if place == len(lines) - 1 else ""
                self._line(f"  {high or low:>14} {wall}{line}")

    def plain(self) -> None:
        """A sentence for each fact; what the plots show in words."""
        from convtui.analysis.profile.report import RULE_OF_VERDICT, sections
        from convtui.analysis.profile.series import series
        from convtui.analysis.report.plots import in_words

        for section in sections(self._profile):
            for row in section.rows:
                if section.head:
                    named = (
                        f"{name} {cell}" if name else cell
                        for name, cell in zip(section.head[1:], row[1:], strict=True)
                    )
                    text = f"{row[0]}: {', '.join(named)}"
                else:
                    text = f"{row[0]}: {', '.join(row[1:])}"
                self._line(f"{section.title}: {text}" if section.title else text)
            if section.note:
                self._line(f"{section.title}: {section.note}")
        for each in series(self._profile):
            said = in_words(each.values, each.labels, each.unit)
            self._line(f"{each.name} over {each.over}: {said}")
        if self._profile.tally.calls:
            self._line(RULE_OF_VERDICT)
