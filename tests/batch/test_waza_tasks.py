"""The tasks of a waza eval as the cells of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.batch.cells import Cell, cells_of
from convtui.batch.flags import with_flags
from convtui.batch.plan import Plan
from convtui.errors import DataFileError, UsageError
from tests.scenario.test_waza_task import EVAL, FOLLOW_UPS, RESPONDER, an_eval, task

PLAIN = "id: plain\ninputs: {prompt: Hello there}\n"


def eval_cells(path: Path, **flags: object) -> list[Cell]:
    return cells_of(with_flags(Plan.of_file(path), flags, cwd=path.parent))


def test_every_enabled_task_is_a_cell_that_runs_as_often_as_the_eval_says(tmp_path: Path) -> None:
    off = "id: off\nenabled: false\ninputs: {prompt: Hi}\n"
    path = an_eval(tmp_path, RESPONDER, off, FOLLOW_UPS)
    plan = Plan.of_file(path)
    assert (plan.title, plan.runs) == ("ferry", 3)
    cells = cells_of(plan)
    assert [cell.name for cell in cells] == ["book-a-cabin", "refund"]
    assert [cell.persona for cell in cells] == ["book-a-cabin", "refund"]
    cabin, refund = (cell.scenario for cell in cells)
    assert cabin is not None and refund is not None
    assert (cabin.name, cabin.persona.opening) == ("book-a-cabin", "I need a cabin")
    assert cabin.limits.turn_timeout == 30
    assert cabin.persona.responder is not None
    assert cabin.persona.responder.model == "openai/gpt-4o-mini"
    assert refund.follow_up_prompts == ["The number is 17", "Thanks"]
    assert refund.limits.turn_timeout == 300
    # The demo fails once to show a discarded turn; it is asked again, or it would end there.
    assert str(refund.on_discard) == "retry 2"
    assert plan.waza is not None
    notes = plan.waza.notes()
    assert any("disabled tasks (enabled: false): off" in note for note in notes)
    assert not any("trials_per_task" in note for note in notes)


@pytest.mark.parametrize("trials", ["many", "0", "2.5", "true", "99999"])
def test_what_is_no_number_of_trials_is_left_out(tmp_path: Path, trials: str) -> None:
    text = EVAL.replace("trials_per_task: 3", f"trials_per_task: {trials}")
    plan = Plan.of_file(an_eval(tmp_path, PLAIN, FOLLOW_UPS, text=text))
    assert plan.runs == 1 and plan.waza is not None
    notes = plan.waza.notes()
    assert any("config.trials_per_task (line 5)" in note for note in notes)


def test_flags_hold_for_every_task(tmp_path: Path) -> None:
    path = an_eval(tmp_path, PLAIN, FOLLOW_UPS)
    cells = eval_cells(path, provider=["openai/a", "openai/b"], max_turns=4, runs=1)
    assert [cell.name for cell in cells] == ["plain-a", "plain-b", "refund-a", "refund-b"]
    for cell in cells:
        assert cell.scenario is not None
        assert cell.scenario.limits.max_turns == 4
        assert str(cell.scenario.on_discard) == "end"


def test_one_task_is_named_by_its_id(tmp_path: Path) -> None:
    path = an_eval(tmp_path, PLAIN, FOLLOW_UPS)
    plan = Plan.of_file(path, task="refund")
    [cell] = cells_of(plan)
    assert cell.scenario is not None and cell.scenario.name == "refund"
    assert (plan.runs, cell.name) == (3, "refund")
    [other] = cells_of(with_flags(plan, {"persona": ["maya"]}))
    assert (other.persona, other.name) == ("Maya", "Maya")
    with pytest.raises(UsageError, match="there is no task 'refnd', did you mean 'refund'"):
        Plan.of_file(path, task="refnd")


def test_a_plan_may_have_an_eval_for_its_scenario(tmp_path: Path) -> None:
    an_eval(tmp_path, PLAIN, FOLLOW_UPS)
    file = tmp_path / "plan.yaml"
    file.write_text("scenario: eval.yaml\nvary: {provider: [openai/a, openai/b]}\nruns: 2\n")
    plan = Plan.load(file)
    assert (plan.title, plan.runs) == ("ferry", 2)
    assert len(cells_of(plan)) == 4
    (tmp_path / "one.yaml").write_text("scenario: tasks/t1.yaml\n")
    [one] = cells_of(Plan.load(tmp_path / "one.yaml"))
    assert one.scenario is not None and one.scenario.name == "refund"
    assert [c.name for c in cells_of(Plan.load(file, task="plain"))] == ["plain-a", "plain-b"]


def test_tasks_that_say_the_same_are_two_cells(tmp_path: Path) -> None:
    """They differ in what waza checks."""
    twin = PLAIN.replace("plain", "twin")
    assert [cell.name for cell in eval_cells(an_eval(tmp_path, PLAIN, twin))] == ["plain", "twin"]


def test_personas_and_tasks_exclude_each_other(tmp_path: Path) -> None:
    path = an_eval(tmp_path, PLAIN, FOLLOW_UPS)
    with pytest.raises(DataFileError) as caught:
        eval_cells(path, persona=["maya"])
    assert str(caught.value) == (
        "--persona: every task of a waza eval has a user of its own; name one task with --task, or"
        " leave this out"
    )
    plan = tmp_path / "plan.yaml"
    plan.write_text("scenario: eval.yaml\nvary:\n  persona: [maya]\n")
    with pytest.raises(DataFileError, match=r"plan.yaml:3: vary.persona: every task"):
        cells_of(Plan.load(plan))


def test_mistakes_are_told_with_their_place(tmp_path: Path) -> None:
    path = an_eval(tmp_path, PLAIN, FOLLOW_UPS.replace("id:", "idd:"))
    with pytest.raises(DataFileError, match=r"t1.yaml:1: idd: unknown key 'idd'"):
        Plan.of_file(path)
    off = "id: off\nenabled: false\ninputs: {prompt: Hi}\n"
    (tmp_path / "tasks" / "t1.yaml").write_text(off)
    (tmp_path / "tasks" / "t0.yaml").write_text(off.replace("off", "out"))
    with pytest.raises(UsageError, match=r"every task is disabled; Say --task ID, one of: out"):
        Plan.of_file(path)
    responder = task(tmp_path / "tasks", RESPONDER, "t0.yaml")
    (tmp_path / "tasks" / "t1.yaml").write_text(PLAIN)
    path.write_text(EVAL.replace("  model: openai/gpt-4o-mini\n", ""))
    # One task that needs a model fails alone.
    cabin, plain = eval_cells(path)
    assert plain.scenario is not None and plain.error is None
    assert cabin.error is not None and "needs a model: give --user-model" in cabin.error
    assert str(responder) in cabin.error
