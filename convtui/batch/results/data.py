"""The results of a batch as JSON-compatible data. Its keys are documented in the manual: `batches`.

Texts are exact, times seconds, cost US dollars, rates 0 to 1; what is unknown is None.
"""

from __future__ import annotations

from typing import Any, Final

from convtui.analysis.profile.data import spread_dict
from convtui.analysis.report.intervals import rounded
from convtui.batch.manifest import BatchFile
from convtui.batch.manifest import counts as state_counts
from convtui.batch.results.compare import Change
from convtui.batch.results.contrasts import CONTRASTED, Contrast, contrasts
from convtui.batch.results.conversation import Conversation, Figures
from convtui.batch.results.reading import Results
from convtui.batch.results.summary import DIMENSIONS, Group, Rate, Summary, groups, summarise

FORMAT: Final = 1
"""Raised when a key changes its meaning or goes; new keys may be added at any time."""


def as_dict(results: Results) -> dict[str, Any]:
    """The whole results, with a row for each conversation."""
    batch = results.batch
    return {
        "format": FORMAT,
        "batch": batch_dict(batch),
        "partial": results.partial,
        "exit_code": results.exit_code,
        "states": dict(state_counts(batch.entries.values())),
        "first": summary_dict(summarise(results.first())),
        "best": summary_dict(summarise(results.best())),
        "used": _used(results),
        "by": {
            name: [_group(name, group) for group in groups(results, name)] for name in DIMENSIONS
        },
        "in_pairs": {
            name: [_contrast(contrast) for contrast in contrasts(results, name)]
            for name in CONTRASTED
        },
        "conversations": [conversation_dict(each) for each in results.conversations],
        "cells": [cell.as_dict() for cell in batch.cells.values()],
        "findings": list(batch.findings),
    }


def batch_dict(batch: BatchFile) -> dict[str, Any]:
    return {
        "id": batch.id,
        "name": batch.name,
        "folder": str(batch.folder.absolute()),
        "created_at": batch.at.isoformat() if batch.at else None,
        "convtui": batch.convtui,
        "digest": batch.digest,
        "runs": batch.runs,
        "running": batch.running,
        "finished": batch.finished,
        "stopped": batch.stopped,
        "resumed": batch.resumed,
    }


def summary_dict(summary: Summary) -> dict[str, Any]:
    return {
        "conversations": summary.conversations,
        "counted": summary.counted,
        "interrupted": summary.interrupted,
        "open": summary.open,
        "unread": summary.unread,
        "endings": dict(summary.endings),
        "rates": {name: _rate(rate) for name, rate in summary.rates.items()},
        "turns": summary.turns,
        "turns_each": rounded(summary.turns_each),
        "discarded": summary.discarded,
        "errors": summary.errors,
        "tool_errors": summary.tool_errors,
        "retries": summary.retries,
        "signals": dict(summary.signals),
        "faults": dict(summary.faults),
        "fault_rules": dict(summary.rules),
        "latency": spread_dict(summary.latency),
        "tokens": summary.tokens,
        "cost": summary.cost,
        "reflection": _reflection(summary),
        "seconds": spread_dict(summary.seconds),
    }


def conversation_dict(conversation: Conversation) -> dict[str, Any]:
    """One conversation, with the figures of its log."""
    return {
        "key": conversation.key,
        "cell": conversation.cell,
        "run": conversation.run,
        "attempt": conversation.attempt,
        "state": conversation.state,
        "outcome": conversation.outcome,
        "log": str(conversation.log.absolute()) if conversation.log is not None else None,
        "termination": conversation.termination,
        "problem": conversation.problem or None,
        "matches": conversation.matches,
        "reruns": conversation.reruns,
        "because": conversation.because or None,
        "hold": conversation.hold,
        "figures": None if conversation.figures is None else _figures(conversation.figures),
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "turns": figures.turns,
        "sessions": figures.sessions,
        "discarded": figures.discarded,
        "errors": figures.errors,
        "tool_errors": figures.tool_errors,
        "retries": figures.retries,
        "signals": dict(figures.signals),
        "faults": dict(figures.faults),
        "latencies": list(figures.latencies),
        "tokens": figures.tokens,
        "cost": figures.cost,
        "reflection": _reflection(figures),
        "seconds": figures.seconds,
    }


def change_dict(change: Change) -> dict[str, Any]:
    """One measure over pairs, from before to after."""
    return {
        "n": change.n,
        "before": rounded(change.before),
        "after": rounded(change.after),
        "difference": rounded(change.difference),
        "interval": change.interval and change.interval.as_list(),
        "more": change.more,
        "less": change.less,
        "p": change.p,
        "verdict": None if change.verdict == "none" else change.verdict,
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "base": contrast.base,
        "other": contrast.other,
        "pairs": contrast.pairs,
        "changes": {name: change_dict(change) for name, change in contrast.changes.items()},
    }


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "count": rate.count,
        "n": rate.n,
        "rate": rounded(rate.value),
        "interval": rate.interval and rate.interval.as_list(),
    }


def _group(dimension: str, group: Group) -> dict[str, Any]:
    return {
        dimension: group.name,
        "cells": list(group.cells),
        "first": summary_dict(group.first),
        "best": summary_dict(group.best),
    }


def _reflection(figures: Summary | Figures) -> dict[str, Any]:
    """What it took to reflect on earlier attempts, which is in no other figure."""
    return {"tokens": figures.reflection_tokens, "cost": figures.reflection_cost}


def _used(results: Results) -> dict[str, Any]:
    """What all attempts used together, and reflecting on them beside it."""
    every = summarise(results.conversations)
    return {"tokens": every.tokens, "cost": every.cost, "reflection": _reflection(every)}
