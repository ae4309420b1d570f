"""Task and eval files of waza become scenarios; what has no place here is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convtui.errors import DataFileError, FileError, UsageError
from convtui.files.yaml import parse_yaml
from convtui.scenario.merge import merge_flags
from convtui.scenario.scenario import Scenario
from convtui.scenario.waza_keys import (
    ConfigKeys,
    EvalKeys,
    InputsKeys,
    ResponderKeys,
    TaskKeys,
    waza_kind,
)
from convtui.scenario.waza_task import load_scenario, read_waza
from convtui.schemas import check_file, recognise
from tests import places

SAMPLES = places.SAMPLES / "waza"

RESPONDER = """\
id: book-a-cabin
name: Book a cabin
inputs:
  prompt: "I need a cabin"
  responder:
    instructions: |
      Two adults, one dog.
    max_followups: 12
timeout_seconds: 30
"""
FOLLOW_UPS = """\
id: refund
inputs:
  prompt: Refund me
  follow_up_prompts: [The number is 17, Thanks]
"""
EVAL = """\
name: ferry
config:
  model: openai/gpt-4o-mini
  timeout_seconds: 300
  trials_per_task: 3
tasks: ["tasks/*.yaml"]
graders: []
"""


def task(folder: Path, text: str, name: str = "task.yaml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def an_eval(folder: Path, *tasks: str, text: str = EVAL) -> Path:
    for number, each in enumerate(tasks):
        task(folder / "tasks", each, f"t{number}.yaml")
    return task(folder, text, "eval.yaml")


def mistakes(path: Path) -> list[str]:
    with pytest.raises(DataFileError) as caught:
        read_waza(path)
    return str(caught.value).splitlines()


def test_a_responder_task(tmp_path: Path) -> None:
    scenario, chosen, notes = load_scenario(task(tmp_path, RESPONDER))
    assert notes == []
    assert chosen is not None and chosen.name == "Book a cabin"
    assert scenario.name == "book-a-cabin"
    persona = scenario.persona
    assert (persona.simulator, persona.opening, persona.task) == (
        "responder",
        "I need a cabin",
        "I need a cabin",
    )
    assert persona.responder is not None
    assert persona.responder.instructions == "Two adults, one dog.\n"
    assert (persona.responder.max_followups, persona.responder.model) == (12, None)
    assert scenario.limits.turn_timeout == 30
    assert scenario.limits.max_turns >= 2 * (1 + 12), "the follow-ups run out first"
    assert scenario.path == tmp_path / "task.yaml"
    assert "needs a model: give --user-model" in scenario.problems()[0].message
    given = merge_flags(scenario, {"user_model": "openai/x"}).persona
    assert given.model == "openai/x"
    assert Scenario.from_public(scenario.public()) == scenario


def test_a_prompt_is_said_as_it_stands(tmp_path: Path) -> None:
    path = task(tmp_path, "id: x\ninputs: {prompt: 'task'}\n")
    assert load_scenario(path)[0].persona.script == ["task"]
    task(tmp_path, "Where is {{ship}}?\n", "prompt.txt")
    task(tmp_path, "id: x\ninputs: {prompt_file: prompt.txt}\n")
    assert load_scenario(path)[0].persona.script == ["Where is {{ship}}?\n"]
    task(tmp_path, "id: x\ninputs: {prompt_file: nothing.txt}\n")
    assert mistakes(path)[0].startswith(f"{path}:2: inputs.prompt_file: ")
    assert "there is no such file" in mistakes(path)[0]


def test_follow_up_prompts(tmp_path: Path) -> None:
    scenario, _, _ = load_scenario(task(tmp_path, FOLLOW_UPS))
    assert (scenario.persona.simulator, scenario.persona.script) == ("scripted", ["Refund me"])
    assert scenario.follow_up_prompts == ["The number is 17", "Thanks"]
    assert scenario.limits.turn_timeout == 120
    many = FOLLOW_UPS.replace("Thanks", ", ".join(f"m{n}" for n in range(30)))
    assert load_scenario(task(tmp_path, many))[0].limits.max_turns >= 2 * 32


def test_the_model_of_the_eval_is_the_responders(tmp_path: Path) -> None:
    own = RESPONDER.replace("max_followups", "model: gpt-4o\n    max_followups").replace(
        "book-a-cabin", "own-model"
    )
    path = an_eval(tmp_path, RESPONDER, own, FOLLOW_UPS)
    models = {}
    for name in ("book-a-cabin", "own-model"):
        scenario, chosen, _ = load_scenario(path, name)
        assert scenario.persona.responder is not None and chosen is not None
        models[name] = (scenario.persona.responder.model, chosen.model_note())
    assert models["book-a-cabin"] == ("openai/gpt-4o-mini", None)
    model, note = models["own-model"]
    assert model == "gpt-4o"
    assert note is not None
    assert "'gpt-4o' names no provider; did you mean openai/gpt-4o? Say so with --user-mo" in note
    scenario, chosen, _ = load_scenario(path, "own-model")
    flagged = merge_flags(scenario, {"user_model": "openai/gpt-4o"}).persona.responder
    assert flagged is not None and flagged.model == "openai/gpt-4o"


def test_the_timeout_of_a_task_is_nearer_than_the_evals(tmp_path: Path) -> None:
    path = an_eval(tmp_path, RESPONDER, FOLLOW_UPS)
    assert load_scenario(path, "book-a-cabin")[0].limits.turn_timeout == 30
    assert load_scenario(path, "refund")[0].limits.turn_timeout == 300


def test_a_model_without_a_known_provider_says_what_to_write(tmp_path: Path) -> None:
    text = RESPONDER.replace("max_followups", "model: house-model\n    max_followups")
    _, chosen, _ = load_scenario(task(tmp_path, text))
    assert chosen is not None
    assert str(chosen.model_note()).endswith("write --user-model PROVIDER/house-model")


def test_tasks_are_picked_by_id_or_name(tmp_path: Path) -> None:
    path = an_eval(tmp_path, RESPONDER, FOLLOW_UPS)
    assert load_scenario(path, "refund")[0].name == "refund"
    assert load_scenario(path, "Book a cabin")[0].name == "book-a-cabin"
    with pytest.raises(UsageError, match=r"which task\? Say --task ID, one of: book-a-cabin, ref"):
        load_scenario(path)
    with pytest.raises(UsageError, match=r"no task 'refnd', did you mean 'refund'\? It has book"):
        load_scenario(path, "refnd")
    an_eval(tmp_path, RESPONDER, FOLLOW_UPS, FOLLOW_UPS)
    with pytest.raises(UsageError, match=r"several tasks have the id 'refund': .*t1.*t2"):
        load_scenario(path, "refund")


def test_the_only_task_of_an_eval_is_taken(tmp_path: Path) -> None:
    assert load_scenario(an_eval(tmp_path, FOLLOW_UPS))[0].name == "refund"


def test_disabled_tasks_are_said(tmp_path: Path) -> None:
    off = RESPONDER + "enabled: false\n"
    path = an_eval(tmp_path, off, FOLLOW_UPS)
    scenario, _, notes = load_scenario(path)
    assert scenario.name == "refund"
    assert f"{path}: disabled tasks (enabled: false): book-a-cabin" in notes
    scenario, _, notes = load_scenario(path, "book-a-cabin")
    assert scenario.name == "book-a-cabin"
    assert any("waza would leave out task 'book-a-cabin'" in note for note in notes)
    alone, _, notes = load_scenario(task(tmp_path, off))
    assert alone.name == "book-a-cabin"
    assert any("enabled: false" in note for note in notes)
    task(tmp_path / "tasks", FOLLOW_UPS + "enabled: false\n", "t1.yaml")
    with pytest.raises(UsageError, match=r"every task is disabled.*refund \(disabled\)"):
        load_scenario(path)


def test_what_is_left_out_is_named_with_its_line(tmp_path: Path) -> None:
    path = task(
        tmp_path,
        FOLLOW_UPS + "  files:\n    - path: a.js\n  environment: {A: b}\n  context: null\n"
        "tags: [x]\nexpected: {output_contains: [a]}\ngraders: []\ncheckpoints: []\n",
    )
    _, _, notes = load_scenario(path)
    assert notes == [
        f"{path}: not supported and left out: inputs.files (line 5), inputs.environment (line 7),"
        " tags (line 9), expected (line 10), graders (line 11), checkpoints (line 12)"
    ]
    whole = an_eval(tmp_path, FOLLOW_UPS)
    assert read_waza(whole).notes() == [
        f"{whole}: not supported and left out: config.model (line 3),"
        " config.trials_per_task (line 5), graders (line 7)"
    ]
    # A responder uses the model.
    an_eval(tmp_path, RESPONDER)
    assert "config.model" not in read_waza(whole).notes()[0]


BAD = [
    ("max_followups: 0", 'test case "T": responder.max_followups must be at least 1, got 0'),
    ("max_followups: -2", 'test case "T": responder.max_followups must be at least 1, got -2'),
    ("model: x", 'test case "T": responder.max_followups must be at least 1, got 0'),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_messages_of_waza_about_the_budget(tmp_path: Path, line: str, message: str) -> None:
    path = task(
        tmp_path,
        f"id: T\nname: N\ninputs:\n  prompt: p\n  responder:\n    instructions: a\n    {line}\n",
    )
    number = 7 if "max_followups" in line else 5
    assert mistakes(path) == [f"{path}:{number}: inputs.responder.max_followups: {message}"]


@pytest.mark.parametrize("instructions", ["", "instructions:", "instructions: '  '"])
def test_message_of_waza_about_instructions(tmp_path: Path, instructions: str) -> None:
    path = task(
        tmp_path,
        "name: N\ninputs:\n  prompt: p\n  responder:\n    max_followups: 1\n"
        + (f"    {instructions}\n" if instructions else ""),
    )
    (found,) = mistakes(path)
    assert found.endswith(
        'inputs.responder.instructions: test case "N": responder.instructions is required'
    )


def test_message_of_waza_about_both(tmp_path: Path) -> None:
    path = task(
        tmp_path,
        "id: T\ninputs:\n  prompt: p\n  follow_up_prompts: [a]\n"
        "  responder: {instructions: a, max_followups: 1}\n",
    )
    assert mistakes(path) == [
        f'{path}:4: inputs.follow_up_prompts: test case "T": inputs.responder and'
        " inputs.follow_up_prompts are mutually exclusive; use one or the other"
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id: x\ninputs: {promt: p}\n", ":2: inputs.promt: unknown key 'promt', did you mean"),
        ("id: x\ninput: {prompt: p}\ngraders: []\n", "unknown key 'input', did you mean 'inputs'"),
        ("id: x\ninputs: {prompt: p}\ngrader: []\n", ":3: grader: unknown key 'grader', did you"),
        ("id: x\ninputs: {}\n", "inputs.prompt: the prompt is what the user says first"),
        ("id: x\ninputs: {prompt: ' '}\n", "it must not be empty"),
        ("id: x\ninputs: {prompt: a, prompt_file: b}\n", "exclude each other; keep one"),
        ("id: x\ninputs: {prompt: a, follow_up_prompts: ['']}\n", "must not be empty"),
        ("id: x\ninputs: {prompt: a, follow_up_prompts: go}\n", "must be a list, not text"),
        ("id: x\ninputs: {prompt: a}\ntimeout_seconds: 0\n", ":3: timeout_seconds: must be at le"),
        (f"id: x\ninputs: {{prompt: a}}\ntimeout_seconds: 1{'0' * 400}\n", "must be at most"),
        ("id: x\ninputs: {prompt: a}\nenabled: maybe\n", "must be true or false"),
        ("id: x\ninputs: [a]\n", "inputs: must be a mapping"),
        ("id: x\nresponder: {}\ninputs: {prompt: a}\n", "it stands under 'inputs'"),
        (
            "id: x\ninputs: {prompt: a, responder: {instructions: a, max_followups: 1, decide_with"
            ": json}}\n",
            "unknown key 'decide_with'",
        ),
    ],
)
def test_mistakes_in_a_task(tmp_path: Path, text: str, words: str) -> None:
    path = task(tmp_path, text)
    assert waza_kind(parse_yaml(text).data) == "task"
    assert any(words in line and line.startswith(str(path)) for line in mistakes(path)), mistakes(
        path
    )


def test_mistakes_in_an_eval_and_in_all_of_its_tasks(tmp_path: Path) -> None:
    path = an_eval(tmp_path, "id: a\ninputs: {}\n", FOLLOW_UPS, "id: b\ninputs: 3\n")
    found = mistakes(path)
    assert [line.partition(":")[0] for line in found] == [
        str(tmp_path / "tasks" / "t0.yaml"),
        str(tmp_path / "tasks" / "t2.yaml"),
    ]
    assert [str(problem) for problem in check_file(path)] == found
    an_eval(tmp_path, text=EVAL.replace("tasks/*.yaml", "taks/*.yaml"))
    assert mistakes(path) == [
        f"{path}:6: tasks[0]: no file matches 'taks/*.yaml' (relative to eval.yaml)"
    ]
    an_eval(tmp_path, text=EVAL.replace("model:", "modell:"))
    assert "config.modell: unknown key 'modell', did you mean 'model'?" in mistakes(path)[0]
    an_eval(tmp_path, text="name: x\nskill: y\nconfig: {}\n")
    assert "needs the key 'tasks'" in mistakes(path)[0]
    an_eval(tmp_path, text="name: x\ntasks_from: rows.csv\ntasks: [a]\n")
    assert "tasks_from: tasks from a table are not supported" in mistakes(path)[0]
    an_eval(tmp_path, text='tasks: ["a\\0/*.yaml", "[", ""]\nname: x\n')
    assert [line.partition(": ")[2][:8] for line in mistakes(path)] == [
        "tasks[0]",
        "tasks[1]",
        "tasks[2]",
    ]
    (tmp_path / "folder").mkdir()
    an_eval(tmp_path, text="name: x\ntasks: [folder]\n")
    assert "this is a directory" in mistakes(path)[0]


def test_patterns_may_point_anywhere_and_name_a_task_once(tmp_path: Path) -> None:
    elsewhere = task(tmp_path / "other", FOLLOW_UPS)
    path = an_eval(
        tmp_path, RESPONDER, text=f"tasks: [{elsewhere}, 'tasks/*.yaml', 'tasks/t0.yaml']\n"
    )
    assert [each.id for each in read_waza(path).tasks] == ["refund", "book-a-cabin"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (RESPONDER, "task"),
        ("inputs: {prompt: a}\n", "task"),
        (EVAL, "eval"),
        ("name: x\nskill: y\nconfig: {}\ninputs: {a: b}\nmetrics: []\n", "eval"),
        ("persona: demo\nprovider: demo\n", None),
        ("persona: demo\ninputs: {}\n", None),
        ("name: x\nprompt: y\n", None),
        ("name: x\n", None),
        ("- a\n", None),
        ("version: 1\n", None),
    ],
)
def test_files_of_waza_are_told_by_their_keys(text: str, kind: str | None) -> None:
    assert waza_kind(parse_yaml(text).data) == kind


def test_our_own_scenarios_are_read_as_before(tmp_path: Path) -> None:
    path = task(tmp_path, "persona: maya\n", "scenario.yaml")
    scenario, chosen, notes = load_scenario(path)
    assert (scenario, chosen, notes) == (Scenario.load(path), None, [])
    with pytest.raises(UsageError, match="only a waza eval has tasks"):
        load_scenario(path, "x")
    with pytest.raises(FileError, match="no such file"):
        load_scenario(tmp_path / "nothing.yaml")


KEYS = sorted(
    {
        name
        for model in (TaskKeys, EvalKeys, ConfigKeys, InputsKeys, ResponderKeys)
        for name in model.model_fields
    }
    | {"unknown", "persona"}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("*"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=8))
def test_whatever_stands_in_a_file_is_a_scenario_or_a_mistake(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    path = task(tmp_path / "fuzz", json.dumps(data))
    try:
        scenario, _, notes = load_scenario(path)
    except UsageError as error:
        assert str(error)
    else:
        assert Scenario.from_public(scenario.public()).persona == scenario.persona
        assert all(note.startswith(str(path)) for note in notes)


def test_the_published_samples() -> None:
    scenario, chosen, notes = load_scenario(SAMPLES / "task_responder_example.yaml")
    assert scenario.persona.responder is not None
    assert scenario.persona.responder.max_followups == 8
    assert "If you genuinely can't infer" in scenario.persona.responder.instructions
    assert notes == []
    assert chosen is not None and "openai/gpt-4o" in str(chosen.model_note())
    path = SAMPLES / "code-explainer" / "eval.yaml"
    assert (recognise(path), check_file(path)) == ("waza", [])
    scenario, _, notes = load_scenario(path)
    assert scenario.name == "explain-js-async-001"
    assert scenario.persona.script == ["What does this code do?"]
    assert scenario.limits.turn_timeout == 300
    assert "skill (line 11)" in notes[0] and "metrics (line 27)" in notes[0]
    assert "inputs.files (line 20)" in notes[1] and "expected (line 23)" in notes[1]


def test_keys_that_waza_adds_later_are_left_out_and_named(tmp_path: Path) -> None:
    """A misspelt one is refused as before."""
    path = task(tmp_path, "id: x\ninputs: {prompt: p, sandboxed: true}\nrequirements: [python]\n")
    (one,) = read_waza(path).tasks
    assert one.left_out is not None
    assert "inputs.sandboxed (line 2), requirements (line 3)" in one.left_out
