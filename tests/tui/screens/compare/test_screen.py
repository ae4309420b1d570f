"""Two runs on the screen, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.actions.registry import Keymap
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.compare.screen import CompareScreen
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.run_list import RunList
from tests.builders.logs import USAGE, conversation, ending, header, session, turn, write_log
from tests.tui.harness.sample import until

EARLY = ending("early_termination", "provider", 6, signal="[[DONE]]")


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs that differ in turn 4, in a turn that only B has, and in how they ended."""
    begin = [
        turn(1, "persona", "Hello, my ferry was cancelled."),
        turn(2, "provider", "I am sorry about that. " * 4, usage=USAGE),
        turn(3, "persona", "I want my money back."),
    ]
    one = [*begin, turn(4, "provider", "You get a refund next week. [[X]]", signal="[[X]]")]
    other = [
        *begin,
        turn(4, "provider", "You get a voucher next week. \x1b[31m", usage=USAGE),
        turn(5, "persona", "No, money!"),
    ]
    found = []
    for name, turns, end in (("one", one, ending()), ("other", other, EARLY)):
        records = conversation(session(1, "intake", turns, end), end=end)
        records[0] = header(id=name)
        found.append(write_log(tmp_path / "runs" / f"{name}.jsonl", records))
    return found[0], found[1]


def comparing(logs: tuple[Path, Path], tmp_path: Path) -> ConvtuiApp:
    return ConvtuiApp(
        lambda app: CompareScreen(app.keymap, *logs), state_file=tmp_path / "state.json"
    )


def shown(app: ConvtuiApp) -> CompareScreen:
    screen = app.screen
    assert isinstance(screen, CompareScreen)
    return screen


def text(app: ConvtuiApp) -> str:
    """The screen as text."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in lines)


def changed(app: ConvtuiApp) -> set[str]:
    """The words that are drawn as removed or added."""
    strips = app.screen._compositor.render_strips()
    return {
        text
        for strip in strips
        for text, style, _ in strip
        if style is not None and (style.strike or style.underline)
    }


async def test_it_begins_at_the_first_difference(logs: tuple[Path, Path], tmp_path: Path) -> None:
    app = comparing(logs, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = shown(app)
        await until(pilot, lambda: "provider tokens" in text(app))
        await until(pilot, lambda: {"refund", "voucher"} <= changed(app))
        assert screen.view.selected is not None
        assert screen.view.selected.pair is not None
        assert screen.view.selected.pair.where == "1:4"
        seen = text(app)
        row = next(line for line in seen.splitlines() if "refund" in line)
        assert "voucher" in row.partition("│")[2], "side by side"
        assert "first difference" in seen
        assert "signals: [[X]] -> none" in seen
        assert "\x1b" not in seen
        assert "␛" in seen
        assert "difference 1 of 3, the first: turn 1:4, provider: text, signals" in seen
        assert "ended early by provider" in seen
        assert "provider tokens" in seen
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "difference 2 of 3" in text(app))
        assert screen.view.selected.pair.where == "1:5"
        await pilot.press("full_stop")
        await until(pilot, lambda: "difference 3 of 3" in text(app))
        assert screen.view.selected.kind == "end"
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: any("No further" in n.message for n in app._notifications))
        await pilot.press("left_square_bracket", "comma")
        await until(pilot, lambda: "difference 1 of 3" in text(app))


@pytest.mark.parametrize("size", [(80, 24), (60, 16)])
async def test_narrow_one_is_below_the_other(
    logs: tuple[Path, Path], tmp_path: Path, size: tuple[int, int]
) -> None:
    app = comparing(logs, tmp_path)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "turns said" in text(app))
        await until(pilot, lambda: {"refund", "voucher"} <= changed(app))
        assert "first difference" in text(app), "the selected pair is in sight"
        lines = [line.strip(" ▌│") for line in text(app).splitlines()]
        one = next(i for i, line in enumerate(lines) if line.startswith("A You get a refund"))
        other = next(i for i, line in enumerate(lines) if line.startswith("B You get a voucher"))
        assert other == one + 1
        assert any("ended early by provider" in line for line in lines)
        assert any("turns said 4 | 5" in line for line in lines)


async def test_a_side_is_opened_at_its_turn(logs: tuple[Path, Path], tmp_path: Path) -> None:
    app = comparing(logs, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: shown(app).comparison is not None)
        await pilot.press("g", "j", "j", "b")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        screen = app.screen
        assert isinstance(screen, DebuggerScreen)
        assert screen.source.path == logs[1]
        await until(pilot, lambda: screen.selected is not None and screen.selected.number == 2)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))


async def test_what_cannot_be_read_is_said(logs: tuple[Path, Path], tmp_path: Path) -> None:
    app = comparing((logs[0], tmp_path / "none.jsonl"), tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "cannot be compared" in text(app))
        told = "none.jsonl: there is no such log"
        await until(pilot, lambda: told in " ".join(text(app).split()))
        await pilot.press("right_square_bracket", "j", "g", "G", "pageup")
        assert shown(app).comparison is None


async def test_two_runs_are_marked_and_compared(logs: tuple[Path, Path], tmp_path: Path) -> None:
    app = ConvtuiApp(
        lambda app: RunsScreen(Keymap(), logs[0].parent), state_file=tmp_path / "state.json"
    )
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 2)
        await pilot.press("C")
        await until(pilot, lambda: any("Mark one run" in n.message for n in app._notifications))
        await pilot.press("m")
        await until(pilot, lambda: "marked A" in text(app))
        first = listed.marked[0]
        await pilot.press("m")
        await until(pilot, lambda: not listed.marked)
        await pilot.press("m", "j", "C")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await until(pilot, lambda: shown(app).comparison is not None)
        found = shown(app).comparison
        assert found is not None
        assert found.path_a == first
        assert {found.path_a, found.path_b} == set(logs)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_a_branch_is_compared_with_its_parent(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    records = conversation(session(1, "intake", [turn(1, "persona", "Hi")], ending()))
    write_log(folder / "root.jsonl", records)
    parent = {"id": "a1b2c3", "file": str(folder / "root.jsonl"), "seq": 5, "sha256": "0"}
    change = {"kind": "rewind", "session": 1, "turn": 1}
    records[0] = header(id="c", parents=[parent], change=change)
    write_log(folder / "child.jsonl", records)
    app = ConvtuiApp(lambda app: RunsScreen(Keymap(), folder), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 1)
        await pilot.press("space", "j", "C")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        assert [path.name for path in shown(app)._paths] == ["root.jsonl", "child.jsonl"]
