"""What a branch knows of its past: its time, and every turn that was not said."""

from __future__ import annotations

from pathlib import Path

from convtui.log.reader import open_log
from convtui.transcript.clock import elapsed
from tests.builders.conversations import Bot, cut_turn, resume, run, scenario
from tests.engine.resume.test_state import cut


async def test_the_clock_of_a_branch_goes_on(tmp_path: Path) -> None:
    what = scenario(Bot(), ["one", "two"])
    root = await run(what, tmp_path)
    before = next(r["t"] for r in root.of("turn.started") if r["turn"] == 3)
    child = await cut_turn(root, 3, tmp_path / "child", what)
    seeded = child.one("history.seeded")
    assert 0 < seeded["clock"]["running"] <= before
    part = cut(child.path, 2, tmp_path / "cut")
    grandchild = await resume(part, tmp_path / "grandchild", what)
    with open_log(grandchild.path) as log:
        own = log.transcript.last_t
        total = seeded["clock"]["running"] + part_time(part) + own
        assert abs(elapsed(log.transcript).running - total) < 0.001


def part_time(path: Path) -> float:
    with open_log(path) as log:
        return log.transcript.last_t
