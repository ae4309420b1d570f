"""A compression check in words. Texts are exact: make them visible to draw."""

from __future__ import annotations

from typing import Final

from convtui.analysis.profile.compress_check import CompressionCheck, Part
from convtui.analysis.profile.report import gain_words, interval_words, rate

ANSWERS: Final = {True: "preserved", False: "not preserved", None: "unknown"}
"""What is said of the proficiency."""


def lines(found: CompressionCheck) -> list[tuple[str, str]]:
    """The check, a name and its words each; a line without a name belongs to the one before."""
    if found.has_compression is None:
        return [("compression", f"unknown: {found.why}"), *_notes(found)]
    if not found.has_compression:
        return [("no compression", found.why), *_notes(found)]
    rows = found.compressed.get("rows_in")
    what = f"{rows} messages became a summary" if rows else "there was one"
    told = [("compression", f"{what} ({found.compressed.get('log', '')})")]
    told += _part("before", found.pre)
    told += _part("after", found.post)
    if found.interval is not None:
        told.append(("difference, 95 %", interval_words(found.interval)))
    told.append(("proficiency", f"{ANSWERS[found.preserved]}: {found.why}"))
    return told + _notes(found)


def _notes(found: CompressionCheck) -> list[tuple[str, str]]:
    return [("note", note) for note in found.notes]


def _part(name: str, part: Part | None) -> list[tuple[str, str]]:
    if part is None:
        return [(name, "unknown")]
    tally = part.tally
    calls = f"{tally.calls:,} call{'' if tally.calls == 1 else 's'}"
    lost = f", {tally.unknown:,} unknown" if tally.unknown else ""
    said = f"{calls}{lost}, error rate {rate(tally)}" if tally.calls else "no tool calls"
    return [(name, said), *([("", gain_words(part.gain))] if tally.calls else [])]
