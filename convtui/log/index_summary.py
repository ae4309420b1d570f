"""A run's summary as columns of the library's index, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
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
        stored(run.ending), stored(run.ended_by), stored(run.reason), _small(run.turns),
        _small(run.records), stored(run.parent), stored(run.parent_file), stored(run.change),
        _small(at[0]), _small(at[1]), stored(run.damaged), stored(tags), _small(run.sessions),
        _small(run.discarded), run.duration, _small(run.tokens), run.cost, run.latency,
        run.closed,
    )  # fmt: skip


def from_row(
    path: Path, size: int, row: Sequence[Any], running: Callable[[Path], bool]
) -> RunSummary:
    """The summary; `running` is asked of a log that has no trailer."""
    (
        run, persona, provider, provider_name, model, origin, created, modified, ending, ended_by,
        reason, turns, records, parent, parent_file, change, at_session, at_turn, damaged, tags,
        sessions, discarded, duration, tokens, cost, latency, closed,
    ) = row  # fmt: skip
    created = loaded(created)
    # By position: names would take as long as everything else.
    return RunSummary(
        path, loaded(run), loaded(persona), loaded(provider), loaded(origin), _time(created),
        modified, size, loaded(ending), loaded(ended_by), loaded(reason), turns, records,
        loaded(parent), loaded(parent_file), loaded(change),
        (at_session, at_turn) if at_turn is not None else None,
        not closed and not damaged and running(path),
        loaded(damaged), loaded(provider_name), loaded(model), created,
        tuple(loaded(tags).split("\n")) if tags else (),
        sessions, discarded, duration, tokens, cost, latency, bool(closed),
    )  # fmt: skip


def _small(value: int | None) -> int | None:
    """A whole number that a column takes; a log may say any."""
    return value if value is not None and abs(value) < 1 << 62 else None


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
