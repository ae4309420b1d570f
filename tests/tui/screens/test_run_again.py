"""The library one key away, and a run again: nothing of somebody else's is run unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import OptionList

from convtui.client.engine_client import EngineState
from convtui.config.settings import Config, load_config
from convtui.errors import UsageError
from convtui.protocol import StartSpec
from convtui.scenario.merge import merge_flags
from convtui.trust.rules import make_seal
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.consent import Consent
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.sources.start import again_spec
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.run_list import RunList
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, refund, until, write_log


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    config = load_config(environ={"CONVTUI_HOME": str(tmp_path / "home")}, cwd=tmp_path)
    config.runs_dir.mkdir(parents=True)
    return config


def log_of(config: Config, provider: str, *, sealed: bool = False) -> Path:
    """A saved run of a provider, by this account if it is `sealed`."""
    flags = {"persona": "maya", "provider": provider, "max_turns": 7}
    scenario = merge_flags(None, flags, cwd=config.runs_dir)
    head: dict[str, Any] = header(scenario=scenario.public())
    if sealed:
        head["seal"] = make_seal(head)
    return write_log(config.runs_dir / "a.jsonl", [head, *refund()[1:]])


class Starting(ConvtuiApp):
    """Keeps what would have been started."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.started: StartSpec | None = None
        self.runs.start = self._start  # type: ignore[method-assign]

    async def _start(self, spec: StartSpec, **_: Any) -> None:
        self.started = spec


def test_a_run_again_is_a_new_conversation_of_the_same_scenario(config: Config) -> None:
    spec, notes, question = again_spec(log_of(config, "demo"), config)
    assert (notes, question) == ([], None), "the demo names nothing that has to be asked about"
    assert spec.continue_from is None
    assert spec.scenario["limits"]["max_turns"] == 7
    assert spec.out_dir == str(config.runs_dir)


def test_code_that_only_the_log_names_is_asked_for(config: Config) -> None:
    (config.runs_dir / "evil.py").write_text("class Bot: ...\n")
    _, _, question = again_spec(log_of(config, "evil.py:Bot"), config)
    assert question is not None
    assert any("evil.py" in line for line in question.would)
    _, _, question = again_spec(log_of(config, "evil.py:Bot", sealed=True), config)
    assert question is None, "this user has named it before"


def test_a_log_without_a_scenario_says_so(config: Config) -> None:
    log = write_log(config.runs_dir / "a.jsonl", [header(scenario=None), *refund()[1:]])
    with pytest.raises(UsageError, match="does not say which scenario"):
        again_spec(log, config)
    (config.runs_dir / "b.jsonl").write_text("no log")
    with pytest.raises(UsageError, match=r"b\.jsonl cannot be read"):
        again_spec(config.runs_dir / "b.jsonl", config)


@pytest.mark.parametrize("agrees", [False, True])
async def test_a_foreign_run_starts_again_only_with_a_yes(config: Config, agrees: bool) -> None:
    (config.runs_dir / "evil.py").write_text("class Bot: ...\n")
    log_of(config, "evil.py:Bot")
    app = Starting(lambda app: RunsScreen(app.keymap, config.runs_dir), config=config)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.screen.query_one(RunList).runs)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: isinstance(app.screen, Consent))
        app.screen.query_one(OptionList).highlighted = int(agrees)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.pause()
        assert (app.started is not None) is agrees


async def test_the_library_over_a_live_run_leaves_it_alive(tmp_path: Path) -> None:
    live = LiveApp(tmp_path, refund()[:9], {})
    async with live.app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: live.handle.state is EngineState.RUNNING)
        run = live.app.runs.current
        await pilot.press("O")
        await until(pilot, lambda: isinstance(live.app.screen, RunsScreen))
        with pytest.raises(UsageError, match="still live"):
            await live.app.runs.start(StartSpec(scenario={}, out_dir=str(tmp_path)))
        await pilot.press("q")
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        assert live.app.runs.current is run
        assert not live.handle.killed


async def test_an_ended_run_offers_both_and_starts_its_own_scenario_again(tmp_path: Path) -> None:
    live = LiveApp(tmp_path, refund()[:9], {"name": "mine"})
    started: list[StartSpec] = []

    async def start(spec: StartSpec, **_: Any) -> None:
        started.append(spec)

    live.app.runs.start = start  # type: ignore[method-assign]
    async with live.app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: live.handle.state is EngineState.RUNNING)
        await pilot.press("ctrl+n")
        assert not started, "not while it is live"
        live.handle.state = EngineState.CLOSED
        live.handle.notify()
        await until(pilot, lambda: live.screen.conversation.over)
        await until(
            pilot,
            lambda: (
                {("O", "library"), ("^n", "run again")}
                <= {(item.key, item.label) for item in live.screen.query_one(KeyBar).items}
            ),
        )
        await pilot.press("ctrl+n")
        await until(pilot, lambda: started)
        assert started[0].scenario == {"name": "mine"}
        assert started[0].continue_from is None


async def test_from_a_recording_the_library_is_one_step_back(config: Config) -> None:
    log = log_of(config, "demo")
    app = ConvtuiApp(lambda app: RunsScreen(app.keymap, config.runs_dir), config=config)
    async with app.run_test(size=(100, 30)) as pilot:
        app.push_screen(app.runs.recording(log))
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await pilot.press("O")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert len(app.screen_stack) == 1
