"""`convtui batch`: plans on the command line, dry runs, and batches that have run."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from convtui.batch.cells import cells_of
from convtui.batch.manifest import BatchCell
from convtui.batch.manifest_writer import ManifestWriter
from convtui.batch.plan import Plan
from convtui.batch.record import PlanSource, plan_record
from convtui.batch.scheduler import Batch
from convtui.cli.batch_plan import demo_plan
from convtui.cli.batch_run import Interrupts
from tests.builders.logs import sample, write_log
from tests.builders.waiting import WITHIN
from tests.cli.conftest import Run


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan of two cells that need no model."""
    folder = tmp_path / "work"
    (folder / "ann.yaml").write_text("name: Ann\nscript: [hello]\n")
    (folder / "ben.yaml").write_text("name: Ben\nscript: [hi]\n")
    file = folder / "plan.yaml"
    file.write_text("vary:\n  persona: ['*n.yaml']\nruns: 2\n")
    return file


def batch(folder: Path, name: str = "20260101T000000Z_refund", **endings: str) -> Path:
    """A finished batch: a conversation for each ending."""
    path = folder / name
    cells = [BatchCell(1, "Ann", "Ann", "demo", ["intake"], {}, "d1")]
    writer = ManifestWriter.create(
        path, batch_id="b1", name="refund", convtui="0.1", plan={}, digest="d", cells=cells,
        runs=len(endings),
    )  # fmt: skip
    for run, kind in enumerate(endings.values(), 1):
        log = write_log(path / f"Ann.{run}.jsonl", sample())
        writer.add("started", key=f"Ann.{run}", log=log.name, worker=1)
        termination = {"kind": kind, "by": "provider", "reason": "so", "at_turn": 2}
        writer.add("ended", key=f"Ann.{run}", log=log.name, status="closed",
                   termination=termination, totals={"turns": 3})  # fmt: skip
    writer.add("finished")
    writer.close()
    return path


# --- plans


def test_a_dry_run_lists_the_cells_and_runs_nothing(convtui: Run, plan: Path, home: Path) -> None:
    result = convtui("batch", plan, "--dry-run")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()[:3]] == ["cell", "Ann", "Ben"]
    assert "4 conversations (2 cells x 2 runs)" in result.out
    assert "0 model calls" in result.out
    assert not (home / "data" / "runs").exists()


def test_a_dry_run_for_programs(convtui: Run, plan: Path) -> None:
    result = convtui("batch", plan, "--dry-run", "--json", "--provider", "openai/gpt-4o")
    data = json.loads(result.out)
    assert (data["conversations"], data["calls_at_most"]) == (4, 40)
    assert data["cost_about"] > 0
    assert [cell["name"] for cell in data["cells"]] == ["Ann", "Ben"]
    assert data["cells"][0]["provider_calls_at_most"] == 10


def test_the_plan_of_the_folder_is_taken_when_none_is_named(convtui: Run, plan: Path) -> None:
    assert "2 cells x 2 runs" in convtui("batch", "--dry-run").out
    plan.unlink()
    (plan.parent / "scenario.yaml").write_text("persona: ann.yaml\n")
    assert "1 conversation\n" in convtui("batch", "--dry-run").out
    result = convtui("batch", "--persona", "b*.yaml", "--provider", "demo", "--dry-run")
    assert "Ben " in result.out


def test_cells_that_cannot_run_are_named_with_their_reason(convtui: Run, plan: Path) -> None:
    (plan.parent / "can.yaml").write_text("nam: Can\n")
    result = convtui("batch", plan, "--dry-run")
    assert result.code == 2
    assert "1 of 3 cells cannot run; the others do:" in result.err
    assert "can.yaml:1: nam: unknown key 'nam', did you mean 'name'?" in result.err
    assert "cannot run" in result.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name a plan or a scenario"),
        (["plam.yaml"], "plam.yaml: there is no such file, did you mean 'plan.yaml'?"),
        (["plan"], "plan: there is no such plan, scenario or batch, did you mean 'plan.yaml'?"),
        (["."], "this is a folder, but no batch"),
        (["ann.yaml"], "ann.yaml: this is a persona; name a plan or a scenario"),
        (["run.jsonl"], "run.jsonl: there is no such plan, scenario or batch"),
        (["plan.yaml", "--runs", "0"], "--runs: must be at least 1, not 0"),
        (["plan.yaml", "--concurrency", "many"], "--concurrency: must be a whole number or auto"),
        (["plan.yaml", "--junit", "no/such/x.xml"], "no/such/x.xml: there is no folder"),
        (["plan.yaml", "--against", "yesterday"], "--against yesterday: there is no such batch"),
        (["plan.yaml", "--on", "moon"], "'moon' is none of local, ray and ray://HOST:PORT"),
        (["plan.yaml", "--env", "KEY"], "--env is for --on ray"),
        (["plan.yaml", "--env-file", "no.env"], "no.env: there is no such file"),
        (["plan.yaml", "--task", "t1"], "plan.yaml is a plan; only a waza eval has tasks"),
    ],
)
def test_bad_usage_is_one_message_and_code_2(
    convtui: Run, plan: Path, arguments: list[str], says: str
) -> None:
    if not arguments:
        plan.unlink()
    result = convtui("batch", *arguments, "--no-tui")
    assert result.code == 2
    assert says in result.err.replace(f"{plan.parent}/", "")
    assert "Traceback" not in result.err
    assert result.out == ""


def test_numbers_are_given_as_on_a_command_line(convtui: Run, plan: Path) -> None:
    result = convtui("batch", plan, "--dry-run", "--concurrency", "3")
    assert "3 at once" in result.out
    assert (
        "as many at once as the endpoint takes"
        in convtui("batch", plan, "--dry-run", "--concurrency", "auto").out
    )


def test_the_demo_needs_no_key_and_has_forty_conversations(convtui: Run) -> None:
    result = convtui("batch", "demo", "--dry-run")
    assert "40 conversations" in result.out
    assert "0 model calls" in result.out
    assert demo_plan().is_file()


def test_a_plan_is_checked_and_has_a_schema(convtui: Run, plan: Path) -> None:
    assert convtui("check", plan).out.endswith("plan.yaml: plan, nothing wrong\n")
    plan.write_text("vary: {persona: 'x*.yaml'}\n")
    result = convtui("check", plan)
    assert result.code == 2
    assert "plan.yaml:1: vary.persona[0]: x*.yaml matches nothing" in result.out
    assert json.loads(convtui("schema", "plan").out)["title"] == "convtui plan"


def test_a_plan_is_no_scenario(convtui: Run, plan: Path) -> None:
    result = convtui("run", plan)
    assert result.code == 2
    assert f"{plan} is a plan of many conversations: `convtui batch {plan}` runs it" in result.err
    (plan.parent / "s.yaml").write_text("persona: demo\nlimit: {}\n")
    assert "unknown key 'limit'" in convtui("run", "s.yaml").err


# --- batches that have run


def test_a_finished_batch_is_shown(convtui: Run, tmp_path: Path) -> None:
    folder = batch(tmp_path, first="early_termination", second="failed")
    result = convtui("batch", folder, "--no-tui")
    assert result.code == 3
    assert "Batch refund" in result.out
    assert "finished" in result.out
    data = json.loads(convtui("batch", folder, "--json").out)
    assert [each["key"] for each in data["conversations"]] == ["Ann.1", "Ann.2"]


def test_a_batch_is_named_as_runs_are(convtui: Run, home: Path) -> None:
    runs = home / "data" / "runs"
    batch(runs, first="early_termination")
    batch(runs, "20260202T000000Z_other", first="early_termination")
    assert convtui("batch", "20260101T000000Z_refund", "--json").code == 0
    assert convtui("batch", "202601", "--json").code == 0
    assert convtui("batch", runs / "20260101T000000Z_refund" / "batch.jsonl", "--json").code == 0
    near = convtui("batch", "20260101T000000Z_refnd")
    assert "or batch, did you mean '20260101T000000Z_refund'?" in near.err
    result = convtui("batch", "2026", "--json")
    assert result.code == 2
    assert "2026 may be 20260101T000000Z_refund or 2026" in result.err


def test_results_are_written_for_other_programs(convtui: Run, tmp_path: Path) -> None:
    folder = batch(tmp_path, first="early_termination", second="failed")
    page, junit = tmp_path / "page.html", tmp_path / "junit.xml"
    result = convtui("batch", folder, "--no-tui", "--plain", "--junit", junit, "--report", page)
    assert result.err.splitlines() == [str(junit), str(page)]
    assert "<testcase" in junit.read_text()
    assert "<html" in page.read_text()


def test_two_batches_side_by_side(convtui: Run, tmp_path: Path) -> None:
    before = batch(tmp_path, "20260101T000000Z_a", first="failed", second="failed")
    after = batch(tmp_path, "20260102T000000Z_b", first="early_termination", second="failed")
    result = convtui("batch", after, "--against", before)
    assert "Two batches of refund" in result.out
    data = json.loads(convtui("batch", after, "--against", before, "--json").out)
    assert data["pairs"] == 2


def test_a_manifest_that_is_damaged(convtui: Run, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "batch.jsonl").write_text("nonsense\n")
    result = convtui("batch", folder, "--no-tui")
    assert result.code == 2
    assert "this is not the manifest of a batch" in result.err


def test_batches_are_completed_by_their_names(home: Path) -> None:
    from convtui.cli.batch import _complete

    batch(home / "data" / "runs", first="early_termination")
    complete = [item.value for item in _complete(None, None, "2026")]  # type: ignore[arg-type]
    assert complete == ["20260101T000000Z_refund"]
    assert _complete(None, None, "pla")[0].type == "file"  # type: ignore[arg-type]


# --- running


def test_a_batch_runs_and_its_results_are_printed(convtui: Run, plan: Path, home: Path) -> None:
    result = convtui("batch", plan, "--no-tui", "--workers", "1")
    assert result.code == 0
    *lines, folder = result.err.splitlines()
    assert sorted(line.split()[1] for line in lines) == ["Ann.1", "Ann.2", "Ben.1", "Ben.2"]
    assert lines[-1].startswith("4/4 ")
    assert Path(folder).parent == home / "data" / "runs"
    assert sorted(path.name for path in Path(folder).glob("*.[12].jsonl")) == [
        "Ann.1.jsonl", "Ann.2.jsonl", "Ben.1.jsonl", "Ben.2.jsonl",
    ]  # fmt: skip
    assert "Batch plan" in result.out
    assert "completed 4" in result.out
    # It is finished: the same command begins another one.
    assert convtui("batch", "last", "--json").code == 0


FERRY = """
from pathlib import Path

def reply(messages):
    if Path(__file__).with_name("broken").exists() and messages[-1]["content"] == "hi":
        raise ValueError("no such ferry")
    return "fine"
"""


def test_only_what_failed_runs_again(convtui: Run, plan: Path, home: Path) -> None:
    (plan.parent / "bot.py").write_text(FERRY)
    broken = plan.parent / "broken"
    broken.touch()
    plan.write_text("vary: {persona: '*n.yaml', provider: bot.py:reply}\nworkers: 1\n")
    first = convtui("batch", plan, "--no-tui")
    assert first.code == 3
    folder = Path(first.err.splitlines()[-1])
    hint = f"convtui: `convtui batch {folder.name} --rerun failed` runs the one that failed again"
    assert hint in first.err
    dry = convtui("batch", folder.name, "--rerun", "failed", "--dry-run")
    assert "Ben.1" in dry.out and "1 conversation of 2 would run again" in dry.out
    asked = json.loads(convtui("batch", plan, "--rerun", "~end failed", "--dry-run", "--json").out)
    assert [each["key"] for each in asked["conversations"]] == ["Ben.1"]
    assert asked["conversations"][0]["termination"]["kind"] == "failed"
    broken.unlink()
    again = convtui("batch", folder.name, "--rerun", "failed", "--no-tui")
    assert again.code == 0, again.err
    assert "convtui: 1 conversation runs again: Ben.1" in again.err
    assert "run again" in again.out and "asked for: --rerun failed" in again.out
    assert Path(again.err.splitlines()[-1]) == folder
    data = json.loads(convtui("batch", folder, "--json").out)
    assert (data["exit_code"], data["batch"]["finished"]) == (0, True)
    assert [(each["key"], each["reruns"]) for each in data["conversations"]] == [
        ("Ann.1", 0), ("Ben.1", 1),
    ]  # fmt: skip
    none = convtui("batch", plan, "--rerun", "failed", "--no-tui")
    assert none.code == 0
    assert f"--rerun failed matches no conversation of {folder.name}" in none.err
    assert len(list((home / "data" / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan.yaml", "--rerun", "failed"], "--rerun failed: there is no batch of this plan"),
        (["plan.yaml", "--rerun", "failed", "--new"], "--rerun and --new exclude each other"),
        (["BATCH", "--rerun", "~end ("], "convtui: --rerun: expected KIND"),
    ],
)
def test_what_cannot_run_again_is_refused(
    convtui: Run, plan: Path, home: Path, arguments: list[str], says: str
) -> None:
    if arguments[0] == "BATCH":
        arguments[0] = begun(plan, home).name
    result = convtui("batch", *arguments, "--no-tui")
    assert result.code == 2
    assert says in result.err


def test_a_provider_of_all_cells_that_cannot_be_loaded_is_refused(
    convtui: Run, plan: Path, home: Path
) -> None:
    (plan.parent / "bot.py").write_text("import nosuch\ndef reply(messages): ...\n")
    result = convtui("batch", plan, "--no-tui", "--provider", "bot.py:reply")
    assert result.code == 2
    assert "bot.py: cannot be imported" in result.err
    assert "No module named 'nosuch'" in result.err
    assert list((home / "data" / "runs").iterdir()) == []


def begun(plan: Path, home: Path, flags: dict[str, object] | None = None) -> Path:
    """An unfinished batch of a plan: nothing has begun."""
    made = Plan.load(plan)
    source = PlanSource(plan, flags or {}, plan.parent)
    folder = home / "data" / "runs" / "20260101T000000Z_plan"
    Batch.create(made, cells_of(made), folder, record=plan_record(made, source))._writer.close()
    return folder


def test_a_manifest_of_somebody_else_runs_nothing(convtui: Run, plan: Path, home: Path) -> None:
    """What it names is code; only this user's own program says so in silence."""
    folder = begun(plan, home)
    manifest = folder / "batch.jsonl"
    head, *rest = manifest.read_text().splitlines()
    record = json.loads(head)
    evil = plan.parent / "evil.py"
    evil.write_text("from pathlib import Path\nPath('was_here').touch()\ndef bot(m): return 'x'\n")
    record["plan"]["source"]["flags"] = {"provider": [f"{evil}:bot"]}
    manifest.write_text("\n".join([json.dumps(record), *rest]) + "\n")
    result = convtui("batch", folder, "--no-tui", "--yes")
    assert result.code == 2
    assert "was begun under another account, or its manifest was changed since" in result.err
    assert not (plan.parent / "was_here").exists()
    record["plan"]["source"].pop("seal")
    manifest.write_text("\n".join([json.dumps(record), *rest]) + "\n")
    assert convtui("batch", folder, "--no-tui").code == 2


def test_a_changed_plan_is_named_and_asked_about(convtui: Run, plan: Path, home: Path) -> None:
    folder = begun(plan, home)
    (plan.parent / "ben.yaml").write_text("name: Ben\nscript: [other words]\n")
    for what in (plan, folder.name):
        result = convtui("batch", what, "--no-tui")
        assert result.code == 2
        assert f"going on with {folder.name}: 0 of 4 conversations have ended" in result.err
        assert "1 cell changed: run again from the beginning: Ben" in result.err
        assert "--yes goes on with the plan as it is now, --new begins another" in result.err


def test_a_batch_that_runs_is_refused_before_anything_is_said_of_going_on(
    convtui: Run, plan: Path, home: Path
) -> None:
    folder = begun(plan, home)
    (plan.parent / "ben.yaml").write_text("name: Ben\nscript: [other words]\n")
    writer = ManifestWriter.reopen(folder)
    try:
        result = convtui("batch", plan, "--no-tui", "--yes")
    finally:
        writer.close()
    assert result.code == 2
    assert result.err == (
        f"convtui: {folder}: process {os.getpid()} runs this batch; wait for it or end it, or begin"
        " another one with --new\n"
    )


def test_a_provider_that_was_changed_since_is_named(convtui: Run, plan: Path, home: Path) -> None:
    bot = plan.parent / "bot.py"
    bot.write_text("def reply(messages): ...\n")
    os.utime(bot, (0, 0))
    plan.write_text("vary: {persona: ann.yaml, provider: bot.py:reply}\nruns: 1\n")
    begun(plan, home)
    plan.write_text("vary: {persona: ann.yaml, provider: bot.py:reply}\nruns: 2\n")
    assert "was changed since" not in convtui("batch", plan, "--no-tui").err
    bot.touch()
    result = convtui("batch", plan, "--no-tui")
    assert f"{bot} was changed since the batch began" in result.err
    assert "runs of each cell: 2, were 1" in result.err


def test_a_batch_without_its_plan_is_shown(convtui: Run, plan: Path, home: Path) -> None:
    folder = begun(plan, home)
    plan.unlink()
    result = convtui("batch", folder, "--no-tui")
    assert f"cannot be resumed by its name: its plan {plan} is gone" in result.err
    assert "these are partial results" in result.out


def test_masked_flags_are_asked_for_again(convtui: Run, plan: Path, home: Path) -> None:
    folder = begun(plan, home, {"set": ["provider.params.api_key=sk-12345678"]})
    result = convtui("batch", folder, "--no-tui")
    assert "give the same command again" in result.err
    assert "sk-12345678" not in (folder / "batch.jsonl").read_text()


def test_a_plan_is_not_changed_by_flags_where_only_its_batch_is_named(
    convtui: Run, plan: Path, home: Path
) -> None:
    folder = begun(plan, home)
    result = convtui("batch", folder.name, "--persona", "demo")
    assert result.code == 2
    assert f"--persona: {folder.name} has its plan; change that, or name the plan" in result.err


async def test_a_second_interrupt_ends_everything_at_once() -> None:
    heard = []

    class Running:
        async def stop(self) -> None:
            heard.append("stop")

        def kill(self) -> None:
            heard.append("kill")

    notes: list[str] = []
    interrupts = Interrupts(Running(), notes.append)  # type: ignore[arg-type]
    with interrupts.heard():
        for count in (1, 2):
            signal.raise_signal(signal.SIGINT)
            async with asyncio.timeout(WITHIN):
                while len(heard) < count:
                    await asyncio.sleep(0)
    assert heard == ["stop", "kill"]
    assert interrupts.count == 2
    assert "ctrl+c again ends them at once" in notes[0]
