"""The cells of a plan: what varies, their names, and what cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convtui.batch.cells import Cell, cells_of, plan_digest
from convtui.batch.plan import Plan
from convtui.errors import DataFileError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "personas").mkdir()
    for name in ("ann", "ben"):
        text = f"name: {name.title()}\nscript: [hello, thanks]\n"
        (tmp_path / "personas" / f"{name}.yaml").write_text(text)
    (tmp_path / "people.tsv").write_text("Name\tMood\nCy\tsad\nDi\tglad\n")
    (tmp_path / "bot.py").write_text("def reply(messages): return 'hello'\nclass Bot: ...\n")
    return tmp_path


def cells(folder: Path, **data: Any) -> list[Cell]:
    return cells_of(Plan.from_data(data, base=folder))


def names(folder: Path, **data: Any) -> list[str]:
    return [cell.name for cell in cells(folder, **data)]


def refusal(folder: Path, text: str) -> str:
    file = folder / "plan.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        cells_of(Plan.load(file))
    return str(caught.value).replace(f"{folder}/", "")


def test_a_plan_without_anything_that_varies_is_one_demo_conversation(folder: Path) -> None:
    [cell] = cells(folder)
    assert (cell.name, cell.provider, cell.number) == ("Robin", "demo", 1)
    assert cell.scenario is not None
    assert str(cell.scenario.on_discard) == "retry 2"


def test_every_combination_is_a_cell_in_the_order_of_the_plan(folder: Path) -> None:
    assert names(
        folder,
        vary={
            "persona": ["personas/*.yaml"],
            "provider": ["openai/gpt-4o", "bot.py:Bot"],
            "sessions": [["intake", "refund"], ["refund"]],
            "set": [{"provider.params.temperature": 0.2}, {"provider.params.temperature": 1.0}],
        },
    )[:5] == [
        "Ann-gpt-4o-intake_refund-t0.2",
        "Ann-gpt-4o-intake_refund-t1.0",
        "Ann-gpt-4o-refund-t0.2",
        "Ann-gpt-4o-refund-t1.0",
        "Ann-Bot-intake_refund-t0.2",
    ]


def test_the_scenario_of_a_cell_has_what_varies(folder: Path) -> None:
    (folder / "base.yaml").write_text("persona: personas/ann.yaml\nprovider: openai/gpt-4o-mini\n")
    [_, cell] = cells(
        folder,
        scenario="base.yaml",
        vary={"persona": "personas/b*", "set": [{}, {"limits.max_turns": 4}], "sessions": [["x"]]},
    )
    scenario = cell.scenario
    assert scenario is not None
    assert cell.name == "Ben-max_turns_4"
    assert (scenario.persona.name, scenario.limits.max_turns, scenario.sessions) == (
        "Ben",
        4,
        ["x"],
    )
    assert scenario.provider.use == "openai/gpt-4o-mini"
    assert (scenario.name, cell.settings) == ("base", {"limits.max_turns": 4})


def test_all_rows_of_a_table_and_some(folder: Path) -> None:
    data: dict[str, Any] = {"set": [{"persona.model": "openai/gpt-4o-mini"}]}
    assert names(folder, vary={"persona": ["people.tsv:*"], **data}) == ["Cy", "Di"]
    assert names(folder, vary={"persona": ["people.tsv:D*"], **data}) == ["Di"]


def test_globs_may_overlap_with_what_is_named(folder: Path) -> None:
    assert names(folder, vary={"persona": ["personas/ben.yaml", "personas/*"]}) == ["Ben", "Ann"]


def test_a_glob_takes_no_scenarios_and_plans(folder: Path) -> None:
    (folder / "personas" / "base.yaml").write_text("persona: demo\n")
    (folder / "personas" / "other.yaml").write_text("runs: 3\nvary: {}\n")
    plan = folder / "personas" / "plan.yaml"
    plan.write_text("scenario: base.yaml\nvary: {persona: '*.yaml'}\n")
    assert [cell.name for cell in cells_of(Plan.load(plan))] == ["Ann", "Ben"]


def test_a_persona_that_is_broken_fails_its_own_cells_only(folder: Path) -> None:
    (folder / "personas" / "bad.yaml").write_text("nam: X\n")
    broken, *others = sorted(
        cells(folder, vary={"persona": "personas/*"}), key=lambda cell: cell.error is None
    )
    assert "bad.yaml:1: nam: unknown key 'nam', did you mean 'name'?" in str(broken.error)
    assert broken.scenario is None
    assert [cell.name for cell in others] == ["Ann", "Ben"]
    assert all(cell.error is None and cell.scenario for cell in others)


def test_a_provider_that_is_not_there_fails_its_own_cells_only(folder: Path) -> None:
    good, bad = cells(folder, vary={"provider": ["bot.py:reply", "bots.py:reply"]})
    assert good.error is None
    assert "bots.py: there is no such file, did you mean 'bot.py'?" in str(bad.error)
    assert (good.name, bad.name) == ("Robin-bot_reply", "Robin-bots_reply")


def test_a_cell_of_a_broken_persona_has_its_provider_in_its_name(folder: Path) -> None:
    (folder / "personas" / "bad.yaml").write_text("nam: Bad\n")
    made = cells(folder, vary={"persona": "personas/b*", "provider": ["demo", "bot.py:Bot"]})
    assert [(cell.name, cell.error is None) for cell in made] == [
        ("bad-demo", False), ("bad-Bot", False), ("Ben-demo", True), ("Ben-Bot", True),
    ]  # fmt: skip


def test_a_provider_that_is_named_once_is_refused_at_once(folder: Path) -> None:
    assert "plan.yaml:1: vary.provider[0]: " in refusal(folder, "vary: {provider: bots.py:Bot}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "plan.yaml: this plan is empty"),
        ("runs: 0", "plan.yaml:1: runs: must be at least 1, not 0"),
        ("concurency: 3", "unknown key 'concurency', did you mean 'concurrency'?"),
        ("concurrency: fast", "plan.yaml:1: concurrency: must be a whole number or auto"),
        ("scenario: [a.yaml]", "plan.yaml:1: scenario: must be a file or a mapping"),
        ("concurrency: 0", "plan.yaml:1: concurrency: must be at least 1, not 0"),
        ("vary:\n  persona: []", "plan.yaml:2: vary.persona: must not be empty"),
        ("vary:\n  persona:\n  - nobody/*.yaml", "plan.yaml:3: vary.persona[0]: nobody/*.yaml"
         " matches nothing: there is no folder nobody"),
        ("vary:\n  persona: personas/x*", "matches nothing in "),
        ("vary:\n  persona: '***'", "plan.yaml:2: vary.persona[0]: ***: "),
        ("vary:\n  persona: '*.py'", "*.py matches 1 file, but no persona"),
        ("vary:\n  persona: people.tsv", "vary.persona[0]: people.tsv: say which rows; all rows"
         " are people.tsv:*"),
        ("vary:\n  persona: people.tsv:Cyy", "no row is named 'Cyy', did you mean 'Cy'?"),
        ("vary:\n  persona:\n  - demo\n  - demo", "plan.yaml:4: vary.persona[1]: this entry is"
         " there twice"),
        ("vary:\n  sessions: [intake]", "plan.yaml:2: vary.sessions[0]: each entry is a list"),
        ("vary:\n  set:\n  - {limit.max_turns: 3}", "plan.yaml:3: vary.set[0].limit.max_turns:"
         " unknown key 'limit'"),
        ("vary:\n  set:\n  - {limits.max_turns: 0}", "plan.yaml:3: vary.set[0].limits.max_turns:"
         " must be at least 1, not 0"),
        ("vary:\n  set:\n  - {persona: demo}", "several of them stand in vary.persona"),
        ("vary:\n  set:\n  - {}\n  - {limits.max_turns: 20}", "cells 1 (Robin-as_is) and 2"
         " (Robin-max_turns_20) are the same"),
        ("scenario: plam.yaml", "plan.yaml:1: scenario: plam.yaml: there is no such file"),
        ("scenario:\n  persona: demo\n  limits:\n    max_turn: 3", "plan.yaml:4:"
         " scenario.limits.max_turn: unknown key 'max_turn', did you mean 'max_turns'?"),
        ("attempts: {when: '~ennd'}", "plan.yaml:1: attempts.when: "),
        ("breakpoints: ['~signl']", "plan.yaml:1: breakpoints: "),
        ("attempts: {model: openai/gpt-4o}", "a model is asked only with `reflect: true`"),
        ("vary: {persona: 'people.tsv:*', set: {persona.model: openai/gpt-4o}}\nruns: 9000\n"
         "budget: {tokens: -4}", "budget.tokens: must be at least 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_plan_is_said_with_its_place(
    folder: Path, text: str, says: str
) -> None:
    assert says in refusal(folder, text)


def test_every_mistake_is_said_at_once(folder: Path) -> None:
    text = refusal(folder, "runs: 0\norder: mix\nvary:\n  persona: []")
    assert [line.partition(": ")[0] for line in text.splitlines()] == [
        "plan.yaml:1", "plan.yaml:2", "plan.yaml:4",
    ]  # fmt: skip


def test_too_many_conversations_are_refused_before_any_is_made(folder: Path) -> None:
    text = (
        "vary:\n  set: [{}, {limits.max_turns: 2}, {limits.max_turns: 3}]\n  persona: personas/*\n"
    )
    assert "(2 x 1 x 3 x 1 cells" not in refusal(folder, text + "runs: 10001")
    several = ", ".join(f"{{limits.max_turns: {number}}}" for number in range(1, 12))
    assert "110,000 conversations (1 x 1 x 1 x 11 cells, 10,000 runs each)" in refusal(
        folder, f"vary:\n  set: [{several}]\nruns: 10000"
    )


def test_secrets_are_no_part_of_a_cell_or_its_digest(folder: Path) -> None:
    def cell(secret: str) -> Cell:
        set_ = {"provider.params.api_key": secret, "provider.params.temperature": 1}
        return cells(folder, vary={"provider": "openai/gpt-4o", "set": [set_]})[0]

    old, new = cell("sk-abcdefgh12345678"), cell("sk-zyxwvuts87654321")
    assert old.digest == new.digest
    assert "abcdefgh" not in repr((old.name, old.settings))
    assert old.settings["provider.params.temperature"] == 1


def test_a_digest_changes_with_the_cell(folder: Path) -> None:
    def digest(**data: Any) -> str:
        plan = Plan.from_data(data, base=folder)
        return plan_digest(plan, cells_of(plan))

    plain = digest(vary={"persona": "personas/*"})
    assert plain == digest(vary={"persona": ["personas/ann.yaml", "personas/ben.yaml"]})
    assert plain != digest(vary={"persona": "personas/*"}, runs=2)
    (folder / "personas" / "ann.yaml").write_text("name: Ann\nscript: [hi]\n")
    assert plain != digest(vary={"persona": "personas/*"})


def test_names_of_conversations(folder: Path) -> None:
    [cell] = cells(folder)
    assert (cell.key(2), cell.key(2, 3)) == ("Robin.2", "Robin.2.a3")


def test_names_stay_fit_for_files_and_apart(folder: Path) -> None:
    made = cells(
        folder,
        vary={
            "persona": [
                {"name": name, "script": [name]} for name in ("../x", "X", "ü", "\x1b[31m")
            ],
        },
    )
    assert [cell.name for cell in made] == ["x", "X-2", "u", "31m"]


def test_paths_in_a_plan_are_relative_to_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "base.yaml").write_text("persona: demo\n")
    monkeypatch.chdir(folder / "deep")
    set_ = [{"provider.use": "bot.py:Bot"}]
    [cell] = cells(folder, scenario="deep/base.yaml", vary={"set": set_})
    assert cell.scenario is not None
    assert cell.scenario.provider.use == f"{folder}/bot.py:Bot"


def test_a_plan_file_with_grouped_digits(folder: Path) -> None:
    file = folder / "plan.yaml"
    file.write_text("budget: {tokens: 5_000_000}\n")
    assert Plan.load(file).budget.tokens == 5_000_000


def test_a_missing_key_in_a_provider_mapping_keeps_the_scenarios(folder: Path) -> None:
    [cell] = cells(
        folder,
        scenario={"provider": {"use": "openai/gpt-4o", "params": {"temperature": 0, "n": 1}}},
        vary={"provider": {"params": {"temperature": 1}}},
    )
    assert cell.scenario is not None
    assert cell.scenario.provider.params == {"temperature": 1, "n": 1}


def test_entries_that_are_called_alike_are_numbered(folder: Path) -> None:
    """Their figures would be added up else."""
    plain = {"use": "bot.py:Bot"}
    found = cells(folder, vary={"provider": [plain, {**plain, "options": {"a": 1}}, "demo"]})
    assert [cell.provider for cell in found] == ["bot.py:Bot", "bot.py:Bot (2)", "demo"]
    twice = [{"name": "Zoe", "script": ["a"]}, {"name": "Zoe", "script": ["b"]}]
    found = cells(folder, vary={"persona": twice, "set": [{}, {"limits.max_turns": 4}]})
    assert [cell.persona for cell in found] == ["Zoe", "Zoe", "Zoe (2)", "Zoe (2)"]


def test_unknown_keys_of_a_provider_mapping_are_a_mistake_of_the_plan(folder: Path) -> None:
    with pytest.raises(DataFileError, match=r"provider\[1\]: provider.modl: unknown key 'modl'"):
        cells(folder, vary={"provider": ["demo", {"use": "bot.py:Bot", "modl": "x"}]})
