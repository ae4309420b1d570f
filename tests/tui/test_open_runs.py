"""The exit code of a run that is left, and why one could not start."""

from __future__ import annotations

from typing import Any, cast

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.protocol import StartSpec
from convtui.tui.open_runs import exit_code_of, failure_of
from convtui.tui.sources.run import LiveRun
from tests.tui.harness.fake_handle import FakeHandle


def run_of(handle: FakeHandle) -> LiveRun:
    spec = StartSpec(scenario={}, out_dir=".")
    return LiveRun(spec, make_handle=lambda: cast(EngineHandle, handle))


def ended(**termination: Any) -> LiveRun:
    handle = FakeHandle()
    handle.transcript.termination = termination
    return run_of(handle)


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (None, 0),
        (ended(kind="max_turns", by="harness"), 0),
        (ended(kind="budget", by="harness"), 3),
        (ended(kind="interrupted", by="human"), 0),
    ],
)
def test_a_run_that_has_ended_gives_its_exit_code(run: LiveRun | None, code: int) -> None:
    assert exit_code_of(run, ended=True) == code
    assert exit_code_of(run, ended=False) == 0, "leaving early is no failure"


def test_a_run_that_could_not_start_says_why() -> None:
    handle = FakeHandle()
    run = run_of(handle)
    assert failure_of(None) == failure_of(run) == ""
    handle.state = EngineState.FAILED
    handle.error = {"message": "no module named bot"}
    assert failure_of(run) == "no module named bot"
    assert exit_code_of(run, ended=False) == exit_code_of(run, ended=True) == 3
