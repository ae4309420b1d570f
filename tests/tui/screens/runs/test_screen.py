"""The list of runs on the screen: filter, order, tags, trash, preview, and many of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Input, OptionList, Static

from convtui.actions.registry import Keymap
from convtui.errors import FileError
from convtui.library.families import RunNode
from convtui.library.library import Library
from convtui.log.notes import Notes
from convtui.log.run_summary import RunSummary
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.dialogs.questions import Ask, Choose
from convtui.tui.screens.runs.preview import preview
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.run_list import ColumnHeader, RunList
from convtui.tui.widgets.text_pane import TextPane
from tests.tui.harness.hands import hands_of
from tests.tui.harness.sample import header, refund, session, turn, until, write_log


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs and a branch of one of them."""
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("convtui.tui.screens.runs.filter._DEBOUNCE", 0.01)
    runs = tmp_path / "home" / "data" / "runs"
    runs.mkdir(parents=True)
    write_log(runs / "a.jsonl", refund())
    plain = [turn(1, "persona", "Only words."), turn(2, "provider", "Indeed.")]
    head = header(id="b", persona="tom", created_at="2026-02-01T10:00:00+00:00")
    write_log(runs / "b.jsonl", [head, *session(1, "talk", plain)])
    parents = [{"id": "sample", "file": "a.jsonl", "seq": 1, "sha256": ""}]
    change = {"kind": "rewind", "session": 1, "turn": 2}
    child = header(id="c", persona="zoe", parents=parents, change=change)
    write_log(runs / "c.jsonl", [child, *refund()[1:]])
    return runs


def app_of(folder: Path, tmp_path: Path) -> ConvtuiApp:
    return ConvtuiApp(lambda app: RunsScreen(Keymap(), folder), state_file=tmp_path / "state.json")


def shown_text(app: ConvtuiApp, name: str) -> str:
    widget = app.screen.query_one(name, Static)
    return str(widget.content) if widget.display else ""


def frame_title(app: ConvtuiApp) -> str:
    return str(app.screen.query_one("#runs-list").border_title)


async def test_a_filter_is_asked_counted_and_explained(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: "3 runs" in frame_title(app))
        assert sorted(run.id for run in listed.runs) == ["b", "sample"]
        await pilot.press("slash", *"~discard & ~persona zoe")
        await until(pilot, lambda: "1 of 3 runs" in frame_title(app))
        # The branch was found, and the way to it.
        assert [run.id for run in listed.runs] == ["sample", "c"]
        await pilot.press(*" & ~sgnal", "enter")
        await until(pilot, lambda: "did you mean '~signal'" in shown_text(app, "#runs-error"))
        _, text, caret = shown_text(app, "#runs-error").splitlines()
        assert text[caret.index("^") :] == "~sgnal"
        assert [run.id for run in listed.runs] == ["sample", "c"]
        await pilot.press("escape")
        await until(pilot, lambda: len(listed.runs) == 2)
        assert not shown_text(app, "#runs-error")
        assert app.screen.focused is listed
        await pilot.press("slash", *"nobody")
        await until(pilot, lambda: "No run matches this filter" in shown_text(app, "#runs-empty"))
        assert not listed.display
        await pilot.press("escape")
        await until(pilot, lambda: listed.has_focus and len(listed.runs) == 2)
        assert app.return_value is None
        await pilot.press("escape")
        await until(
            pilot, lambda: any("Nothing to go back to" in n.message for n in app._notifications)
        )
        await pilot.press("q")
        await until(pilot, lambda: app.return_value is not None or app._exit)


async def test_runs_are_ordered_and_tagged(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = app.screen
        listed = screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 2)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        options = app.screen.query_one(OptionList)
        await until(pilot, lambda: options.highlighted == 0)
        options.highlighted = 1
        await pilot.press("enter")
        await until(pilot, lambda: [run.id for run in listed.runs] == ["b", "sample"])
        header = screen.query_one(ColumnHeader).render_line(0).text
        assert header.split()[:2] == ["when", "↑"]
        listed.highlighted = 1
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        app.screen.query_one(Input).value = "a#b"
        await pilot.press("enter")
        await until(pilot, lambda: "a tag has no #" in str(app.screen.query_one(Static).content))
        app.screen.query_one(Input).value = "odd one, later"
        await pilot.press("enter")
        await until(pilot, lambda: "#odd one #later" in listed.row_text(1))
        assert Notes(folder / "a.jsonl").tags() == ("odd one", "later")
        assert listed.highlighted == 1
        await pilot.press("slash", *"~tag odd")
        await until(pilot, lambda: [run.id for run in listed.runs] == ["sample"])


async def test_a_run_is_deleted_after_a_question_and_put_back(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    before = (folder / "a.jsonl").read_bytes()
    async with app.run_test(size=(80, 24)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 2)
        listed.highlighted = [run.id for run in listed.runs].index("sample")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert "c.jsonl goes on from a.jsonl" in str(app.screen.query_one(Static).content)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert (folder / "a.jsonl").exists()
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("down", "enter")
        await until(pilot, lambda: [run.id for run in listed.runs] == ["b"])
        assert sorted(path.name for path in folder.glob("*.jsonl")) == ["b.jsonl"]
        await pilot.press("u")
        await until(pilot, lambda: len(list(folder.glob("*.jsonl"))) == 2)
        await pilot.press("u")
        await until(pilot, lambda: sorted(run.id for run in listed.runs) == ["b", "sample"])
    assert (folder / "a.jsonl").read_bytes() == before


async def test_an_empty_folder_says_what_to_do_and_runs_come_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.tui.screens.runs.screen._REFRESH", 0.05)
    app = app_of(tmp_path / "runs", tmp_path)
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: "`convtui demo`" in shown_text(app, "#runs-empty"))
        (tmp_path / "runs").mkdir()
        write_log(tmp_path / "runs" / "a.jsonl", refund())
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: [run.id for run in listed.runs] == ["sample"])
        assert not shown_text(app, "#runs-empty")


class _Listing(App[None]):
    """A list of many runs and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = 0

    def compose(self) -> ComposeResult:
        owner = self

        class Counting(RunList):
            def spans_at(self, place: int) -> Any:
                owner.drawn += 1
                return super().spans_at(place)

        yield Counting()


async def test_of_ten_thousand_runs_only_those_on_the_screen_are_drawn() -> None:
    app = _Listing()
    branches = [
        RunNode(RunSummary(f"/runs/{n}.jsonl", id=f"r{n}", persona=f"p{n}", provider="demo"))
        for n in range(10_000)
    ]
    async with app.run_test(size=(80, 24)) as pilot:
        listed = app.query_one(RunList)
        listed.focus()
        listed.show_rows([("", branch) for branch in branches], frozenset())
        await pilot.press("end")
        await until(pilot, lambda: listed.scroll_y == 10_000 - 24)
        assert listed.highlighted == 9_999
        await pilot.press("home", "pagedown", "down", "k", "up")
        assert listed.highlighted == 23
        assert app.drawn < 1000
        await pilot.click(RunList, offset=(5, 3))
        await until(pilot, lambda: listed.highlighted == round(listed.scroll_y) + 3)
        # Fewer rows: what was selected is kept where it still is.
        chosen = listed.runs[listed.highlighted or 0]
        listed.show_rows([("", branch) for branch in branches[:50]], frozenset())
        assert listed.runs[listed.highlighted or 0] is chosen
        listed.show_rows([], frozenset())
        assert listed.branch is None


def test_the_preview_tells_what_happened(folder: Path) -> None:
    notes = Notes(folder / "a.jsonl")
    notes.note(2, 1, "why twice?\x1b[31m")
    notes.tag("odd")
    library = Library(folder)
    (run,) = (run for run in library.runs(turns=True) if run.id == "sample")
    text = str(preview(run, library.turns(run)))
    for expected in (
        "maya -> my_provider.py:Bot",
        "a.jsonl",
        "completed by simulator: the script is over",
        "#odd",
        "[[ERROR]] x1",
        "1 discarded",
        "1 intake  3 turns, completed by simulator",
        "2:1 ",
        "why twice?",
        "1:1 persona  Hi, my ferry was cancelled and nobody told me.",
        "turns ...",
    ):
        assert expected in text
    assert "\x1b" not in text
    damaged = RunSummary("/x/bad.jsonl", damaged="empty", modified=datetime.now(UTC).timestamp())
    assert "empty" in str(preview(damaged, None))
    assert "no such log" in str(preview(run, None, "no such log"))


async def test_the_preview_follows_the_selection(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        pane = app.screen.query_one(TextPane)
        await until(pilot, lambda: len(listed.runs) == 2)
        listed.highlighted = [run.id for run in listed.runs].index("b")
        await until(pilot, lambda: "Only words." in str(pane.doc))
        listed.highlighted = [run.id for run in listed.runs].index("sample")
        await until(pilot, lambda: "my ferry was cancelled" in str(pane.doc))
        await pilot.press("i")
        await until(pilot, lambda: not pane.display)


async def test_a_paste_into_the_filter_deletes_nothing(folder: Path, tmp_path: Path) -> None:
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "3 runs" in frame_title(app))
        await pilot.press("slash")
        hands_of(app).burst()
        await pilot.press(*"zoe", "enter", *"d", "enter", "tab", *"T")
        box = app.screen.query_one(Input)
        assert box.value == "zoe d  T"
        assert box.has_focus
        assert isinstance(app.screen, RunsScreen)
        hands_of(app).rest()
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query_one(RunList).has_focus)


async def test_tags_that_cannot_be_written_can_be_tried_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tag, full = Notes.tag, [True]

    def write(notes: Notes, name: str, on: bool) -> None:
        if full:
            raise FileError("the disk is full")
        tag(notes, name, on)

    monkeypatch.setattr(Notes, "tag", write)
    app = app_of(folder, tmp_path)
    async with app.run_test(size=(120, 36)) as pilot:
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 2)
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        first = app.screen
        await pilot.press(*"odd", "enter")
        await until(pilot, lambda: isinstance(app.screen, Ask) and app.screen is not first)
        assert app.screen.query_one(Input).value == "odd"
        full.clear()
        await pilot.press("enter")
        await until(pilot, lambda: any("odd" in run.tags for run in listed.runs))
