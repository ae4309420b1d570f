"""Settings that can never act are refused where they stand; defaults and leftovers are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.cli.start import plan
from convtui.errors import DataFileError, UsageError
from convtui.scenario.merge import merge_flags
from convtui.scenario.persona import Persona, builtin_personas
from convtui.scenario.scenario import Scenario

BOT = """\
def bot(messages):
    return "hi"

def wrap(function):
    return function

@wrap
def wrapped(messages):
    return "hi"

class Bot:
    def __init__(self, workflow="", params=None):
        pass

    def generate_response(self, messages):
        return "hi"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "bot.py").write_text(BOT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    return tmp_path


def load(folder: Path, text: str) -> Scenario:
    (folder / "s.yaml").write_text(text)
    return Scenario.load(folder / "s.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "provider:\n  use: openai/gpt-4o\n  options: {workflow: refunds}\n",
            "s.yaml:3: provider.options: options are keyword arguments of a provider's class; what"
            " a model takes (temperature, api_base, ...) stands in provider.params",
        ),
        ("provider: {use: openai/m, model: n}", "s.yaml:1: provider.model: the SPEC names"),
        ("provider:\n  params: {temperature: 1}", "provider.params: the built-in demo takes no"),
        ("provider: {use: 'recorded:x.jsonl', options: {a: 1}}", "a recorded provider takes no"),
        ("provider: {use: 'bot.py:bot', options: {a: 1}}", "provider.options: bot is a function"),
        ("provider: {use: 'bot.py:bot', params: {a: 1}}", "a class gets params"),
        ("name: a\nprovider: openia/gpt-4o", "s.yaml:2: provider.use: 'openia/gpt-4o' names no"),
        ("budget: {on_exceeded: stop}", "budget.on_exceeded: there is no budget to exceed"),
        ("persona: {name: A, script: [a], end_sentinel: x}", "persona.end_sentinel: a scripted"),
        ("persona: {name: A, script: [a], model: openai/m}", "persona.model: a scripted persona"),
        ("persona: {name: A, simulator: human, params: {a: 1}}", "persona.params: a human"),
        ("persona: {name: A, simulator: demo, opening: hi}", "persona.opening: a demo persona"),
        ("persona: {name: A, model: antropic/x, prompt: p}", "did you mean anthropic/x?"),
        ("persona: {name: A, prompt: p, template: t}", "persona.prompt: the template has no"),
        (
            "persona: {name: A, model: openai/a, opening: x,"
            " responder: {instructions: i, max_followups: 1, model: openai/b}}",
            "persona.model: responder.model is the one that is asked",
        ),
        ("provider: {api_base: x}", "did you mean provider.params.api_base?"),
        ("api_base: x", "did you mean provider.params.api_base?"),
        ("persona: {name: A, temprature: 1}", "did you mean persona.params.temperature?"),
    ],
)
def test_a_file_is_refused_with_line_and_key(folder: Path, text: str, message: str) -> None:
    with pytest.raises(DataFileError) as error:
        load(folder, text)
    assert message in str(error.value)


def test_a_persona_file_is_refused_where_it_stands(folder: Path) -> None:
    (folder / "p.yaml").write_text("name: P\nscript: [a]\nreminder: x\n")
    message = "p.yaml:3: reminder: a scripted persona never reads it: it is for simulator: llm"
    for text in ("persona: p.yaml", "persona: p.yaml\nsessions: [a]"):
        with pytest.raises(DataFileError, match=message):
            load(folder, text)


@pytest.mark.parametrize(
    "text",
    [
        "provider: {use: 'bot.py:Bot', options: {workflow: x}, params: {a: 1}}",
        "provider: {use: 'bot.py:wrapped', options: {a: 1}}",
        "provider: {use: 'package.module:name', options: {a: 1}, model: any/thing}",
        "provider: {use: openai/m, params: {temperature: 0}}",
        "provider: {use: demo, options: {}}",
        "budget: {on_exceeded: stop, persona: {tokens: 5}}",
        "persona: {name: A, prompt: p, opening: hi}\nfollow_up_prompts: [more]",
        "persona: {name: A, script: [a, b], simulator: llm, model: openai/m, prompt: p}",
        "limits: {max_tool_rounds: 3}\nretry: {attempts: 2}",
    ],
)
def test_what_may_act_is_not_refused(folder: Path, text: str) -> None:
    assert load(folder, text).path == folder / "s.yaml"


def test_what_ships_with_convtui_sets_nothing_in_vain() -> None:
    assert [Persona.load(persona.path).name for persona in builtin_personas()]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"provider": "bot.py:bot", "api_base": "http://x"}, "--api-base: bot is a function"),
        ({"provider": "openai/m", "model": "n"}, "--model: the SPEC names the model already"),
        ({"user_model": "openai/m"}, "--user-model: a demo persona calls no model"),
        ({"user_api_base": "http://x"}, "--user-api-base: a demo persona calls no model"),
        ({"provider": "openia/m"}, "--provider: 'openia/m' names no provider"),
        ({"set": ["provider.options.a=1"]}, "--set provider.options.a: the built-in demo takes"),
        ({"sessions": ""}, "--sessions: a session name must not be empty"),
        ({"set": ["options.a=1"]}, "unknown key 'options', did you mean 'provider.options'?"),
    ],
)
def test_a_flag_is_refused_by_name(folder: Path, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        merge_flags(None, flags, cwd=folder, strict=True)
    assert message in str(error.value)


def test_a_flag_may_replace_what_the_rest_was_written_for(folder: Path) -> None:
    scenario = load(folder, "provider: {use: 'bot.py:Bot', options: {workflow: x}}")
    for provider in ("demo", "openai/m"):
        merged = merge_flags(scenario, {"provider": provider}, cwd=folder, strict=True)
        assert merged.provider.options == {}
    scripted = load(folder, "persona: {name: A, prompt: p, model: openai/m, opening: hi}")
    merged = merge_flags(scripted, {"set": ["persona.simulator=scripted"]}, strict=True)
    assert merged.persona.simulator == "scripted"
    # Where nobody typed a flag, as on the form, what has no use is left alone.
    assert merge_flags(None, {"user_model": "openai/m"}).persona.model == "openai/m"


def test_a_recorded_scenario_is_taken_as_it_is() -> None:
    data = {"persona": {"name": "A", "script": ["a"], "model": "nobody/m"},
            "provider": {"use": "openai/m", "options": {"a": 1}}}  # fmt: skip
    assert (
        merge_flags(Scenario.from_public(data), {"max_turns": 3}, strict=True).limits.max_turns == 3
    )


def test_defaults_of_the_settings_are_for_those_that_have_a_use_for_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_API_BASE", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("CONVTUI_USER_API_BASE", "http://127.0.0.1:2/v1")

    def params(**flags: Any) -> list[Any]:
        made = plan(None, {"persona": "demo", **flags}, watched=False).scenario
        return [made.provider.params.get("api_base"), made.persona.params.get("api_base")]

    assert params(provider="demo") == params(provider="bot.py:bot") == [None, None]
    (folder / "p.yaml").write_text("name: P\nprompt: p\n")
    assert params(provider="openai/m", persona="p.yaml", user_model="openai/m") == [
        "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
    ]  # fmt: skip
    monkeypatch.setenv("CONVTUI_PROVIDER", "openia/m")
    with pytest.raises(UsageError, match="CONVTUI_PROVIDER: provider: 'openia/m' names no"):
        params()
