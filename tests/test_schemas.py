"""JSON Schemas say the same as the checks."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from convtui.batch.plan import Plan
from convtui.config.paths import builtin_dir
from convtui.errors import DataFileError, Problem, UsageError
from convtui.files.yaml import load_yaml, parse_yaml, validate
from convtui.scenario.scenario import Scenario, builtin_personas
from convtui.schemas import KINDS, check_file, recognise, schema
from tests.scenario.test_scenario import FULL, PERSONA

jsonschema: Any = pytest.importorskip("jsonschema")


@cache
def validator(kind: str) -> Any:
    """Made once for each kind: checking a schema against the schema of schemas takes long."""
    made = schema(kind)
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_schema(kind: str) -> None:
    assert validator(kind)
    assert json.loads(json.dumps(schema(kind)))["title"] == f"convtui {kind}"


def test_every_field_is_described() -> None:
    for kind in ("persona", "scenario", "plan", "config"):
        made = schema(kind)
        for part in [made, *made.get("$defs", {}).values()]:
            for name, about in part["properties"].items():
                assert about.get("description") or "$ref" in about, name


def test_an_unknown_kind() -> None:
    with pytest.raises(UsageError, match="did you mean 'persona'"):
        schema("persons")


def test_schemas_take_what_the_checks_take() -> None:
    assert validator("scenario").is_valid(parse_yaml(FULL).data)
    assert validator("scenario").is_valid({"persona": "demo", "provider": "demo"})
    for persona in builtin_personas():
        assert validator("persona").is_valid(load_yaml(persona.path).data)
    for path in builtin_dir("themes").glob("*.yaml"):
        assert validator("theme").is_valid(load_yaml(path).data)
    assert validator("keymap").is_valid({"run.toggle": ["p", "space"]})
    assert validator("config").is_valid({"theme": "mono"})


def test_schemas_refuse_what_the_checks_refuse() -> None:
    scenario = validator("scenario")
    for bad in ({"limits": {"max_turn": 1}}, {"limits": {"max_turns": 0}}, {"on_discard": "retry"},
                {"persona": {"prompt": "x"}}, {"nam": "x"}):  # fmt: skip
        assert not scenario.is_valid(bad), bad
    assert not validator("keymap").is_valid({"run.togle": "p"})
    assert not validator("theme").is_valid({"colors": {"text": "red"}})


BRIEF = {"instructions": "y", "max_followups": 2}
PERSONAS: list[tuple[dict[str, Any], bool]] = [
    ({"responder": BRIEF}, True),
    ({"responder": {**BRIEF, "decide_with": "json", "model": "openai/x"}}, True),
    ({"responder": {**BRIEF, "decide_with": "text"}}, False),
    ({"responder": {**BRIEF, "instructions": " \n"}}, False),
    ({"responder": {**BRIEF, "max_followups": 0}}, False),
    ({"responder": {"instructions": "y"}}, False),
    ({"responder": {"max_followups": 1}}, False),
    ({"responder": {**BRIEF, "followups": 1}}, False),
    ({"responder": BRIEF, "simulator": "llm"}, False),
    ({"responder": BRIEF, "script": ["a"]}, False),
    ({"simulator": "responder"}, False),
    ({"script": ["a"]}, True),
    ({"script": ["a"], "simulator": "llm"}, True),
    ({"script": {"2": "a"}}, True),
    ({"script": {"2": "a"}, "simulator": "llm"}, True),
    ({"script": {"2": "a"}, "simulator": "scripted"}, False),
    ({"script": {"two": "a"}}, False),
    ({"script": []}, False),
    ({"script": {}}, False),
    ({"simulator": "scripted"}, False),
    ({"simulator": "scripted", "opening": "a"}, True),
]


def as_written(persona: dict[str, Any]) -> dict[str, Any]:
    """A persona as YAML gives it: whole numbers as keys, which JSON does not have."""
    loaded: dict[str, Any] = parse_yaml(json.dumps(persona)).data
    script = loaded.get("script")
    if isinstance(script, dict):
        loaded["script"] = {int(k) if k.isdecimal() else k: text for k, text in script.items()}
    return loaded


def accepted(data: dict[str, Any]) -> bool:
    try:
        Scenario.from_data(data)
    except DataFileError:
        return False
    return True


@pytest.mark.parametrize(("keys", "good"), PERSONAS)
def test_the_rules_between_a_personas_keys(keys: dict[str, Any], good: bool) -> None:
    persona = {"name": "x", **keys}
    assert accepted({"persona": as_written(persona)}) is good
    assert validator("persona").is_valid(persona) is good
    assert validator("scenario").is_valid({"persona": persona}) is good


@pytest.mark.parametrize(
    ("persona", "good"),
    [
        ({"responder": BRIEF}, False),
        ({"simulator": "llm", "opening": "a"}, False),
        ({"script": {"2": "a"}, "opening": "a"}, False),
        ({"prompt": "a"}, False),
        (None, False),
        ({"opening": "a", "prompt": "a"}, True),
        ({"task": "a"}, True),
        ({"script": ["a"]}, True),
        ({"simulator": "scripted", "script": ["a"]}, True),
    ],
)
def test_follow_up_prompts_and_who_says_them(persona: dict[str, Any] | None, good: bool) -> None:
    scenario: dict[str, Any] = {"follow_up_prompts": ["go"]}
    loaded: dict[str, Any] = {"follow_up_prompts": ["go"]}
    if persona is not None:
        scenario["persona"] = {"name": "x", **persona}
        loaded["persona"] = as_written(scenario["persona"])
    assert accepted(loaded) is good
    assert validator("scenario").is_valid(scenario) is good
    assert validator("scenario").is_valid({**scenario, "follow_up_prompts": []})


def test_log_records() -> None:
    log = validator("log")
    good = {"seq": 1, "t": 0.5, "type": "sessions.prepared", "requested": ["a"], "prepared": ["a"]}
    assert log.is_valid(good)
    assert log.is_valid({"seq": 1, "t": 0.5, "type": "something.new", "x": 1})
    del good["requested"]
    assert not log.is_valid(good)


def test_files_are_recognised_and_checked(tmp_path: Path) -> None:
    texts = {
        "s.yaml": ("scenario", "persona: demo\nlimits: {max_turn: 3}\n"),
        "p.yaml": ("persona", PERSONA + "promt: x\n"),
        "t.yaml": ("theme", "colors: {txt: '#123456'}\n"),
        "k.yaml": ("keymap", "run.togle: p\n"),
        "c.toml": ("config", 'them = "x"\n'),
        "p.tsv": ("persona", "Name\nx\nx\n"),
    }
    for name, (kind, text) in texts.items():
        path = tmp_path / name
        path.write_text(text)
        assert recognise(path) == kind
        found = check_file(path)
        assert len(found) == 1, found
        assert found[0].line is not None
        assert found[0].path == path
    (tmp_path / "ok.yaml").write_text("provider: demo\n")
    assert check_file(tmp_path / "ok.yaml") == []
    assert "no such file" in str(check_file(tmp_path / "missing.yaml")[0])


def test_what_cannot_be_told(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("foo: 1\n")
    with pytest.raises(UsageError, match="none of their keys"):
        check_file(path)
    assert "unknown key 'foo'" in str(check_file(path, "scenario")[0])
    path.write_text("persnoa: demo\nfoo: 1\n")
    with pytest.raises(UsageError, match=r"keys: 'persnoa', did you mean 'persona'\?"):
        check_file(path)
    with pytest.raises(UsageError, match="cannot tell"):
        check_file(tmp_path / "x.bin")
    with pytest.raises(UsageError, match="no kind 'themes', did you mean 'theme'"):
        check_file(path, "themes")


def test_logs_go_to_their_own_check(tmp_path: Path) -> None:
    found = [Problem("torn")]
    assert check_file(tmp_path / "x.jsonl", check_log=lambda _path: found) == found
    with pytest.raises(UsageError, match="cannot be checked here"):
        check_file(tmp_path / "x.jsonl")


PLANS: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"scenario": "refund.yaml", "vary": {"persona": ["a*.yaml", {"name": "x"}]}}, True),
    ({"vary": {"persona": "demo", "provider": {"use": "demo"}, "set": {"on_empty": "keep"}}}, True),
    ({"vary": {"sessions": [["a", "b"], ["b"]]}}, True),
    ({"vary": {"sessions": ["a", "b"]}}, False),
    ({"vary": {"sessions": "a"}}, False),
    ({"vary": {"persona": []}}, False),
    ({"vary": {"personas": ["a"]}}, False),
    ({"vary": {"set": ["a=b"]}}, False),
    ({"concurrency": "auto", "workers": None, "attempts": None}, True),
    ({"concurrency": "many"}, False),
    ({"concurrency": 0}, False),
    ({"budget": {"tokens": "5_000_000"}}, True),
    ({"budget": {"tokens": "much"}}, False),
    ({"stop_after": {}}, False),
    ({"scenario": ["a.yaml"]}, False),
    ({"order": "random"}, False),
]


@pytest.mark.parametrize(("data", "good"), PLANS)
def test_plans(data: dict[str, Any], good: bool) -> None:
    assert validator("plan").is_valid(data) is good
    try:
        validate(Plan, data or {"name": "x"})
    except DataFileError:
        assert not good
    else:
        assert good
