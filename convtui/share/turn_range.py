"""`--turns 2:3-2:9`: the turns of a log that are shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convtui.errors import UsageError
from convtui.records.codec import parse_address
from convtui.transcript.fold import Transcript

Address = tuple[int, int]


@dataclass(slots=True, frozen=True)
class TurnRanges:
    """Turns from one address to another, both included; without ranges all turns."""

    ranges: Sequence[tuple[Address, Address]] = ()

    def __contains__(self, address: Address) -> bool:
        return not self.ranges or any(first <= address <= last for first, last in self.ranges)

    @classmethod
    def parse(cls, texts: Sequence[str], transcript: Transcript) -> TurnRanges:
        """The ranges that are written, several in one text with commas: `1:4,2:3-2:9`.

        Raises `UsageError` for one that names no turn of the transcript.
        """
        parts = [part.strip() for text in texts for part in text.split(",")]
        return cls(tuple(_range(part, transcript) for part in parts))


def _range(text: str, transcript: Transcript) -> tuple[Address, Address]:
    begin, dash, end = text.partition("-")
    first = _address(begin, text, transcript, 1)
    # `2:3-9` stays in session 2.
    last = _address(end, text, transcript, first[0]) if dash else first
    if last < first:
        raise UsageError(f"--turns {text}: it ends before it begins: write {end}-{begin}")
    return first, last


def _address(word: str, text: str, transcript: Transcript, session: int) -> Address:
    try:
        address = parse_address(word.strip(), session=session)
    except ValueError:
        raise UsageError(
            f"--turns {text}: {word.strip()!r} is no turn; write 2:3-2:9, or 4 for 1:4"
        ) from None
    if transcript.find(*address) is None:
        missing = f"{address[0]}:{address[1]}"
        raise UsageError(f"--turns {text}: there is no turn {missing}{_near(address, transcript)}")
    return address


def _near(address: Address, transcript: Transcript) -> str:
    """What there is near an address."""
    turns = transcript.turns
    if not turns:
        return ": nothing was said in this log"
    session = [turn for turn in turns if turn.session == address[0]]
    if session:
        near = min(session, key=lambda turn: abs(turn.number - address[1])).address
        has = f"{session[0].address} to {session[-1].address}"
        return f"; session {address[0]} has {has}: did you mean {near}?"
    return f"; the log has {turns[0].address} to {turns[-1].address}"
