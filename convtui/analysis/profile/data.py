"""A profile as JSON-compatible data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from convtui.analysis.profile.profile import Profile, RunProfile, SideStats
from convtui.analysis.report.intervals import Spread, rounded
from convtui.analysis.tool_calls.gains import Gain, Tally
from convtui.analysis.tool_calls.outcomes import RULES


def as_dict(profile: Profile) -> dict[str, Any]:
    """The profile as JSON-compatible data; texts are exact, what is unknown is None.

    The keys of a session profile of warm-session provisioning are kept, for one run and for
    several.
    """
    return {
        **_figures(profile),
        "trivial_calls": profile.trivial,
        "tool_types": {tool.name: tool.type for tool in profile.tools},
        "tools": [
            {
                "name": tool.name,
                "type": tool.type,
                **tally_dict(tool.tally),
                "seconds": spread_dict(tool.seconds),
            }
            for tool in profile.tools
        ],
        "decided_by": dict(profile.rules),
        "rules": {rule: RULES[rule] for rule in profile.rules},
        "signals": dict(profile.signals),
        "incomplete": dict(profile.incomplete),
        "decisions": dict(profile.decisions),
        "noticed": dict(profile.noticed),
        "endings": dict(profile.endings),
        "session_endings": dict(profile.session_endings),
        "turns": profile.committed_turns,
        "inherited_turns": profile.inherited,
        "sessions": profile.sessions,
        "discarded": profile.discarded,
        "inherited_discarded": profile.inherited_discarded,
        "errors": profile.errors,
        "retries": profile.retries,
        "cost": profile.cost,
        "sides": {side.side: _side(side) for side in profile.sides},
        "runs": [_run(run) for run in profile.runs],
    }


def tally_dict(tally: Tally) -> dict[str, Any]:
    return {
        "calls": tally.calls,
        "ok": tally.ok,
        "failed": tally.failed,
        "unknown": tally.unknown,
        "error_rate": rounded(tally.error_rate),
    }


def spread_dict(values: Spread | None) -> dict[str, Any] | None:
    """The percentiles, rounded to four digits."""
    if values is None:
        return None
    return {name: round(value, 4) for name, value in asdict(values).items()}


def gain_dict(gain: Gain) -> dict[str, Any]:
    interval = gain.interval
    return {
        "early": tally_dict(gain.early),
        "late": tally_dict(gain.late),
        "change": rounded(gain.change),
        "interval": interval and interval.as_list(),
        "overlap": gain.overlap,
        "verdict": None if gain.verdict == "none" else gain.verdict,
        "why": gain.why or None,
    }


def _figures(profile: Profile) -> dict[str, Any]:
    tally, gain = profile.tally, profile.gain
    return {
        "session_ids": [run.id for run in profile.runs],
        "tool_call_count": tally.calls,
        "successful_calls": tally.ok,
        "failed_calls": tally.failed,
        "unknown_calls": tally.unknown,
        "error_rate": rounded(tally.error_rate),
        "early_error_rate": rounded(gain.early.error_rate),
        "late_error_rate": rounded(gain.late.error_rate),
        "proficiency_gain": rounded(gain.change),
        "gain": gain_dict(gain),
        "dominant_tool_type": profile.dominant_type,
        "tool_distribution": {tool.name: tool.tally.calls for tool in profile.tools},
        "tool_success_rates": {
            tool.name: None
            if tool.tally.error_rate is None
            else rounded(tool.tally.ok / tool.tally.known)
            for tool in profile.tools
        },
    }


def _run(run: RunProfile) -> dict[str, Any]:
    return {
        "id": run.id,
        "log": str(run.path),
        "persona": run.persona,
        "provider": run.provider,
        "created_at": run.created_at,
        "ending": run.ending,
        "sessions": list(run.sessions),
        "turns": run.committed_turns,
        "inherited_turns": run.inherited,
        "discarded": run.discarded,
        "inherited_discarded": run.inherited_discarded,
        "errors": run.errors,
        **tally_dict(run.tally),
        "proficiency_gain": rounded(run.gain.change),
        "findings": run.damage,
    }


def _side(side: SideStats) -> dict[str, Any]:
    return {
        "turns": side.turns,
        "latency": spread_dict(side.latency),
        "tokens": spread_dict(side.tokens),
        "calls": side.calls,
        "retries": side.retries,
        "prompt_tokens": side.prompt_tokens,
        "completion_tokens": side.completion_tokens,
        "cost": side.cost,
    }
