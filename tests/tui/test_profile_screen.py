"""Profile on the screen: figures and plots of real logs, compressions, orders, the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from convtui.actions.registry import Keymap
from convtui.analysis.profile.orders import sorted_runs
from convtui.analysis.profile.plots import plots_of
from convtui.analysis.profile.profile import Profile
from convtui.analysis.profile.reading import Reading, read_runs
from convtui.analysis.profile.reading_report import reading_report
from convtui.tui.app import ConvtuiApp
from convtui.tui.documents.report import plots_document, report_document
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.profile.screen import ProfileRuns, ProfileScreen
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.text_pane import Document
from tests.analysis.profile.test_compress_check import child
from tests.builders.tool_logs import tool_log
from tests.tui.harness.sample import until
from tests.tui.screens.compare.test_screen import text
from tests.tui.test_snapshots import Compare, still

T, F = True, False


def shown(app: ConvtuiApp) -> ProfileScreen:
    screen = app.screen
    assert isinstance(screen, ProfileScreen)
    return screen


def tables(reading: Reading, width: int) -> Document:
    return report_document(reading_report(reading), width)


def plots(profile: Profile, width: int, height: int) -> Document:
    return plots_document(plots_of(profile), width, height)


def test_reading_tells_how_far_it_is_and_can_be_stopped(tmp_path: Path) -> None:
    paths = [tool_log(tmp_path / f"{n}.jsonl", [T, F]) for n in range(4)]
    bad = tmp_path / "bad\x1b.jsonl"
    bad.write_text("no log\n")
    told: list[int] = []
    found = read_runs([bad, *paths], progress=told.append, stop=lambda: len(told) >= 3)
    assert told == [1, 2, 3]
    assert found.stopped
    assert [run.path for run in found.profile.runs] == paths[:2]
    assert found.profile.tally.calls == 4
    assert len(found.left_out) == 1
    assert "bad" in found.left_out[0]
    doc = str(tables(found, 80))
    assert "left out  1 that cannot be read" in doc
    assert "\x1b" not in doc


def test_a_compression_is_told_of_the_child_and_of_the_one_it_was_made_from(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "parent.jsonl", [F, T, T, T])
    made = child(tmp_path / "child.jsonl", parent, [F, F, T, T])
    kept = child(tmp_path / "kept.jsonl", parent, [T, T, T, T])
    doc = str(tables(read_runs([made]), 100))
    assert "not preserved  child.jsonl" in doc
    assert "before            4 calls, error rate 25.0 % (1 of 4)" in doc
    assert "after             4 calls, error rate 50.0 % (2 of 4)" in doc
    of_parent = read_runs([parent])
    assert {check.path for check in of_parent.checks} == {made, kept}
    assert "preserved  kept.jsonl" in str(tables(of_parent, 100))
    together = read_runs([parent, made, kept])
    assert [check.preserved for check in together.checks] == [False, True]
    other = read_runs([tool_log(tmp_path / "other.jsonl", [T])])
    assert other.checks == []
    assert "compressed      no: no history was summarised" in str(tables(other, 100))


def test_a_child_whose_parent_is_gone_is_unknown_with_its_reason(tmp_path: Path) -> None:
    parent = tool_log(tmp_path / "parent.jsonl", [F, T])
    made = child(tmp_path / "child.jsonl", parent, [T])
    parent.unlink()
    doc = str(tables(read_runs([made]), 100))
    assert "unknown  child.jsonl" in doc
    assert "what it was like before is not known" in doc


def test_plots_have_an_axis_and_are_said_in_words(tmp_path: Path) -> None:
    one = read_runs([tool_log(tmp_path / "a.jsonl", [F, T, T])]).profile
    doc = str(plots(one, 60, 2)).splitlines()
    at = doc.index("provider tokens  over 3 turns of the provider")
    assert doc[at + 1 : at + 5] == [
        "21 tokens │        ███",
        "          │▁▁▁ ███ ███",
        " 0 tokens └────────────",
        "           1:2      1:6",
    ]
    assert doc[at + 5].startswith(
        "3 values: first 1 tokens, last 21 tokens, lowest 1 tokens at 1:2"
    )
    long = read_runs([tool_log(tmp_path / "b.jsonl", [T] * 90)]).profile
    assert "provider tokens  over 90 turns of the provider, a column is the highest of 2\n" in str(
        plots(long, 60, 2)
    )
    assert "errors  over 180 turns\nnone\n" in str(plots(long, 60, 2))
    wide = max(len(line) for line in str(plots(long, 60, 2)).splitlines() if "│" in line)
    assert 30 < wide <= 60


def test_orders(tmp_path: Path) -> None:
    paths = [
        tool_log(tmp_path / "b.jsonl", [F, T]),
        tool_log(tmp_path / "a.jsonl", []),
        tool_log(tmp_path / "c.jsonl", [T, T, T]),
    ]
    runs = read_runs(paths).profile.runs
    names = {
        order: "".join(run.path.stem for run in sorted_runs(runs, order))
        for order in ("", "rate", "calls", "name")
    }
    assert names == {"": "bac", "rate": "bca", "calls": "cba", "name": "abc"}


async def test_marked_runs_are_profiled_sorted_opened_and_reported(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    tool_log(folder / "a.jsonl", [F, T, T, T], persona="[bold]Ida\x1b[31m")
    tool_log(folder / "b.jsonl", [F, F, T, T])
    tool_log(folder / "c.jsonl", [F])
    report = tmp_path / "page.html"
    app = ConvtuiApp(lambda app: RunsScreen(Keymap(), folder), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "3 runs" in text(app))
        screen = app.screen
        await pilot.press("p")
        await until(
            pilot, lambda: isinstance(app.screen, ProfileScreen) and "tool calls" in text(app)
        )
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("m", "j", "m", "j", "m", "p")
        await until(pilot, lambda: "9: 5 ok, 4 failed" in text(app))
        seen = text(app)
        assert "44.4 % (4 of 9)" in seen and "terminal" in seen
        assert "error rate  over 3 runs" in seen and "└──" in seen
        listed = app.screen.query_one(ProfileRuns)
        await pilot.press("o", "down", "enter")
        await until(pilot, lambda: [run.path.stem for run in listed.items] == ["c", "b", "a"])
        await pilot.press("w")
        await until(pilot, lambda: bool(app.screen.query(Input)))
        app.screen.query_one(Input).value = str(report)
        await pilot.press("enter")
        await until(pilot, report.exists)
        assert "44.4 % (4 of 9)" in report.read_text()
        report.write_text("mine")
        await until(pilot, lambda: isinstance(app.screen, ProfileScreen))
        await pilot.press("w")
        await until(pilot, lambda: bool(app.screen.query(Input)))
        app.screen.query_one(Input).value = str(report)
        await pilot.press("enter")
        await until(pilot, lambda: "replace this file?" in text(app))
        await pilot.press("escape")
        assert report.read_text() == "mine"
        await until(pilot, lambda: isinstance(app.screen, ProfileScreen))
        await pilot.press("tab", "tab")
        await until(pilot, lambda: app.focused is listed)
        await pilot.press("G", "enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        assert isinstance(app.screen, DebuggerScreen)
        assert app.screen.source.path == folder / "a.jsonl"


async def test_a_recording_is_profiled_in_the_smallest_terminal(tmp_path: Path) -> None:
    log = tool_log(tmp_path / "a.jsonl", [F, T], persona="[bold]Ida\x1b[31m")
    app = ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ProfileScreen))
        await until(pilot, lambda: "50.0 % (1 of 2)" in text(app))
        assert "[bold]Ida␛[31m → Bot" in text(app)
        assert "enter open run" not in text(app), "it lies below"
        await pilot.press("G")
        await until(pilot, lambda: "early and late" not in text(app))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))


async def test_without_a_run_it_says_what_to_do(tmp_path: Path) -> None:
    gone = tmp_path / "gone.jsonl"
    app = ConvtuiApp(lambda app: ProfileScreen(app.keymap, [gone]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "There is no run to profile." in text(app))
        assert "lists saved ones" in text(app), "why it is left out"
        assert "start one" in text(app) and "w HTML report" not in text(app)


def test_a_profile(tmp_path: Path, snap_compare: Compare) -> None:
    names = ["terminal", "read_file", "web_search", "terminal"] * 6
    outcomes = [place % 5 > 1 or place > 12 for place in range(24)]
    logs = [tool_log(tmp_path / f"{n}.jsonl", outcomes[n:], names=names[n:]) for n in range(4)]
    app = ConvtuiApp(lambda app: ProfileScreen(app.keymap, logs))

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: shown(app).reading is not None)
        await still(pilot)

    assert snap_compare(app, terminal_size=(120, 36), run_before=before)
