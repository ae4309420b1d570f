"""A run of a scenario as a release of LangWatch's library gives it: a result, and its events."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import places
from tests.log.formats.told import imported

SAMPLES = places.SAMPLES / "langwatch"


@pytest.mark.parametrize("name", ["result.json", "events.jsonl"])
def test_a_run_of_a_scenario(name: str, tmp_path: Path) -> None:
    (one,), findings = imported(SAMPLES / name, tmp_path, "langwatch")
    assert findings == []
    assert one.said == [
        ("persona", "What is in notes.txt?"),
        ("provider", "It says alpha."),
        ("persona", "And now?"),
        ("provider", "Still alpha."),
    ]
    assert one.all("tool.called")[0]["arguments"] == {"path": "notes.txt"}
    assert one.results() == [("look", True)]
    ending = one.records[-1]["termination"]
    assert (ending["reason"], ending["detail"]["verdict"]) == ("It read the file.", "success")


def test_events_tell_when_a_message_was_there(tmp_path: Path) -> None:
    (one,), _ = imported(SAMPLES / "events.jsonl", tmp_path, "langwatch")
    times = [record["t"] for record in one.all("turn.committed")]
    assert times == sorted(set(times)) and times[0] > 0
    assert one.header["persona"] == "notes"
