"""A compression check as a report."""

from __future__ import annotations

from typing import Final

from convtui.analysis.profile.compress_check import CompressionCheck, Part
from convtui.analysis.profile.report import gain_words, interval_words, rate
from convtui.analysis.report.report import Report, Section, Sentence, Tone
from convtui.text.counts import counted

_ANSWERS: Final[dict[bool | None, tuple[str, Tone]]] = {
    True: ("preserved", "good"),
    False: ("not preserved", "bad"),
    None: ("unknown", "doubtful"),
}
"""The wording and tone of `CompressionCheck.preserved`."""


def check_report(check: CompressionCheck) -> Report:
    return Report([Section("", _sentences(check))])


def check_section(check: CompressionCheck) -> Section:
    """The check as one section among others: begins with the answer and the name of the log."""
    answer, tone = _ANSWERS[check.preserved if check.has_compression else None]
    about = Sentence(answer, tone=tone, aside=check.path.name)
    return Section("before and after its history was summarised", [about, *_sentences(check)])


def _sentences(check: CompressionCheck) -> list[Sentence]:
    notes = [Sentence(note, "note") for note in check.notes]
    if check.has_compression is None:
        return [Sentence(f"unknown: {check.why}", "compression"), *notes]
    if not check.has_compression:
        return [Sentence(check.why, "no compression"), *notes]
    rows = check.compressed.get("rows_in")
    what = f"{counted(rows, 'message')} became a summary" if rows else "there was one"
    sentences = [
        Sentence(f"{what} ({check.compressed.get('log', '')})", "compression"),
        _part("before", check.pre),
        _part("after", check.post),
    ]
    if check.interval is not None:
        sentences.append(Sentence(interval_words(check.interval), "difference, 95 %"))
    sentences.append(Sentence(f"{_ANSWERS[check.preserved][0]}: {check.why}", "proficiency"))
    return sentences + notes


def _part(name: str, part: Part | None) -> Sentence:
    if part is None:
        return Sentence("unknown", name)
    tally = part.tally
    if not tally.calls:
        return Sentence("no tool calls", name)
    calls = counted(tally.calls, "call")
    lost = f", {tally.unknown:,} unknown" if tally.unknown else ""
    text = f"{calls}{lost}, error rate {rate(tally)}"
    return Sentence(text, name, below=[Sentence(gain_words(part.gain))])
