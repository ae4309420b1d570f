"""The starter files: right as they are, and never over anybody's work."""

from __future__ import annotations

import asyncio
import inspect
import runpy
from pathlib import Path

import pytest

from convtui.errors import FileError, UsageError
from convtui.providers.base import match_signals
from convtui.scenario.provider_hooks import METHODS
from convtui.scenario.provider_spec import source_names
from convtui.scenario.scenario import Scenario
from convtui.scenario.starter import STYLES, starter_files, write_starter
from convtui.schemas import check_file


@pytest.mark.parametrize("style", STYLES)
def test_the_files_are_right(tmp_path: Path, style: str) -> None:
    starter = write_starter(tmp_path / "new", style)
    assert [path.name for path in starter.files] == [
        "my_provider.py",
        "persona.yaml",
        "scenario.yaml",
    ]
    scenario = Scenario.load(tmp_path / "new" / "scenario.yaml")
    assert not scenario.problems()
    spec = scenario.provider.spec
    assert spec.kind == "file"
    assert spec.name in (source_names(Path(spec.target)) or [])
    for path in starter.files[1:]:
        assert check_file(path) == []
    assert starter.next_command == f"convtui debug {tmp_path / 'new' / 'scenario.yaml'}"


def test_the_function_answers() -> None:
    names: dict[str, object] = {}
    exec(compile(starter_files("function")["my_provider.py"], "my_provider.py", "exec"), names)
    answer = names["answer"]
    assert callable(answer)
    assert "refund" in answer([{"role": "user", "content": "I would like my money back."}])
    assert answer([])


def test_the_class_shows_every_hook_and_its_hooks_work(tmp_path: Path) -> None:
    write_starter(tmp_path, "class")
    bot_class = runpy.run_path(str(tmp_path / "my_provider.py"))["Bot"]
    for hook in METHODS:
        if hook.name != "respond":
            assert hook.name in vars(bot_class)
            assert inspect.getdoc(vars(bot_class)[hook.name]) == hook.sentence
    bot = bot_class(desk="desk")
    raw = asyncio.run(bot.generate_response([{"role": "user", "content": "booking 4417"}]))
    assert bot.post_process_response(raw) == "Thank you, I have found your booking."
    raw = asyncio.run(bot.generate_response([{"role": "user", "content": "please confirm"}]))
    found = match_signals(raw, bot.termination_signals)
    assert [match.signal for match in found] == ["[CASE CLOSED]"]
    assert not bot.should_discard_response(found)
    assert bot.should_discard_response(match_signals("[upstream error]", bot.termination_signals))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "persona.yaml").write_text("mine")
    with pytest.raises(FileError, match=r"already is persona\.yaml"):
        write_starter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["persona.yaml"]
    assert (tmp_path / "persona.yaml").read_text() == "mine"
    (tmp_path / "scenario.yaml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"persona\.yaml, scenario\.yaml"):
        write_starter(tmp_path)


def test_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_starter(Path()).next_command == "convtui debug"
    assert write_starter(Path("my bot")).next_command.startswith('convtui debug "my bot')


def test_an_unknown_style(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'class'"):
        write_starter(tmp_path, "clas")
