"""Steps: after any of them, a reader knows what the one knows that has read so far."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from convtui.errors import LogError
from convtui.log import reader as reader_module
from convtui.log.folding.steps import StepMaker, take_step
from convtui.log.reader import LogReader
from tests.builders.folds import state_read, steps_of
from tests.builders.logs import sample, write_log
from tests.builders.rich_log import rich_log
from tests.fuzz.mutations import mutated


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_CHUNK", 777)


def whole(path: Path) -> str:
    with LogReader(path) as reader:
        reader.advance()
        return f"{state_read(reader)} {reader.finish()}"


def read_on(path: Path, steps: list[bytes]) -> str:
    """What a reader knows that has taken some steps and read the rest itself."""
    with LogReader(path) as reader:
        for step in steps:
            take_step(reader, step)
        reader.advance()
        return f"{state_read(reader)} {reader.finish()}"


def test_after_every_step_a_reader_goes_on_by_itself(tmp_path: Path) -> None:
    for path in (
        rich_log(tmp_path / "rich.jsonl"),
        write_log(tmp_path / "sample.jsonl", sample()),
    ):
        steps = steps_of(path)
        assert len(steps) > 5
        expected = whole(path)
        for count in range(len(steps) + 1):
            assert read_on(path, steps[:count]) == expected


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_wrong_with_the_log(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    sources = [rich_log(tmp_path / "rich.jsonl"), write_log(tmp_path / "sample.jsonl", sample())]
    path = tmp_path / "damaged.jsonl"
    path.write_bytes(mutated(dice.choice(sources).read_bytes(), dice)[1])
    try:
        expected = whole(path)
        steps = steps_of(path)
    except LogError:
        return
    assert read_on(path, steps) == expected
    assert read_on(path, steps[: dice.randrange(len(steps) + 1)]) == expected


def test_a_maker_goes_on_where_a_reader_stands(tmp_path: Path) -> None:
    path = write_log(tmp_path / "sample.jsonl", sample())
    steps = steps_of(path)
    middle = len(steps) // 2
    with LogReader(path) as reader:
        for step in steps[:middle]:
            take_step(reader, step)
        maker = StepMaker(reader)
        reader.changed.clear()
        reader.advance()
        rest = maker.make()
    assert rest is not None
    assert read_on(path, [*steps[:middle], rest]) == whole(path)


def test_inside_of_a_record_that_is_passed_over_there_is_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_LINE", 5000)
    path = write_log(tmp_path / "a.jsonl", sample())
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"x" * 20_000 + b"\n", *lines[3:]]))
    steps = steps_of(path)
    for count in range(len(steps) + 1):
        assert read_on(path, steps[:count]) == whole(path)


def test_a_damaged_step_changes_nothing(tmp_path: Path) -> None:
    path = write_log(tmp_path / "sample.jsonl", sample())
    steps = steps_of(path)
    with LogReader(path) as reader:
        take_step(reader, steps[0])
        before = state_read(reader)
        for size in range(len(steps[1])):
            with pytest.raises(ValueError):
                take_step(reader, steps[1][:size])
        with pytest.raises(ValueError):
            take_step(reader, steps[3])
        with pytest.raises(ValueError):
            take_step(reader, steps[0])
        assert state_read(reader) == before
        take_step(reader, steps[1])
