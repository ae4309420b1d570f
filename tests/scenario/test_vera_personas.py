"""Personas from a table in both layouts of VERA-MH: one template, and a context in a template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.errors import DataFileError, UsageError
from convtui.scenario.merge import merge_flags
from convtui.scenario.persona import load_persona
from convtui.scenario.scenario import Scenario
from convtui.scenario.starter import write_starter
from tests.builders.conversations import FakeModels, run

TABLE = "Name\tAge\tTrip/Reason\nAda\t40\tto the {coast}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "personas.tsv").write_text(TABLE)
    (tmp_path / "one.txt").write_text("Play {Name}, {Age}, {Trip/Reason}. {{x}}")
    (tmp_path / "general.txt").write_text("You play a user.\n{persona_context}\nStay brief.")
    (tmp_path / "context.txt").write_text("{Name} goes {Trip/Reason}.")
    (tmp_path / "reminder.txt").write_text("REMINDER: you are the user.\n")
    return tmp_path


def test_one_template_gives_the_whole_system_prompt(folder: Path) -> None:
    ada = load_persona("tsv:Ada", folder, "one.txt")
    assert ada.prompt == "Play Ada, 40, to the {coast}. {x}"
    assert ada.template == "{persona}"


def test_a_context_goes_into_the_general_template(folder: Path) -> None:
    ada = load_persona("tsv:Ada", folder, "general.txt", context_template="context.txt")
    assert ada.prompt == "You play a user.\nAda goes to the {coast}.\nStay brief."


def test_missing_columns_are_named_in_one_message(folder: Path) -> None:
    (folder / "context.txt").write_text("{Nam} {Age} {Region} {Nam}")
    with pytest.raises(DataFileError) as caught:
        load_persona("tsv:Ada", folder, "general.txt", context_template="context.txt")
    assert str(caught.value).split("\n") == [
        f"{folder / 'context.txt'}:1: {{Nam}} is no column of personas.tsv, did you mean {{Name}}?",
        f"{folder / 'context.txt'}:1: {{Region}} is no column of personas.tsv; it has Name, Age and"
        " Trip/Reason",
    ]


def test_templates_that_do_not_go_together(folder: Path) -> None:
    with pytest.raises(DataFileError, match="comes from a context template"):
        load_persona("tsv:Ada", folder, "general.txt")
    with pytest.raises(UsageError, match=r"has no \{persona_context\}"):
        load_persona("tsv:Ada", folder, "one.txt", context_template="context.txt")
    with pytest.raises(UsageError, match="name that, too"):
        load_persona("tsv:Ada", folder, context_template="context.txt")
    with pytest.raises(UsageError, match="personas from a table"):
        load_persona("maya", folder, reminder="reminder.txt")


async def test_the_reminder_stands_before_the_last_provider_message(folder: Path) -> None:
    files = {
        "persona_template": "general.txt",
        "persona_context_template": "context.txt",
        "persona_reminder": "reminder.txt",
    }
    by_key = Scenario.from_data({"persona": "tsv:Ada", **files}, base=folder)
    flags: dict[str, Any] = {"persona": "tsv:Ada", "user_model": "openai/user", "max_turns": 4}
    by_flag = merge_flags(None, {**flags, **files, "provider": "demo"}, cwd=folder)
    assert by_flag.persona.reminder == by_key.persona.reminder == "REMINDER: you are the user."
    models = FakeModels(user=["one", "two"])
    await run(by_flag, folder / "runs", models=models)
    first, second = models.clients["user"].sent[:2]
    assert first[0]["content"] == by_key.persona.prompt
    assert "REMINDER" not in first[-1]["content"]
    assert second[-1]["role"] == "user"
    assert second[-1]["content"].startswith("REMINDER: you are the user.\n\n")


async def test_the_starter_in_this_style_runs_at_once(tmp_path: Path) -> None:
    write_starter(tmp_path / "new", "vera")
    ran = await run(Scenario.load(tmp_path / "new" / "scenario.yaml"), tmp_path / "runs")
    assert ran.ended == ("early_termination", "provider")
    assert ran.one("header")["provider"]["kind"] == "vera"
    assert ran.said[-1] == "You will get a confirmation by mail. Have a good trip!"
    assert ran.of("llm.response")[-1]["model"] == "ferry-desk-1"
