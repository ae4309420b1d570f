"""What stands in the place of a history that was summarised."""

from __future__ import annotations

from dataclasses import dataclass

from convtui.transcript import Transcript


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
        places = holder.turns if holder is not None else ()
        inside = [place for place in places if transcript.turns[place].number <= upto]
        if inside:
            first = transcript.turns[inside[0]].number
            found.append(Summary(inside[0], inside[-1], words(first, upto), text))
    return found


def words(first: int, last: int) -> str:
    """`turns 1 to 8 summarised`."""
    return f"turns {first} to {last} summarised" if last > first else f"turn {last} summarised"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
