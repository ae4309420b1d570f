"""Trajectories made with Harbor's models, with all that they have room for."""

from __future__ import annotations

from pathlib import Path

from tests import places
from tests.log.formats.told import imported

SAMPLES = places.SAMPLES / "atif"


def test_a_trajectory_and_the_one_of_the_agent_that_it_called(tmp_path: Path) -> None:
    (main, below), findings = imported(SAMPLES / "trajectory.json", tmp_path, "atif")
    assert findings == []
    assert main.said == [
        ("persona", "What is in notes.txt?"),
        ("provider", "It says alpha."),
        ("persona", "And in this picture?\n[image]"),
        ("provider", "A boat."),
    ]
    assert main.prompts() == [1001, 1002, 1003]
    assert main.results() == [("look", True), ("ask", True)]
    first, _, last = main.all("llm.response")
    assert (first["reasoning"], last["model"]) == ("List them first.", "acme/a-2")
    assert "subagent_trajectories" not in main.header["imported"]
    assert main.header["imported"]["notes"] == "made by hand"
    assert below.said == [("persona", "What does it say?"), ("provider", "It says alpha.")]
    assert below.header["provider"]["model"] == "acme/h-1"
    assert below.header["change"] == {"kind": "subagent"}
    assert below.header["parents"][0]["id"] == main.header["id"]


def test_observations_that_nobody_asked_for_are_no_results(tmp_path: Path) -> None:
    (main, _), _ = imported(SAMPLES / "trajectory.json", tmp_path, "atif")
    seen = [one["data"]["content"] for one in main.all("atif.observation")]
    assert seen == ["notes.txt: beta", "the screen is dark"]
    answered = main.all("tool.returned")[1]
    assert answered["source"]["subagent_trajectory_ref"] == [{"trajectory_id": "t-sub"}]


def test_steps_that_were_copied_say_so(tmp_path: Path) -> None:
    (one,), findings = imported(SAMPLES / "trajectory-continued.json", tmp_path, "atif")
    assert findings == []
    copied = [turn.get("source", {}).get("is_copied_context") for turn in one.all("turn.committed")]
    assert copied[0] is True and copied[2] is None
    assert [text for _, text in one.said[2:]] == ["Go on.", "Fine."]
