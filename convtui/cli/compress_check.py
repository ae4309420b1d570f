"""`convtui compress-check`: a conversation before and after its history was summarised."""

from __future__ import annotations

import click

from convtui.cli.common import example, json_flag, print_json, report_printer
from convtui.cli.logs import log_named


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
    from convtui.analysis.profile.compress_check import as_dict, check_compression
    from convtui.analysis.profile.compress_report import check_report

    result = check_compression(log_named(log))
    if as_json:
        print_json(as_dict(result))
    else:
        report_printer().print(check_report(result))
    return 1 if result.preserved is False else 0
