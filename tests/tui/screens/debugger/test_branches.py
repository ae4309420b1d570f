"""The list of branches: what it shows, and what can be done from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from filelock import FileLock
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from convtui.analysis.compare.lineage import setting_changes
from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.link import ConversationLink
from convtui.errors import EngineError
from convtui.library.families import family_of, guides
from convtui.log.names import lock_path
from convtui.log.notes import Notes, TurnNote
from convtui.log.run_summary import RunSummary, summarise
from convtui.protocol import ContinueFrom, StartSpec
from convtui.transcript.fold import Flag, Turn
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.compare.screen import CompareScreen
from convtui.tui.screens.debugger.branches import Branches
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.branch_tree import (
    BranchesScreen,
    branch_changes,
    branch_row,
    state_of,
)
from convtui.tui.screens.dialogs.notes import NotesScreen
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.family import SCENARIO, branch, committed_turns, family, root
from tests.tui.harness.sample import header, until, write_log

SESSION = [
    {"type": "session.entered", "session": 1, "session_type": "intake", "duration": 0.1},
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "persona", "max_turns": 20},
]  # fmt: skip


def rows(screen: BranchesScreen) -> list[str]:
    listed = screen.query_one(OptionList)
    prompts = [listed.get_option_at_index(n).prompt for n in range(listed.option_count)]
    return [str(prompt) for prompt in prompts]


def text(screen: BranchesScreen, which: str) -> str:
    return str(screen.query_one(which, Static).content)


async def opened(pilot: Pilot[Any], app: ConvtuiApp, count: int) -> BranchesScreen:
    await pilot.press("L")
    await until(pilot, lambda: isinstance(app.screen, BranchesScreen))
    screen = app.screen
    assert isinstance(screen, BranchesScreen)
    await until(pilot, lambda: len(screen.rows) == count)
    return screen


# --- the family of a log


def test_the_family_of_a_log_is_the_same_from_every_member(tmp_path: Path) -> None:
    members = family(tmp_path)
    for path in members:
        root = family_of(path)
        assert root is not None
        assert [branch.run.path for _, branch in guides([root])] == list(members)
    assert family_of(tmp_path / "none.jsonl") is None


def test_a_family_may_lie_in_several_folders(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    first = root(tmp_path / "old" / "a.jsonl")
    root(tmp_path / "new" / "x.jsonl", run="stranger")
    second = branch(
        tmp_path / "new" / "b.jsonl", first, "root-run", run="b", kind="fork", at=2,
        texts=("Hm.",),
    )  # fmt: skip
    family = family_of(second)
    assert family is not None
    assert [node.run.path for _, node in guides([family])] == [first, second]


def test_what_is_different_in_a_branch(tmp_path: Path) -> None:
    first, second, third = family(tmp_path)
    assert setting_changes(first, second) == []
    assert setting_changes(second, third) == ["other limits"]
    assert branch_changes(first, second) == "the first difference: turn 1:2, provider: text"
    assert branch_changes(second, third) == (
        "other limits; continues after its parent's last turn, from 1:4 on"
    )
    assert branch_changes(first, tmp_path / "gone.jsonl").startswith("unknown: ")


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ({"ending": "completed"}, "completed"),
        ({"ending": "max_turns"}, "turn limit"),
        ({"ending": "failed"}, "! failed"),
        ({}, "! crashed"),
        ({"running": True}, "⋯ running"),
        ({"ending": "interrupted", "reason": "continued as 77"}, "left for another branch"),
        ({"ending": "interrupted", "reason": "stopped"}, "! interrupted"),
        ({"damaged": "empty"}, "! damaged"),
    ],
)
def test_how_a_branch_stands_is_said_in_words(run: dict[str, Any], text: str) -> None:
    assert state_of(RunSummary("a.jsonl", **run))[0] == text


def test_hostile_names_cannot_draw(tmp_path: Path) -> None:
    first = root(tmp_path / "a.jsonl")
    path = branch(
        tmp_path / "b.jsonl", first, "root-run", run="\x1b[31m", kind="[bold]\x1b]0;x\x07", at=2,
        texts=("x",), ended={"kind": "x\x1b", "by": "\x1b", "reason": "[red]\x1b[2J"},
    )  # fmt: skip
    family = family_of(path)
    assert family is not None
    shown = "".join(str(branch_row(guide, node)) for guide, node in guides([family]))
    assert "\x1b" not in shown and "[bold]" in shown


# --- on the screen


@pytest.mark.parametrize("size", [(120, 36), (60, 16)])
async def test_a_recording_lists_looks_and_compares(size: tuple[int, int], tmp_path: Path) -> None:
    first, second, third = family(tmp_path)
    app = ConvtuiApp(lambda app: app.runs.recording(second), state_file=tmp_path / "state.json")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        screen = await opened(pilot, app, 3)
        shown = rows(screen)
        assert shown[0].startswith("root the beginning · turn limit · 4 turns")
        assert shown[1].startswith("└─ bran rewind at 1:2 · turn limit · 3 turns  ◂ open here")
        assert shown[2].startswith("   └─ tree fork at 1:4 · turn limit · 4 turns")
        assert screen.selected is not None and screen.selected.run.path == second
        about = "changed: the first difference: turn 1:2, provider: text"
        await until(pilot, lambda: about in text(screen, "#branch-about"))
        for widget in screen.query("OptionList, #branch-about"):
            assert widget.region.height > 0 and widget.region.bottom <= size[1]
        await pilot.press("enter")
        assert "This branch is already open" in text(screen, "#branch-note")
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await until(pilot, lambda: len(app.screen_stack) == 2)
        top = app.screen
        assert isinstance(top, DebuggerScreen) and top.source.path == third
        await pilot.press("q")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        screen = await opened(pilot, app, 3)
        await pilot.press("k", "c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen))
        compare = app.screen
        assert isinstance(compare, CompareScreen)
        await until(pilot, lambda: compare.comparison is not None)
        assert compare.comparison is not None
        assert compare.comparison.kin_words().startswith("B is a branch of A (rewind at 1:2)")
    assert first.exists()


async def test_without_branches_it_says_how_one_is_made(tmp_path: Path) -> None:
    path = root(tmp_path / "a.jsonl")
    app = ConvtuiApp(lambda app: app.runs.recording(path), state_file=tmp_path / "state.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        screen = await opened(pilot, app, 1)
        note = text(screen, "#branch-note")
        assert note.startswith("No branches yet. `convtui debug --resume LOG` continues this one")
        assert "f continues after the selected turn in a new branch, w before it" in note
        assert text(screen, "#branch-about").splitlines()[0] == "the root"


class Live:
    """An app on a fake engine whose log is a branch of a family."""

    def __init__(self, folder: Path) -> None:
        self.first, self.second, self.third = family(folder)
        start = [
            header(id="live-run", scenario=SCENARIO, created_at="2026-03-02T10:00:00+00:00",
                   change={"kind": "fork", "session": 1, "turn": 2},
                   parents=[{"id": "root-run", "file": str(self.first), "seq": 3}]),
            *SESSION, *committed_turns("Hi.", "Good morning."),
        ]  # fmt: skip
        self.start = start
        path = write_log(folder / "d.jsonl", start, closed=False)
        self.lock = FileLock(str(lock_path(path)))
        self.lock.acquire()
        self.handle = FakeHandle(path)
        self.next = FakeHandle(self.second)
        self.continued: list[tuple[StartSpec, ContinueFrom]] = []
        self.refuse = ""
        spec = StartSpec(scenario=dict(SCENARIO), out_dir=str(folder))
        self.run = LiveRun(
            spec, make_handle=lambda: cast(EngineHandle, self.handle), continue_run=self._go_on
        )
        self.app = ConvtuiApp(
            lambda app: DebuggerScreen(app.keymap, LiveSource(self.run.handle), self.run),
            state_file=folder / "state.json",
        )
        self.app.runs.current = self.run

    async def _go_on(
        self, handle: ConversationLink, spec: StartSpec, parent: ContinueFrom
    ) -> EngineHandle:
        self.continued.append((spec, replace(parent)))
        if self.refuse:
            raise EngineError(self.refuse)
        self.handle.state = EngineState.CLOSED
        self.next.state = EngineState.RUNNING
        return cast(EngineHandle, self.next)

    @property
    def screen(self) -> DebuggerScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, DebuggerScreen))

    @property
    def moved(self) -> bool:
        return self.run.handle is cast(EngineHandle, self.next)

    @property
    def notices(self) -> str:
        return " ".join(note.message for note in self.app._notifications)

    async def begin(self, pilot: Pilot[Any]) -> BranchesScreen:
        await until(pilot, lambda: self.handle.state is EngineState.RUNNING)
        self.handle.tell(*self.start)
        self.handle.held(("go", "go on"))
        return await opened(pilot, self.app, 4)

    async def select(self, pilot: Pilot[Any], screen: BranchesScreen, path: Path) -> None:
        paths = [node.run.path for _, node in screen.rows]
        screen.query_one(OptionList).highlighted = paths.index(path)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(self.app.screen, Choose))


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    live_app = Live(tmp_path)
    yield live_app
    live_app.lock.release()


async def test_a_live_conversation_switches_to_a_branch(live: Live) -> None:
    async with live.app.run_test(size=(80, 24)) as pilot:
        screen = await live.begin(pilot)
        assert [line for line in rows(screen) if "◂ live here" in line] == [
            "└─ live fork at 1:2 · ⋯ not ended · 2 turns  ◂ live here"
        ]
        await live.select(pilot, screen, live.third)
        question = live.app.screen
        assert "the open one is closed and kept" in str(question.query_one(Static).content)
        await pilot.press("enter")
        await until(pilot, lambda: live.moved)
        ((spec, parent),) = live.continued
        assert (parent.kind, parent.log, parent.seq, parent.held) == (
            "go_on", str(live.third), None, True,
        )  # fmt: skip
        # That branch's own settings, not those of the one that was left.
        assert spec.scenario["limits"] == {"max_turns": 9}
        assert live.run.spec.scenario["limits"] == {"max_turns": 9}
        await until(pilot, lambda: not live.screen.conversation.busy_with)
        assert live.screen.source.path == live.second


async def test_a_switch_that_fails_leaves_everything_as_it_was(live: Live) -> None:
    live.refuse = "the provider cannot be set up"
    async with live.app.run_test(size=(80, 24)) as pilot:
        screen = await live.begin(pilot)
        await live.select(pilot, screen, live.first)
        await pilot.press("enter")
        await until(pilot, lambda: "the provider cannot be set up" in live.notices)
        assert not live.moved
        assert live.run.spec.scenario == SCENARIO


async def test_looking_at_a_branch_leaves_the_run_alone(live: Live) -> None:
    async with live.app.run_test(size=(80, 24)) as pilot:
        screen = await live.begin(pilot)
        await live.select(pilot, screen, live.second)
        await pilot.press("down", "enter")
        await until(pilot, lambda: len(live.app.screen_stack) == 2)
        assert cast(DebuggerScreen, live.app.screen).source.path == live.second
        await pilot.press("q")
        await until(pilot, lambda: len(live.app.screen_stack) == 1)
        assert live.app.runs.current is live.run, "the app still has to end it"
        assert not live.continued


async def test_a_running_branch_is_followed_not_gone_on_with(live: Live) -> None:
    lock = FileLock(str(lock_path(live.second)))
    data = live.second.read_bytes().splitlines(keepends=True)
    live.second.write_bytes(b"".join(data[:-3]))
    with lock:
        async with live.app.run_test(size=(80, 24)) as pilot:
            screen = await live.begin(pilot)
            assert any("rewind at 1:2 · ⋯ running" in line for line in rows(screen))
            await live.select(pilot, screen, live.second)
            listed = live.app.screen.query_one(OptionList)
            assert [listed.get_option_at_index(n).id for n in range(listed.option_count)] == [
                "look", "compare",
            ]  # fmt: skip
            await pilot.press("enter")
            await until(pilot, lambda: len(live.app.screen_stack) == 2)
            replay = cast(DebuggerScreen, live.app.screen).replay
            assert replay is not None
            await until(pilot, lambda: replay.running)


async def test_a_branch_cannot_bring_code_of_its_own(live: Live, tmp_path: Path) -> None:
    other = branch(
        tmp_path / "e.jsonl", live.first, "root-run", run="evil", kind="fork", at=2,
        texts=("x",), scenario={**SCENARIO, "provider": {"use": "/tmp/evil.py:Bot"}},
    )  # fmt: skip
    async with live.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: live.handle.state is EngineState.RUNNING)
        live.handle.tell(*live.start)
        screen = await opened(pilot, live.app, 5)
        await live.select(pilot, screen, other)
        await pilot.press("enter")
        await until(pilot, lambda: "This branch has another provider" in live.notices)
        assert not live.continued
        assert summarise(other).provider == "my_provider.py:Bot"


async def test_a_branch_shows_its_parents_marks_and_notes(tmp_path: Path) -> None:
    first, second, _ = family(tmp_path)
    Notes(first).note(1, 1, "here")
    app = ConvtuiApp(lambda app: app.runs.recording(second), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        screen = app.screen
        assert isinstance(screen, DebuggerScreen)

        def drawn() -> str:
            view = screen.view
            return "".join(view.render_line(y).text for y in range(view.size.height))

        await until(pilot, lambda: "⁋ note in root: here" in drawn())
        # It is found like one's own, and one's own stands beside it.
        await pilot.press("slash", *"~note", "enter")
        await until(pilot, lambda: screen.view.search_count == 1)
        await pilot.press("escape")
        await until(pilot, lambda: not screen.parts.search.text)
        await pilot.press("g", "m")
        await until(pilot, lambda: "⚑ marked · ⁋ note in root: here" in drawn())
        assert Notes(second).all() == {(1, 1): TurnNote(mark=True)}
        assert Notes(first).all() == {(1, 1): TurnNote(note="here")}
        await pilot.press("M")
        await until(pilot, lambda: isinstance(app.screen, NotesScreen))
        listed = str(app.screen.query_one(OptionList).get_option_at_index(0).prompt)
        assert "⚑ marked" in listed and "⁋ note in root: here" in listed


@pytest.mark.parametrize(("first", "flags", "can"), [(4, 0, True), (-1, Flag.SEEDED, True),
                                                     (-1, 0, False)])  # fmt: skip
def test_a_turn_of_the_parent_log_can_be_gone_back_to(first: int, flags: int, can: bool) -> None:
    turn = Turn(0, 1, 1, "persona", 1)
    turn.first, turn.flags = first, flags
    context: Any = SimpleNamespace(
        conversation=SimpleNamespace(run=object()), selected=lambda: turn
    )
    nothing: Any = None
    branches = Branches(context, nothing, attach=nothing, view_log=nothing, compare=nothing)
    rewind = next(row for row in branches.handlers() if row.action == "branch.rewind")
    assert bool(rewind.enabled()) is can
