"""The screen of a batch: follows it, narrows, sorts, and acts on all or one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.message_pump import MessagePump
from textual.timer import Timer
from textual.widgets import Input

from convtui.analysis.report.report import Report, Section, Sentence
from convtui.config.paths import write_state
from convtui.errors import FileError
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.questions import Ask, Choose
from convtui.tui.screens.fleet.feed import EVERY
from convtui.tui.screens.fleet.fleet_list import FleetList
from convtui.tui.screens.fleet.open import open_batch, saved_screen
from convtui.tui.screens.fleet.saved import SavedFleet
from convtui.tui.screens.fleet.screen import FleetScreen
from convtui.tui.screens.fleet.view import FleetRow, Standing
from convtui.tui.screens.runs.screen import RunsScreen
from tests.batch.manifests import begin
from tests.builders.waiting import WITHIN
from tests.tui.harness.fleet import ScriptedFleet, busy_standing, rows_of
from tests.tui.harness.sample import refund, until, write_log

DONE = {"kind": "completed", "by": "simulator", "reason": "said all", "at_turn": 4}


class FleetApp:
    """The app, in the screen of a scripted batch."""

    def __init__(self, folder: Path, rows: list[FleetRow], **more: Any) -> None:
        write_state(folder / "state.json", {"hinted": True})
        self.fleet = ScriptedFleet(rows, folder=folder)
        self.app = ConvtuiApp(
            lambda app: FleetScreen(app.keymap, self.fleet, **more),
            state_file=folder / "state.json",
        )

    @property
    def screen(self) -> FleetScreen:
        screen = self.app.screen_stack[0]
        assert isinstance(screen, FleetScreen)
        return screen

    @property
    def orders(self) -> list[tuple[Any, ...]]:
        assert self.fleet.controls is not None
        return self.fleet.controls.orders

    def keys(self) -> list[str]:
        """The conversations that are listed."""
        return [self.fleet.rows[index].key for index in self.screen.listed.shown]

    def drawn(self) -> str:
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in lines)

    def notices(self) -> str:
        return " ".join(notice.message for notice in self.app._notifications)


def four() -> list[FleetRow]:
    log = "nowhere.jsonl"
    rows = [
        FleetRow("anna.1", "anna", 1, state="over", termination=DONE, log=log, match=False),
        FleetRow("anna.2", "anna", 2, state="running", session=1, turn=3, words="Good day.",
                 turns=2, log=log),
        FleetRow("ben.1", "ben", 1, state="held", hold={"reason": "breakpoint", "detail": "~end"},
                 log=log),
        FleetRow("ben.2", "ben", 2),
    ]  # fmt: skip
    for index, row in enumerate(rows):
        row.first = index
    return rows


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetApp:
    monkeypatch.setattr("convtui.tui.screens.fleet.filter._DEBOUNCE", 0.01)
    return FleetApp(tmp_path, four())


async def test_it_follows_what_happens_and_the_selection_stays(batch: FleetApp) -> None:
    async with batch.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        assert batch.keys() == ["ben.1", "anna.2", "ben.2", "anna.1"]
        batch.fleet.tell(1, state="held", hold={"reason": "step"})
        await until(pilot, lambda: batch.keys()[0] == "anna.2")
        assert batch.screen.listed.selected is batch.fleet.rows[1], "the first, whichever it is"
        batch.fleet.tell(1, state="running", hold=None)
        await until(pilot, lambda: batch.keys()[0] == "ben.1")
        await pilot.press("j")
        assert batch.screen.listed.selected is batch.fleet.rows[1]
        batch.fleet.tell(3, state="held", hold={"reason": "human"})
        await until(pilot, lambda: "your turn" in batch.drawn())
        assert batch.keys()[:3] == ["ben.1", "ben.2", "anna.2"]
        assert batch.screen.listed.selected is batch.fleet.rows[1]
        batch.fleet.tell(1, words="Which crossing was it?", turn=4)
        await until(pilot, lambda: "Which crossing" in batch.drawn())
        batch.fleet.add(FleetRow("anna.1", "anna", 1, attempt=2, first=0, state="running"))
        await until(pilot, lambda: "└ attempt 2" in batch.drawn())
        batch.fleet.stand(stopped="the disk is full")
        await until(pilot, lambda: "the disk is full" in batch.drawn())


async def test_it_calls_for_attention_and_says_when_it_is_over(
    batch: FleetApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    async with batch.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        monkeypatch.setattr(batch.app.attention, "held", calls.append)
        batch.fleet.tell(2, words="still held")
        batch.fleet.tell(1, state="held", hold={"reason": "pause"})
        batch.fleet.tell(3, state="held", hold={"reason": "error"})
        await until(pilot, lambda: "3 held" in batch.drawn())
        assert calls == [{"reason": "error"}]
        batch.fleet.over = True
        batch.fleet.tell(3, state="over", termination=DONE)
        await until(pilot, lambda: "The batch is over: i shows its results." in batch.notices())
        assert calls == [{"reason": "error"}]


async def test_it_draws_at_most_ten_times_a_second(
    batch: FleetApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with batch.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        feed = batch.screen._feed
        waits: list[float] = []

        def later(pump: MessagePump, delay: float, call: Callable[[], object]) -> Timer:
            waits.append(delay)
            return Timer(pump, 9)

        monkeypatch.setattr("convtui.tui.screens.fleet.feed.call_once", later)
        feed.take()
        for turn in range(100):
            batch.fleet.tell(1, turn=turn)
        assert len(waits) == 1, "a hundred changes are one drawing"
        assert 0 < waits[0] <= EVERY


async def test_keys_act_on_all_or_on_one(batch: FleetApp) -> None:
    async with batch.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        await pilot.press("space")
        await until(pilot, lambda: "paused" in batch.drawn())
        await pilot.press("space")
        await pilot.press("enter")
        await pilot.press("x")
        await pilot.press("x")
        await pilot.press("R")
        await until(pilot, lambda: ("reload",) in batch.orders)
        assert batch.orders == [("pause",), ("resume",), ("open", "ben.1"), ("end", "ben.1"),
                                ("reload",)]  # fmt: skip
        await until(pilot, lambda: "3 conversations still on the old" in batch.notices())


async def test_a_breakpoint_for_all_is_checked_set_and_cleared(batch: FleetApp) -> None:
    async with batch.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        await pilot.press("b")
        await until(pilot, lambda: isinstance(batch.app.screen, Ask))
        batch.app.screen.query_one(Input).value = "~signl"
        await pilot.press("enter")
        assert "~signl" in batch.drawn() and isinstance(batch.app.screen, Ask)
        batch.app.screen.query_one(Input).value = "once: ~signal"
        await pilot.press("enter")
        await until(pilot, lambda: batch.orders == [("break", "once: ~signal")])
        await pilot.press("b")
        await until(pilot, lambda: isinstance(batch.app.screen, Choose))
        await pilot.press("down", "enter")
        await until(pilot, lambda: ("clear", "once: ~signal") in batch.orders)


async def test_words_and_expressions_narrow_the_list(batch: FleetApp) -> None:
    write_log(batch.fleet.folder / "ended.jsonl", refund())
    batch.fleet.rows[0].log = "ended.jsonl"
    async with batch.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        await pilot.press("slash", *"ben")
        await until(pilot, lambda: batch.keys() == ["ben.1", "ben.2"])
        box = batch.screen.query_one(Input)
        box.value = "~said"
        await until(pilot, lambda: "~said" in str(batch.screen._error.render()))
        box.value = "~discard"
        await until(pilot, lambda: ("filter", "~discard") in batch.orders)
        # What is over is found by its log, what runs by its worker.
        await until(pilot, lambda: batch.keys() == ["anna.1"])
        batch.fleet.tell(1, match=True)
        await until(pilot, lambda: batch.keys() == ["anna.2", "anna.1"])
        await pilot.press("escape")
        await until(pilot, lambda: len(batch.keys()) == 4)
        assert batch.orders[-1] == ("filter", "")
        box.value = "nobody"
        await until(pilot, lambda: "Escape clears it" in batch.drawn())


async def test_it_sorts_by_key_and_title_and_finds_what_wants_a_look(batch: FleetApp) -> None:
    batch.fleet.rows[0].flags = 2
    async with batch.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        await pilot.press("o")
        await until(pilot, lambda: isinstance(batch.app.screen, Choose))
        await pilot.press("down", "enter")
        await until(pilot, lambda: batch.keys()[0] == "anna.1")
        await pilot.press("g")
        await pilot.press("right_square_bracket")
        assert batch.screen.listed.selected is batch.fleet.rows[2]
        await pilot.press("right_square_bracket")
        assert batch.screen.listed.selected is batch.fleet.rows[0], "round at the end"
        title = next(line for line in batch.drawn().splitlines() if "last words" in line)
        row = batch.drawn().splitlines().index(title)
        await pilot.click(offset=(title.index("tokens") + 2, row))
        await until(pilot, lambda: "tokens ↓" in batch.drawn())


async def test_leaving_asks_ends_them_and_a_second_time_at_once(batch: FleetApp) -> None:
    async with batch.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "1 held" in batch.drawn())
        await pilot.press("escape")
        await until(pilot, lambda: "The conversations go on: q ends them." in batch.notices())
        assert batch.screen.quit_does == "asks whether to end all"
        await pilot.press("q")
        await until(pilot, lambda: isinstance(batch.app.screen, Choose))
        assert "3 of 4 conversations are not over, 1 of them not begun." in batch.drawn()
        await pilot.press("down", "enter")
        await until(pilot, lambda: batch.app.screen is batch.screen)
        assert not batch.orders
        await pilot.press("X")
        await until(pilot, lambda: isinstance(batch.app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: batch.orders == [("stop",)])
        await until(pilot, lambda: "ending ..." in batch.drawn())
        await pilot.press("q")
        await until(pilot, lambda: batch.app.return_value == 0)
    assert batch.orders == [("stop",), ("kill",)]
    assert batch.fleet.closed


async def test_a_batch_that_is_over_shows_its_results_and_opens_its_logs(
    tmp_path: Path,
) -> None:
    writer = begin(tmp_path / "b", "anna", "ben")
    writer.add("started", key="anna.1", log="anna.1.jsonl", worker=1, attempt=1)
    write_log(tmp_path / "b" / "anna.1.jsonl", refund())
    writer.add("ended", key="anna.1", log="anna.1.jsonl", status="closed", termination=DONE)
    writer.close()
    read: list[Path] = []

    def results(
        folder: Path, progress: Callable[[int, int], None], stop: Callable[[], bool]
    ) -> Report:
        read.append(folder)
        return Report([Section("endings", [Sentence("all completed")])])

    fleet = SavedFleet(tmp_path / "b", failed=unexpected)
    app = ConvtuiApp(
        lambda app: FleetScreen(app.keymap, fleet, results=results),
        state_file=tmp_path / "state.json",
    )

    def drawn() -> str:
        lines = app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in line) for line in lines)

    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "all completed" in drawn())
        assert read == [tmp_path / "b"]
        screen = app.screen
        assert isinstance(app.focused, FleetList), "though there were no rows at first"
        assert isinstance(screen, FleetScreen)
        assert not screen.enabled("fleet.pause") and not screen.enabled("fleet.end")
        await pilot.press("tab")
        assert app.focused is screen.query_one("#fleet-results")
        await pilot.press("i")
        await until(pilot, lambda: "all completed" not in drawn())
        assert isinstance(app.focused, FleetList)
        # A low screen has room for one of them.
        await pilot.resize_terminal(80, 24)
        await pilot.press("i")
        await until(pilot, lambda: "all completed" in drawn() and "anna.1" not in drawn())
        assert app.focused is screen.query_one("#fleet-results")
        await pilot.press("escape")
        await until(pilot, lambda: "anna.1" in drawn())
        assert isinstance(app.focused, FleetList)
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await pilot.press("q")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("k", "enter")
        await until(pilot, lambda: "ben.1 has not begun yet." in drawn())
        await pilot.press("q")
        await until(pilot, lambda: app.return_value == 0)


def unexpected(error: FileError) -> None:
    raise AssertionError(error)


async def until_state(fleet: SavedFleet, state: str) -> None:
    """Looks until the second conversation is in a state: lines are written by a thread."""
    give_up = time.monotonic() + WITHIN
    while fleet.rows[1].state != state:
        assert time.monotonic() < give_up
        await fleet.look()


async def test_a_batch_that_another_process_runs_is_followed(tmp_path: Path) -> None:
    writer = begin(tmp_path / "b", "anna", "ben")
    fleet = SavedFleet(tmp_path / "b", failed=unexpected)
    assert fleet.standing().starting
    await fleet.look()
    assert (fleet.name, fleet.take_changes()) == ("refund", [0, 1])
    assert fleet.standing().elsewhere
    writer.add("started", key="ben.1", log="ben.1.jsonl", worker=1, attempt=1)
    writer.add("held", key="ben.1", reason="breakpoint", hold={"reason": "breakpoint"})
    drawn: list[str] = []
    fleet.subscribe(lambda: drawn.extend(fleet.rows[n].state for n in fleet.take_changes()))
    await until_state(fleet, "held")
    writer.close()
    await until_state(fleet, "crashed")
    assert fleet.take_changes() == []
    assert drawn[-2:] == ["held", "crashed"]


async def test_a_folder_without_a_batch_ends_the_app_that_was_to_show_it(tmp_path: Path) -> None:
    app = ConvtuiApp(lambda app: saved_screen(app, tmp_path), state_file=tmp_path / "state.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.failed_with is not None)
    assert "this is no folder of a batch" in str(app.failed_with)


async def test_a_folder_without_a_batch_goes_back_where_it_was_opened(tmp_path: Path) -> None:
    app = ConvtuiApp(
        lambda app: RunsScreen(app.keymap, tmp_path), state_file=tmp_path / "state.json"
    )
    async with app.run_test(size=(80, 24)) as pilot:
        below = app.screen
        open_batch(app, tmp_path)
        await until(pilot, lambda: app._notifications and app.screen is below)


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 16)])
async def test_many_fit_on_every_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    batch = FleetApp(tmp_path, rows_of(300))
    batch.fleet._standing = Standing() if size[0] < 100 else busy_standing()
    async with batch.app.run_test(size=size) as pilot:
        await until(pilot, lambda: "held" in batch.drawn())
        listed = batch.screen.listed
        assert listed.view_height >= size[1] - (13 if size[0] > 100 else 9)
        await pilot.press("G")
        assert listed.place == 299
        assert "151 of 300 done" in batch.drawn()
