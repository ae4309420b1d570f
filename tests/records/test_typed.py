"""The typed decoder: it reads what the other reads, or leaves a line to it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from convtui.errors import LogError
from convtui.log import reader as reader_module
from convtui.log.reader import LogReader
from convtui.records.codec import RecordDict, decode, encode
from convtui.records.fields import FieldChecker
from convtui.records.typed import typed_decoder
from convtui.records.types import ENVELOPE_FIELDS, FIELDS
from convtui.records.views import FREQUENT, view_of
from tests.builders.folds import state_read
from tests.builders.logs import as_records, sample, write_log
from tests.builders.rich_log import rich_log, rich_records
from tests.fuzz.mutations import MUTATIONS, VALUES, mutated, written
from tests.places import RUNS
from tests.records.test_fields import ODD_LINES

MISSING = "(missing)"


def agrees(line: bytes) -> bool:
    """Whether the typed decoder takes a line; then it must say what the other one says."""
    try:
        typed = typed_decoder()(line)
    except (ValueError, RecursionError):
        return False
    record = decode(line)
    assert FieldChecker().mend(record, line) == ()
    kind = record["type"]
    assert typed.record_type == kind
    view = view_of(record, kind)
    for word in f"{ENVELOPE_FIELDS} {FIELDS[kind]}".split():
        name = word.partition(":")[0]
        if name != "type":
            assert same(getattr(typed, name), getattr(view, name)), name
    return True


def same(typed: Any, value: Any) -> bool:
    """Whether two values are the same, down to the types of their numbers."""
    if isinstance(typed, msgspec.Struct):
        fields = {name: getattr(typed, name) for name in typed.__struct_fields__}
        return set(value) <= set(fields) and all(
            same(field, value.get(name)) for name, field in fields.items()
        )
    if isinstance(typed, list):
        return len(typed) == len(value) and all(map(same, typed, value))
    return repr(typed) == repr(value)


def everyday() -> dict[str, RecordDict]:
    """A record of each frequent type, with every field that may be in it."""
    records = {record["type"]: record for record in rich_records()}
    chosen = {kind: records[kind] for kind in sorted(FREQUENT)}
    chosen["llm.response"]["usage"] = {"prompt_tokens": 3, "completion_tokens": 1.5, "cost": None}
    chosen["turn.committed"]["flags"] = []
    chosen["signals.extracted"]["matches"] = []
    return chosen


@pytest.mark.parametrize("kind", sorted(FREQUENT))
def test_an_everyday_record_is_taken(kind: str) -> None:
    record = everyday()[kind]
    assert agrees(encode(record))
    required = [name for name, *_ in fields_of(kind) if name in record and required_in(kind, name)]
    assert agrees(encode({name: record[name] for name in ("type", *required)}))


def fields_of(kind: str) -> Iterator[tuple[str, str]]:
    for word in f"{ENVELOPE_FIELDS} {FIELDS[kind]}".split():
        name, _, of = word.partition(":")
        yield name, of


def required_in(kind: str, name: str) -> bool:
    return dict(fields_of(kind))[name].endswith("!")


@pytest.mark.parametrize("kind", sorted(FREQUENT))
def test_whatever_stands_in_a_field_is_read_the_same_or_left_to_the_other(kind: str) -> None:
    record = everyday()[kind]
    taken = 0
    for value in VALUES:
        for name, _ in (*fields_of(kind), ("unknown", "any")):
            taken += agrees(written(record | {name: deepcopy(value)}))
    assert taken
    for name in record:
        agrees(encode({key: value for key, value in record.items() if key != name}))


@pytest.mark.parametrize("line", ODD_LINES, ids=range(len(ODD_LINES)))
def test_odd_json_is_read_the_same_or_left_to_the_other(line: bytes) -> None:
    agrees(line)
    value = line[len(b'{"a":') : -1]
    for name in (b"text", b"t", b"metadata", b"unknown", b"type"):
        agrees(
            b'{"seq":4,"type":"turn.committed","speaker":"persona","text":"x","words":1,"%s":%s}'
            % (name, value)
        )


def test_every_line_of_every_sample_is_read_the_same(tmp_path: Path) -> None:
    paths = [rich_log(tmp_path / "rich.jsonl"), *RUNS.glob("*.jsonl")]
    taken = lines = 0
    for path in paths:
        for line in path.read_bytes().splitlines():
            lines += 1
            taken += agrees(line)
    assert taken > lines / 3


def read(path: Path, *, typed: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a log is folded to, or why it is none."""
    monkeypatch.setattr(reader_module, "_LONG", 0 if typed else 1 << 60)
    try:
        with LogReader(path) as reader:
            reader.advance()
            findings = reader.finish()
            return f"{state_read(reader)} {sorted(reader.changed)} {findings}"
    except LogError as error:
        return str(error)


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_log_is_folded_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [
        rich_log(tmp_path / "rich.jsonl"),
        write_log(tmp_path / "sample.jsonl", sample()),
        *sorted(RUNS.glob("*.jsonl")),
    ]
    dice = random.Random(number)
    for source in sources:
        data = source.read_bytes()
        for _ in range(12):
            damage, damaged = mutated(data, dice)
            path = tmp_path / "damaged.jsonl"
            path.write_bytes(damaged)
            slow, fast = (
                read(path, typed=typed, monkeypatch=monkeypatch) for typed in (False, True)
            )
            assert fast == slow, (source.name, damage)


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_way_of_damage_is_folded_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_log(tmp_path / "sample.jsonl", sample()).read_bytes()
    path = tmp_path / "damaged.jsonl"
    for seed in range(10):
        path.write_bytes(MUTATIONS[name](data, random.Random(seed)))
        slow, fast = (read(path, typed=typed, monkeypatch=monkeypatch) for typed in (False, True))
        assert fast == slow


def test_a_long_log_and_each_of_many_is_read_by_the_typed_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Watched(LogReader):
        def add_record(self, record: RecordDict, line: bytes, offset: int) -> None:
            seen.append(record["type"])
            super().add_record(record, line, offset)

    def types(*, many: bool = False) -> list[str]:
        seen.clear()
        with Watched(path, many=many) as reader:
            reader.advance()
        return [*seen]

    path = write_log(tmp_path / "a.jsonl", sample())
    assert types()[:-1] == [record["type"] for record in as_records(sample())]
    one_of_many = types(many=True)
    assert one_of_many[0] == "header"
    assert "turn.started" not in one_of_many
    monkeypatch.setattr(reader_module, "_LONG", 0)
    assert types() == one_of_many
