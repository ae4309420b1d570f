"""Pictures of the screens: three sizes, the themes, and every state that one has to recognise.

`pytest --snapshot-update` takes them again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, TextArea

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.config.settings import Config, load_config
from convtui.log.reader import open_log
from convtui.protocol import StartSpec
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.debugger.status_feed import StatusFeed
from convtui.tui.screens.dialogs.provider_error import ErrorPane
from convtui.tui.screens.dialogs.questions import Edit
from convtui.tui.screens.help import HelpScreen
from convtui.tui.screens.home.picker import PickerScreen
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from convtui.tui.widgets.inspector.inspector import Inspector
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import header, refund, turn, until, write_log

Compare = Callable[..., bool]
Before = Callable[[Pilot[Any]], Awaitable[None]]
WIDE, USUAL, SMALL = (120, 36), (80, 24), (60, 16)


def settings(folder: Path, theme: str = "dark") -> Config:
    return load_config({"theme": theme}, {"CONVTUI_HOME": str(folder / "home")}, folder)


async def still(pilot: Pilot[Any]) -> None:
    """Nothing blinks, and everything that was asked for has been drawn."""
    for screen in pilot.app.screen_stack:
        for widget in screen.query("Input, TextArea").results():
            if isinstance(widget, Input | TextArea):
                widget.cursor_blink = False
    # Rows of a turn that the log has to be read for come a moment after its first line: the
    # screen is done when nothing is being read and a few looks at it find the same.
    before, same = "", 0
    for _ in range(500):
        await pilot.pause(0.01)
        now = drawn(pilot.app)
        done = all(map(read, pilot.app.screen_stack))
        same = same + 1 if done and now == before else 0
        before = now
        if same == 8:
            return
    raise AssertionError("the screen did not come to rest")


def drawn(app: App[Any]) -> str:
    """What is on the screen."""
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in lines)


def read(screen: Screen[Any]) -> bool:
    """Whether nothing that a screen shows has yet to be read from its log."""
    if not isinstance(screen, DebuggerScreen):
        return True
    return not screen.parts.feed.reading


def loaded(screen: DebuggerScreen) -> bool:
    replay = screen.replay
    read = replay is not None and not replay.loading and not replay.running
    return read and bool(screen.query(Inspector)) and inspected(screen)


def inspected(screen: DebuggerScreen) -> bool:
    """Whether the inspector, when it is to be seen, shows what the log says."""
    detail = screen.query_one(Inspector)._detail
    return not screen.inspecting or (detail is not None and bool(detail.records))


@pytest.fixture
def replayed(tmp_path: Path) -> Callable[..., tuple[ConvtuiApp, Before]]:
    """An app on a recording, and what brings it to its discarded turn."""
    log = write_log(tmp_path / "a.jsonl", refund())

    def make(*keys: str, theme: str = "dark") -> tuple[ConvtuiApp, Before]:
        app = ConvtuiApp(
            lambda app: app.runs.recording(log, at=(2, 2)), config=settings(tmp_path, theme)
        )

        async def before(pilot: Pilot[Any]) -> None:
            screen = cast(DebuggerScreen, app.screen)
            await until(pilot, lambda: loaded(screen) and screen.view.cursor == 4)
            await pilot.press(*keys)
            await until(pilot, lambda: loaded(screen))
            await still(pilot)

        return app, before

    return make


@pytest.mark.parametrize("size", [WIDE, USUAL, SMALL], ids=["wide", "usual", "small"])
def test_a_discarded_turn(
    size: tuple[int, int], replayed: Callable[..., Any], snap_compare: Compare
) -> None:
    app, before = replayed()
    assert snap_compare(app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("theme", ["light", "mono", "high-contrast"])
def test_themes(theme: str, replayed: Callable[..., Any], snap_compare: Compare) -> None:
    app, before = replayed("down", "2", theme=theme)
    assert snap_compare(app, terminal_size=WIDE, run_before=before)


def test_the_inspector_alone(replayed: Callable[..., Any], snap_compare: Compare) -> None:
    app, before = replayed("enter")
    assert snap_compare(app, terminal_size=USUAL, run_before=before)


def test_help(replayed: Callable[..., Any], snap_compare: Compare) -> None:
    app, before = replayed()

    async def opened(pilot: Pilot[Any]) -> None:
        await before(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await still(pilot)

    assert snap_compare(app, terminal_size=WIDE, run_before=opened)


class Held:
    """An app on a fake engine that holds."""

    def __init__(self, folder: Path) -> None:
        records = [
            header(),
            {"type": "session.started", "session": 1, "session_type": "intake",
             "first_speaker": "persona", "max_turns": 20},
            *turn(1, "persona", "Hello, where is my refund?"),
            *turn(2, "provider", "Let me look.", raw="<think>where?</think>Let me look.")[:-1],
        ]  # fmt: skip
        log = write_log(folder / "a.jsonl", records, closed=False)
        with open_log(log) as opened:
            self.transcript = opened.transcript
        self.handle = FakeHandle(log)
        spec = StartSpec(
            scenario={"persona": {"name": "maya"}, "provider": {"use": "bot.py:Bot"}},
            out_dir=str(folder),
        )
        self.run = LiveRun(spec, make_handle=lambda: cast(EngineHandle, self.handle))
        (folder / "state.json").write_text('{"hinted": true}')
        self.app = ConvtuiApp(
            lambda app: DebuggerScreen(app.keymap, LiveSource(self.run.handle), self.run),
            state_file=folder / "state.json",
        )
        self.app.runs.current = self.run

    @property
    def screen(self) -> DebuggerScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, DebuggerScreen))

    async def hold(self, pilot: Pilot[Any], reason: str = "step", **more: Any) -> None:
        await until(pilot, lambda: self.handle.state is EngineState.RUNNING)
        self.handle.transcript = self.transcript
        self.handle.held(
            ("go", "go on"), ("edit", "edit"), ("again", "ask again"), reason=reason,
            drafts=[{"field": "raw", "label": "raw reply", "text": "<think>where?</think>Let"}],
            **more,
        )  # fmt: skip
        await until(pilot, lambda: inspected(self.screen))
        await still(pilot)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(StatusFeed, "now", lambda _: 31.0)
    return Held(tmp_path)


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_held(size: tuple[int, int], live: Held, snap_compare: Compare) -> None:
    assert snap_compare(live.app, terminal_size=size, run_before=live.hold)


def test_your_turn(live: Held, snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await live.hold(pilot, "human", stage="request")
        await until(pilot, lambda: live.screen.take_over_input.has_focus)
        await still(pilot)

    assert snap_compare(live.app, terminal_size=USUAL, run_before=before)


def test_a_draft(live: Held, snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await live.hold(pilot)
        live.handle.held(
            ("say", "say it"), ("draft", "have a draft made"), ("simulate", "let it speak"),
            ("stop", "stop by hand"), ("abstain", "abstain by hand"), ("hand_back", "hand back"),
            reason="human", stage="request", side="persona", hold=7,
            drafts=[{"field": "text", "label": "x", "text": "Where is it?", "draft": True}],
        )  # fmt: skip
        await until(pilot, lambda: live.screen.take_over_input.has_focus)
        await still(pilot)

    assert snap_compare(live.app, terminal_size=USUAL, run_before=before)


BRIEF = {"name": "maya", "responder": {"instructions": "Order 17.", "max_followups": 5}}
WRONG = "responder called responder_stop after a decision was already recorded"


def decided(number: int) -> list[dict[str, Any]]:
    """The records of a turn that was decided wrongly, and then by hand."""
    records = turn(number, "persona", "Order 17, the 9:40 from Holyhead.")
    for record in records:
        if record["type"].startswith("llm."):
            record["side"] = "responder"
    at = {"session": 1, "turn": number, "side": "responder", "followup": 1, "max_followups": 5}
    calls = [
        {"tool": "responder_reply", "arguments": {"answer": "Order 17."}},
        {"tool": "responder_stop", "arguments": {}, "error": WRONG},
    ]
    return [
        *records[:3],
        {"type": "user.decided", **at, "kind": "error", "tool": "responder_stop", "valid": False,
         "reason": WRONG, "calls": calls, "latency": 0.52},
        {"type": "user.decided", **at, "kind": "reply", "by": "human",
         "arguments": {"answer": "Order 17, the 9:40 from Holyhead."}},
        *records[3:],
    ]  # fmt: skip


def gave_up(number: int) -> list[dict[str, Any]]:
    """The records of a turn in which the responder abstains, and of the session's end."""
    reason = "the brief does not say whether Maya wants her money back or another crossing"
    at = {"session": 1, "turn": number}
    return [
        {"type": "turn.started", **at, "side": "persona", "speaker": "persona"},
        {"type": "user.decided", **at, "side": "responder", "kind": "abstain", "followup": 2,
         "tool": "responder_abstain", "arguments": {"reason": reason}, "reason": reason,
         "max_followups": 5},
        {"type": "session.ended", "session": 1, "session_type": "intake", "turns": 4,
         "termination": {"kind": "abstained", "by": "responder", "reason": reason, "at_turn": 4}},
    ]  # fmt: skip


@pytest.mark.parametrize("size", [WIDE, USUAL, SMALL], ids=["wide", "usual", "small"])
def test_decisions(size: tuple[int, int], tmp_path: Path, snap_compare: Compare) -> None:
    log = write_log(tmp_path / "a.jsonl", [
        header(scenario={"persona": BRIEF}),
        {"type": "session.started", "session": 1, "session_type": "intake",
         "first_speaker": "persona", "max_turns": 20},
        *turn(1, "persona", "Hello, where is my refund?"),
        *turn(2, "provider", "Which order is it?"),
        *decided(3),
        *turn(4, "provider", "Money, or another crossing?"),
        *gave_up(5),
    ])  # fmt: skip
    app = ConvtuiApp(lambda app: app.runs.recording(log, at=(1, 3)), config=settings(tmp_path))

    async def before(pilot: Pilot[Any]) -> None:
        screen = cast(DebuggerScreen, app.screen)
        await until(pilot, lambda: loaded(screen) and screen.view.cursor == 2)
        if size != SMALL:
            await pilot.press("d")
        await until(pilot, lambda: loaded(screen))
        await still(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)


def test_editing(live: Held, snap_compare: Compare) -> None:
    async def before(pilot: Pilot[Any]) -> None:
        await live.hold(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(live.app.screen, Edit))
        await still(pilot)

    assert snap_compare(live.app, terminal_size=USUAL, run_before=before)


def test_an_error_of_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snap_compare: Compare
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "bot.py"
    file.write_text("import os\n\n\ndef bot(messages):\n    return message[-1]\n")
    error = {
        "type": "NameError", "message": "name 'message' is not defined",
        "location": [str(file), 5], "frames": ["bot.py:5 in bot", "    return message[-1]"],
    }  # fmt: skip

    async def attempt() -> None:
        """Never tried."""

    app = ConvtuiApp(
        lambda _: ErrorPane("bot.py:bot cannot be set up", error=lambda: error, attempt=attempt)
    )

    async def before(pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: app.screen.query("#error-source"))
        source = app.screen.query_one("#error-source")
        await until(pilot, lambda: "message[-1]" in str(source.render()))
        await still(pilot)

    assert snap_compare(app, terminal_size=USUAL, run_before=before)


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_home_without_any_run(size: tuple[int, int], tmp_path: Path, snap_compare: Compare) -> None:
    app = ConvtuiApp(lambda app: PickerScreen(app.keymap, cwd=tmp_path), config=settings(tmp_path))
    app.runs.warm_up = lambda: None  # type: ignore[method-assign]

    async def before(pilot: Pilot[Any]) -> None:
        screen = cast(PickerScreen, app.screen)
        await until(pilot, lambda: screen._ready)
        await until(pilot, lambda: "None yet" in str(screen.query_one("#no-runs").render()))
        await until(pilot, lambda: "ready" in str(screen.query_one("#check").render()))
        await still(pilot)

    assert snap_compare(app, terminal_size=size, run_before=before)
