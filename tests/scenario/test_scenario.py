"""Scenarios, personas, SPECs and flags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import DataFileError, FileError, ProviderLoadError, UsageError
from convtui.scenario.merge import merge_flags
from convtui.scenario.persona_table import fill_template, read_persona_table
from convtui.scenario.scenario import (
    OnDiscard,
    Persona,
    Scenario,
    builtin_personas,
    load_persona,
    load_tsv_persona,
    parse_provider_spec,
)
from convtui.secrets.redactor import Redactor
from tests import places

SAMPLES = places.SAMPLES / "vera-mh"

FULL = """\
name: refund-two-sessions
persona: personas/maya.yaml
provider:
  use: my_provider.py:Bot
  system_prompt: You are a ferry company's assistant.
  start_prompt: Begin
  first_message: null
  model: openai/gpt-4o
  params: {temperature: 0.2, api_base: "http://127.0.0.1:8000/v1"}
  options: {workflow: refunds}
sessions: [intake, refund]
first_speaker: persona
follow_up_prompts: []
limits: {max_turns: 20, max_total_words: 4000, max_tool_rounds: 64, turn_timeout: 120}
turns_scope: session
persona_memory: session
termination_signal: "<END OF CONVERSATION>"
on_discard: retry 2
on_signal: {"[ERROR]": pause}
on_empty: pause
budget: {tokens: 50000, cost: 0.50, on_exceeded: pause}
retry: {attempts: 4, base_delay: 0.75, max_delay: 8}
tools: [my_tools:find_trip, {mcp: {command: [python, trips_server.py]}}]
warm: experienced-agent
breakpoints: ["~discard", "~signal & ~turn > 3"]
"""
PERSONA = """\
name: Maya
task: Wants a refund.
opening: Hi
script: {3: fixed}
prompt: You are Maya.
template: "{persona} {task}"
end_sentinel: "<end>"
sentinel_keeps_text: false
reminder: Stay brief.
params: {temperature: 1.0}
model: openai/gpt-4o-mini
termination_signals: [STOP]
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / f"{next(iter(files))}.yaml"


def mistakes(data: dict[str, Any]) -> str:
    with pytest.raises(DataFileError) as caught:
        Scenario.from_data(data)
    return str(caught.value)


def test_the_whole_file(tmp_path: Path) -> None:
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "maya.yaml").write_text(PERSONA)
    scenario = Scenario.load(write(tmp_path, scenario=FULL))
    assert scenario.provider.use == f"{tmp_path / 'my_provider.py'}:Bot"
    assert scenario.provider.spec.kind == "file"
    assert scenario.persona.script == {3: "fixed"}
    assert scenario.persona.simulator == "llm"
    assert scenario.persona.source == str(tmp_path / "personas" / "maya.yaml")
    assert scenario.on_discard == OnDiscard("retry", 2)
    assert scenario.signal_action("[error]") == "pause"
    assert scenario.signal_action("[other]") == "end"
    assert scenario.tools[0].use == "my_tools:find_trip"
    assert scenario.tools[1].mcp is not None
    assert scenario.base == tmp_path

    public = json.loads(json.dumps(scenario.public()))
    again = Scenario.from_public(public)
    assert again == scenario
    assert again.base == tmp_path
    assert again.path == scenario.path
    assert again.persona.source == scenario.persona.source


def test_defaults() -> None:
    scenario = Scenario.from_data({})
    assert scenario.provider.spec.kind == "demo"
    assert scenario.persona.simulator == "demo"
    assert scenario.limits.max_turns == 20
    assert scenario.limits.max_total_words is None
    assert scenario.limits.max_tool_rounds == 64
    assert scenario.limits.turn_timeout == 120
    assert (scenario.retry.attempts, scenario.retry.base_delay, scenario.retry.max_delay) == (
        4,
        0.75,
        8,
    )
    assert scenario.on_empty == "pause"
    assert scenario.budget.on_exceeded == "pause"
    assert scenario.session_types == ["default"]


def test_every_mistake_of_both_files_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        scenario="persona: p.yaml\nlimits: {max_turn: 3}\nprovider: nope.py\n",
        p="nam: Maya\nscript: []\n",
    )
    with pytest.raises(DataFileError) as caught:
        Scenario.load(path)
    text = str(caught.value)
    assert f"{path}:2: limits.max_turn: unknown key 'max_turn', did you mean 'max_turns'?" in text
    assert f"{path}:3: provider.use: 'nope.py' does not say what to use in it" in text
    assert f"{tmp_path / 'p.yaml'}:1: nam: unknown key 'nam', did you mean 'name'?" in text
    assert f"{tmp_path / 'p.yaml'}:2: script: an empty script" in text


def test_a_missing_persona_file_is_told_at_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, scenario="name: x\npersona: p.yaml\n")
    with pytest.raises(DataFileError, match=r"scenario\.yaml:2: persona: .*no such file"):
        Scenario.load(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"sessions": ["a", " "]}, "session name must not be empty"),
        ({"limits": {"max_turns": 0}}, "at least 1"),
        ({"limits": {"max_turns": True}}, "must be a whole number, not true"),
        ({"limits": {"max_turns": "3"}}, "must be a whole number, not text"),
        ({"limits": {"turn_timeout": float("inf")}}, "finite"),
        ({"on_discard": "retry 0"}, "retry N"),
        ({"on_discard": "retry"}, "retry 2"),
        ({"on_signal": {"X": "stop"}}, "must be one of end, pause, ignore"),
        ({"on_signal": {"X": "end", "x": "end"}}, "twice"),
        ({"termination_signal": " "}, "must not be empty"),
        ({"tools": ["foo"]}, "module:function"),
        ({"provider": {"options": {"a-b": 1}}}, "keyword argument"),
        ({"budget": {"cost": -1}}, "more than 0"),
        ({"persona": {"name": "x", "script": []}}, "empty script"),
        ({"persona": {"name": "x", "script": ["a", 3]}}, "utterance 2 must be text"),
        ({"persona": {"name": "x", "script": {0: "a"}}}, "no turn number"),
        ({"persona": {"name": "x", "simulator": "scripted"}}, "needs the key 'script'"),
        ({"persona": {"name": "x", "simulator": "responder"}}, "needs the key 'responder'"),
        ({"persona": {"name": "x", "end_sentinel": ""}}, "empty end_sentinel"),
        ({"persona": {"name": "x", "termination_signals": ["A", "a"]}}, "twice"),
        ({"persona": {"name": "x", "termination_signals": [""]}}, "match everything"),
        ({"persona": {"name": "x", "simulator": "demo", "script": {2: "a"}}}, "not of a demo one"),
        ({"persona": {"name": "x", "simulator": "scripted", "script": {2: "a"}}}, "a list of"),
        ({"persona": {"name": "x", "simulater": "llm"}}, "did you mean 'simulator'"),
        ({"persona": "demmo"}, "did you mean 'demo'"),
    ],
)
def test_mistakes(data: dict[str, Any], words: str) -> None:
    assert words in mistakes(data)


BRIEF = {"instructions": "y", "max_followups": 2}


@pytest.mark.parametrize(
    ("brief", "words"),
    [
        ({"max_followups": 2}, "instructions: responder.instructions is required"),
        ({**BRIEF, "instructions": " "}, "instructions: responder.instructions is required"),
        ({**BRIEF, "instructions": None}, "instructions: responder.instructions is required"),
        ({"instructions": "y"}, "responder.max_followups is required, at least 1"),
        (
            {**BRIEF, "max_followups": 0},
            "max_followups: responder.max_followups must be at least 1, got 0",
        ),
        ({**BRIEF, "max_followups": -3}, "at least 1, got -3"),
        ({**BRIEF, "max_followups": True}, "must be a whole number, not true"),
        ({**BRIEF, "max_followup": 2}, "did you mean 'max_followups'"),
        ({**BRIEF, "decide_with": "tool"}, "auto, tools, json, not 'tool', did you mean 'tools'"),
    ],
)
def test_mistakes_of_a_brief(brief: dict[str, Any], words: str) -> None:
    text = mistakes({"persona": {"name": "x", "responder": brief}, "limits": 3})
    assert f"persona.responder.{words}" in text or words in text
    assert text.count("\n") == 1, "the other mistake, and nothing twice"


def test_mistakes_of_a_brief_have_file_line_and_key(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        p="name: Maya\nresponder:\n  instructions: ' '\n  max_followups: 0\n  modle: x\n",
    )
    with pytest.raises(DataFileError) as caught:
        Persona.load(path)
    assert str(caught.value).splitlines() == [
        f"{path}:3: responder.instructions: responder.instructions is required",
        f"{path}:4: responder.max_followups: responder.max_followups must be at least 1, got 0",
        f"{path}:5: responder.modle: unknown key 'modle', did you mean 'model'?",
    ]


def test_follow_ups_and_a_responder_exclude_each_other(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        scenario="persona:\n  name: x\n  responder: {instructions: y, max_followups: 2}\n"
        "follow_up_prompts: [go]\nlimits: 3\n",
    )
    with pytest.raises(DataFileError) as caught:
        Scenario.load(path)
    assert str(caught.value).splitlines()[0] == (
        f"{path}:4: follow_up_prompts: responder and follow_up_prompts are mutually exclusive;"
        " use one or the other"
    )
    assert "limits: must be a mapping" in str(caught.value)
    Scenario.from_data({"persona": {"name": "x", "responder": BRIEF}, "follow_up_prompts": []})


def test_a_script_and_a_responder_exclude_each_other() -> None:
    text = mistakes({"persona": {"name": "x", "responder": BRIEF, "script": ["a"]}})
    assert "persona.script: a script and a responder exclude each other; use one or the" in text


@pytest.mark.parametrize(
    "persona",
    [
        {"opening": "Hi", "prompt": "You are x.", "model": "openai/x"},
        {"task": "Wants out."},
        {"script": ["Hi"]},
        {"simulator": "scripted", "opening": "Hi"},
    ],
)
def test_follow_ups_make_a_persona_scripted(persona: dict[str, Any]) -> None:
    scenario = Scenario.from_data(
        {"persona": {"name": "x", **persona}, "follow_up_prompts": ["And?"]}
    )
    assert scenario.persona.simulator == "scripted"
    assert not scenario.problems()
    assert merge_flags(scenario, {"max_turns": 4}).persona.simulator == "scripted"
    assert Scenario.from_public(scenario.public()).persona.simulator == "scripted"


@pytest.mark.parametrize(
    ("persona", "words"),
    [
        ({"simulator": "llm", "opening": "Hi"}, "(simulator: llm) contradicts; use one or the oth"),
        ({"simulator": "human"}, "(simulator: human) contradicts"),
        ({"script": {2: "Hi"}, "opening": "Hi"}, "(simulator: llm) contradicts"),
        ({"prompt": "You are x."}, "come after the persona's opening: give it 'opening'"),
    ],
)
def test_follow_ups_that_nobody_says(persona: dict[str, Any], words: str) -> None:
    data = {"persona": {"name": "x", **persona}, "follow_up_prompts": ["And?"]}
    text = mistakes(data)
    assert text.startswith("follow_up_prompts: ")
    assert words in text
    assert "\n" not in text
    assert "persona 'Robin' (simulator: demo)" in mistakes({"follow_up_prompts": ["And?"]})


def test_follow_ups_and_a_flag_that_contradicts_them() -> None:
    scenario = Scenario.from_data(
        {"persona": {"name": "x", "opening": "Hi"}, "follow_up_prompts": ["And?"]}
    )
    with pytest.raises(UsageError, match="contradicts"):
        merge_flags(scenario, {"set": ["persona.simulator=llm"]})


def test_a_list_script_of_an_llm_persona_is_said_first() -> None:
    data = {"name": "x", "script": ["a", "b"], "prompt": "You are x."}
    assert Persona.model_validate(data).simulator == "scripted"
    explicit = Scenario.from_data({"persona": {**data, "simulator": "llm", "model": "openai/x"}})
    for scenario in (explicit, merge_flags(explicit, {"max_turns": 4})):
        assert (scenario.persona.simulator, scenario.persona.script) == ("llm", ["a", "b"])
    again = Scenario.from_public(json.loads(json.dumps(explicit.public())))
    assert again.persona.simulator == "llm"


def test_a_guess_is_made_again_when_its_keys_change() -> None:
    scenario = Scenario.from_data({"persona": {"name": "x", "prompt": "You are x."}})
    changed = merge_flags(scenario, {"set": ["persona.script=[a]"]})
    assert (scenario.persona.simulator, changed.persona.simulator) == ("llm", "scripted")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"script": ["a"]}, "scripted"),
        ({"responder": {"instructions": "a", "max_followups": 1}}, "responder"),
        ({"prompt": "a"}, "llm"),
        ({"script": {2: "a"}, "prompt": "b"}, "llm"),
        ({"simulator": "human"}, "human"),
    ],
)
def test_the_simulator_is_guessed(data: dict[str, Any], kind: str) -> None:
    assert Persona.model_validate({"name": "x", **data}).simulator == kind


def test_built_in_personas() -> None:
    assert [persona.name for persona in builtin_personas()] == ["demo", "maya", "sam"]
    kinds = {persona.name: load_persona(persona.name).simulator for persona in builtin_personas()}
    assert kinds == {"demo": "demo", "maya": "scripted", "sam": "llm"}
    assert load_persona("sam").needs_model


@pytest.mark.parametrize(
    ("text", "kind", "target", "name"),
    [
        ("demo", "demo", "", None),
        ("openai/gpt-4o", "litellm", "openai/gpt-4o", None),
        ("openrouter/a/b:free", "litellm", "openrouter/a/b:free", None),
        ("my_bot.py:Bot", "file", "my_bot.py", "Bot"),
        (r"C:\bots\my.py:Bot", "file", r"C:\bots\my.py", "Bot"),
        ("pkg.mod:make", "module", "pkg.mod", "make"),
        ("installed-one", "entry_point", "installed-one", None),
        ("recorded:a/b.jsonl", "recorded", "a/b.jsonl", None),
    ],
)
def test_specs(text: str, kind: str, target: str, name: str | None) -> None:
    spec = parse_provider_spec(text)
    assert (spec.kind, spec.target, spec.name) == (kind, target, name)
    assert str(spec) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("gpt-4o", "did you mean openai/gpt-4o"),
        ("llama3:8b", "did you mean ollama/llama3:8b"),
        ("run.jsonl", "recorded:run.jsonl"),
        ("recorded:", "names no log"),
        ("./bot:Bot", "write ./bot.py:Bot"),
        (r"C:\bots\my", r"C:\\bots\\my.py:NAME"),
        ("pkg.mod:", "pkg.mod:NAME"),
        ("my provider", "names no provider"),
        ("a/b.yaml", "scenario"),
    ],
)
def test_unusable_specs_say_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ProviderLoadError, match=words):
        parse_provider_spec(text)


def test_a_file_without_a_name_lists_what_is_in_it_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "raise SystemExit('imported!')\nasync def ask(m): ...\ndef _no(): ...\nclass Bot: ...\n"
    )
    for text in ("bot.py", "bot.py:", "bot.py:no-name", "bot"):
        with pytest.raises(
            ProviderLoadError, match=r"bot\.py:NAME, where NAME is one of: Bot, ask"
        ):
            parse_provider_spec(text, tmp_path)
    (tmp_path / "bot.py").write_text("def (")
    with pytest.raises(ProviderLoadError, match=r"write bot\.py:NAME$"):
        parse_provider_spec("bot.py", tmp_path)


def test_flags(tmp_path: Path) -> None:
    scenario = merge_flags(
        None,
        {
            "provider": "bot.py:Bot",
            "persona": "sam",
            "user-model": "openai/gpt-4o-mini",
            "sessions": "intake, refund",
            "max_turns": 4,
            "max_total_words": 100,
            "max_tool_rounds": 3,
            "budget_tokens": 10,
            "budget_cost": 0.5,
            "provider_speaks_first": True,
            "persona_speaks_first": False,
            "user_api_base": "http://127.0.0.1:1/v1",
            "api_base": "http://127.0.0.1:2/v1",
            "warm": "template",
            "break": ("~discard",),
            "set": ["on_discard=skip", "provider.params.temperature=0.5", "limits.turn_timeout=9"],
            "out": None,
        },
        cwd=tmp_path,
    )
    assert scenario.provider.use == f"{tmp_path / 'bot.py'}:Bot"
    assert scenario.provider.params == {"api_base": "http://127.0.0.1:2/v1", "temperature": 0.5}
    assert scenario.persona.model == "openai/gpt-4o-mini"
    assert scenario.persona.params["api_base"] == "http://127.0.0.1:1/v1"
    assert scenario.persona.params["temperature"] == 0.8
    assert scenario.persona.source == "sam"
    assert scenario.sessions == ["intake", "refund"]
    assert scenario.first_speaker == "provider"
    assert (scenario.limits.max_turns, scenario.limits.turn_timeout) == (4, 9)
    assert (scenario.budget.tokens, scenario.budget.cost) == (10, 0.5)
    assert str(scenario.on_discard) == "skip"
    assert scenario.breakpoints == ["~discard"]


def test_flags_over_a_file_keep_the_rest_and_change_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path, s="provider: {use: 'bot.py:A', system_prompt: hi}\nbreakpoints: ['~end']\n"
    )
    old = Scenario.load(path)
    new = merge_flags(old, {"max_turns": 3, "break": ["~error"]}, cwd=tmp_path / "elsewhere")
    assert new.provider.system_prompt == "hi"
    assert new.provider.use == f"{tmp_path / 'bot.py'}:A"
    assert new.breakpoints == ["~end", "~error"]
    assert (new.path, new.base, new.name) == (path, tmp_path, "s")
    assert old.limits.max_turns == 20


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"set": ["max_turns=3"]}, "did you mean 'limits.max_turns'"),
        ({"set": ["limits.max_turn=3"]}, "--set limits.max_turn=3: .*did you mean 'max_turns'"),
        ({"set": ["limits"]}, "key=value"),
        ({"set": ["name=[a"]}, "--set name"),
        ({"set": ["name.x=a"]}, "--set name.x|is not a mapping|must be text"),
        ({"max_turns": 0}, "--max-turns: must be at least 1"),
        ({"persona": "sam"}, "needs a model"),
        ({"max_turnz": 1}, "did you mean"),
        ({"persona_speaks_first": True, "provider_speaks_first": True}, "exclude"),
        ({"sessions": "a,,b"}, "--sessions: a session name"),
    ],
)
def test_flags_that_are_wrong(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        merge_flags(None, flags)


def test_secrets_stay_out_of_the_public_form() -> None:
    scenario = merge_flags(
        None,
        {
            "provider": "openai/m",
            "set": ["provider.params.api_key=verysecretvalue", "provider.params.top_p=1"],
        },
    )
    public = scenario.public(Redactor(["anothersecret"]))
    assert "verysecretvalue" not in json.dumps(public)
    assert Scenario.from_public(public).provider.params == {"top_p": 1}


def test_a_damaged_recorded_scenario_is_an_error_with_a_name() -> None:
    with pytest.raises(DataFileError):
        Scenario.from_public({"persona": 3, "source": 4})


TABLE = 'Name\tAge/Stage\tFavourite Trip, Reasons\nAda\t40/a\tNorrholm\nBo\t12/b\t"the\nisland"\n'


def test_personas_from_a_table(tmp_path: Path) -> None:
    (tmp_path / "personas.tsv").write_text(TABLE)
    (tmp_path / "t.txt").write_text("You are {Name}, {Age/Stage}; {{x}} {Favourite Trip, Reasons}.")
    bo = load_tsv_persona(tmp_path / "personas.tsv", "Bo", tmp_path / "t.txt")
    assert bo.prompt == "You are Bo, 12/b; {x} the\nisland."
    assert bo.simulator == "llm"
    for ref in ("tsv:Ada", "personas.tsv:Ada"):
        ada = load_persona(ref, tmp_path, "t.txt")
        assert ada.name == "Ada"
    plain = load_persona("tsv:Ada", tmp_path)
    assert plain.prompt == "Name: Ada\nAge/Stage: 40/a\nFavourite Trip, Reasons: Norrholm"
    with pytest.raises(UsageError, match="did you mean 'Ada'"):
        load_persona("tsv:Adda", tmp_path)
    with pytest.raises(
        UsageError, match=r"say which persona, as in personas\.tsv:Ada\. It has Ada and Bo\.$"
    ):
        load_persona("personas.tsv", tmp_path)
    scenario = Scenario.from_data(
        {"persona": "tsv:Ada", "persona_template": "t.txt"}, base=tmp_path
    )
    assert scenario.persona.prompt == "You are Ada, 40/a; {x} Norrholm."


def test_templates_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "p.tsv").write_text("Name\nx\n")
    table = read_persona_table(tmp_path / "p.tsv")
    where = (table.rows["x"], tmp_path / "t.txt", table)
    with pytest.raises(DataFileError) as caught:
        fill_template("{Agee} {Name.__class__} {Agee}", *where)
    assert [problem.message.split(" is ")[0] for problem in caught.value.problems] == [
        "{Agee}",
        "{Name.__class__}",
    ]
    with pytest.raises(DataFileError, match=r"t\.txt:1: a \{ that is never closed"):
        fill_template("{Name", *where)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Nam\tAge\nx\t1\n", ":1: .*did you mean 'Nam'"),
        ("Name\tAge\nx\t1\nx\t2\n", ":3: the name 'x' is there twice"),
        ("Name\nx\ty\n", ":2: 2 cells where the first line names 1"),
        ("Name\tA\n\t1\n", ":2: a row without"),
        ("", "Name"),
    ],
)
def test_damaged_tables(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "p.tsv"
    path.write_text(text)
    with pytest.raises(FileError, match=words):
        raise DataFileError(read_persona_table(path).problems)


def test_a_published_table_and_template() -> None:
    table = SAMPLES / "personas_v1.0.tsv"
    for name in read_persona_table(table).names:
        persona = load_tsv_persona(table, name, SAMPLES / "persona_prompt_template_v1.0.txt")
        assert persona.name == name
        assert persona.prompt is not None
        assert "{" not in persona.prompt


def test_a_module_that_lies_here_is_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`package.module:name` need not be installed: as `python -m` finds it."""
    project = tmp_path / "project"
    for name in ("scenarios/beside.py", "pkg/__init__.py", "pkg/bot.py", "plain/deep.py"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("def f(m): ...\n")
    work = tmp_path / "work"
    work.mkdir()
    (work / "here.py").write_text("def f(m): ...\n")
    (project / "pyproject.toml").write_text("")
    monkeypatch.chdir(work)

    def located(text: str) -> str:
        spec = str(parse_provider_spec(text).located(project / "scenarios"))
        return spec.replace(f"{tmp_path}/", "")

    assert located("beside:f") == "project/scenarios/beside.py:f"
    assert located("pkg.bot:f") == "project/pkg/bot.py:f"
    assert located("pkg:f") == "project/pkg/__init__.py:f"
    assert located("plain.deep:f") == "project/plain/deep.py:f"
    assert located("here:f") == "work/here.py:f"
    assert located("surely.installed:f") == "surely.installed:f"
    assert located("beside.py:f") == "project/scenarios/beside.py:f"
    file = project / "scenarios" / "s.yaml"
    file.write_text("persona: demo\nprovider: pkg.bot:f\ntools: [beside:f, installed.one:f]\n")
    scenario = Scenario.load(file)
    assert scenario.provider.use == f"{project}/pkg/bot.py:f"
    assert [tool.use for tool in scenario.tools] == [
        f"{project}/scenarios/beside.py:f", "installed.one:f",
    ]  # fmt: skip
