"""Logs that end anywhere, or have a hole: what is gone on with is what can be read."""

from __future__ import annotations

import random
from pathlib import Path

from convtui.engine.resume.state import ResumeState, read_seed
from convtui.errors import ConvtuiError
from convtui.log.reader import open_log
from convtui.protocol import ContinueFrom
from tests.builders.conversations import Bot, findings, resume, run, scenario

SCRIPT = ["hi", "more", "and more", "bye"]
NAMED = {"torn_line", "no_trailer"}


def _committed(path: Path) -> list[tuple[int, int, str]]:
    with open_log(path) as log:
        return [
            (turn.session, turn.number, turn.text)
            for turn in log.transcript.turns
            if turn.status == "committed"
        ]


def _seed(path: Path) -> ResumeState | str:
    try:
        return read_seed(ContinueFrom(str(path)))
    except ConvtuiError as error:
        return str(error)


async def test_cut_at_200_places_it_goes_on_with_every_turn_that_was_written(
    tmp_path: Path,
) -> None:
    whole = await run(scenario(Bot(), SCRIPT, sessions=["a", "b"]), tmp_path)
    data = whole.path.read_bytes()
    chance = random.Random(5)
    places = {0, 1, len(data) - 1, len(data)}
    while len(places) < 200:
        places.add(chance.randrange(len(data)))
    over = data.rindex(b'"type":"session.ended"')
    begun = 0
    for place in sorted(places):
        part = tmp_path / "cut" / f"{place}.jsonl"
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(data[:place])
        seed = _seed(part)
        first = data.index(b"\n") + 1
        if place < first:
            assert isinstance(seed, str), place
            assert str(part) in seed
            continue
        with open_log(part) as log:
            assert {found.code for found in log.findings} <= NAMED
        if isinstance(seed, str):
            assert place > over, f"{place}: {seed}"
            assert "over" in seed
            continue
        begun += 1
        said = [(turn["session"], turn["turn"], turn["text"]) for turn in seed.turns]
        assert said == _committed(part), place
        assert seed.damage == []
        # A torn line is as if it had never been begun.
        part.write_bytes(data[: data.rindex(b"\n", 0, place) + 1])
        assert _seed(part) == seed
    assert begun > 150


async def test_a_line_that_cannot_be_read_is_said_in_the_log_that_goes_on(tmp_path: Path) -> None:
    whole = await run(scenario(Bot(), SCRIPT), tmp_path)
    lines = whole.path.read_bytes().splitlines(keepends=True)
    hole = next(n for n, r in enumerate(whole.records) if r["type"] == "turn.committed")
    last = next(
        n for n, r in enumerate(whole.records) if r["type"] == "turn.started" and r["turn"] == 4
    )
    lost = whole.records[hole]["text"]
    lines[hole] = b"#" + lines[hole]
    part = tmp_path / "hole.jsonl"
    part.write_bytes(b"".join(lines[:last]))
    child = await resume(part, tmp_path / "child", scenario(Bot(), SCRIPT))
    (warning,) = [r for r in child.of("warning") if r["code"] == "damaged_parent"]
    assert f"line {hole + 1} of the log" in warning["message"]
    assert findings(child.path) == []
    (seeded,) = child.of("history.seeded")
    assert lost not in [turn["text"] for turn in seeded["turns"]]
    # Damage behind the place from which it goes on is none of its business.
    child = await resume(part, tmp_path / "other", scenario(Bot(), SCRIPT), seq=hole - 1)
    assert [r for r in child.of("warning") if r["code"] == "damaged_parent"] == []
