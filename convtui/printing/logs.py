"""Prints whole logs, for `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from convtui.printing.output import Output
from convtui.printing.printer import Printer
from convtui.printing.wording import totals_line
from convtui.text.boundary import visible_line
from convtui.transcript.clock import elapsed
from convtui.transcript.corrections import Correction
from convtui.transcript.fold import Turn
from convtui.transcript.usage import whole_totals

if TYPE_CHECKING:
    from convtui.log.reader import Log


def print_log(
    log: Log,
    out: TextIO,
    err: TextIO,
    *,
    width: int | None = None,
    color: bool = False,
    plain: bool = False,
    debug: bool = False,
) -> None:
    """Prints a log for people: header, sessions and turns, terminations, usage.

    Findings go to `err`.
    """
    from convtui.log.notes import Notes

    notes = Notes(log.path)

    def corrections(turn: Turn) -> Correction:
        return notes.on(turn.session, turn.number)

    printer = Printer(
        out,
        err,
        width=width,
        color=color,
        plain=plain,
        debug=debug,
        corrections=corrections,
    )
    printer.page.progress = False
    printer.ran = elapsed(log.transcript)
    for record in log.records():
        printer.record(record)
    printer.finish()
    if log.transcript.termination is None:
        state = "still running" if log.running else "crashed, or was killed, before it ended"
        Output(out).line(f"\nconversation: {state}\n{totals_line(whole_totals(log.transcript))}")
    print_findings(log, err)


def print_findings(log: Log, err: TextIO) -> None:
    """Prints the findings of a log to `err`, one a line."""
    output = Output(err)
    for finding in log.findings:
        output.line(f"convtui: {visible_line(str(log.path))}: {visible_line(str(finding))}")


def folded(log: Log) -> dict[str, Any]:
    """The log as one JSON document; see `convtui.log.transcript_json`."""
    from convtui.log.transcript_json import folded as fold

    return fold(log)
