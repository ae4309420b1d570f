"""Fixed utterances of every kind, from a scenario file to the transcript."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.test_waza import committed_turns
from tests.fakes.openai_script import FakeReply
from tests.fakes.openai_server import OpenAIServerThread

ECHO = "def echo(messages):\n    return 'heard: ' + messages[-1]['content']\n"


def persona_turns(convtui: Run, folder: Path, **scenario: Any) -> list[str]:
    (folder / "bot.py").write_text(ECHO)
    path = folder / "scenario.yaml"
    path.write_text(json.dumps({"provider": "bot.py:echo", **scenario}))
    code, out, err = convtui("run", path, "--json")
    assert code == 0, err
    return [
        text for speaker, text in committed_turns(json.loads(out)["log"]) if speaker == "persona"
    ]


def test_follow_ups_come_after_the_opening_without_a_model(convtui: Run, tmp_path: Path) -> None:
    persona = {"name": "Ida", "prompt": "You are Ida.", "opening": "Hi"}
    turns = persona_turns(convtui, tmp_path, persona=persona, follow_up_prompts=["And?", "Bye"])
    assert turns == ["Hi", "And?", "Bye"]


def test_a_list_is_said_first_and_then_the_model_goes_on(
    convtui: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    with OpenAIServerThread() as server:
        server.script(FakeReply("made up"), FakeReply("<end>"), model="ida-1")
        persona = {
            "name": "Ida",
            "simulator": "llm",
            "prompt": "You are Ida.",
            "script": ["first", "second"],
            "model": "openai/ida-1",
            "params": {"api_base": server.url},
        }
        turns = persona_turns(convtui, tmp_path, persona=persona)
    assert turns == ["first", "second", "made up"]
