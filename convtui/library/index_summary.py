"""A run's summary as columns of the library's index, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from convtui.library.index_rows import loaded, stored
from convtui.log.run_summary import RunSummary
from convtui.records.times import parse_zoned_time

COLUMNS: Final = (
    "texts", "modified", "turns", "records", "at_session", "at_turn", "sessions_count",
    "discarded", "duration", "tokens", "cost", "latency", "closed",
)  # fmt: skip
"""`texts` holds all texts of the summary: one column is read much faster than fifteen."""
_BETWEEN = "\x1f"
_FIGURES: Final = frozenset({int, float, type(None)})


def to_row(run: RunSummary) -> tuple[Any, ...]:
    at = run.at or (None, None)
    texts = [
        run.id, run.persona, run.provider, run.provider_name, run.model, run.origin, run.created,
        run.ending, run.ended_by, run.reason, run.parent, run.parent_file, run.change,
        run.damaged, "\n".join(tag.replace("\n", " ") for tag in run.tags),
    ]  # fmt: skip
    packed = _BETWEEN.join(texts)
    if packed.count(_BETWEEN) != len(texts) - 1:
        packed = _BETWEEN + json.dumps(texts)
    return (
        stored(packed), run.modified, run.turns, run.records, at[0], at[1], run.sessions,
        run.discarded, run.duration, run.tokens, run.cost, run.latency, run.closed,
    )  # fmt: skip


def from_row(
    file: str, size: int, row: Sequence[Any], running: Callable[[str], bool]
) -> RunSummary:
    """The summary; `running` decides about a log that has no trailer.

    Raises `TypeError` or `ValueError` for what `to_row()` did not make.
    """
    (
        packed, modified, turns, records, at_session, at_turn, sessions, discarded, duration,
        tokens, cost, latency, closed,
    ) = row  # fmt: skip
    if modified is None or not _FIGURES.issuperset(map(type, row[1:-1])):
        raise TypeError("a figure is no number")
    packed = loaded(packed)
    texts = packed.split(_BETWEEN)
    if len(texts) == 2:
        texts = json.loads(texts[1])
        if not all(type(text) is str for text in texts):
            raise TypeError("a text is none")
    (
        run, persona, provider, provider_name, model, origin, created, ending, ended_by, reason,
        parent, parent_file, change, damaged, tags,
    ) = texts  # fmt: skip
    # By position: names would take as long as everything else.
    return RunSummary(
        file, run, persona, provider, origin, parse_zoned_time(created), modified, size, ending,
        ended_by, reason, turns, records, parent, parent_file, change,
        (at_session, at_turn) if at_turn is not None else None,
        not closed and not damaged and running(file),
        damaged, provider_name, model, created, tuple(tags.split("\n")) if tags else (),
        sessions, discarded, duration, tokens, cost, latency, bool(closed),
    )  # fmt: skip
