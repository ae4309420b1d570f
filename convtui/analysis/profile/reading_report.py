"""What was read of several logs as a report: the profile, what compressions did, what was lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from convtui.analysis.profile.compress_report import check_section
from convtui.analysis.profile.orders import sorted_tools
from convtui.analysis.profile.reading import Reading
from convtui.analysis.profile.report import profile_report
from convtui.analysis.report.report import Report, Section, Sentence

_LOST: Final = 8
"""Logs that could not be read that are named."""


def reading_report(reading: Reading, order: str = "") -> Report:
    """The profile with its tools in an order of `ORDERS`; the runs have a list of their own."""
    profile = replace(reading.profile, tools=sorted_tools(reading.profile.tools, order))
    known = len(profile.runs) == 1 and not reading.checks and not reading.stopped
    more = [("compressed", "no: no history was summarised")] if known else []
    report = profile_report(profile, more)
    about, *others = report.sections
    sections = [about, *map(check_section, reading.checks)]
    if reading.unchecked:
        words = f"and {reading.unchecked:,} more that go on from a summary"
        sections.append(Section("", [Sentence(words, tone="aside")]))
    sections += [section for section in others if section.title != "runs"]
    if reading.left_out:
        sections.append(_left_out(reading.left_out))
    return replace(report, sections=sections)


def _left_out(reasons: list[str]) -> Section:
    sentences = [Sentence(why, tone="bad") for why in reasons[:_LOST]]
    if len(reasons) > _LOST:
        sentences.append(Sentence(f"and {len(reasons) - _LOST:,} more", tone="aside"))
    return Section("left out", sentences, f"{len(reasons):,} that cannot be read")
