"""A comparison of two runs as JSON-compatible data."""

from __future__ import annotations

from typing import Any

from convtui.analysis.compare.comparison import Comparison, Facts, Pair, SessionPair
from convtui.transcript.fold import COMMITTED, GONE, Flag, Transcript, Turn
from convtui.transcript.usage import whole_totals


def about(transcript: Transcript) -> dict[str, Any]:
    """Persona, provider, model, origin and warm template of a run; None where unknown."""
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
    """The counts of a run's turns, the mean latency in seconds, and the usage of each side."""
    committed = [turn for turn in transcript.turns if turn.status == COMMITTED]
    took = [turn.latency for turn in transcript.turns if turn.latency is not None]
    return {
        "turns": len(committed),
        "seeded": sum(1 for turn in committed if turn.flags & Flag.SEEDED),
        "discarded": sum(1 for turn in transcript.turns if turn.status == GONE),
        "signals": sum(1 for turn in transcript.turns if turn.flags & Flag.SIGNAL),
        "errors": sum(1 for turn in transcript.turns if turn.flags & Flag.ERROR),
        "latency": round(sum(took) / len(took), 4) if took else None,
        "used": {
            side: totals.as_dict() for side, totals in sorted(whole_totals(transcript).items())
        },
    }


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON-compatible data; texts are exact, what is unknown is None."""
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
                "index": session.index,
                "differences": list(session.differences),
                "a": _session(session, "a"),
                "b": _session(session, "b"),
                "turns": [_pair(item) for item in session.pairs],
            }
            for session in comparison.sessions
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
