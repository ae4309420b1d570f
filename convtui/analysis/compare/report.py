"""A comparison of two runs as a report: who talks, turn by turn, endings, usage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from convtui.analysis.compare.comparison import Comparison, Pair, SessionPair
from convtui.analysis.compare.data import about, figures
from convtui.analysis.report.diffs import clipped
from convtui.analysis.report.report import (
    Diff,
    Listing,
    Part,
    Report,
    Section,
    Sentence,
    Sides,
    Verdict,
)
from convtui.text.boundary import one_line
from convtui.text.counts import counted
from convtui.transcript.ending_words import ending_sentence
from convtui.transcript.fold import Totals
from convtui.transcript.usage import whole_totals

NOTHING: Final = "-"
"""Where only the other run has a figure."""
_ALONE: Final = 400
"""Characters of a turn without a counterpart that are shown."""

Row = tuple[str, str, str]
"""A name, and the values in A and in B."""


def comparison_report(comparison: Comparison) -> Report:
    """The differences as sections: equal turns are only counted."""
    logs = ("log", comparison.path_a.name, comparison.path_b.name)
    first: list[Part] = [Sides([logs, *about_rows(comparison)])]
    if comparison.kin_words():
        first.append(Sentence(comparison.kin_words()))
    return Report(
        [
            Section("", first),
            *map(_session, comparison.sessions),
            Section("endings", [Sides(ending_rows(comparison))]),
            Section("used", [Sides(usage_rows(comparison))]),
        ],
        verdict=_verdict(comparison),
    )


def turn_report(comparison: Comparison) -> Report:
    """The comparison as one sentence per turn, including equal ones."""
    logs = [Sentence(str(comparison.path_a), "A"), Sentence(str(comparison.path_b), "B")]
    parts: list[Part] = [*logs, Sides(about_rows(comparison))]
    if comparison.kin_words():
        parts.append(Sentence(comparison.kin_words(), "lineage"))
    parts += [_turn(pair) for pair in comparison.pairs()]
    parts.append(Sides([(f"{name} ended", a, b) for name, a, b in ending_rows(comparison)]))
    parts.append(Sides(usage_rows(comparison)))
    return Report([Section("", parts)], verdict=_verdict(comparison))


def _verdict(comparison: Comparison) -> Verdict:
    if comparison.same:
        return Verdict("no difference in what was said and what happened", "good")
    many = counted(comparison.count, "difference")
    return Verdict(f"{many}, the first at {comparison.first_words()}", "bad")


def _session(session: SessionPair) -> Section:
    name = f" ({session.name})" if session.name else ""
    parts: list[Part] = [Listing(list(_pairs(session.pairs)))]
    parts += [Sentence("differs", what) for what in session.differences]
    return Section(f"session {session.index}{name}", parts)


def _pairs(pairs: Sequence[Pair]) -> Iterator[Sentence]:
    """A sentence for each turn that differs, and for each stretch of turns that do not."""
    equal: list[Pair] = []
    for pair in pairs:
        if not pair.differences:
            equal.append(pair)
            continue
        yield from _equal(equal)
        equal = []
        yield _different(pair)
    yield from _equal(equal)


def _equal(pairs: Sequence[Pair]) -> Iterator[Sentence]:
    if pairs:
        first, last = pairs[0].where, pairs[-1].where
        where = first if len(pairs) == 1 else f"{first} to {last}"
        how = "the same turns" if all(pair.shared for pair in pairs) else "nothing differs"
        yield Sentence(how, where, "aside")


def _different(pair: Pair) -> Sentence:
    below: list[Sentence | Diff] = []
    if pair.a is None or pair.b is None:
        alone = one_line(pair.alone(), _ALONE)
        below.append(
            Sentence(f"- {alone}", tone="bad")
            if pair.b is None
            else Sentence(f"+ {alone}", tone="good")
        )
    elif _has_diff(pair):
        below.append(Diff(clipped(pair.diff()), "" if "text" in pair.differences else "raw"))
    if pair.a is not None and pair.b is not None:
        for name, a, b in pair.notes():
            below.append(Diff([("-", a), ("=", " -> "), ("+", b)], name, signs=False))
    name = f"{pair.where} {pair.any.speaker}"
    return Sentence(", ".join(pair.differences), name, "bad", _latencies(pair), below)


def _has_diff(pair: Pair) -> bool:
    return not {"text", "raw"}.isdisjoint(pair.differences)


def _latencies(pair: Pair) -> str:
    seconds = [turn.latency for turn in (pair.a, pair.b) if turn is not None]
    if not seconds or None in seconds:
        return ""
    return f"({' | '.join(f'{latency:.2f} s' for latency in seconds)})"


def _turn(pair: Pair) -> Sentence:
    how = "shared" if pair.shared else ", ".join(pair.differences) or "same"
    if _has_diff(pair):
        how += f": {''.join(text for _, text in Diff(clipped(pair.diff())).signed())}"
    elif pair.differences and (pair.a is None or pair.b is None):
        how += f": {pair.alone()}"
    notes = [Sentence(f"A {a}, B {b}", name) for name, a, b in pair.notes()]
    return Sentence(how, f"turn {pair.where} {pair.any.speaker}", below=notes)


def about_rows(comparison: Comparison) -> list[Row]:
    """Persona, provider, model and origin of both runs, without what is unknown of both."""
    a, b = about(comparison.a), about(comparison.b)
    return [
        (name, str(a[name] or NOTHING), str(b[name] or NOTHING)) for name in a if a[name] or b[name]
    ]


def ending_rows(comparison: Comparison) -> list[Row]:
    """How each session ended on either side, and the conversation where only that differs."""
    rows: list[Row] = []
    for session in comparison.sessions:
        ends = [
            "not held" if side is None
            else f"skipped: {side.skipped}" if side.skipped
            else ending(side.termination)
            for side in (session.a, session.b)
        ]  # fmt: skip
        rows.append((f"session {session.index}", ends[0], ends[1]))
    if comparison.ending_differs or not rows:
        rows.append(("ending", ending(comparison.a.termination), ending(comparison.b.termination)))
    return rows


def ending(termination: dict[str, Any] | None) -> str:
    """How a run or a session ended, in words."""
    return ending_sentence(termination, nothing="no ending on record")


def usage_rows(comparison: Comparison) -> list[Row]:
    """Turns and latency, then calls, tokens, cost and time of each side.

    Without what is unknown of both runs.
    """
    figures_a, figures_b = figures(comparison.a), figures(comparison.b)
    rows: list[Row] = [("turns said", _turns(figures_a), _turns(figures_b))]
    for name in ("discarded", "signals", "errors"):
        if figures_a[name] or figures_b[name]:
            rows.append((name, str(figures_a[name]), str(figures_b[name])))
    rows.append(("mean latency", _seconds(figures_a["latency"]), _seconds(figures_b["latency"])))
    totals_a, totals_b = whole_totals(comparison.a), whole_totals(comparison.b)
    for side in sorted({*totals_a, *totals_b}):
        used_a, used_b = totals_a.get(side), totals_b.get(side)
        for name in ("calls", "tokens", "cost", "time"):
            rows.append((f"{side} {name}", _used(used_a, name), _used(used_b, name)))
    return [row for row in rows if row[1:] != (NOTHING, NOTHING)]


def _turns(run: dict[str, Any]) -> str:
    own = f" ({run['turns'] - run['seeded']} its own)" if run["seeded"] else ""
    return f"{run['turns']}{own}"


def _used(totals: Totals | None, name: str) -> str:
    if totals is None:
        return "0" if name == "calls" else NOTHING
    if name == "calls":
        return f"{totals.calls:,}"
    if name == "tokens":
        return NOTHING if totals.tokens is None else f"{totals.tokens:,}"
    if name == "cost":
        return NOTHING if totals.cost is None else f"${totals.cost:.4f}"
    return _seconds(totals.seconds)


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f} s"
