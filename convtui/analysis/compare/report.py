"""A comparison as data, and what is said of it beside the turns: who, endings, what was used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from convtui.analysis.compare.comparison import Comparison, Facts, Pair, SessionPair
from convtui.text.word_diff import Op
from convtui.transcript.fold import COMMITTED, GONE, Flag, Totals, Transcript, Turn

UNKNOWN: Final = "unknown"
_AROUND: Final = 60
"""Characters of equal text that are kept beside a difference."""
_MOST: Final = 2_000
"""Characters of one removed or added piece that are kept."""

Row = tuple[str, str, str]
"""What it is, and what it is in A and in B."""


def about(transcript: Transcript) -> dict[str, Any]:
    """Who talked to whom, with what; None is unknown."""
    header = transcript.header
    provider = header.get("provider")
    provider = provider if isinstance(provider, dict) else {}
    warm = [r.get("template") for r in transcript.lifecycle if r.get("type") == "context.seeded"]
    return {
        "persona": header.get("persona"),
        "provider": provider.get("spec") or provider.get("name"),
        "model": provider.get("model"),
        "origin": header.get("origin"),
        "warm": warm[0] if warm else None,
    }


def figures(transcript: Transcript) -> dict[str, Any]:
    """What a run came to: counts of turns, and by side what was used."""
    said = [turn for turn in transcript.turns if turn.status == COMMITTED]
    took = [turn.latency for turn in transcript.turns if turn.latency is not None]
    return {
        "turns": len(said),
        "seeded": sum(1 for turn in said if turn.flags & Flag.SEEDED),
        "discarded": sum(1 for turn in transcript.turns if turn.status == GONE),
        "signals": sum(1 for turn in transcript.turns if turn.flags & Flag.SIGNAL),
        "errors": sum(1 for turn in transcript.turns if turn.flags & Flag.ERROR),
        "latency": round(sum(took) / len(took), 4) if took else None,
        "used": {side: totals.as_dict() for side, totals in sorted(transcript.totals.items())},
    }


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data; texts are exact, what is unknown is null."""
    session, pair = comparison.first
    kin = comparison.kinship
    first = None
    if not comparison.same:
        first = {
            "session": session.index if session is not None else None,
            "a": pair.a.number if pair is not None and pair.a is not None else None,
            "b": pair.b.number if pair is not None and pair.b is not None else None,
            "what": comparison.first_words(),
        }
    sides = (("a", comparison.path_a, comparison.a), ("b", comparison.path_b, comparison.b))
    return {
        "same": comparison.same,
        "differences": comparison.count,
        "first": first,
        "lineage": {
            "kind": kin.kind or None,
            "branch": kin.of or None,
            "shared_turns": kin.shared,
            "ancestor": kin.ancestor or None,
        },
        **{
            side: {
                "log": str(path),
                "id": transcript.id,
                **about(transcript),
                "termination": transcript.termination,
                **figures(transcript),
            }
            for side, path, transcript in sides
        },
        "sessions": [
            {
                "index": each.index,
                "differences": list(each.differences),
                "a": _session(each, "a"),
                "b": _session(each, "b"),
                "turns": [_pair(item) for item in each.pairs],
            }
            for each in comparison.sessions
        ],
    }


def _session(pair: SessionPair, side: str) -> dict[str, Any] | None:
    session = pair.a if side == "a" else pair.b
    if session is None:
        return None
    return {
        "type": session.session_type,
        "termination": session.termination,
        "skipped": session.skipped,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "differences": list(pair.differences),
        "shared": pair.shared,
        "a": _turn(pair.a, pair.facts_a),
        "b": _turn(pair.b, pair.facts_b),
        "diff": [[op, text] for op, text in pair.diff()] if pair.differences else [],
    }


def _turn(turn: Turn | None, facts: Facts) -> dict[str, Any] | None:
    if turn is None:
        return None
    return {
        "turn": turn.number,
        "speaker": turn.speaker,
        "status": turn.status,
        "text": turn.text,
        "signals": list(facts.signals),
        "tools": list(facts.tools),
        "decisions": list(facts.decisions),
        "latency": turn.latency,
        "tokens": {"prompt": turn.prompt_tokens, "completion": turn.completion_tokens},
        "cost": turn.cost,
    }


def about_rows(comparison: Comparison) -> list[Row]:
    """Who the two are: all that is known of either."""
    one, other = about(comparison.a), about(comparison.b)
    return [
        (name, str(one[name] or UNKNOWN), str(other[name] or UNKNOWN))
        for name in one
        if one[name] or other[name]
    ]


def ending_rows(comparison: Comparison) -> list[Row]:
    """How each session ended on either side, then the conversation where that says more."""
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
    """`early termination by provider at turn 4: <reason>`."""
    if not termination:
        return "no ending on record"
    words = str(termination.get("kind", "")).replace("_", " ")
    if termination.get("by"):
        words += f" by {termination['by']}"
    if termination.get("at_turn"):
        words += f" at turn {termination['at_turn']}"
    return words + (f": {termination['reason']}" if termination.get("reason") else "")


def usage_rows(comparison: Comparison) -> list[Row]:
    """Turns, latency, and by side calls, tokens, cost and time."""
    one, other = figures(comparison.a), figures(comparison.b)
    rows: list[Row] = [("turns said", _said(one), _said(other))]
    for name in ("discarded", "signals", "errors"):
        if one[name] or other[name]:
            rows.append((name, str(one[name]), str(other[name])))
    rows.append(("mean latency", _seconds(one["latency"]), _seconds(other["latency"])))
    a, b = comparison.a.totals, comparison.b.totals
    for side in sorted({*a, *b}):
        used_a, used_b = a.get(side), b.get(side)
        for name in ("calls", "tokens", "cost", "time"):
            rows.append((f"{side} {name}", _used(used_a, name), _used(used_b, name)))
    return rows


def _said(found: dict[str, Any]) -> str:
    # What a branch used is counted from where it began.
    own = f" ({found['turns'] - found['seeded']} its own)" if found["seeded"] else ""
    return f"{found['turns']}{own}"


def _used(totals: Totals | None, name: str) -> str:
    if totals is None:
        return "none"
    if name == "calls":
        return f"{totals.calls:,}"
    if name == "tokens":
        return UNKNOWN if totals.tokens is None else f"{totals.tokens:,}"
    if name == "cost":
        return UNKNOWN if totals.cost is None else f"${totals.cost:.4f}"
    return _seconds(totals.seconds)


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} s"


def clipped(diff: Iterable[tuple[Op, str]]) -> list[tuple[Op, str]]:
    """A word diff with what is equal cut down to what lies around the differences."""
    pieces = list(diff)
    found: list[tuple[Op, str]] = []
    for place, (op, text) in enumerate(pieces):
        if op != "=":
            found.append((op, text if len(text) <= _MOST else f"{text[:_MOST]}…"))
            continue
        head = _AROUND if place else 0
        tail = _AROUND if place < len(pieces) - 1 else 0
        short = len(text) <= head + tail + 20
        end = text[len(text) - tail :] if tail else ""
        found.append((op, text if short else f"{text[:head]} … {end}"))
    return found


def marked(diff: Sequence[tuple[Op, str]]) -> str:
    """A word diff in one text: `[-removed-]` and `{+added+}`."""
    marks = {"=": ("", ""), "-": ("[-", "-]"), "+": ("{+", "+}")}
    return "".join(f"{marks[op][0]}{text}{marks[op][1]}" for op, text in diff)
