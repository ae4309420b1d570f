"""Batches in the list of runs: one row, their conversations below, two of them compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from convtui.actions.registry import Keymap
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.compare.batches import BatchesScreen, PairList
from convtui.tui.screens.compare.screen import CompareScreen
from convtui.tui.screens.dialogs.questions import Ask, Choose
from convtui.tui.screens.fleet.screen import FleetScreen
from convtui.tui.screens.profile.screen import ProfileScreen
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.run_list import RunList
from convtui.tui.widgets.text_pane import TextPane
from tests.builders.batches import BatchFolder, cell, talk
from tests.builders.logs import header
from tests.tui.harness.sample import refund, until, write_log

OLD, NEW = "20260304T050000Z_refund", "20260305T050000Z_refund"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A single run, and two batches of two cells; in the newer one Bert fails."""
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("convtui.tui.screens.runs.filter._DEBOUNCE", 0.01)
    runs = tmp_path / "home" / "data" / "runs"
    for name in (OLD, NEW):
        batch = BatchFolder(
            runs / name, [cell("anna"), cell("bert")], name=name, day=int(name[6:8])
        )
        for number, persona in enumerate(("anna", "bert")):
            fails = name == NEW and persona == "bert"
            records = talk("failed" if fails else "completed", by="provider")
            records[0] = header(id=f"{name[6:8]}{number}aabbcc", persona=persona)
            batch.run(f"{persona}.1", records)
        batch.add("finished")
    write_log(runs / "a.jsonl", refund())
    return runs


def app_of(folder: Path, tmp_path: Path) -> ConvtuiApp:
    return ConvtuiApp(lambda app: RunsScreen(Keymap(), folder), state_file=tmp_path / "state.json")


def names(listed: RunList) -> list[str]:
    return [run.name for run in listed.runs]


def select(listed: RunList, name: str) -> None:
    listed.highlighted = names(listed).index(name)


async def test_conversations_are_below_their_batch(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 3)
        assert "batch of 2: 2 personas -> demo" in listed.row_text(names(listed).index(NEW))
        assert "1 went wrong" in listed.row_text(names(listed).index(NEW))
        select(listed, OLD)
        await pilot.press("space")
        await until(pilot, lambda: "anna.1.jsonl" in names(listed))
        assert len(listed.runs) == 5
        pane = app.screen.query_one(TextPane)
        await until(pilot, lambda: "none went wrong" in str(pane.doc))
        # A conversation folds its batch again, and opens like any run.
        select(listed, "bert.1.jsonl")
        await pilot.press("space")
        await until(pilot, lambda: len(listed.runs) == 3)
        box = app.screen.query_one(Input)
        box.value = "~persona bert & ~end failed"
        await until(pilot, lambda: names(listed) == [NEW, "bert.1.jsonl"])
        assert "1 of 7 runs" in str(app.screen.query_one("#runs-list").border_title)
        box.value = "anna"
        await until(pilot, lambda: names(listed).count("anna.1.jsonl") == 2)


async def test_a_batch_is_deleted_and_tagged_as_a_whole(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 3)
        select(listed, OLD)
        await pilot.press("space")
        await until(pilot, lambda: len(listed.runs) == 5)
        select(listed, "anna.1.jsonl")
        await pilot.press("d")
        await until(
            pilot, lambda: any("deleted as a whole" in n.message for n in app._notifications)
        )
        select(listed, OLD)
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press(*"slow", "enter")
        await until(
            pilot, lambda: any(run.name == OLD and run.tags == ("slow",) for run in listed.runs)
        )
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: len(listed.runs) == 2)
        assert not (folder / OLD).exists()
        await pilot.press("u")
        await until(pilot, lambda: OLD in names(listed))
        assert (folder / OLD / "anna.1.jsonl").is_file()


async def test_enter_opens_the_screen_of_a_batch(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 3)
        select(listed, NEW)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FleetScreen))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_what_takes_many_runs_takes_all_of_a_batch(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 3)
        select(listed, OLD)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, ProfileScreen))
        profile = app.screen
        assert isinstance(profile, ProfileScreen)
        await until(pilot, lambda: profile.reading is not None)
        assert profile.reading is not None and len(profile.reading.profile.runs) == 2


async def test_two_batches_are_compared(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 3)
        select(listed, "a.jsonl")
        await pilot.press("m")
        select(listed, NEW)
        await pilot.press("C")
        await until(
            pilot,
            lambda: any("compared with another batch" in n.message for n in app._notifications),
        )
        select(listed, "a.jsonl")
        await pilot.press("m")
        select(listed, NEW)
        await pilot.press("m")
        select(listed, OLD)
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, BatchesScreen))
        screen = app.screen
        assert isinstance(screen, BatchesScreen)
        pairs = screen.query_one(PairList)
        await until(pilot, lambda: bool(pairs.items))
        # The older one is before, whichever was marked first.
        assert f"{OLD} -> {NEW}" in str(screen.query_one("#batches-title", Static).content)
        assert "0.0 % went wrong before, 50.0 % now" in str(screen.query_one(TextPane).doc)
        assert [pair.after.key for pair in pairs.items] == ["bert.1"]
        row = "".join(text for text, _ in pairs.spans_of(pairs.items[0]))
        assert row.split() == ["worse", "bert.1", "completed", "->", "failed"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        await pilot.press("q")
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        app.screen.query_one(Input).value = str(tmp_path / "page.html")
        await pilot.press("enter")
        await until(pilot, (tmp_path / "page.html").exists)
        await until(pilot, lambda: app.screen is screen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_batches_with_nothing_in_common_say_so(folder: Path, tmp_path: Path) -> None:
    other = BatchFolder(folder / "other", [cell("cleo", "cleo", "x", sessions=["b"])], name="other")
    other.run("cleo.1")
    app = ConvtuiApp(
        lambda app: BatchesScreen(Keymap(), folder / OLD, other.path),
        state_file=tmp_path / "state.json",
    )
    async with app.run_test(size=(80, 24)) as pilot:
        pane = app.screen.query_one(TextPane)
        await until(pilot, lambda: "nothing to compare" in str(pane.doc))
