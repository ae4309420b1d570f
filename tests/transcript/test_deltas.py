"""Deltas: whoever takes them in knows what the fold knows, at every point."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from convtui.records.codec import RecordDict, decode
from convtui.records.fields import FieldChecker
from convtui.transcript.deltas import DeltaMaker, apply_delta
from convtui.transcript.fold import Transcript
from tests.builders.folds import state
from tests.builders.logs import as_records, sample
from tests.builders.rich_log import rich_records
from tests.fuzz.mutations import mutated
from tests.places import RUNS


class Pair:
    """A fold, and a transcript that only takes in its deltas."""

    def __init__(self) -> None:
        self.folded, self.taken = Transcript(), Transcript()
        self._maker = DeltaMaker(self.folded)
        self._changed: set[int] = set()
        self._offset = 0

    def fold(self, record: RecordDict) -> None:
        turn = self.folded.apply(record, self._offset)
        self._offset += 100
        if turn is not None:
            self._changed.add(turn.index)

    def delta(self) -> bytes:
        made = self._maker.make(self._changed)
        self._changed.clear()
        return made

    def pass_on(self) -> None:
        apply_delta(self.taken, self.delta())
        assert state(self.taken) == state(self.folded)


def all_at_every_point(records: Iterable[RecordDict], dice: random.Random) -> Pair:
    pair = Pair()
    for record in records:
        pair.fold(record)
        if dice.random() < 0.3:
            pair.pass_on()
    pair.pass_on()
    return pair


@pytest.mark.parametrize("seed", range(5))
def test_a_transcript_of_deltas_is_the_fold(seed: int) -> None:
    dice = random.Random(seed)
    all_at_every_point(as_records(sample()), dice)
    all_at_every_point(rich_records(), dice)
    all_at_every_point([*as_records(sample()), *rich_records()], dice)


@pytest.mark.parametrize("path", sorted(RUNS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_of_every_sample(path: Path) -> None:
    if not path.name.endswith(".wire.jsonl"):
        all_at_every_point(map(decode, path.read_bytes().splitlines()), random.Random(1))


@pytest.mark.parametrize("seed", range(30))
def test_of_damaged_logs(seed: int) -> None:
    dice = random.Random(seed)
    for records in (as_records(sample()), rich_records()):
        from convtui.records.codec import encode

        _, data = mutated(b"".join(map(encode, records)), dice)
        checker = FieldChecker()
        sound = []
        for line in data.split(b"\n"):
            try:
                record = decode(line)
            except ValueError:
                continue
            checker.mend(record, line)
            sound.append(record)
        all_at_every_point(sound, dice)


def test_a_number_keeps_its_type_where_all_are_equal() -> None:
    pair = Pair()
    for number, tokens in enumerate((1, 1.0, 1, 0, -0.0, 0.0), 1):
        at = {"session": 1, "turn": number, "side": "provider"}
        pair.fold({"type": "turn.started", "t": tokens, **at, "speaker": "provider"})
        pair.fold({"type": "llm.response", **at, "raw": "x", "usage": {"prompt_tokens": tokens}})
    pair.pass_on()
    assert [repr(turn.started) for turn in pair.taken.turns] == [
        "1", "1.0", "1", "0", "-0.0", "0.0"
    ]  # fmt: skip


def test_a_delta_that_begins_later_changes_nothing() -> None:
    pair = Pair()
    records = as_records(sample())
    for record in records[:-30]:
        pair.fold(record)
    pair.delta()
    for record in records[-30:]:
        pair.fold(record)
    later = pair.delta()
    taken = Transcript()
    before = state(taken)
    with pytest.raises(ValueError, match="another transcript"):
        apply_delta(taken, later)
    for size in range(len(later)):
        with pytest.raises(ValueError):
            apply_delta(taken, later[:size])
    assert state(taken) == before
