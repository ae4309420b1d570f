"""A profile with its compression checks and the logs that could not be read, as a report."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from convtui.analysis.profile.compress_report import check_section
from convtui.analysis.profile.orders import sorted_tools
from convtui.analysis.profile.reading import Reading
from convtui.analysis.profile.report import profile_report
from convtui.analysis.report.report import Report, Section, Sentence

_LOST: Final = 8
"""Unreadable logs that are named at most."""


def reading_report(reading: Reading, order: str = "") -> Report:
    """The report, with its tools in one of `ORDERS`; the table of runs is left to the caller."""
    profile = replace(reading.profile, tools=sorted_tools(reading.profile.tools, order))
    known = len(profile.runs) == 1 and not reading.checks and not reading.stopped
    more = [("compressed", "no: no history was summarised")] if known else []
    report = profile_report(profile, more)
    about, *others = report.sections
    sections = [about, *map(check_section, reading.checks)]
    if reading.unchecked:
        text = f"and {reading.unchecked:,} more that go on from a summary"
        sections.append(Section("", [Sentence(text, tone="aside")]))
    sections += [section for section in others if section.title != "runs"]
    if reading.left_out:
        sections.append(_left_out(reading.left_out))
    return replace(report, sections=sections)


def _left_out(reasons: list[str]) -> Section:
    sentences = [Sentence(why, tone="bad") for why in reasons[:_LOST]]
    if len(reasons) > _LOST:
        sentences.append(Sentence(f"and {len(reasons) - _LOST:,} more", tone="aside"))
    return Section("left out", sentences, f"{len(reasons):,} that cannot be read")
