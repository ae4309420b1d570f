"""What stands in the place of a history that was summarised."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from convtui.transcript.fold import Transcript


@dataclass(slots=True, frozen=True)
class Summary:
    """A summary and the turns that it stands for, as places in the transcript."""

    first: int
    last: int
    title: str
    text: str


def summaries_of(transcript: Transcript) -> list[Summary]:
    """The summaries in force, one for each session that has one; the last of a session counts."""
    known: dict[int, tuple[int, str]] = {}
    before = (transcript.seed.get("counters") or {}).get("compressed")
    if not before and "context.compressed" not in transcript.counts:
        return []  # asked with every frame
    for session, data in (before if isinstance(before, dict) else {}).items():
        if isinstance(data, dict) and str(session).isdigit():
            known[int(session)] = (_number(data.get("upto")), str(data.get("summary") or ""))
    for record in transcript.lifecycle:
        if record.get("type") == "context.compressed":
            session = _number(record.get("session")) or 1
            known[session] = (_number(record.get("upto")), str(record.get("summary") or ""))
    found: list[Summary] = []
    for index, (upto, text) in sorted(known.items()):
        holder = transcript.session(index)
        if holder is None or not holder.turns:
            continue
        places, turns = holder.turns, transcript.turns
        end = bisect_right(places, upto, key=lambda place: turns[place].number)
        if end:
            title = words(turns[places[0]].number, upto)
            found.append(Summary(places[0], places[end - 1], title, text))
    return found


def words(first: int, last: int) -> str:
    """`turns 1 to 8 summarised`."""
    return f"turns {first} to {last} summarised" if last > first else f"turn {last} summarised"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
