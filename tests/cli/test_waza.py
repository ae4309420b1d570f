"""Files of waza on the command line: checked, run with real engines, and their messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convtui.cli.start import plan
from convtui.log.reader import open_log
from tests.cli.conftest import Run
from tests.fakes.openai_script import FakeCall, FakeReply
from tests.fakes.openai_server import OpenAIServerThread
from tests.scenario.test_waza_task import EVAL, FOLLOW_UPS, RESPONDER, an_eval, task

PLAIN = "id: plain\ninputs: {prompt: Hello there}\ngraders: []\n"


def test_check_names_mistakes_and_what_is_left_out(convtui: Run, tmp_path: Path) -> None:
    path = an_eval(tmp_path, RESPONDER, PLAIN)
    code, out, err = convtui("check", path)
    assert (code, out) == (0, f"{path}: waza, nothing wrong\n")
    assert "config.trials_per_task (line 5), graders (line 7)" in err
    assert f"{tmp_path / 'tasks' / 't1.yaml'}: not supported and left out: graders (line 3)" in err
    task(tmp_path / "tasks", RESPONDER.replace("12", "0"), "t0.yaml")
    code, out, _ = convtui("check", path)
    assert code == 2
    assert out == (
        f"{tmp_path / 'tasks' / 't0.yaml'}:8: inputs.responder.max_followups:"
        ' test case "book-a-cabin": responder.max_followups must be at least 1, got 0\n'
    )
    code, out, _ = convtui("check", path, "--kind", "scenario")
    assert code == 2
    assert "unknown key 'tasks'" in out
    assert convtui("check", path, "--kind", "wazza").code == 2


@pytest.mark.parametrize("command", ["run", "debug"])
def test_mistakes_and_choices_are_told_before_anything_runs(
    convtui: Run, tmp_path: Path, command: str
) -> None:
    path = an_eval(tmp_path, RESPONDER, FOLLOW_UPS)
    code, out, err = convtui(command, path)
    assert (code, out) == (2, "")
    assert "which task? Say --task ID, one of: book-a-cabin, refund" in err
    code, _, err = convtui(command, path, "--task", "refnd")
    assert code == 2
    assert "did you mean 'refund'?" in err
    code, _, err = convtui(command, "--provider", "demo", "--task", "refund")
    assert code == 2
    assert "name the waza eval that has this task" in err
    task(tmp_path / "tasks", FOLLOW_UPS.replace("id:", "idd:"), "t1.yaml")
    code, _, err = convtui(command, path, "--task", "refund")
    assert code == 2
    assert "t1.yaml:1: idd: unknown key 'idd', did you mean 'id'?" in err
    code, _, err = convtui(command, task(tmp_path, RESPONDER))
    assert code == 2
    assert "needs a model: give --user-model" in err


def test_what_is_left_open_is_filled_by_flags_settings_or_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(task(tmp_path, PLAIN))
    planned = plan(path, {}, watched=False)
    assert planned.scenario.provider.use == "demo"
    err = capsys.readouterr().err
    assert err.count("not supported and left out: graders (line 3)") == 1
    assert "this is the built-in demo; --provider SPEC takes another" in err
    (tmp_path / "work" / "bot.py").write_text("def bot(messages): return 'x'\n")
    planned = plan(path, {"provider": "bot.py:bot"}, watched=False)
    assert planned.scenario.provider.use == f"{tmp_path / 'work' / 'bot.py'}:bot"
    assert str(planned.scenario.on_discard) == "end"
    assert "names no provider" not in capsys.readouterr().err
    monkeypatch.setenv("CONVTUI_PROVIDER", "openai/house-model")
    planned = plan(path, {"max_turns": 4}, watched=False)
    assert planned.scenario.provider.use == "openai/house-model"
    assert planned.scenario.limits.max_turns == 4
    assert "this is openai/house-model, from the settings" in capsys.readouterr().err


def test_a_model_without_its_provider_is_said_until_a_flag_names_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = RESPONDER.replace("max_followups", "model: gpt-4o\n    max_followups")
    path = str(task(tmp_path, text))
    plan(path, {"provider": "demo"}, watched=False)
    assert "did you mean openai/gpt-4o? Say so with --user-model." in capsys.readouterr().err
    planned = plan(path, {"provider": "demo", "user_model": "openai/gpt-4o"}, watched=False)
    brief = planned.scenario.persona.responder
    assert brief is not None and brief.model == "openai/gpt-4o"
    assert capsys.readouterr().err == ""


def committed_turns(log: str) -> list[tuple[str, str]]:
    with open_log(log) as opened:
        committed = [one for one in opened.records() if one.get("type") == "turn.committed"]
    return [(one["speaker"], one["text"]) for one in committed]


@pytest.fixture
def echo(tmp_path: Path) -> str:
    """A provider that repeats the last message."""
    file = tmp_path / "bot.py"
    file.write_text("def echo(messages):\n    return 'heard: ' + messages[-1]['content']\n")
    return f"{file}:echo"


def test_a_plain_task_is_one_turn_and_one_reply(convtui: Run, tmp_path: Path, echo: str) -> None:
    code, out, err = convtui("run", task(tmp_path, PLAIN), "--provider", echo, "--json")
    data = json.loads(out)
    assert code == 0
    assert err.count("left out") == 1
    assert committed_turns(data["log"]) == [
        ("persona", "Hello there"),
        ("provider", "heard: Hello there"),
    ]
    assert (data["termination"]["kind"], data["termination"]["by"]) == ("completed", "simulator")


def test_the_demo_answers_in_each_of_its_sessions(convtui: Run, tmp_path: Path) -> None:
    code, out, _ = convtui("run", task(tmp_path, PLAIN), "--json")
    data = json.loads(out)
    assert code == 0
    assert [speaker for speaker, _ in committed_turns(data["log"])] == ["persona", "provider"] * 2


def test_follow_ups_of_an_evals_task_are_said_in_order(
    convtui: Run, tmp_path: Path, echo: str
) -> None:
    path = an_eval(tmp_path, PLAIN, FOLLOW_UPS, text=EVAL)
    code, out, _ = convtui("run", path, "--task", "refund", "--provider", echo, "--json")
    data = json.loads(out)
    assert code == 0
    mine = [text for speaker, text in committed_turns(data["log"]) if speaker == "persona"]
    assert mine == ["Refund me", "The number is 17", "Thanks"]


def test_a_responder_task_runs_to_its_decision(
    convtui: Run, tmp_path: Path, echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    answer = FakeCall("responder_reply", '{"answer": "Two of us and a dog"}')
    with OpenAIServerThread() as server:
        server.script(
            FakeReply(tool_calls=(answer,)),
            FakeReply(tool_calls=(FakeCall("responder_stop", "{}"),)),
            model="gpt-4o-mini",
        )
        path = an_eval(tmp_path, RESPONDER)
        flags = ("--provider", echo, "--user-api-base", server.url, "--json")
        code, out, _ = convtui("run", path, *flags)
        request = server.requests[0].body
    data = json.loads(out)
    assert code == 0, data["termination"]
    mine = [text for speaker, text in committed_turns(data["log"]) if speaker == "persona"]
    assert mine == ["I need a cabin", "Two of us and a dog"]
    assert (data["termination"]["kind"], data["termination"]["by"]) == ("stopped", "responder")
    assert request["model"] == "gpt-4o-mini"
    assert "Two adults, one dog." in json.dumps(request["messages"])


def test_a_whole_eval_is_a_batch(convtui: Run, tmp_path: Path, echo: str) -> None:
    second = PLAIN.replace("plain", "again").replace("Hello there", "Anybody?")
    path = an_eval(tmp_path, PLAIN, second, text=EVAL.replace("3", "2"))
    result = convtui("batch", path, "--provider", echo, "--json", "--workers", "1")
    data = json.loads(result.out)
    assert result.code == 0, result.err
    keys = [row["key"] for row in data["conversations"]]
    assert keys == ["plain.1", "plain.2", "again.1", "again.2"]
    assert [cell["persona"] for cell in data["cells"]] == ["plain", "again"]
    assert data["batch"]["name"] == "ferry"
    for row in data["conversations"]:
        said = committed_turns(row["log"])
        asked = "Hello there" if row["cell"] == "plain" else "Anybody?"
        assert said == [("persona", asked), ("provider", f"heard: {asked}")]
        with open_log(row["log"]) as log:
            assert log.transcript.header["scenario"]["name"] == row["cell"]
    assert "trials_per_task" not in result.err
    one = convtui("batch", path, "--task", "again", "--runs", "1", "--dry-run", "--json")
    assert json.loads(one.out)["conversations"] == 1
    assert "a waza task names no provider; this is the built-in demo" in one.err
    assert f"`convtui batch {path}` runs them all" in convtui("run", path).err


def test_the_provider_of_the_settings_is_that_of_an_eval(
    convtui: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_PROVIDER", "openai/house-model")
    path = an_eval(tmp_path, PLAIN, FOLLOW_UPS)
    for arguments in ([], ["--task", "plain"]):
        dry = convtui("batch", path, *arguments, "--dry-run", "--json")
        cells = json.loads(dry.out)["cells"]
        assert {cell["provider"] for cell in cells} == {"openai/house-model"}
        assert "this is openai/house-model, from the settings" in dry.err
