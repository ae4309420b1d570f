"""A run's summary as columns of the library's index, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from convtui.log.index_rows import loaded, stored
from convtui.log.library import RunSummary

COLUMNS: Final = (
    "run", "persona", "provider", "provider_name", "model", "origin", "created", "modified",
    "ending", "ended_by", "reason", "turns", "records", "parent", "parent_file", "change",
    "at_session", "at_turn", "damaged", "tags", "sessions_count", "discarded", "duration",
    "tokens", "cost", "latency", "closed",
)  # fmt: skip


def to_row(run: RunSummary) -> tuple[Any, ...]:
    """The values of `COLUMNS`."""
    at = run.at or (None, None)
    tags = "\n".join(tag.replace("\n", " ") for tag in run.tags)
    return (
        stored(run.id), stored(run.persona), stored(run.provider), stored(run.provider_name),
        stored(run.model), stored(run.origin), stored(run.created), run.modified,
        stored(run.ending), stored(run.ended_by), stored(run.reason), run.turns,
        run.records, stored(run.parent), stored(run.parent_file), stored(run.change),
        at[0], at[1], stored(run.damaged), stored(tags), run.sessions,
        run.discarded, run.duration, run.tokens, run.cost, run.latency,
        run.closed,
    )  # fmt: skip


def from_row(
    file: str, size: int, row: Sequence[Any], running: Callable[[str], bool]
) -> RunSummary:
    """The summary; `running` is asked of a log that has no trailer."""
    if bytes in map(type, row):
        row = [loaded(value) if isinstance(value, bytes) else value for value in row]
    (
        run, persona, provider, provider_name, model, origin, created, modified, ending, ended_by,
        reason, turns, records, parent, parent_file, change, at_session, at_turn, damaged, tags,
        sessions, discarded, duration, tokens, cost, latency, closed,
    ) = row  # fmt: skip
    # By position: names would take as long as everything else.
    return RunSummary(
        file, run, persona, provider, origin, _time(created), modified, size, ending, ended_by,
        reason, turns, records, parent, parent_file, change,
        (at_session, at_turn) if at_turn is not None else None,
        not closed and not damaged and running(file),
        damaged, provider_name, model, created, tuple(tags.split("\n")) if tags else (),
        sessions, discarded, duration, tokens, cost, latency, bool(closed),
    )  # fmt: skip


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
