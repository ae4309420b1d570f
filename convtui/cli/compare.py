"""`convtui compare`: two runs or branches side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convtui.cli.common import (
    example,
    has_screen,
    json_flag,
    no_screen,
    print_json,
    print_pieces,
    settings,
    use_color,
)
from convtui.cli.compare_arms import MARK, compare_saved, run_arms
from convtui.errors import UsageError

if TYPE_CHECKING:
    from convtui.analysis.compare.comparison import Comparison, Pair
    from convtui.analysis.compare.report import Row

_LABEL = 20
_RED, _GREEN, _BOLD, _DIM = "31", "32", "1", "2"


class _Compare(click.Command):
    """Keeps the `--` between two arms, which the command line library would drop."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--ab" in args and "--" in args:
            place = args.index("--")
            args = [*args[:place], MARK, *args[place + 1 :]]
        return super().parse_args(ctx, args)


@click.command(
    "compare",
    cls=_Compare,
    epilog=example(
        "convtui compare before.jsonl after.jsonl",
        "convtui compare run.jsonl branch.jsonl --tui",
        "convtui compare a.jsonl b.jsonl --json | jq .first",
        "convtui compare --ab warm/*.jsonl -- cold/*.jsonl",
        "convtui compare --ab --runs 5 scenario.yaml --warm billing",
    ),
)
@click.argument("logs", nargs=-1, metavar="A B")
@click.option("--plain", is_flag=True, help="A line for each turn, no columns and no colour.")
@click.option("--tui", is_flag=True, help="On the screen: both side by side.")
@click.option("--ab", is_flag=True, help="Arms of many runs: `--ab WARM... -- COLD...`.")
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Makes the runs of both arms itself: of a scenario with and without --warm, or of two.",
)
@click.option("--warm", metavar="NAME", help="With --runs: the template of the first arm.")
@click.option("--provider", metavar="SPEC", help="With --runs: as in `convtui run`.")
@click.option("--persona", metavar="SPEC", help="With --runs: as in `convtui run`.")
@click.option("--set", "set_", multiple=True, metavar="KEY=VALUE",
              help="With --runs: any scenario key.")  # fmt: skip
@click.option("--out", metavar="DIR", help="With --runs: where the logs go.")
@click.option("--trust", is_flag=True, help="With --runs: as in `convtui run`.")
@click.option("--python", metavar="PATH", help="With --runs: as in `convtui run`.")
@click.option("--env-file", metavar="FILE", help="With --runs: as in `convtui run`.")
@click.option("--test-name", metavar="TEXT", default="", help="With --ab: what it is called.")
@json_flag
def command(
    *,
    logs: tuple[str, ...],
    plain: bool,
    tui: bool,
    ab: bool,
    runs: int | None,
    test_name: str,
    as_json: bool,
    **flags: Any,
) -> int:
    """Compares two runs, or two branches of one: turn by turn, with the words that differ.

    Exit code 1 when they differ in what was said or in what happened, 0 when not: texts, raw
    replies, signals, discards, decisions, tools, errors, endings. Times, tokens and cost are shown
    and are no difference.

    With --ab, many runs against many: tool errors of warm runs (A) against cold ones (B), logs or
    folders of logs, with an interval of the difference; endings, turns, latency and tokens of both.
    No verdict where the interval includes 0 or an arm has one run only. Exit code 1 when the warm
    runs are worse; with --runs also 3 when a conversation failed.
    """
    given = [name for name, value in flags.items() if value]
    if ab:
        if tui:
            raise UsageError("--tui shows two logs side by side; --ab prints")
        if as_json and plain:
            raise UsageError("--json and --plain exclude each other")
        if runs is not None:
            return run_arms(logs, flags, runs, name=test_name, as_json=as_json, plain=plain)
        if given:
            raise UsageError(f"--{given[0].rstrip('_').replace('_', '-')} needs --runs N")
        return compare_saved(logs, name=test_name, as_json=as_json, plain=plain)
    if runs is not None or given or test_name:
        raise UsageError("--runs and what belongs to it need --ab")
    if len(logs) < 2:
        raise click.UsageError(f"Missing argument '{'B' if logs else 'A'}'.")
    if len(logs) > 2:
        raise UsageError("two logs are compared; for two arms of many: --ab WARM... -- COLD...")
    log_a, log_b = logs
    if as_json + plain + tui > 1:
        raise UsageError("--json, --plain and --tui exclude each other")
    if tui:
        from convtui.log.reader import LogReader

        # A file that is no log is said before the screen opens.
        for log in (log_a, log_b):
            LogReader(log).close()
        if has_screen():
            from convtui.tui.app import run_compare

            return run_compare(Path(log_a), Path(log_b), config=settings())
        no_screen("the comparison is printed")
    from convtui.analysis.compare.comparison import compare_logs

    comparison = compare_logs(log_a, log_b)
    if as_json:
        from convtui.analysis.compare.report import as_dict

        print_json(as_dict(comparison))
    elif plain:
        _Lines(comparison, color=False).plain()
    else:
        _Lines(comparison, color=use_color(sys.stdout, settings().color)).table()
    return 0 if comparison.same else 1


class _Lines:
    """Writes a comparison for people. Whatever is foreign is made visible here."""

    def __init__(self, comparison: Comparison, *, color: bool) -> None:
        self._comparison = comparison
        self._color = color

    def _line(self, *pieces: str | tuple[str, str]) -> None:
        print_pieces(*pieces, color=self._color)

    def _verdict(self) -> str:
        found = self._comparison
        if found.same:
            return "no difference in what was said and what happened"
        many = f"{found.count} difference{'' if found.count == 1 else 's'}"
        return f"{many}, the first at {found.first_words()}"

    # --- a table

    def table(self) -> None:
        """What both are, what differs turn by turn, how they ended, what they used."""
        from convtui.analysis.compare.report import about_rows, ending_rows, usage_rows

        found = self._comparison
        logs = ("log", found.path_a.name, found.path_b.name)
        self._rows([("", "A", "B"), logs, *about_rows(found)])
        kin = found.kin_words()
        if kin:
            self._line(kin)
        self._line()
        for session in found.sessions:
            name = f" ({session.name})" if session.name else ""
            self._line((f"session {session.index}{name}", _BOLD))
            self._pairs(session.pairs)
            for what in session.differences:
                self._line(f"  {what}: differs")
        self._line()
        self._line(("endings", _BOLD))
        self._rows(ending_rows(found))
        self._line(("used", _BOLD))
        self._rows(usage_rows(found))
        self._line()
        self._line((self._verdict(), _GREEN if found.same else _RED))

    def _rows(self, rows: list[Row]) -> None:
        from convtui.text.boundary import visible_line

        wide = max([8, *(len(visible_line(one, 60)) for _, one, _ in rows)])
        for name, one, other in rows:
            label = visible_line(name, _LABEL)
            self._line(f"  {label:<{_LABEL}}  {visible_line(one, 60):<{wide}}  ", other)

    def _pairs(self, pairs: list[Pair]) -> None:
        """Turns that do not differ are counted, those that do are shown."""
        equal: list[Pair] = []
        for pair in pairs:
            if not pair.differences:
                equal.append(pair)
                continue
            self._equal(equal)
            equal = []
            self._different(pair)
        self._equal(equal)

    def _equal(self, pairs: list[Pair]) -> None:
        if not pairs:
            return
        first, last = pairs[0].where, pairs[-1].where
        place = first if len(pairs) == 1 else f"{first} to {last}"
        how = "the same turns" if all(pair.shared for pair in pairs) else "nothing differs"
        self._line((f"  {place:<{_LABEL}}  {how}", _DIM))

    def _different(self, pair: Pair) -> None:
        head = f"  {pair.where:<{_LABEL}}  {pair.any.speaker:<8}  "
        self._line(head, (", ".join(pair.differences), _RED), self._latencies(pair))
        pad = " " * 6
        if pair.a is None or pair.b is None:
            from convtui.text.boundary import one_line

            mark, code = ("-", _RED) if pair.b is None else ("+", _GREEN)
            self._line(pad, (f"{mark} {one_line(pair.alone(), 400)}", code))
            return
        self._diff(pair, pad)
        for name, one, other in pair.notes():
            self._line(f"{pad}{name}: ", (one, _RED), " -> ", (other, _GREEN))

    def _diff(self, pair: Pair, pad: str) -> None:
        from convtui.analysis.compare.report import clipped, marked

        if not {"text", "raw"} & set(pair.differences):
            return
        codes = {"=": "", "-": _RED, "+": _GREEN}
        what = "" if "text" in pair.differences else "raw: "
        pieces = [(marked([piece]), codes[piece[0]]) for piece in clipped(pair.diff())]
        self._line(pad + what, *pieces)

    @staticmethod
    def _latencies(pair: Pair) -> str:
        took = [turn.latency for turn in (pair.a, pair.b) if turn is not None]
        if None in took or not took:
            return ""
        return f"  ({' | '.join(f'{each:.2f} s' for each in took)})"

    # --- for pipes and screen readers

    def plain(self) -> None:
        """A line for each turn, then the endings and what was used."""
        from convtui.analysis.compare.report import (
            about_rows,
            clipped,
            ending_rows,
            marked,
            usage_rows,
        )

        found = self._comparison
        self._line(f"A: {found.path_a}")
        self._line(f"B: {found.path_b}")
        for name, one, other in about_rows(found):
            self._line(f"{name}: A {one}; B {other}")
        if found.kin_words():
            self._line(f"lineage: {found.kin_words()}")
        for pair in found.pairs():
            how = "shared" if pair.shared else ", ".join(pair.differences) or "same"
            text = f"turn {pair.where} {pair.any.speaker}: {how}"
            if {"text", "raw"} & set(pair.differences):
                text += f": {marked(clipped(pair.diff()))}"
            elif pair.differences and (pair.a is None or pair.b is None):
                text += f": {pair.alone()}"
            for name, one, other in pair.notes():
                text += f"; {name}: A {one}, B {other}"
            self._line(text)
        for name, one, other in ending_rows(found):
            self._line(f"{name} ended: A {one}; B {other}")
        for name, one, other in usage_rows(found):
            self._line(f"{name}: A {one}; B {other}")
        self._line(f"result: {self._verdict()}")
