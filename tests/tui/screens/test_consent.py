"""Asking before anything of somebody else's is run: logs in the debugger, settings of a folder."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.handover import continue_live
from convtui.config.settings import load_config
from convtui.errors import EngineError, UsageError
from convtui.log.reader import open_log
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from convtui.trust.rules import Question
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.consent import Consent
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from tests.builders.waiting import WITHIN, when
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import refund, until, write_log

SIZES = [(120, 36), (80, 24), (60, 16)]
QUESTION = Question(
    "/downloads/evil\x1b[31m.jsonl",
    "it was written under another account, or changed since it was written",
    [
        "run the code of /downloads/evil.py (Bot), the provider",
        "start the program python3 -c 'import os' (in /downloads), with the variables TOKEN",
        "send the provider's calls to http://evil.example/v1, with OPENAI_API_KEY",
        *(f"run the code of /downloads/tool{number}.py (run), a tool" for number in range(12)),
        "call the tool server http://evil.example/mcp, with the headers Authorization",
    ],
    ["key-1", "key-2"],
)


class Asking(FakeHandle):
    """An engine that refuses to start until what it asks is agreed to."""

    def __init__(self, log: Path) -> None:
        super().__init__(log)
        self.starts = 0

    async def start(self, spec: StartSpec, *, wait: bool = True) -> None:
        if set(QUESTION.items) <= set(spec.vouched):
            await super().start(spec, wait=wait)
            return
        self.starts += 1
        self.state = EngineState.FAILED
        self.error = {"type": "ConsentNeeded", "message": QUESTION.text,
                      "consent": QUESTION.as_dict()}  # fmt: skip
        raise EngineError(QUESTION.text, self.error)


class Live:
    """A debugger on such an engine; with `below` on top of another screen."""

    def __init__(self, folder: Path, *, below: bool = False) -> None:
        self.log = write_log(folder / "a.jsonl", refund())
        self.made: list[Asking] = []
        spec = StartSpec(
            scenario={"persona": {"name": "maya"}},
            out_dir=str(folder),
            continue_from=ContinueFrom(str(self.log)),
        )
        self.run = LiveRun(spec, make_handle=self._handle)
        self.below = below
        self.app = ConvtuiApp(self._first, state_file=folder / "state.json")
        self.app.runs.current = self.run

    def _handle(self) -> EngineHandle:
        self.made.append(Asking(self.log))
        return cast(EngineHandle, self.made[-1])

    def debugger(self) -> DebuggerScreen:
        return DebuggerScreen(self.app.keymap, LiveSource(self.run.handle), self.run)

    def _first(self, app: ConvtuiApp) -> Any:
        return app.runs.recording(self.log) if self.below else self.debuggers(app)

    def debuggers(self, app: ConvtuiApp) -> DebuggerScreen:
        return DebuggerScreen(app.keymap, LiveSource(self.run.handle), self.run)


async def consent_asked(pilot: Pilot[Any], app: ConvtuiApp) -> Consent:
    """The question, as it stands on the screen."""
    await until(pilot, lambda: isinstance(app.screen, Consent) and app.screen.query(OptionList))
    await pilot.pause()
    return cast(Consent, app.screen)


@pytest.mark.parametrize("size", SIZES)
async def test_the_question_can_be_read_and_answered(size: tuple[int, int], tmp_path: Path) -> None:
    live = Live(tmp_path)
    async with live.app.run_test(size=size) as pilot:
        screen = await consent_asked(pilot, live.app)
        text = "\n".join(str(line.content) for line in screen.query(Static))
        assert QUESTION.why in text and "\x1b" not in text
        assert all(f"- {line}" in text for line in QUESTION.would)
        answers = screen.query_one(OptionList)
        assert answers.highlighted == 0 and answers.get_option_at_index(0).id == "no"
        for widget in (answers, screen.query_one("#consent-rows")):
            assert screen.region.contains_region(widget.region)
        assert answers.region.height >= 2
        rows = screen.query_one("#consent-rows")
        for _ in range(12):
            await pilot.press("pagedown")
        assert rows.scroll_offset.y == rows.max_scroll_y, "all of it can be read"
        await pilot.press("down", "enter")
        await until(pilot, lambda: live.run.handle.state is EngineState.RUNNING)
        assert live.run.spec.vouched == QUESTION.items
        assert [handle.starts for handle in live.made] == [1, 0]


@pytest.mark.parametrize("keys", [("enter",), ("escape",)])
async def test_no_is_the_first_answer_and_ends_with_bad_usage(
    keys: tuple[str, ...], tmp_path: Path
) -> None:
    live = Live(tmp_path)
    async with live.app.run_test(size=(80, 24)) as pilot:
        await consent_asked(pilot, live.app)
        await pilot.press(*keys)
        await until(pilot, lambda: live.app.failed_with is not None)
    assert isinstance(live.app.failed_with, UsageError)
    assert live.app.failed_with.exit_code == 2
    assert len(live.made) == 1 and not live.run.spec.vouched


async def test_no_leads_back_to_the_screen_below(tmp_path: Path) -> None:
    live = Live(tmp_path, below=True)
    async with live.app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        below = live.app.screen
        live.app.push_screen(live.debuggers(live.app))
        await consent_asked(pilot, live.app)
        await pilot.press("escape")
        await until(pilot, lambda: live.app.screen is below)
        assert live.app.failed_with is None and live.app.runs.last_failure == ""


# --- with engines


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[EngineHandle]:
    """A conversation of this user's own, held before its second turn is said."""
    (tmp_path / "bot.py").write_text(
        "open(__file__ + '.marker', 'a').write('x')\n\ndef bot(messages):\n    return 'noted'\n"
    )
    scenario = Scenario.from_data(
        {"persona": {"name": "Maya", "script": ["one", "two"]}, "provider": "bot.py:bot"},
        base=tmp_path,
    )
    handle = EngineHandle()
    spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(tmp_path / "runs"), wire="off",
                     watched=True, paused=True)  # fmt: skip
    await asyncio.wait_for(handle.start(spec), WITHIN)
    await when(handle, lambda: handle.hold is not None)
    yield handle
    handle.kill()
    await asyncio.wait_for(handle.wait(), WITHIN)


def resuming(log: Path, folder: Path, **fields: Any) -> StartSpec:
    """How `debug --resume LOG` starts."""
    with open_log(log) as opened:
        scenario = opened.transcript.header["scenario"]
    return StartSpec(
        scenario=scenario, out_dir=str(folder / "more"), wire="off", watched=True, paused=True,
        continue_from=ContinueFrom(str(log)), **fields,
    )  # fmt: skip


def changed(log: Path, **scenario: Any) -> Path:
    """A copy of a log whose header says something else."""
    first, _, rest = log.read_text().partition("\n")
    header = json.loads(first)
    header["scenario"].update(scenario)
    copy = log.with_name("changed.jsonl")
    copy.write_text(json.dumps(header) + "\n" + rest)
    return copy


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals")
async def test_a_live_session_is_never_asked(own: EngineHandle, tmp_path: Path) -> None:
    assert own.spec is not None and own.log_path is not None
    (tmp_path / "bot.py").write_text((tmp_path / "bot.py").read_text() + "# edited\n")
    for kind in ("reload", "rewind"):
        parent = ContinueFrom(str(own.log_path), seq=2, kind=kind, held=True)
        child = await asyncio.wait_for(continue_live(own, own.spec, parent), WITHIN)
        await child.close()
        # Also without a seal: what the session was started with is the user's.
        changed(own.log_path).rename(own.log_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals")
async def test_a_branch_that_names_another_host_asks(own: EngineHandle, tmp_path: Path) -> None:
    assert own.spec is not None and own.log_path is not None
    evil = {"use": f"{tmp_path / 'bot.py'}:bot", "params": {"api_base": "http://evil.example"}}
    log = changed(own.log_path, provider=evil)
    with open_log(log) as opened:
        scenario = opened.transcript.header["scenario"]
    spec = StartSpec.from_dict({**own.spec.as_dict(), "scenario": scenario})
    parent = ContinueFrom(str(log), kind="go_on", held=True)
    (tmp_path / "bot.py.marker").unlink()
    with pytest.raises(EngineError) as caught:
        await asyncio.wait_for(continue_live(own, spec, parent), WITHIN)
    assert caught.value.error["consent"]["would"] == [
        "send the provider's calls to http://evil.example"
    ]
    assert not (tmp_path / "bot.py.marker").exists()
    assert not own.over, "nothing has changed"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals")
async def test_a_log_of_somebody_elses_in_the_debugger(own: EngineHandle, tmp_path: Path) -> None:
    assert own.log_path is not None
    await own.close()
    marker = tmp_path / "bot.py.marker"
    marker.unlink()
    log = changed(own.log_path, name="altered")
    app = ConvtuiApp(lambda app: app.runs.debugger(resuming(log, tmp_path)))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await consent_asked(pilot, app)
        text = "\n".join(str(line.content) for line in screen.query(Static))
        assert f"run the code of {tmp_path / 'bot.py'}" in text
        assert not marker.exists()
        await pilot.press("down", "enter")
        run = app.runs.current
        assert run is not None
        await until(pilot, lambda: run.handle.hold is not None)
        assert marker.exists()


# --- the settings of a folder


@pytest.fixture
def cloned(tmp_path: Path) -> Path:
    """A folder with settings that nobody has trusted."""
    work = tmp_path / "work"
    work.mkdir()
    (work / "convtui.toml").write_text('api_base = "http://evil.example"\nspeed = 2\n')
    return work


def opened(folder: Path) -> ConvtuiApp:
    """An app that was started there, on a recording."""
    log = write_log(folder.parent / "a.jsonl", refund())
    config = load_config({}, {"CONVTUI_HOME": str(folder.parent / "home")}, folder)
    return ConvtuiApp(lambda app: app.runs.recording(log), config=config)


@pytest.mark.parametrize("size", SIZES)
async def test_a_folder_is_asked_about_once(size: tuple[int, int], cloned: Path) -> None:
    app = opened(cloned)
    async with app.run_test(size=size) as pilot:
        screen = await consent_asked(pilot, app)
        text = "\n".join(str(line.content) for line in screen.query(Static))
        assert '- api_base = "http://evil.example"' in text
        assert "speed" not in text
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Consent))
        assert app.config is not None and app.config.api_base is None
    again = opened(cloned)
    async with again.run_test(size=size) as pilot:
        await until(pilot, lambda: isinstance(again.screen, DebuggerScreen))
        await pilot.pause()
        assert not isinstance(again.screen, Consent)
    (cloned / "convtui.toml").write_text('api_base = "http://worse.example"\n')
    changed_since = opened(cloned)
    async with changed_since.run_test(size=size) as pilot:
        await consent_asked(pilot, changed_since)
        await pilot.press("down", "enter")
        await until(
            pilot,
            lambda: (
                changed_since.config is not None
                and changed_since.config.api_base == "http://worse.example"
            ),
        )
    assert opened(cloned).config.untrusted is None  # type: ignore[union-attr]
