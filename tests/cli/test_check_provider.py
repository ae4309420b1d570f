"""`convtui check file.py:NAME` loads a provider in an engine of its own and describes it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Result, Run

PROVIDERS = """\
import sys

class Bot:
    termination_signals = ["[END]"]

    def generate_response(self, messages):
        return "hi"

    def post_proces_response(self, text):
        return text

class Right:
    def generate_response(self, messages):
        return "hi"

    def should_discard_response(self, signals):
        return True
"""


Check = Callable[..., Result]


@pytest.fixture
def check(convtui: Run) -> Check:
    return functools.partial(convtui, "check")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bots.py"
    path.write_text(PROVIDERS)
    return path


def test_hooks_are_listed_with_whose_they_are(check: Check, file: Path) -> None:
    done = check(f"{file}:Right")
    assert done.code == 0, done.err
    lines = {tuple(line.split()) for line in done.out.splitlines()}
    assert ("should_discard_response", "yours") in lines
    assert ("post_process_response", "default") in lines


def test_a_name_that_is_nearly_a_hooks_is_a_finding(check: Check, file: Path) -> None:
    done = check(f"{file}:Bot", "--json")
    assert done.code == 1, done.err
    (result,) = json.loads(done.out)
    assert result["kind"] == "provider"
    (problem,) = result["problems"]
    assert problem["message"] == (
        "post_proces_response() is no hook; did you mean post_process_response()?"
    )


def test_a_provider_that_is_not_there_is_2(check: Check, file: Path) -> None:
    done = check(f"{file}:Rihgt")
    assert done.code == 2
    assert "did you mean 'Right'?" in done.out
    assert "Traceback" not in done.out + done.err


VERA = """\
from typing import Optional, Tuple
from llm_clients.llm_interface import LLMInterface

class Old(LLMInterface):
    def __init__(self, name: str, system_prompt: Optional[str] = None, **kwargs):
        super().__init__(name, system_prompt)

    async def generate_response(self, message: Optional[str] = None) -> Tuple[str, dict]:
        raise AssertionError("nobody calls it")

class Three(LLMInterface):
    def generate_response(self, conversation_history) -> Tuple[str, dict, int]: ...

class Unclear(LLMInterface):
    def generate_response(self, x): ...

class NoAnswer(LLMInterface):
    def generate_response(self): ...
"""


@pytest.fixture
def vera(tmp_path: Path) -> Path:
    path = tmp_path / "old_bots.py"
    path.write_text(VERA)
    return path


def test_the_recognised_shape_is_named(check: Check, vera: Path) -> None:
    done = check(f"{vera}:Old")
    assert done.code == 0, done.out + done.err
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "made with name, system_prompt" in lines
    assert "not given role (the constructor has no such parameter)" in lines
    assert "gets the last message as text (message)" in lines
    assert "returns text and metadata" in lines
    assert any(line.startswith("stateful yes: it gets the last message only") for line in lines)


def test_what_is_assumed_is_noted(check: Check, vera: Path) -> None:
    done = check(f"{vera}:Unclear")
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "gets all turns as dictionaries (x)" in lines
    assert "note the name x does not say what it takes: it is given the list" in lines


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("Three", 1, "generate_response() is annotated to return Tuple[str, dict, int]"),
        ("NoAnswer", 2, "generate_response() takes neither a message nor a history"),
    ],
)
def test_what_run_would_refuse_is_a_finding(
    check: Check, vera: Path, name: str, code: int, says: str
) -> None:
    done = check(f"{vera}:{name}")
    assert done.code == code
    assert says in done.out
    assert "nothing wrong" not in done.out


NEEDS = """\
import os

KEY = os.environ["KEY_OF_THE_BOT"]

class Bot:
    def __init__(self, url):
        self.url = url

    def generate_response(self, messages):
        return "hi"
"""


def test_it_is_loaded_as_a_conversation_would_load_it(
    check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs.py").write_text(NEEDS)
    (tmp_path / "keys.env").write_text("KEY_OF_THE_BOT=x\n")
    monkeypatch.chdir(tmp_path)
    flags = ("--env-file", "keys.env", "--set", "provider.options.url=http://127.0.0.1")
    for spec in ("needs.py:Bot", "needs:Bot"):
        done = check(spec, *flags)
        assert done.code == 0, done.out + done.err
        assert ["made", "with", "url"] in [line.split() for line in done.out.splitlines()]
    done = check("needs.py:Bot", "--set", "provider.options.url=x")
    assert done.code == 2
    assert "KeyError: 'KEY_OF_THE_BOT'" in done.out


def test_the_interpreter_of_the_settings_loads_it(
    check: Check, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_PYTHON", str(file.parent / "no-such-python"))
    done = check(f"{file}:Right")
    assert done.code == 2
    assert "no-such-python" in done.out + done.err


def test_an_interpreter_or_a_file_that_is_not_there_is_2(check: Check, file: Path) -> None:
    for flags in (("--python", "no-such-python"), ("--env-file", "no-such.env")):
        done = check(f"{file}:Right", *flags)
        assert done.code == 2
        assert "no-such" in done.out + done.err


def test_what_a_conversation_would_refuse_is_2(check: Check, tmp_path: Path) -> None:
    path = tmp_path / "bots.py"
    path.write_text(PROVIDERS.replace('["[END]"]', '"[END]"'))
    done = check(f"{path}:Bot")
    assert done.code == 2
    assert "not one text: write ['[END]']" in done.out
