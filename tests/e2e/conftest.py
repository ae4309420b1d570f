"""What every program that is started has: a home of its own, and what it imports at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from convtui.config.paths import write_state
from tests.fakes.forked_engines import ForkedEngines
from tests.fakes.forked_programs import ForkedPrograms


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`CONVTUI_HOME`, and the working directory. The hint for newcomers was seen already."""
    folder = tmp_path / "home"
    folder.mkdir()
    not_new_here(folder)
    return folder


def not_new_here(home: Path) -> None:
    """Whoever has this `CONVTUI_HOME` has seen the hint for newcomers."""
    write_state(home / "state" / "state.json", {"hinted": True})


@pytest.fixture(scope="session")
def program_server(fork_server: ForkedEngines) -> Iterator[ForkedPrograms]:
    """Where a worker's programs come from."""
    programs = ForkedPrograms(fork_server)
    yield programs
    programs.close()


@pytest.fixture(autouse=True)
def forked_programs(
    request: pytest.FixtureRequest,
    program_server: ForkedPrograms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Programs in a terminal start at once, but for tests of that: those are `real_processes`."""
    if request.node.get_closest_marker("real_processes") is None:
        monkeypatch.setattr("tests.e2e.terminal.start_process", program_server.start_process)
