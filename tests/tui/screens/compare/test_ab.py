"""Two arms of runs on the screen: chosen one by one and by filter, a tie is a tie."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from convtui.actions.registry import Keymap
from convtui.analysis.compare.ab import compare_arms
from convtui.analysis.compare.ab_report import ab_report
from convtui.analysis.profile.profile import RunProfile, profile_run
from convtui.log.reader import open_log
from convtui.tui.app import ConvtuiApp
from convtui.tui.documents.report import report_document
from convtui.tui.screens.compare.ab import ArmList, ArmsScreen
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.text_pane import TextPane
from tests.builders.tool_logs import tool_log
from tests.tui.harness.sample import until
from tests.tui.screens.compare.test_screen import text

T, F = True, False


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    for number in range(3):
        tool_log(folder / f"warm{number}.jsonl", [T] * 19 + [F], persona="Ida")
        tool_log(folder / f"cold{number}.jsonl", [T] * 8 + [F] * 12, persona="[bold]Noa\x1b[31m")
    return folder


def profiled(path: Path) -> RunProfile:
    with open_log(path) as log:
        return profile_run(log)


def result(warm: list[RunProfile], cold: list[RunProfile], width: int = 80) -> str:
    return str(report_document(ab_report(compare_arms(warm, cold)), width))


def doc(app: ConvtuiApp) -> str:
    return str(app.screen.query_one(TextPane).doc)


def test_the_result_has_its_verdict_first_and_fits(runs: Path) -> None:
    warm = [profiled(runs / f"warm{n}.jsonl") for n in range(3)]
    cold = [profiled(runs / f"cold{n}.jsonl") for n in range(3)]
    for width in (80, 54):
        lines = result(warm, cold, width).splitlines()
        assert lines[0].startswith("A warm has 55.0 points fewer errors")
        interval = "95 % +32.4 to +70.9 points"
        assert lines[1] == f"improvement (cold minus warm)  +55.0 points, {interval}"
        table = lines[lines.index("") + 1 :]
        table = table[: table.index("")]
        assert max(map(len, table)) <= width
        rate = next(line for line in table if line.startswith("error rate"))
        full = "5.0 % (3 of 60)" in rate and "60.0 % (36 of 60)" in rate
        assert full == (width == 80), rate
        assert "provider latency, p50" in "\n".join(table)
    assert result(warm[:1], warm[1:2]).startswith("= a tie: ")
    assert result(warm[:1], cold[:1]).startswith("? no verdict: ")


async def test_arms_are_chosen_by_hand_and_by_filter(runs: Path, tmp_path: Path) -> None:
    app = ConvtuiApp(lambda app: RunsScreen(Keymap(), runs), state_file=tmp_path / "state.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "6 runs" in text(app))
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, ArmsScreen))
        await until(pilot, lambda: "puts the selected run in or out" in doc(app))
        listed = app.screen.query_one(ArmList)
        assert "[bold]Noa␛[31m" in text(app)
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        field = app.screen.query_one(Input)
        field.value = "~persona ida &"
        await pilot.press("enter")
        assert isinstance(app.screen, Ask), "a bad filter is refused in place"
        field.value = "~persona ida"
        await pilot.press("enter")
        await until(pilot, lambda: "A warm: 3 runs" in text(app))
        assert {path.stem for path in listed.arm("A")} == {"warm0", "warm1", "warm2"}
        screen = app.screen
        assert isinstance(screen, ArmsScreen)
        for name in ("cold0.jsonl", "cold1.jsonl"):
            listed.go_to(next(n for n, run in enumerate(listed.items) if run.name == name))
            await pilot.press("b")
        await until(pilot, lambda: screen.found is not None)
        await until(pilot, lambda: "A warm has 55.0 points fewer errors" in doc(app))
        assert "5.0 %" in text(app) and "60.0 %" in text(app) and "+55.0 points" in text(app)
        await pilot.press("c", "c")
        await until(pilot, lambda: "puts the selected run in or out" in doc(app))
        assert not listed.arms
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))


async def test_two_marked_runs_begin_the_arms_and_may_tie(runs: Path) -> None:
    arms = (runs / "warm0.jsonl", runs / "warm1.jsonl")
    app = ConvtuiApp(lambda app: ArmsScreen(app.keymap, runs, arms))
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: "= a tie: the error rates are equal" in text(app))
        assert "[A]" in text(app) or "[B]" in text(app)


async def test_without_runs_it_says_what_to_do(tmp_path: Path) -> None:
    app = ConvtuiApp(lambda app: ArmsScreen(app.keymap, tmp_path / "none"))
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: "No saved runs yet." in text(app))
        assert "a arm A" not in text(app)
