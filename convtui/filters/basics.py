"""What every atom is made of: the lookup, and when an answer can be known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from convtui.errors import BadValueError, did_you_mean
from convtui.filters.runs import Answer
from convtui.records.codec import STAGES, RecordDict
from convtui.text.boundary import visible_line
from convtui.transcript.corrections import Correction
from convtui.transcript.fold import OPEN, Flag, Transcript, Turn


class Lookup(Protocol):
    """Reads what the fold does not keep. Returns None for what is not available.

    `raw` is all that most expressions need. An object that also has `records` answers for tool
    names and outputs; one that has `marked` and `noted` for marks and notes; one that has
    `correction` for what was corrected by hand, which counts in place of what the log says.
    """

    def raw(self, turn: Turn) -> str | None: ...


class FullLookup(Lookup, Protocol):
    """A lookup that can answer every atom."""

    def records(self, turn: Turn) -> Sequence[RecordDict]: ...

    def marked(self, turn: Turn) -> bool: ...

    def noted(self, turn: Turn) -> bool: ...

    def correction(self, turn: Turn) -> Correction | None: ...


Test = Callable[[Turn, Transcript, Lookup | None], Answer]


RANK: Final[Mapping[str, int]] = {stage: rank for rank, stage in enumerate(STAGES)}


def after(stage: str, known: Test) -> Test:
    """`known`, but unknown while the turn in progress has not been through `stage`."""
    limit = RANK[stage]

    def test(turn: Turn, transcript: Transcript, lookup: Lookup | None) -> Answer:
        if turn.status == OPEN and RANK.get(turn.stage, 0) < limit:
            return None
        return known(turn, transcript, lookup)

    return test


def flagged(flag: Flag, stage: str) -> Test:
    bit = int(flag)
    return after(stage, lambda turn, _t, _l: bool(int(turn.flags) & bit))


def happened(flag: Flag) -> Test:
    """True as soon as it happened; not known to be false before the turn is over."""
    bit = int(flag)

    def test(turn: Turn, _t: Transcript, _l: Lookup | None) -> Answer:
        if int(turn.flags) & bit:
            return True
        return None if turn.status == OPEN else False

    return test


def one_of(value: str, known: Sequence[str], what: str) -> str:
    if value.lower() in known:
        return value.lower()
    hint = did_you_mean(value.lower(), known) or f": expected one of {' '.join(known)}"
    raise BadValueError(f"unknown {what} {visible_line(value, 40)!r}{hint}")


def records(turn: Turn, lookup: Lookup | None, kind: str) -> list[RecordDict] | None:
    read = getattr(lookup, "records", None)
    if read is None:
        return None
    return [record for record in read(turn) if record.get("type") == kind]
