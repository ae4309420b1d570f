"""What starts the shown conversation again."""

from __future__ import annotations

from convtui.protocol import ContinueFrom, StartSpec
from convtui.tui.sources.start import session_again


def test_a_run_again_is_a_new_conversation() -> None:
    spec = StartSpec({}, "/runs", paused=True, continue_from=ContinueFrom("/runs/a.jsonl"))
    assert session_again(spec) == StartSpec({}, "/runs")


def test_one_of_a_batch_again_is_a_run_beside_the_batch() -> None:
    spec = StartSpec({}, "/runs/batch", log_name="Maya.1", hold_endings=False, watched=True)
    assert session_again(spec) == StartSpec({}, "/runs", watched=True)
