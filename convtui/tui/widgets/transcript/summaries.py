"""Summaries that replace turns in the history."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convtui.transcript.fold import Transcript


@dataclass(slots=True, frozen=True)
class Summary:
    """A summary and the turns it replaces, as indexes in the transcript."""

    first: int
    last: int
    title: str
    text: str


def summaries_of(transcript: Transcript) -> list[Summary]:
    """The summaries in force: the last one of each session that has any."""
    latest: dict[int, tuple[int, str]] = {}
    before = (transcript.seed.get("counters") or {}).get("compressed")
    if not before and "context.compressed" not in transcript.counts:
        return []  # called with every frame
    for session, data in (before if isinstance(before, dict) else {}).items():
        if isinstance(data, dict) and str(session).isdigit():
            latest[int(session)] = (_number(data.get("upto")), str(data.get("summary") or ""))
    for record in transcript.lifecycle:
        if record.get("type") == "context.compressed":
            session = _number(record.get("session")) or 1
            latest[session] = (_number(record.get("upto")), str(record.get("summary") or ""))
    summaries: list[Summary] = []
    for index, (upto, text) in sorted(latest.items()):
        session_turns = transcript.session(index)
        if session_turns is None or not session_turns.turns:
            continue
        indexes, turns = session_turns.turns, transcript.turns
        end = bisect_right(indexes, upto, key=lambda index: turns[index].number)
        if end:
            title = summary_title(turns[indexes[0]].number, upto)
            summaries.append(Summary(indexes[0], indexes[end - 1], title, text))
    return summaries


def summary_title(first: int, last: int) -> str:
    """`turns 1 to 8 summarised`."""
    return f"turns {first} to {last} summarised" if last > first else f"turn {last} summarised"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
