"""`convtui compress-check`: a conversation before and after its history was summarised."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from convtui.cli.common import example, json_flag, print_json

if TYPE_CHECKING:
    from convtui.analysis.compress_check import CompressionCheck, Part


@click.command(
    "compress-check",
    epilog=example(
        "convtui compress-check run.jsonl",
        "convtui compress-check run.jsonl --json | jq .proficiency_preserved",
    ),
)
@click.argument("log")
@json_flag
def command(*, log: str, as_json: bool) -> int:
    """Whether tool calls go as well after a compression as before it.

    LOG is the log that goes on from the summary, or one that continues it: its calls since then
    are compared with those of the log that was compressed. As well: the error rate is at most a
    fifth greater. Without calls on both sides, or with a log that is gone or altered, it is
    unknown, and it says why.

    Exit code 1 when they go worse, 0 when they do not, when that is unknown, and when there was
    no compression.
    """
    from convtui.analysis.compress_check import as_dict, check_compression

    found = check_compression(log)
    if as_json:
        print_json(as_dict(found))
    else:
        _print(found)
    return 1 if found.preserved is False else 0


def _print(found: CompressionCheck) -> None:
    words = {True: "preserved", False: "not preserved", None: "unknown"}
    if found.has_compression is None:
        _line(f"compression: unknown: {found.why}")
    elif not found.has_compression:
        _line(f"no compression: {found.why}")
    else:
        rows = found.compressed.get("rows_in")
        _line(
            "compression: " + (f"{rows} messages became a summary" if rows else "there was one")
            + f" ({found.compressed.get('log', '')})"
        )  # fmt: skip
        _part("before", found.pre)
        _part("after", found.post)
        if found.interval is not None:
            from convtui.analysis.profile_report import interval_words

            _line(f"difference, 95 %: {interval_words(found.interval)}")
        _line(f"proficiency: {words[found.preserved]}: {found.why}")
    for note in found.notes:
        _line(f"note: {note}")


def _part(name: str, part: Part | None) -> None:
    from convtui.analysis.profile_report import gain_words, rate

    if part is None:
        _line(f"{name}: unknown")
        return
    tally = part.tally
    calls = f"{tally.calls:,} call{'' if tally.calls == 1 else 's'}"
    lost = f", {tally.unknown:,} unknown" if tally.unknown else ""
    said = f"{calls}{lost}, error rate {rate(tally)}" if tally.calls else "no tool calls"
    _line(f"{name}: {said}")
    if tally.calls:
        _line(f"  {gain_words(part.gain)}")


def _line(text: str) -> None:
    from convtui.text import visible_line

    sys.stdout.write(visible_line(text).rstrip() + "\n")
