"""What a log names is run only where this user named it: every way in, every key of a scenario."""

from __future__ import annotations

import ast
import json
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, Field

from convtui.config.paths import Paths
from convtui.config.seal import KEY_FILE, private_folder
from convtui.engine.conversation.build import build
from convtui.engine.conversation.runner import Conversation
from convtui.engine.conversation.wiring import Wiring
from convtui.engine.resume.state import read_seed
from convtui.errors import ConsentNeeded, ConvtuiError, LogError
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.parts import StrictModel
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor
from convtui.trust.rules import (
    FIELDS,
    Item,
    Names,
    items,
    make_seal,
    own_scenario,
    vouched_folders,
    vouched_for,
    why_not_own,
)
from tests.builders.conversations import FakeModels, Ran, run
from tests.builders.source_trees import source_trees

HOST = "http://evil.example"
SAMPLES: dict[str, dict[str, Any]] = {
    "persona.params": {"persona": {"name": "A", "prompt": "p", "model": "openai/m",
                                   "params": {"api_base": HOST}}},
    "persona.model": {"persona": {"name": "A", "prompt": "p", "model": "openai/m"}},
    "persona.responder.model": {"persona": {"name": "A", "opening": "hi", "responder": {
        "instructions": "i", "max_followups": 1, "model": "openai/m"}}},
    "persona_template": {"persona_template": "/etc/template.txt"},
    "persona_context_template": {"persona_context_template": "/etc/template.txt"},
    "persona_reminder": {"persona_reminder": "/etc/template.txt"},
    "provider.use": {"provider": {"use": "FOLDER/bot.py:answer"}},
    "provider.model": {"provider": {"use": "demo", "model": "openai/m"}},
    "provider.params": {"provider": {"use": "demo", "params": {"api_base": HOST}}},
    "provider.options": {"provider": {"use": "demo", "options": {"path": "/etc"}}},
    "log_values": {"log_values": ["api_key"]},
    "tools[].use": {"tools": [{"use": "FOLDER/bot.py:answer"}]},
    "tools[].mcp.command": {"tools": [{"mcp": {"command": ["touch", "FOLDER/marker"]}}]},
    "tools[].mcp.env": {"tools": [{"mcp": {"command": ["x"], "env": {"A": "b"}}}]},
    "tools[].mcp.cwd": {"tools": [{"mcp": {"command": ["x"], "cwd": "/"}}]},
    "tools[].mcp.url": {"tools": [{"mcp": {"url": HOST}}]},
    "tools[].mcp.headers": {"tools": [{"mcp": {"url": HOST, "headers": {"A": "[redacted]"}}}]},
    "warm.use": {"warm": {"use": "/etc/warm.json"}},
}  # fmt: skip
"""A scenario for each key that names something; a key without one fails its test."""
MARKER = "open(__file__ + '.marker', 'w').close()\n\ndef answer(messages):\n    return 'fine'\n"


# --- every key of a scenario is one of these


def leaves(model: type[BaseModel], place: str = "") -> Iterator[str]:
    """The dotted keys of a model and of the models in it."""
    for name, field in model.model_fields.items():
        here = f"{place}.{name}" if place else name
        inner, many = _models(field.annotation)
        if not inner:
            yield here
        for part in inner:
            yield from leaves(part, f"{here}[]" if many else here)


def _models(annotation: Any) -> tuple[list[type[BaseModel]], bool]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation], False
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, list, dict):
        inner = [_models(argument) for argument in get_args(annotation)]
        return [model for models, _ in inner for model in models], origin in (list, dict)
    return [], False


def test_every_key_of_a_scenario_is_classified() -> None:
    assert sorted(leaves(Scenario)) == sorted(FIELDS)


def test_a_key_that_is_added_is_seen_and_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(StrictModel):
        shell: str | None = None

    class Wider(Scenario):
        sandbox: Later | None = None
        hosts: list[str] = Field([])

    assert set(leaves(Wider)) - set(FIELDS) == {"sandbox.shell", "hosts"}
    data = {"sandbox": {"shell": "rm"}, "hosts": ["evil"]}
    wider = Wider.model_validate({"persona": {"name": "A", "script": ["hi"]}, **data})
    assert items(wider) == [Item("sandbox", {"shell": "rm"}), Item("hosts", ["evil"])]


@pytest.mark.parametrize("place", [key for key, kind in FIELDS.items() if kind is not Names.INERT])
def test_a_log_of_somebody_elses_asks_for_each_and_runs_nothing(
    place: str, demo: Ran, tmp_path: Path
) -> None:
    (tmp_path / "bot.py").write_text(MARKER)
    changes = json.loads(json.dumps(SAMPLES[place]).replace("FOLDER", str(tmp_path)))
    log = altered(demo.path, tmp_path, lambda header: header["scenario"].update(changes))
    error = refused(log, tmp_path)
    assert error.exit_code == 2
    assert "Nothing was run" in str(error) and "--trust" in str(error)
    assert not list(tmp_path.glob("*marker")) and not (tmp_path / "new").exists()
    named = items(Scenario.from_public(header_of(log)["scenario"]))
    top = place.partition("[]")[0]
    assert any(item.field.startswith(top) for item in named)
    assert set(error.consent["items"]) == {item.key for item in named}
    prepared(log, tmp_path, vouched=error.consent["items"])  # a yes to all that is asked is enough


# --- whose log it is


@pytest.fixture
async def demo(tmp_path: Path) -> Ran:
    """A log that names nothing."""
    data = {"persona": {"name": "A", "script": ["hi", "there", "bye"]}, "provider": "demo"}
    return await run(Scenario.from_data(data, base=tmp_path), tmp_path / "logs")


@pytest.fixture
async def own(tmp_path: Path) -> Path:
    """A log of this user's own, whose provider is a file."""
    (tmp_path / "bot.py").write_text(MARKER)
    data = {
        "persona": {"name": "A", "script": ["hi", "there", "bye"]},
        "provider": {"use": "bot.py:answer"},
        "limits": {"max_turns": 2},
    }
    ran = await run(Scenario.from_data(data, base=tmp_path), tmp_path / "logs")
    marker(tmp_path).unlink()
    return ran.path


def marker(folder: Path) -> Path:
    """Written when the provider is imported."""
    return folder / "bot.py.marker"


def header_of(log: Path) -> dict[str, Any]:
    """A log's header."""
    with log.open() as file:
        header: dict[str, Any] = json.loads(file.readline())
    return header


def altered(log: Path, folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a log with another header."""
    first, _, rest = log.read_text().partition("\n")
    header = json.loads(first)
    change(header)
    copy = folder / "altered.jsonl"
    copy.write_text(json.dumps(header) + "\n" + rest)
    return copy


def prepared(log: Path, folder: Path, **fields: Any) -> Conversation | None:
    """What is ready to go on with a log, as its header says; None when that cannot be."""
    scenario = fields.pop("scenario", None) or header_of(log)["scenario"]
    scenario = {**scenario, "limits": {"max_turns": 4}}
    spec = StartSpec(
        scenario=scenario,
        out_dir=str(folder / "new"),
        wire="off",
        continue_from=ContinueFrom(str(log), kind="go_on"),
        **fields,
    )
    wiring = Wiring(models=FakeModels(m=["x"]), redactor=Redactor())
    try:
        return build(spec, wiring)
    except ConsentNeeded:
        raise
    except ConvtuiError:
        return None  # it was agreed to, and is nothing that can run


def refused(log: Path, folder: Path, **fields: Any) -> ConsentNeeded:
    """The refusal to go on with a log unasked."""
    with pytest.raises(ConsentNeeded) as caught:
        prepared(log, folder, **fields)
    return caught.value


def test_an_own_log_is_gone_on_with_in_silence(own: Path, tmp_path: Path) -> None:
    assert why_not_own(header_of(own)) == ""
    assert prepared(own, tmp_path) is not None
    assert marker(tmp_path).exists()


def test_an_own_log_whose_code_was_edited_is_too(own: Path, tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(MARKER + "# edited\n")
    assert prepared(own, tmp_path) is not None


def test_a_log_that_names_nothing_needs_no_seal(demo: Ran, tmp_path: Path) -> None:
    log = altered(demo.path, tmp_path, lambda header: header.pop("seal"))
    assert prepared(log, tmp_path) is not None


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no seal": lambda header: header.pop("seal"),
    "an import": lambda header: (header.pop("seal"), header.update(origin="import")),
    "another seal": lambda header: header.update(seal="v1:" + "0" * 64),
    "no text as seal": lambda header: header.update(seal=["v1"]),
    "another SPEC in the record": lambda header: header["provider"].update(spec="x.py:bot"),
    "no digest": lambda header: header["provider"].pop("sha256"),
    "no file": lambda header: header["provider"].pop("file"),
    "one byte of a prompt": lambda header: header["scenario"]["provider"].update(system_prompt="X"),
    "another name in the file": lambda header: header["scenario"]["provider"].update(
        use=header["scenario"]["provider"]["use"].replace("answer", "Answer")
    ),
    "another scenario file": lambda header: header["scenario"]["source"].update(file="/x.yaml"),
    "another run": lambda header: header.update(id="0" * 32),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_log_that_was_changed_asks(change: str, own: Path, tmp_path: Path) -> None:
    log = altered(own, tmp_path, CHANGES[change])
    error = refused(log, tmp_path)
    assert f"run the code of {tmp_path / 'bot.py'}" in str(error)
    assert not marker(tmp_path).exists()


def test_a_log_without_its_provider_is_damaged_and_runs_nothing(own: Path, tmp_path: Path) -> None:
    log = altered(own, tmp_path, lambda header: header.pop("provider"))
    with pytest.raises(LogError, match="damaged"):
        read_seed(ContinueFrom(str(log), kind="go_on"))
    assert prepared(log, tmp_path) is None
    assert not marker(tmp_path).exists()


def test_a_log_of_another_account_asks(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "other"))
    assert "under another account" in str(refused(own, tmp_path))
    make_seal({})  # an account that has a key of its own
    assert "under another account" in str(refused(own, tmp_path))
    assert not marker(tmp_path).exists()


def test_a_key_that_others_can_read_proves_nothing(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "other"))
    make_seal({})
    (private_folder(Paths.find()) / KEY_FILE).chmod(0o644)
    assert "others can read it" in str(refused(own, tmp_path))


async def test_a_run_whose_key_cannot_be_used_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "other"))
    make_seal({})
    (private_folder(Paths.find()) / KEY_FILE).chmod(0o644)
    data = {"persona": {"name": "A", "script": ["hi"]}, "provider": "demo"}
    ran = await run(Scenario.from_data(data, base=tmp_path), tmp_path)
    assert "seal" not in ran.records[0]
    (warned,) = [record for record in ran.of("warning") if record["code"] == "no_seal"]
    assert "others can read it" in warned["message"]


def test_a_second_header_is_nobodys_word(own: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text(MARKER)
    use = f"{tmp_path / 'evil.py'}:answer"
    text = own.read_text().splitlines()
    second = json.loads(text[0])
    second["scenario"]["provider"]["use"] = use
    own.write_text("\n".join([text[0], json.dumps(second), *text[1:], ""]))
    error = refused(own, tmp_path, scenario=second["scenario"])
    assert f"run the code of {tmp_path / 'evil.py'}" in str(error)
    assert not (tmp_path / "evil.py.marker").exists()


async def test_a_seal_holds_whatever_was_taken_out_of_the_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEMO_API_KEY", "environment-secret-4711")
    data = {
        "name": "lone \ud800 and \x1b",
        "persona": {
            "name": "A", "simulator": "llm", "prompt": "Bearer abcdefgh12345678", "opening": "hi",
            "script": {3: "sk-0123456789abcdef0123"}, "model": "fake/m",
            "params": {"api_key": "hunter2-persona", "api_base": "http://me:pw@host/v1"},
        },
        "provider": {
            "use": "demo", "system_prompt": "environment-secret-4711",
            "params": {"headers": {"Authorization": "Token hunter2-provider"}, "top_p": 0.1},
        },
        "limits": {"max_turns": 1},
        "tools": [],
    }  # fmt: skip
    redactor = Redactor(["environment-secret-4711"])
    what = Scenario.from_public(data)
    ran = await run(what, tmp_path, redactor=redactor, models=FakeModels(m=["x <end>"]))
    text = ran.path.read_text()
    assert "hunter2" not in text and "environment-secret" not in text
    assert why_not_own(header_of(ran.path)) == ""


START_SPECS = {
    "batch/orders.py": "cells of a plan that the user named, or that is sealed: loaded, not run",
    "batch/work.py": "the same; of a log that is gone on with nothing is taken but what was said",
    "analysis/probe/conversation.py": "the provider that --provider names",
    "analysis/rehook/rehook_process.py": "the provider that --provider, or an answer, names",
    "cli/batch_run.py": "cells of a plan that the user named, or that is sealed: loaded, not run",
    "cli/check_provider.py": "the SPEC that the command names",
    "cli/debug.py": "only the names that are shown before the scenario is read; nothing is run",
    "cli/demo.py": "the demo",
    "cli/start.py": "what a command names; of a log what flags do not replace is not vouched for",
    "engine/conversation/converse.py": "a scenario of the caller's",
    "tui/screens/debugger/brief_editing.py": (
        "a log that is looked at: it goes on from it, so the engine asks"
    ),
    "tui/sources/hosted_run.py": "what already runs; without it nothing",
    "tui/sources/start.py": "what the picker shows; of a log, once its question was answered",
}
"""Where an engine is told what to run, and whose word that is."""


def test_every_place_that_says_what_to_run_is_known() -> None:
    """What a log's header names is run as a continuation, where the engine asks, or again, where
    the screen does."""
    making, trusting = set(), set()
    for path, tree in source_trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name == "StartSpec":
                    making.add(path)
                for keyword in node.keywords:
                    if keyword.arg == "trust" and getattr(keyword.value, "value", None) is True:
                        trusting.add(path)
            if isinstance(node, ast.Assign) and getattr(node.value, "value", None) is True:
                for target in node.targets:
                    if getattr(target, "attr", "") == "trust":
                        trusting.add(path)
    assert making == set(START_SPECS), "who names what is run there?"
    assert not trusting, "only --trust trusts whatever a log names"


# --- what the user has named


def test_what_is_agreed_to_is_exactly_what_was_shown(own: Path, tmp_path: Path) -> None:
    log = altered(own, tmp_path, lambda header: header.pop("seal"))
    keys = refused(log, tmp_path).consent["items"]
    (tmp_path / "evil.py").write_text(MARKER)
    swapped = altered(
        log,
        tmp_path,
        lambda header: header["scenario"]["provider"].update(use=f"{tmp_path / 'evil.py'}:answer"),
    )
    assert "evil.py" in str(refused(swapped, tmp_path, vouched=keys))
    log = altered(own, tmp_path, lambda header: header.pop("seal"))
    assert prepared(log, tmp_path, vouched=keys) is not None


async def test_what_was_agreed_to_is_this_users_own_from_then_on(own: Path, tmp_path: Path) -> None:
    log = altered(own, tmp_path, lambda header: header.pop("seal"))
    conversation = prepared(log, tmp_path, trust=True)
    assert conversation is not None
    await conversation.run()
    child = conversation.journal.writer.path
    assert why_not_own(header_of(child)) == ""


def test_a_flag_vouches_for_its_own_part_only(tmp_path: Path) -> None:
    data = {
        "persona": {"name": "A", "script": ["hi"]},
        "provider": {"use": "bot.py:answer", "params": {"api_base": HOST, "seed": 1}},
        "tools": ["tools.py:run"],
    }
    scenario = Scenario.from_data(data, base=tmp_path)
    by_place = {item.field: item.key for item in items(scenario)}
    assert set(by_place) == {"provider.use", "provider.params.api_base", "tools[]"}
    assert vouched_for(scenario, {"provider.use"}) == [by_place["provider.use"]]
    assert vouched_for(scenario, {"provider.params"}) == [by_place["provider.params.api_base"]]
    assert vouched_for(scenario, {"tools"}) == [by_place["tools[]"]]
    assert vouched_for(scenario, {"provider.params.api", "persona"}) == []
    assert set(vouched_folders(scenario, [tmp_path])) == {
        by_place["provider.use"], by_place["tools[]"],
    }  # fmt: skip
    assert vouched_folders(scenario, [tmp_path / "other"]) == []


# --- what was taken out of a log


def server(**fields: Any) -> dict[str, Any]:
    """A scenario with one tool server."""
    return {"persona": {"name": "A", "script": ["hi"]}, "tools": [{"mcp": fields}]}


def filled(header: dict[str, Any]) -> dict[str, str]:
    """The headers and variables that a log's server gets."""
    (tool,) = Scenario.from_public(own_scenario(header).scenario).tools
    assert tool.mcp is not None
    return {
        name: value
        for name, value in {**tool.mcp.headers, **tool.mcp.env}.items()
        if "[redacted]" not in value
    }


def logged(folder: Path, recorded: dict[str, Any]) -> dict[str, Any]:
    """A header of this user's own that names a scenario file."""
    public = Scenario.from_data(recorded, base=folder).public()
    public["source"]["file"] = str(folder / "scenario.yaml")
    header = {"id": "a", "provider": {}, "scenario": public}
    return {**header, "seal": make_seal(header)}


URL = "https://tools.example/mcp"
TOKEN = {"Authorization": "Bearer mine"}


def test_a_value_comes_back_from_the_scenario_file_for_the_same_host_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("Authorization", "from the environment")
    file = tmp_path / "scenario.yaml"
    file.write_text(json.dumps(server(url=URL, headers=TOKEN)))
    out = {"Authorization": "[redacted]"}
    header = logged(tmp_path, server(url=URL, headers=out))
    assert filled(header) == TOKEN
    for other in (f"{HOST}/mcp", "http://tools.example/mcp", "https://tools.example:8443/mcp"):
        assert filled(logged(tmp_path, server(url=other, headers=out))) == {}
    more = {**out, "OPENAI_API_KEY": "[redacted]"}
    assert filled(logged(tmp_path, server(url=URL, headers=more))) == {}
    assert filled({**header, "seal": "v1:0"}) == {}
    file.unlink()
    assert filled(header) == {}


def test_a_program_gets_its_variables_back_only_where_it_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(json.dumps(server(command=["a"], env={"TOKEN": "mine"})))
    out = {"TOKEN": "[redacted]"}
    assert filled(logged(tmp_path, server(command=["a"], env=out))) == {"TOKEN": "mine"}
    assert filled(logged(tmp_path, server(command=["b"], env=out))) == {}
    assert filled(logged(tmp_path, server(command=["a"], cwd="/", env=out))) == {}


async def test_an_own_log_with_secrets_goes_on_in_silence(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "class Bot:\n    def __init__(self, token):\n        self.token = token\n"
        "    def generate_response(self, messages):\n        return 'fine'\n"
    )
    file = tmp_path / "scenario.yaml"
    file.write_text(json.dumps({
        "persona": {"name": "A", "script": ["hi", "there", "bye"]},
        "provider": {"use": "bot.py:Bot", "options": {"token": "t-o-k-e-n-of-mine"}},
        "limits": {"max_turns": 2},
    }))  # fmt: skip
    ran = await run(Scenario.load(file), tmp_path / "logs")
    header = header_of(ran.path)
    assert header["scenario"]["provider"]["options"] == {"token": "[redacted]"}
    conversation = prepared(ran.path, tmp_path, scenario=own_scenario(header).scenario)
    assert conversation is not None
    assert getattr(conversation.provider, "token", None) == "t-o-k-e-n-of-mine"


def test_no_value_of_a_secret_is_in_a_question(tmp_path: Path, demo: Ran) -> None:
    def change(header: dict[str, Any]) -> None:
        header["scenario"].update(server(url=URL, headers={"Authorization": "hunter2-very-secret"}))
        header["scenario"]["provider"] = {
            "use": "openai/gpt\x1b[31m-4o",
            "params": {"api_key": "hunter2-other", "api_base": HOST, "temperature": 1},
        }

    log = altered(demo.path, tmp_path, change)
    text = str(refused(log, tmp_path)) + json.dumps(refused(log, tmp_path).consent)
    assert "hunter2" not in text and "\x1b" not in text
    assert "with OPENAI_API_KEY" in text and HOST in text
    assert "with the headers Authorization" in text
    assert "api_key" in text and "temperature" not in text
