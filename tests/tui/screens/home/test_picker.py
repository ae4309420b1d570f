"""Home: the choice, its check, and saved runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from textual.widgets import Input, Select, Static

from convtui.client.engine_client import EngineState
from convtui.config.settings import load_config
from convtui.errors import EngineError
from convtui.protocol import StartSpec
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.fleet.screen import FleetScreen
from convtui.tui.screens.home import choices
from convtui.tui.screens.home.picker import PickerScreen
from convtui.tui.screens.home.recent_runs import RecentRuns
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.sources.run import WarmEngine
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.run_list import RunList
from tests.builders.batches import BatchFolder, cell
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.hands import hands_of
from tests.tui.harness.sample import header, refund, until, write_log


class Picking(ConvtuiApp):
    """Starts nothing: keeps what would have been started."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.started: StartSpec | None = None
        self.warmed = False
        self.runs.start = self._start  # type: ignore[method-assign]
        self.runs.warm_up = self._warm_up  # type: ignore[method-assign]

    async def _start(self, spec: StartSpec, **_: object) -> None:
        self.started = spec

    def _warm_up(self) -> None:
        self.warmed = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    runs = tmp_path / "home" / "data" / "runs"
    runs.mkdir(parents=True)
    write_log(runs / "a.jsonl", refund())
    (runs / "b.jsonl").write_text("[b] not a log")
    (tmp_path / "bot.py").write_text("class Bot: ...\n")
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "kim.yaml").write_text("name: Kim\nscript: [hello]\n")
    (tmp_path / "personas" / "bad.yaml").write_text("name: [\n")
    return tmp_path


@pytest.fixture
def app(folder: Path) -> Picking:
    config = load_config(environ={"CONVTUI_HOME": str(folder / "home")}, cwd=folder)
    return Picking(lambda app: PickerScreen(app.keymap, cwd=folder), config=config)


def check(app: ConvtuiApp) -> str:
    if not app.screen.query("#check"):
        return ""
    return str(app.screen.query_one("#check", Static).content)


async def ready(app: ConvtuiApp, pilot: Any) -> None:
    await until(pilot, lambda: check(app).startswith("ready"))
    await until(pilot, lambda: any(listed.runs for listed in app.screen.query(RecentRuns)))


def test_personas_say_where_they_come_from(folder: Path) -> None:
    labels = {offer.label for offer in choices.personas(folder, None)}
    assert "kim.yaml  (scripted, ./personas)" in labels
    assert "bad.yaml  (cannot be read, ./personas)" in labels
    assert any("built in" in label for label in labels)
    assert "bot.py:Bot" in {offer.spec for offer in choices.providers(folder)}


async def test_enter_starts_and_is_remembered(app: Picking) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        app.screen.query_one("#sessions", Input).value = "intake, refund"
        assert app.warmed
        await pilot.press("enter")
        await until(pilot, lambda: app.started is not None)
        assert app.started is not None
        assert app.started.watched
        assert app.started.scenario["sessions"] == ["intake", "refund"]
        assert app.started.scenario["limits"]["max_turns"] == 20
        assert (await app.saved_state.recall())["picker"]["sessions"] == "intake, refund"


async def test_a_mistake_is_said_at_once_and_does_not_start(app: Picking) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        app.screen.query_one("#provider", Input).value = "gpt-4o"
        await until(pilot, lambda: check(app).startswith("not yet"))
        assert "openai/gpt-4o" in check(app)
        app.screen.query_one("#provider", Input).focus()
        await pilot.press("enter")
        assert app.started is None
        app.screen.query_one("#provider", Input).value = "none.py:Bot"
        await until(pilot, lambda: "no such file" in check(app))
        app.screen.query_one("#provider", Input).value = "demo"
        app.screen.query_one("#max_turns", Input).value = "many"
        await until(pilot, lambda: "whole number" in check(app))


async def test_a_persona_that_needs_a_model_says_so(app: Picking) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        app.screen.query_one("#persona", Select).value = "maya"
        await until(pilot, lambda: check(app).startswith(("not yet", "ready: Maya")))
        if check(app).startswith("not yet"):
            assert "model" in check(app)


async def test_saved_runs_are_listed_and_open(app: Picking) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        listed = app.screen.query_one(RecentRuns).list
        assert {run.state for run in listed.runs} == {"completed", "damaged"}
        listed.focus()
        listed.highlighted = [run.state for run in listed.runs].index("completed")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))
        listed.highlighted = [run.state for run in listed.runs].index("damaged")
        listed.focus()
        await pilot.press("enter")
        await until(pilot, lambda: app._notifications)
        assert isinstance(app.screen, PickerScreen)


async def test_saved_batches_are_listed_and_open(app: Picking, folder: Path) -> None:
    batch = BatchFolder(folder / "home" / "data" / "runs" / "20270304T05_refund", [cell("anna")])
    batch.run("anna.1")
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        listed = app.screen.query_one(RecentRuns).list
        await until(pilot, lambda: any(run.batch is not None for run in listed.runs))
        assert len(listed.runs) == 3
        listed.focus()
        listed.highlighted = next(n for n, run in enumerate(listed.runs) if run.batch is not None)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, FleetScreen))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))


async def test_the_list_of_runs_filters(app: Picking) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("O")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await until(pilot, lambda: app.screen.query(RunList))
        listed = app.screen.query_one(RunList)
        await until(pilot, lambda: len(listed.runs) == 2)
        await pilot.press("slash", *"maya", "enter")
        assert [run.persona for run in listed.runs] == ["maya"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))


class WarmHandle(FakeHandle):
    """A process that can be prepared."""

    pid: int | None = None

    async def prepare(self) -> None:
        if self.fails is not None:
            self.state = EngineState.FAILED
            raise self.fails
        self.pid = 1


@pytest.fixture
def handles(monkeypatch: pytest.MonkeyPatch) -> list[WarmHandle]:
    made: list[WarmHandle] = []

    def make(*, python: str | None = None) -> WarmHandle:
        made.append(WarmHandle())
        return made[-1]

    monkeypatch.setattr("convtui.client.engine_client.EngineHandle", make)
    return made


async def test_a_warm_engine_is_used_once(handles: list[WarmHandle]) -> None:
    warm = WarmEngine()
    warm.prepare()
    warm.prepare()
    assert await warm.take("/another/python") is None
    assert cast(object, await warm.take(None)) is handles[0]
    assert await warm.take(None) is None
    warm.prepare()
    await warm.close()
    assert [handle.killed for handle in handles] == [False, True]
    await warm.close()


async def test_an_engine_that_cannot_be_warmed_is_nobodys_business_yet(
    handles: list[WarmHandle],
) -> None:
    warm = WarmEngine()
    warm.prepare()
    handles[0].fails = EngineError("cannot start it")
    assert await warm.take(None) is None
    await warm.close()


async def test_branches_are_folded_below_their_root_and_opened_with_a_key(
    app: Picking, tmp_path: Path
) -> None:
    runs = tmp_path / "home" / "data" / "runs"
    for number, of in ((1, "sample"), (2, "c1")):
        more = {
            "id": f"c{number}",
            "persona": f"zoe{number}",
            "parents": [{"id": of, "file": "a.jsonl", "seq": 1, "sha256": ""}],
            "change": {"kind": "rewind", "session": 1, "turn": number},
        }
        write_log(runs / f"c{number}.jsonl", [header(**more), *refund()[1:]])
    async with app.run_test(size=(120, 24)) as pilot:
        await ready(app, pilot)
        await pilot.press("O")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await until(pilot, lambda: app.screen.query(RunList))
        listed = app.screen.query_one(RunList)

        def shown() -> list[str]:
            return [listed.row_text(n) for n in range(len(listed.runs))]

        await until(pilot, lambda: len(listed.runs) == 2)
        (root,) = [n for n, run in enumerate(listed.runs) if run.id == "sample"]
        assert "▸ maya" in shown()[root]
        assert "2 branches" in shown()[root]
        listed.highlighted = root
        await pilot.press("space")
        await until(pilot, lambda: len(listed.runs) == 4)
        assert [run.id for run in listed.runs[root : root + 3]] == ["sample", "c1", "c2"]
        assert "└─ zoe1" in shown()[root + 1]
        assert "rewind at 1:2" in shown()[root + 2]
        listed.highlighted = root + 2
        await pilot.press("space")
        await until(pilot, lambda: len(listed.runs) == 2)
        assert listed.highlighted == root
        await pilot.press("t")
        await until(pilot, lambda: len(listed.runs) == 4)
        await pilot.press("t")
        await until(pilot, lambda: len(listed.runs) == 2)
        # What is searched for is seen, with the way to it.
        await pilot.press("slash", *"zoe2", "enter")
        await until(pilot, lambda: [run.id for run in listed.runs] == ["sample", "c1", "c2"])


async def test_a_paste_into_a_field_starts_nothing(app: Picking) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        box = app.screen.query_one("#sessions", Input)
        box.focus()
        await until(pilot, lambda: box.has_focus)
        hands_of(app).burst()
        await pilot.press(*"intake", "tab", *"talk", "enter")
        assert box.value == "intake talk "
        assert box.has_focus
        assert app.started is None
        hands_of(app).rest()
        await pilot.press("enter")
        await until(pilot, lambda: app.started is not None)


async def test_the_footer_says_the_keys_of_an_open_list_and_of_a_field(app: Picking) -> None:
    def footer() -> dict[str, str]:
        return {item.key: item.label for item in app.screen.query_one(KeyBar).items}

    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        select = app.screen.query_one("#persona", Select)
        select.focus()
        await pilot.press("enter")
        await until(pilot, lambda: footer() == {"enter": "choose", "esc": "close the list"})
        await pilot.press("escape")
        await until(pilot, lambda: not select.expanded and "tab" in footer())
        app.screen.query_one("#provider", Input).focus()
        await until(pilot, lambda: "^q" in footer())
        await pilot.press("escape")
        notices = app.screen.query_one(NoticeLine)
        await until(pilot, lambda: "^q quits" in notices.render_line(0).text)
