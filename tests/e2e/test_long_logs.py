"""A log that is long enough to be read by a process of its own, in a real terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.tui.sources.replay import LONG
from tests.bench import longlog
from tests.e2e.terminal import Terminal, alive, children, clean_environment, convtui, until

pytestmark = pytest.mark.slow
TURNS = 3600


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = longlog.write(tmp_path_factory.mktemp("long") / "long.jsonl", TURNS)
    assert path.stat().st_size > LONG
    return path


def opened(log: Path, home: Path) -> None:
    """The log is on the screen from its first turn to its last, and nothing runs afterwards."""
    with Terminal(convtui("replay", log), env=clean_environment(home), cwd=home) as terminal:
        terminal.until("REPLAY", f"turn {TURNS}/{TURNS}", longlog.marker(TURNS))
        terminal.press("home")
        terminal.until(longlog.marker(1))
        terminal.press("end")
        terminal.until(longlog.marker(TURNS))
        started = children(terminal.process.pid)
        terminal.press("ctrl+q")
        assert terminal.wait() == 0
        until(lambda: not any(map(alive, started)), "what it started ends")


def test_a_long_log_is_remembered_and_opens_again(log: Path, tmp_path: Path) -> None:
    folds = tmp_path / "cache" / "folds"
    with Terminal(convtui("replay", log), env=clean_environment(tmp_path), cwd=tmp_path) as first:
        first.until("REPLAY", longlog.marker(TURNS))
        until(lambda: [*folds.glob("*.fold")], "it is remembered")
    opened(log, tmp_path)
    (remembered,) = folds.iterdir()
    before = remembered.read_bytes()
    remembered.write_bytes(before[: len(before) // 2])
    opened(log, tmp_path)


def test_where_nothing_can_be_remembered_it_opens_all_the_same(log: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    opened(log, tmp_path)
