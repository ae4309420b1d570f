"""The comparison of two batches as JSON-compatible data; the keys are in the manual: `batches`.

`after - before` throughout; rates are 0 to 1, times seconds, cost US dollars, unknown is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from convtui.batch.results.compare import BatchComparison, Pair
from convtui.batch.results.compare_report import METHOD, verdict_words
from convtui.batch.results.conversation import Conversation
from convtui.batch.results.data import batch_dict, change_dict, summary_dict
from convtui.batch.results.scenario_changes import ScenarioChange
from convtui.batch.results.summary import summarise

FORMAT: Final = 1


def as_dict(comparison: BatchComparison, changes: Sequence[ScenarioChange] = ()) -> dict[str, Any]:
    """The whole comparison, with every pair whose ending changed."""
    return {
        "format": FORMAT,
        "before": _side(comparison, "before"),
        "after": _side(comparison, "after"),
        "paired_by": [*comparison.by, "run"],
        "pairs": len(comparison.pairs),
        "left_out": comparison.left_out,
        "verdict": None if comparison.verdict == "none" else comparison.verdict,
        "why": verdict_words(comparison),
        "method": METHOD,
        "changes": {name: change_dict(change) for name, change in comparison.changes.items()},
        "cells": [
            {
                "name": cell.name,
                "before": cell.before.name,
                "after": cell.after.name,
                "pairs": len(cell.pairs),
                "changes": {name: change_dict(change) for name, change in cell.changes.items()},
            }
            for cell in comparison.cells
        ],
        "worse": [_pair(pair) for pair in comparison.flipped(worse=True)],
        "better": [_pair(pair) for pair in comparison.flipped(worse=False)],
        "ended_otherwise": [_pair(pair) for pair in comparison.ended_otherwise()],
        "only_before": list(comparison.only_before),
        "only_after": list(comparison.only_after),
        "scenario_changes": [
            {
                "key": change.key,
                "before": change.before,
                "after": change.after,
                "cells": change.cells,
            }
            for change in changes
        ],
    }


def _side(comparison: BatchComparison, name: str) -> dict[str, Any]:
    results = comparison.before if name == "before" else comparison.after
    return {
        **batch_dict(results.batch),
        "partial": results.partial,
        "first": summary_dict(summarise(results.first())),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "cell": pair.name,
        "run": pair.before.run,
        "before": _conversation(pair.before),
        "after": _conversation(pair.after),
    }


def _conversation(conversation: Conversation) -> dict[str, Any]:
    return {
        "key": conversation.key,
        "ending": conversation.ending,
        "outcome": conversation.outcome,
        "log": str(conversation.log.absolute()) if conversation.log is not None else None,
    }
