"""Kinds of simulated users: a registered kind is known everywhere, also one from a file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from convtui.log.reader import open_log
from convtui.manual.pages import page_file
from convtui.scenario.simulators.kind import SimulatorKind
from convtui.scenario.simulators.registry import MODULES, guess, kind_of, written_kind
from convtui.simulators.base import UserSimulator
from convtui.trust.rules import FIELDS, Names
from tests.places import ROOT


@pytest.fixture(params=MODULES)
def kind(request: pytest.FixtureRequest) -> SimulatorKind:
    known = kind_of(request.param)
    assert known is not None
    return known


def test_a_kind_has_its_words_and_somebody_who_speaks(kind: SimulatorKind) -> None:
    assert import_module(MODULES[kind.name]).KIND is kind
    module, _, name = kind.simulator.partition(":")
    simulator = vars(import_module(module))[name]
    assert issubclass(simulator, UserSimulator)
    assert simulator.of is not UserSimulator.of
    assert kind.without_model.endswith(".")
    row = f"| {kind.name} | {kind.speaks} | {kind.written} |"
    assert row in page_file("simulated-users").read_text()


def test_the_keys_of_a_kind_are_those_of_the_consent(kind: SimulatorKind) -> None:
    for key in kind.inert:
        assert FIELDS[f"persona.{key}"] is Names.INERT
    for key in kind.model_keys:
        assert FIELDS[f"persona.{key}"] is Names.HOST
    named = {key.partition(".")[0] for key in (*kind.inert, *kind.model_keys)}
    assert set(kind.own_keys) <= named


@pytest.mark.parametrize(
    ("persona", "usual", "followed"),
    [
        ({}, "llm", "llm"),
        ({"opening": "hi"}, "llm", "scripted"),
        ({"opening": "", "task": "a ferry"}, "llm", "scripted"),
        ({"opening": "hi", "script": {3: "and?"}}, "llm", "llm"),
        ({"script": ["hi"]}, "scripted", "scripted"),
        ({"script": ["hi"], "responder": {}}, "responder", "responder"),
        ({"opening": "hi", "responder": {}}, "responder", "responder"),
    ],
)
def test_a_kind_is_guessed_by_the_keys(persona: Any, usual: str, followed: str) -> None:
    assert (guess(persona), guess(persona, follow_ups=True)) == (usual, followed)


def test_a_kind_that_there_is_not() -> None:
    assert kind_of("parrot") is written_kind({"simulator": "parrot"}) is written_kind("sam") is None


def test_a_file_adds_a_kind(tmp_path: Path) -> None:
    # Personas depend on the registered kinds, so this needs an interpreter of its own.
    command = [sys.executable, "-m", "tests.simulators.echo_conversation", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = json.loads(done.stdout)
    assert ran["said"] == ["hello?", "one", "one", "two", "two", "three"]
    assert ran["ended"] == ["completed", "simulator"]
    assert ran["header"]["simulator"] == "echo"
    assert ran["header"]["echo"] == {"times": 2}
    assert ran["problems"] == [
        "echo.time: unknown key 'time', did you mean 'times'?",
        "echo.times: the key 'times' is required",
        "echo: echo is for simulator: echo, which needs it",
        "follow_up_prompts: follow_up_prompts are said as they stand, which persona 'Ekko'"
        " (simulator: echo) contradicts; use one or the other",
        "simulator: must be one of scripted, llm, responder, demo, human, echo, not 'ecko',"
        " did you mean 'echo'?",
    ]
    assert ran["recognised"] == "persona"
    assert ran["schema"]["properties"]["echo"]["description"] == "Makes it repeat what it hears."
    times = ran["schema"]["$defs"]["Echo"]["properties"]["times"]
    assert times["description"] == "How many messages it repeats."
    assert "echo" in ran["schema"]["properties"]["simulator"]["enum"]
    assert ran["asks"] == [], "nobody has to agree to an echo"
    assert re.search(r"^\| echo \| what the provider said, again \| ", ran["manual"], re.MULTILINE)
    # Who does not have the kind reads its log all the same.
    with open_log(next(tmp_path.glob("*.jsonl"))) as log:
        assert [turn.text for turn in log.transcript.turns if turn.text] == ran["said"]
