"""The debugger on an engine (a fake one: real ones have tests of their own)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from textual.widgets import Input, OptionList, Static

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.client.link import ConversationLink
from convtui.errors import EngineError
from convtui.protocol import ContinueFrom, StartSpec
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.breakpoints import BreakpointsScreen
from convtui.tui.screens.dialogs.provider_error import ErrorPane
from convtui.tui.screens.dialogs.questions import Ask, Choose, Edit
from convtui.tui.sources.run import LiveRun
from convtui.tui.sources.source import LiveSource
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.safe_area import SafeTextArea
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.hands import SLOWLY, hands_of
from tests.tui.harness.sample import header, turn, until, write_log

OPENING = [
    header(),
    {"type": "session.entered", "session": 1, "session_type": "intake", "duration": 0.1},
    {"type": "session.started", "session": 1, "session_type": "intake",
     "first_speaker": "persona", "max_turns": 20},
    *turn(1, "persona", "Hello there."),
    *turn(2, "provider", "Good day."),
]  # fmt: skip


class Live:
    """An app on a fake engine."""

    def __init__(self, folder: Path) -> None:
        log = write_log(folder / "a.jsonl", OPENING, closed=False)
        self.handle = FakeHandle(log)
        self.next = FakeHandle(log)
        self.continued: list[ContinueFrom] = []
        self.refuse_continuation = ""
        spec = StartSpec(
            scenario={"persona": {"name": "maya"}, "provider": {"use": "bot.py:Bot"},
                      "source": {"base": str(folder)}},
            out_dir=str(folder),
        )  # fmt: skip
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
        self.continued.append(replace(parent))
        if self.refuse_continuation:
            raise EngineError(self.refuse_continuation)
        self.handle.state = EngineState.CLOSED
        self.next.state = EngineState.RUNNING
        return cast(EngineHandle, self.next)

    @property
    def screen(self) -> DebuggerScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, DebuggerScreen))

    def footer(self) -> list[str]:
        return [item.label for item in self.screen.query_one(KeyBar).items]

    async def begin(self, pilot: Any) -> None:
        await until(pilot, lambda: self.handle.state is EngineState.RUNNING)
        self.handle.tell(*OPENING)
        await until(pilot, lambda: self.screen.view.shown_items == 2)


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path)


CHOICES = (("go", "go on"), ("edit", "edit"), ("again", "ask again"))
DRAFTS = [{"field": "raw", "label": "raw reply", "text": "Good day."}]


async def test_space_pauses_and_runs(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        await until(pilot, lambda: "pause" in live.footer())
        await pilot.press("space")
        assert live.handle.orders[-1][0] == "pause"
        live.handle.held(*CHOICES)
        await until(pilot, lambda: live.footer()[:2] == ["run", "turn"])
        await pilot.press("space")
        assert live.handle.orders[-1][0] == "run"


async def test_enter_is_the_first_choice_and_letters_are_the_others(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES)
        await until(pilot, lambda: live.screen.hold_bar.display)
        await pilot.press("2")
        assert live.screen.inspector.tab == "Raw"
        assert not live.handle.orders
        await pilot.press("a")
        assert live.handle.orders[-1] == ("release", {"choice": "again", "edits": {}})
        await until(pilot, lambda: not live.screen.hold_bar.display)
        live.handle.held(*CHOICES)
        await pilot.press("enter")
        assert live.handle.orders[-1][1]["choice"] == "go"
        await pilot.press("3")
        assert live.screen.inspector.tab == "Diff"


async def test_keys_say_what_to_press_first(live: Live) -> None:
    async with live.app.run_test(size=(120, 26), notifications=True) as pilot:
        await live.begin(pilot)
        live.screen.perform("hold.edit")
        live.screen.perform("hold.override")
        await until(
            pilot, lambda: any("space pauses" in n.message for n in live.app._notifications)
        )
        live.handle.held(*CHOICES)
        await pilot.press("o")
        await until(
            pilot, lambda: any("not possible here" in n.message for n in live.app._notifications)
        )


async def test_editing_what_is_held(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES, drafts=DRAFTS)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(live.app.screen, Edit))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        assert not [order for order in live.handle.orders if order[0] == "release"]
        await pilot.press("e")
        await until(pilot, lambda: isinstance(live.app.screen, Edit))
        live.app.screen.query_one(SafeTextArea).text = "\x1b[31mBad day."
        await pilot.press("ctrl+s")
        await until(pilot, lambda: live.handle.orders and live.handle.orders[-1][0] == "release")
        assert live.handle.orders[-1][1] == {
            "choice": "edit", "edits": {"raw": "\x1b[31mBad day."}
        }  # fmt: skip


async def test_taking_over(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        await pilot.press("t")
        assert live.handle.orders[-1] == ("take_over", {"side": "persona"})
        says = (("say", "say it"), ("simulate", "let the simulator speak"))
        live.handle.held(*says, reason="human", stage="response")
        box = live.screen.take_over_input
        await until(pilot, lambda: box.has_focus)
        assert not live.screen.hold_bar.display
        await pilot.press(*"hi", "ctrl+j", *"you", "escape")
        assert not box.has_focus
        assert box.text == "hi\nyou"
        await pilot.press("enter")
        await until(pilot, lambda: box.has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: live.handle.orders[-1][0] == "release")
        assert live.handle.orders[-1][1] == {"choice": "say", "edits": {"text": "hi\nyou"}}
        await until(pilot, lambda: box.text == "")
        live.handle.held(*says, reason="human", stage="response")
        await until(pilot, lambda: box.has_focus and box.my_turn)
        count = len(live.handle.orders)
        hands_of(live.app).gap = 0.1
        box._sent_at = box._clock()
        await pilot.press("enter")
        assert len(live.handle.orders) == count
        hands_of(live.app).gap = SLOWLY
        await pilot.press("enter")
        await until(pilot, lambda: live.handle.orders[-1][1].get("choice") == "simulate")
        live.handle.held(*says, reason="human", stage="response")
        await until(pilot, lambda: box.has_focus)
        await pilot.press("up")
        assert box.text == "hi\nyou"


async def test_quitting_asks(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(live.app.screen, Choose))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        assert not live.handle.over
        await pilot.press("ctrl+c", "ctrl+c")
        await until(pilot, lambda: isinstance(live.app.screen, Choose))
        await until(pilot, lambda: live.app.screen.query(OptionList).first().has_focus)
        await pilot.press("enter")
        await until(pilot, lambda: live.app.return_value is not None)
    assert live.handle.over


async def test_killing_takes_two_presses_and_enter_goes_on(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        await pilot.press("K")
        assert not live.handle.killed
        await pilot.press("K")
        await until(pilot, lambda: live.footer()[0] == "continue from the log")
        await pilot.press("enter")
        await until(pilot, lambda: live.run.handle is cast(EngineHandle, live.next))
        assert live.continued[-1].kind == "restart"
        live.next.tell(*OPENING)
        await until(pilot, lambda: live.screen.transcript is live.next.transcript)
        await until(pilot, lambda: live.screen.view.shown_items == 2)


async def test_reload_that_fails_changes_nothing(live: Live, tmp_path: Path) -> None:
    file = tmp_path / "bot.py"
    file.write_text("import nothing\n")
    live.refuse_continuation = f"{file}: cannot be imported\n{file}:1 in <module>: import nothing"
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(live.app.screen, ErrorPane))
        pane = live.app.screen
        assert isinstance(pane, ErrorPane)
        assert pane.watched == [file]
        await pilot.press("enter")
        await until(pilot, lambda: pane.tries == 1)
        live.refuse_continuation = ""
        count = len(live.continued)

        def saved() -> bool:
            # Saved until it is seen: the watch begins a moment after the pane.
            if len(live.continued) == count:
                file.write_text(file.read_text() + "#\n")
            return isinstance(live.app.screen, DebuggerScreen)

        await until(pilot, saved)
        assert live.continued[-1].held
        assert live.run.handle is cast(EngineHandle, live.next)
        # A save or a key that comes while the pane is going away tries nothing more.
        count = len(live.continued)
        await pane._try("saved: trying again")
        pane.action_back()
        assert len(live.continued) == count


async def test_a_failed_reload_can_be_left(live: Live) -> None:
    live.refuse_continuation = "no"
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(live.app.screen, ErrorPane))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        assert live.screen.conversation.hold is not None


async def test_a_provider_that_cannot_be_set_up(live: Live) -> None:
    live.handle.fails = EngineError("bot.py: cannot be imported")
    async with live.app.run_test(size=(120, 26)) as pilot:
        await until(pilot, lambda: isinstance(live.app.screen, ErrorPane))
        live.handle = FakeHandle(live.handle.log_path)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(live.app.screen, DebuggerScreen))
        await live.begin(pilot)


async def test_leaving_a_run_that_never_started(live: Live) -> None:
    live.handle.fails = EngineError("no")
    async with live.app.run_test(size=(120, 26)) as pilot:
        await until(pilot, lambda: isinstance(live.app.screen, ErrorPane))
        await pilot.press("escape")
        await until(pilot, lambda: live.app.return_value is not None)
    assert live.app.return_value == 3


async def test_after_going_back_the_branch_is_followed(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES)
        await pilot.press("g")
        assert not live.screen.view.follow
        await pilot.press("j", "k", "w", "w")
        await until(pilot, lambda: live.continued)
        await until(pilot, lambda: live.screen.view.follow)


@pytest.mark.parametrize("key", ["enter", "o", "n", "s", "c", "space"])
async def test_whoever_goes_on_sees_what_comes(live: Live, key: str) -> None:
    choices = (("go", "let it end"), ("override", "override"))
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*choices, reason="ending", stage="terminate")
        live.handle.refuse = "not now"
        await pilot.press("g", key)
        assert live.handle.orders
        assert not live.screen.view.follow
        live.handle.refuse = ""
        await pilot.press(key)
        await until(pilot, lambda: live.screen.view.follow)
        assert live.screen.view.cursor == 1


async def test_rewinding_takes_two_presses(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES)
        await pilot.press("w")
        assert not live.continued
        await pilot.press("w")
        await until(pilot, lambda: live.continued)
        assert live.continued[-1].kind == "rewind"
        # Turn 2 begins with record 9: the last one that counts is the one before.
        assert live.continued[-1].seq == 8


async def test_a_fork_keeps_the_selected_turn(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES)
        await pilot.press("g", "f")
        assert not live.continued
        await pilot.press("f")
        await until(pilot, lambda: live.continued)
        assert live.continued[-1].kind == "fork"
        # Turn 1 ends with record 8: the first that does not count begins turn 2.
        assert live.continued[-1].seq == 8


async def test_breakpoints(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        await pilot.press("b")
        assert live.handle.orders[-1][1]["expression"] == "~turn = 2"
        await until(pilot, lambda: "◉ breakpoint 1" in live.screen.view.render_line(0).text
                    + "".join(live.screen.view.render_line(y).text for y in range(12)))  # fmt: skip
        await pilot.press("b")
        assert live.handle.orders[-1][0] == "break_remove"
        await pilot.press("B")
        await until(pilot, lambda: isinstance(live.app.screen, BreakpointsScreen))
        live.handle.refuse = "expected a filter"
        live.app.screen.query_one(Input).value = "~"
        await pilot.press("enter")
        await until(pilot, lambda: live.app.screen.query_one("#break-error").display)
        live.handle.refuse = ""
        live.app.screen.query_one(Input).value = "~discard"
        await pilot.press("enter")
        await until(pilot, lambda: live.app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("shift+tab", "space")
        assert live.handle.orders[-1] == ("break_enable", {"breakpoint": 2, "enabled": False})
        listed = live.app.screen.query_one(OptionList)
        await until(pilot, lambda: "[ ] 2  ~discard" in str(listed.get_option_at_index(0).prompt))
        await pilot.press("o")
        await until(pilot, lambda: "(once)" in str(listed.get_option_at_index(0).prompt))
        await pilot.press("e")
        line = live.app.screen.query_one(Input)
        await until(pilot, lambda: line.has_focus and line.value == "off, once: ~discard")
        line.value = "skip 2: ~end"
        await pilot.press("enter")
        await until(
            pilot, lambda: "~end  (passed 0 of 2)" in str(listed.get_option_at_index(0).prompt)
        )
        assert listed.option_count == 1
        assert "stops when the session ends" in str(listed.get_option_at_index(0).prompt)
        asked = live.app.screen.query_one("#break-error")
        await pilot.press("d")
        await until(pilot, lambda: asked.display)
        assert listed.option_count == 1, "a second press is asked for"
        await pilot.press("d")
        await until(pilot, lambda: listed.option_count == 0)


async def test_cancelling_a_blocked_call_says_what_works(live: Live) -> None:
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.silent_for = 3.0
        await pilot.press("x")
        await until(pilot, lambda: any("K kills it" in n.message for n in live.app._notifications))
        assert not live.handle.orders


async def test_hostile_text_is_only_text(live: Live) -> None:
    bad = "\x1b]52;c;AAAA\x07[/] [b [$error] [@click=app.quit]x[/]\u202e"
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(
            ("go", bad), ("edit", bad), reason="error", detail=bad,
            error={"type": bad, "message": bad, "frames": [bad]},
        )  # fmt: skip
        await until(pilot, lambda: live.screen.hold_bar.display)
        live.screen.tell(bad)
        await pilot.pause()
        drawn = "".join(
            segment.text for strip in live.app.screen._compositor.render_strips()
            for segment in strip
        )  # fmt: skip
        assert "[@click=app.quit]" in drawn
        assert not any(char in drawn for char in "\x1b\x07\u202e")


async def test_a_change_of_the_providers_code_is_announced(live: Live, tmp_path: Path) -> None:
    file, other = tmp_path / "bot.py", tmp_path / "helpers.py"
    file.write_text("import helpers\n")
    other.write_text("\n")
    live.handle.transcript.header["provider"] = {"modules": [str(other)]}
    notices: list[str] = []
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        assert live.run.provider_files == [file, other]
        live.app.notify = lambda message, **more: notices.append(str(message))  # type: ignore[method-assign]

        def saved() -> bool:
            # Saved until it is seen: the watch begins a moment after the engine is up.
            if not notices:
                other.write_text(other.read_text() + "#\n")
            return bool(notices)

        await until(pilot, saved)
    assert notices[0] == "helpers.py changed: R reloads it."


async def test_an_edit_is_taken_back_with_a_key(live: Live) -> None:
    undo = ("undo", "undo the edit of the raw reply")
    notices: list[str] = []
    async with live.app.run_test(size=(120, 26)) as pilot:
        await live.begin(pilot)
        live.handle.held(*CHOICES, drafts=DRAFTS)
        await until(pilot, lambda: live.screen.hold_bar.display)
        live.app.notify = lambda message, **more: notices.append(str(message))  # type: ignore[method-assign]
        await pilot.press("u")
        await until(pilot, lambda: any("Nothing to undo" in line for line in notices))
        live.handle.held(*CHOICES, undo, drafts=DRAFTS)
        choices = live.screen.hold_bar.query_one("#hold-choices")
        await until(pilot, lambda: "u undo the edit" in str(choices.render()))
        await pilot.press("u")
        await until(pilot, lambda: live.handle.orders[-1][0] == "release")
        assert live.handle.orders[-1][1]["choice"] == "undo"
        await until(pilot, lambda: notices[-1] == "Undone: the edit of the raw reply.")
        live.handle.held(*CHOICES, drafts=DRAFTS)
        live.screen.perform("hold.ask_again_with")
        await until(pilot, lambda: isinstance(live.app.screen, Ask))
        await pilot.press(*"temperature=2 n=x y", "enter")
        hint = live.app.screen.query_one(Static)
        await until(pilot, lambda: "y: write key=value" in str(hint.content))
        await pilot.press("backspace", "backspace", "enter")
        await until(pilot, lambda: live.handle.orders[-1][1]["choice"] == "again")
        assert live.handle.orders[-1][1]["edits"] == {"params": {"temperature": 2, "n": "x"}}
