"""Typing: nothing that happens meanwhile makes commands of text, or loses it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.widgets import Input, Static, TextArea

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.errors import CommandRefused, FileError
from convtui.log.notes import Notes
from convtui.transcript.fold import Transcript
from convtui.tui.keyboard.typed_keys import KeyClock
from convtui.tui.keyboard.typing_guard import BURST_GAP
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.breakpoints import BreakpointsScreen
from convtui.tui.screens.dialogs.commands import Commands
from convtui.tui.screens.dialogs.notes import NotesScreen
from convtui.tui.screens.dialogs.questions import DROPS, Ask, Choose, Edit
from convtui.tui.screens.warm.form import BuildForm, BuildOptions
from convtui.tui.textual_compat import read_alt_enter
from convtui.tui.widgets.takeover import NOT_YET, SEVERAL_LINES
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import header, until
from tests.tui.harness.taken import OPENING, SAYS, Taken


@pytest.fixture
def taken(tmp_path: Path) -> Taken:
    return Taken(tmp_path)


async def take_over(taken: Taken, pilot: Any) -> None:
    """The human speaks for the persona, and it is not the human's turn."""
    await taken.begin(pilot)
    taken.handle.tell({"type": "debug.took_over", "side": "persona"})
    await until(pilot, lambda: taken.box.has_focus)


# --- writing ahead


async def test_what_is_typed_while_the_other_side_speaks_waits_for_its_turn(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press(*"Hi there")
        assert taken.box.text == "Hi there"
        assert "send" not in taken.footer()
        await pilot.press("enter")
        assert str(taken.box.border_subtitle) == NOT_YET
        assert not taken.handle.orders
        assert taken.box.text == "Hi there"
        await taken.turn(pilot)
        assert taken.box.text == "Hi there"
        assert str(taken.box.border_subtitle) != NOT_YET
        await pilot.press("enter")
        await until(pilot, lambda: taken.handle.orders)
        assert taken.last == ("release", {"choice": "say", "edits": {"text": "Hi there"}})


async def test_an_empty_enter_before_ones_turn_does_nothing(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press("enter", "enter")
        await taken.turn(pilot)
        assert not taken.handle.orders


async def test_an_enter_that_is_held_lets_nobody_speak(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press(*"hi")
        taken.hands.gap = 0.035  # a keyboard's repetition
        await pilot.press(*["enter"] * 20)
        await taken.turn(pilot)
        taken.box._focused_at = float("-inf")
        await pilot.press(*["enter"] * 20)
        choices = [arguments["choice"] for order, arguments in taken.handle.orders]
        assert choices == ["say"]


async def test_the_input_is_there_before_the_engine_is(tmp_path: Path) -> None:
    taken = Taken(tmp_path)
    assert taken.app.runs.current is not None
    persona = {"name": "Ida", "simulator": "human"}
    taken.app.runs.current.spec.scenario["persona"] = persona
    waits = asyncio.Event()
    start = taken.handle.start

    async def slowly(*arguments: Any, **named: Any) -> None:
        await waits.wait()
        await start(*arguments, **named)

    taken.handle.start = slowly  # type: ignore[method-assign]
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await until(pilot, lambda: taken.box.has_focus)
        await pilot.press(*"hello")
        waits.set()
        await until(pilot, lambda: taken.handle.state is EngineState.RUNNING)
        taken.handle.tell(*OPENING)
        await pilot.press(*" Rob")
        assert taken.box.text == "hello Rob"
        assert not taken.handle.orders


def test_the_fold_knows_for_whom_a_human_speaks() -> None:
    def taken_over(*records: dict[str, Any]) -> set[str]:
        transcript = Transcript()
        for seq, record in enumerate(records):
            transcript.apply({"seq": seq, "t": 0.0, **record})
        return transcript.taken_over

    human = {"scenario": {"persona": {"name": "Ida", "simulator": "human"}}}
    seeded = {"type": "history.seeded", "turns": [], "sessions": [], "ended": []}
    assert taken_over(header()) == set()
    assert taken_over({**header(), **human}) == {"persona"}
    assert taken_over(header(), {**seeded, "counters": {"taken_over": ["provider"]}}) == {
        "provider"
    }
    assert taken_over(header(), {**seeded, "counters": {}}) == set()
    assert taken_over({**header(), "scenario": {"persona": ["human"]}}) == set()


async def test_t_hands_back_outside_of_the_input_only(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press(*"wait")
        assert not taken.handle.orders
        await pilot.press("escape", "t")
        await until(pilot, lambda: taken.last == ("hand_back", {"side": "persona"}))
        assert taken.box.text == "wait"


# --- what happens meanwhile


def _error_hold(taken: Taken) -> None:
    taken.handle.held(("retry", "ask again"), ("end", "end it"), reason="error")


def _other_hold(taken: Taken) -> None:
    taken.handle.held(("go", "go on"), reason="pause")


def _hold_gone(taken: Taken) -> None:
    taken.handle.hold = None
    taken.handle.state = EngineState.RUNNING
    taken.handle.notify()


def _ended(taken: Taken) -> None:
    taken.handle.state, taken.handle.hold = EngineState.CLOSED, None
    taken.handle.tell({"type": "conversation.ended", "termination": {"kind": "max_turns"}})


def _died(taken: Taken) -> None:
    taken.handle.kill()


def _other_side_starts(taken: Taken) -> None:
    taken.handle.tell({"type": "turn.started", "session": 1, "turn": 3, "speaker": "provider"})


def _told(taken: Taken) -> None:
    taken.screen.tell("A file has changed.")


def _theme(taken: Taken) -> None:
    taken.screen.restyle()
    taken.app.refresh_css(animate=False)


def _another_engine(taken: Taken) -> None:
    run = taken.app.runs.current
    assert run is not None
    taken.handle = FakeHandle(taken.handle.log_path)
    run.handle = cast(EngineHandle, taken.handle)
    taken.handle.state = EngineState.RUNNING
    taken.screen.attach(run)


def _another_engine_tells(taken: Taken) -> None:
    _another_engine(taken)
    counters = {"counters": {"taken_over": ["persona"]}, "turns": [], "sessions": [], "ended": []}
    taken.handle.tell(OPENING[0], {"type": "history.seeded", **counters})


def _tab(taken: Taken) -> None:
    taken.screen.inspector.next_tab(1)
    taken.screen.show_inspector(False)


MEANWHILE = [
    _error_hold, _other_hold, _hold_gone, _ended, _died, _other_side_starts, _told, _theme,
    _another_engine, _another_engine_tells, _tab,
]  # fmt: skip


async def take_over_again(taken: Taken, pilot: Any) -> None:
    """The beginning once more, on another engine: nothing is left of what happened before."""
    _another_engine(taken)
    taken.box.text = ""
    taken.handle.tell(*OPENING, {"type": "debug.took_over", "side": "persona"})
    await until(pilot, lambda: taken.box.has_focus and taken.screen.view.shown_items == 2)


@pytest.mark.parametrize("mine", [True, False])
async def test_whatever_happens_what_is_typed_is_text(taken: Taken, mine: bool) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        for happens, before in itertools.product(MEANWHILE, ("ab", "")):
            await take_over_again(taken, pilot)
            if mine:
                await taken.turn(pilot)
            await pilot.press(*before)
            happens(taken)
            await pilot.pause()
            await pilot.press(*"RHi", "1")
            what = f"{happens.__name__} after {before!r}"
            assert taken.box.has_focus, what
            assert taken.box.display, what
            assert taken.box.text == f"{before}RHi1", what
            assert not taken.handle.orders, what
            assert isinstance(taken.app.screen, DebuggerScreen), what


@pytest.mark.parametrize("size", [(80, 24), (60, 16), (120, 40), (30, 8)])
async def test_another_size_keeps_text_and_focus(taken: Taken, size: tuple[int, int]) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press(*"ab")
        taken.hands.gap = 0.1
        await pilot.resize_terminal(*size)
        await pilot.pause()
        await pilot.press(*"RH")
        await pilot.resize_terminal(120, 26)
        await until(pilot, lambda: taken.app.screen is taken.screen)
        assert taken.box.text == "abRH"
        assert taken.box.has_focus
        assert not taken.handle.orders


async def test_a_terminal_that_had_lost_the_focus_gives_it_back(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press(*"ab")
        taken.app.post_message(events.AppBlur())
        await until(pilot, lambda: not taken.box.has_focus)
        await pilot.press("R")
        assert taken.box.text == "abR"
        assert taken.box.has_focus
        assert not taken.handle.orders


async def test_text_goes_on_below_a_screen_that_comes_over_it(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        taken.hands.gap = 0.1
        await pilot.press(*"ab")
        dialog = Choose("whatever?", [("x", "the first answer")])
        answers: list[str | None] = []
        taken.app.push_screen(dialog, answers.append)
        await until(pilot, lambda: taken.app.screen is dialog)
        await pilot.press(*"cd", "enter")
        assert taken.box.text == "abcd"
        assert not answers
        taken.hands.gap = 1.0
        await pilot.press("enter")
        await until(pilot, lambda: answers == ["x"])
        assert taken.box.has_focus


async def test_letters_after_a_lost_focus_bring_it_back(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        taken.hands.gap = 0.1
        await pilot.press(*"ab")
        taken.screen.view.focus()
        await until(pilot, lambda: not taken.box.has_focus)
        await pilot.press(*"Rw")
        await until(pilot, lambda: taken.box.has_focus)
        assert taken.box.text == "abRw"
        assert not taken.handle.orders


async def test_a_key_right_after_text_is_no_command(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        taken.hands.gap = 0.1
        await pilot.press(*"ab", "escape", "H")
        assert not taken.handle.orders
        assert "Keys ignored" in taken.notices()
        taken.hands.gap = 1.0
        await pilot.press("H")
        await until(pilot, lambda: taken.last[0] == "approve_tools")
        assert taken.box.text == "ab"


async def test_keys_of_another_hold_are_behind_escape(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        _other_hold(taken)
        await until(pilot, lambda: taken.screen.hold_bar.display)
        choices = taken.screen.query_one("#hold-choices")
        assert str(choices.render()).startswith("esc first, then:   enter go on")
        await pilot.press("escape")
        await until(pilot, lambda: str(choices.render()).startswith("enter go on"))
        await pilot.press("enter")
        await until(pilot, lambda: taken.last[0] == "release")


# --- what does not take the keys


async def test_ones_turn_does_not_take_the_keys_from_commands(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press("escape")
        taken.hands.gap = 0.1
        await pilot.press("k")
        taken.hands.hurried = True
        taken.handle.held(*SAYS, reason="human", stage="request", side="persona", hold=9)
        await until(pilot, lambda: taken.box.my_turn)
        assert not taken.box.has_focus
        await pilot.press("k")
        assert taken.box.text == ""
        # Nobody presses anything for a while.
        taken.hands.rest()
        taken.screen.repaint()
        await until(pilot, lambda: taken.box.has_focus)


async def test_ones_turn_does_not_take_the_keys_from_a_search(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press("escape", "/", *"ferr")
        taken.handle.held(*SAYS, reason="human", stage="request", side="persona", hold=9)
        await until(pilot, lambda: taken.box.my_turn)
        await pilot.press("y")
        assert taken.screen.query_one("#search", Input).value == "ferry"
        assert taken.box.text == ""


async def test_enter_just_after_the_focus_has_come_sends_nothing(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press(*"half a", "escape")
        taken.handle.held(*SAYS, reason="human", stage="request", side="persona", hold=9)
        await until(pilot, lambda: taken.box.has_focus)
        taken.hands.gap = 0.1
        taken.box._focused_at = taken.hands.now()
        await pilot.press("enter")
        assert not taken.handle.orders


async def test_a_draft_does_not_take_the_place_of_what_is_being_written(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: taken.title == "drafting for the persona")
        await pilot.press(*"my own")
        await taken.turn(pilot, "Its draft.", draft=True)
        assert taken.box.text == "my own"
        assert "press up for it" in taken.notices()
        await pilot.press("up")
        assert taken.box.text == "Its draft."
        await pilot.press("down")
        assert taken.box.text == "my own"


# --- what is not taken


async def test_a_refused_text_comes_before_what_was_typed_since(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        answer = asyncio.Event()

        async def refused(choice: str, edits: dict[str, Any] | None = None) -> dict[str, Any]:
            await answer.wait()
            raise CommandRefused("the engine has ended")

        taken.handle.release = refused  # type: ignore[method-assign]
        await pilot.press(*"hello", "enter")
        assert taken.box.text == ""
        # The screen lives while the engine has not answered.
        await pilot.press(*"and", "left")
        answer.set()
        await until(pilot, lambda: taken.box.text == "hello\nand")
        await pilot.press("x")
        assert taken.box.text == "hello\nanxd"


async def test_a_text_that_comes_too_late_comes_back(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press(*"hello")
        # The hold has gone, and the screen has not been drawn since.
        taken.handle.hold = None
        await pilot.press("enter")
        await until(pilot, lambda: taken.box.text == "hello")


async def test_a_text_that_comes_during_a_reload_comes_back(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        taken.screen.conversation.busy_with = "reloading the provider"
        await pilot.press(*"hello", "enter")
        await until(pilot, lambda: "Not now" in taken.notices())
        assert taken.box.text == "hello"


async def test_an_edit_that_is_refused_can_be_tried_again(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        draft = {"field": "raw", "label": "the raw reply", "text": "Hm."}
        taken.handle.held(("go", "go on"), ("edit", "edit it"), drafts=[draft])
        await pilot.press("e")
        await until(pilot, lambda: isinstance(taken.app.screen, Edit))
        taken.handle.refuse = "the engine is busy"
        await pilot.press(*" No.", "ctrl+s")
        await until(pilot, lambda: len(taken.handle.orders) == 1)
        await until(pilot, lambda: isinstance(taken.app.screen, Edit))
        assert taken.app.screen.query_one(TextArea).text == "Hm. No."
        taken.handle.refuse = ""
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(taken.handle.orders) == 2)
        assert taken.last == ("release", {"choice": "edit", "edits": {"raw": "Hm. No."}})


async def test_an_edit_of_what_has_gone_on_is_not_lost(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        draft = {"field": "raw", "label": "the raw reply", "text": "Hm."}
        taken.handle.held(("go", "go on"), ("edit", "edit it"), drafts=[draft])
        await pilot.press("e")
        await until(pilot, lambda: isinstance(taken.app.screen, Edit))
        await pilot.press(*"No. ")
        _hold_gone(taken)
        await pilot.press("ctrl+s")
        assert isinstance(taken.app.screen, Edit)
        assert "the conversation has moved on" in str(
            taken.app.screen.query("Static").first().render()
        )
        await pilot.press("escape")
        assert isinstance(taken.app.screen, Edit)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(taken.app.screen, DebuggerScreen))
        assert not taken.handle.orders


async def test_a_note_that_cannot_be_written_can_be_tried_again(
    taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, full = Notes.note, [True]

    def write(notes: Notes, session: int, turn: int, text: str) -> None:
        if full:
            raise FileError("the disk is full")
        note(notes, session, turn, text)

    monkeypatch.setattr(Notes, "note", write)
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press(";")
        await until(pilot, lambda: isinstance(taken.app.screen, Ask))
        first = taken.app.screen
        await pilot.press(*"odd", "enter")
        await until(
            pilot, lambda: isinstance(taken.app.screen, Ask) and taken.app.screen is not first
        )
        assert "the disk is full" in taken.notices()
        assert taken.app.screen.query_one(Input).value == "odd"
        full.clear()
        await pilot.press("enter")
        await until(pilot, lambda: "Note saved" in taken.notices())


async def test_escape_asks_twice_where_a_line_would_be_lost(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        for typed, presses in (("", 1), ("odd", 2)):
            await pilot.press(";")
            await until(pilot, lambda: isinstance(taken.app.screen, Ask))
            await pilot.press(*typed, *["escape"] * (presses - 1))
            assert isinstance(taken.app.screen, Ask)
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(taken.app.screen, DebuggerScreen))


async def test_escape_asks_twice_where_a_breakpoint_would_be_lost(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(taken.app.screen, BreakpointsScreen))
        screen = taken.app.screen
        await pilot.press(*"~end", "escape")
        assert taken.app.screen is screen
        assert DROPS in str(screen.query_one("#break-error", Static).render())
        # What is written after the warning is warned of again.
        await pilot.press("x", "escape")
        assert taken.app.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(taken.app.screen, DebuggerScreen))


async def test_escape_asks_twice_where_a_form_would_be_lost(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        form = BuildForm("all saved runs", lambda name: None)
        answers: list[BuildOptions | None] = []
        taken.app.push_screen(form, answers.append)
        await until(pilot, lambda: form.focused and form.focused.id == "build-name")
        await pilot.press(*"desk", "escape")
        assert taken.app.screen is form
        assert DROPS in str(form.query_one("#build-hint", Static).render())
        await pilot.press("escape")
        await until(pilot, lambda: answers == [None])


# --- bursts

LINES = ("M", "y", "enter", "enter", "R", "tab", "1", "enter")
AS_LINES, AS_LINE = "My\n\nR\t1\n", "My  R 1 "


async def test_a_paste_without_brackets_is_text(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        taken.hands.burst()
        await pilot.press(*LINES)
        assert taken.box.text == AS_LINES
        assert str(taken.box.border_subtitle) == SEVERAL_LINES
        assert not taken.handle.orders
        taken.hands.rest()
        await pilot.press("enter")
        await until(pilot, lambda: taken.handle.orders)
        assert taken.last[1]["edits"] == {"text": AS_LINES}


async def test_a_paste_may_begin_with_an_empty_line(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        taken.hands.burst()
        await pilot.press("enter", "tab", "a")
        assert taken.box.text == "\n\ta"
        assert not taken.handle.orders


async def test_a_paste_asks_for_no_draft(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        taken.hands.burst()
        await pilot.press("a", "ctrl+g", "ctrl+o", "escape", "b")
        assert taken.box.text == "ab"
        assert taken.box.has_focus
        assert not taken.handle.orders


async def test_a_paste_outside_of_inputs_is_no_command(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        taken.hands.burst()
        await pilot.press(*"Rob", "enter", *"Hm")
        assert not taken.handle.orders
        assert isinstance(taken.app.screen, DebuggerScreen)
        assert "Keys ignored" in taken.notices()


async def test_a_paste_with_brackets_goes_to_the_input(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        await pilot.press("escape")
        taken.app.post_message(events.Paste("one\rtwo"))
        await until(pilot, lambda: taken.box.text == "one\ntwo")
        await until(pilot, lambda: taken.box.has_focus)
        assert str(taken.box.border_subtitle) == NOT_YET


async def test_a_burst_in_a_dialog_of_lines(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        drafts = [{"field": name, "label": name, "text": ""} for name in ("raw", "text")]
        taken.handle.held(("go", "go on"), ("edit", "edit it"), drafts=drafts)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(taken.app.screen, Edit))
        taken.hands.burst()
        await pilot.press(*LINES, "ctrl+s")
        first, second = taken.app.screen.query(TextArea)
        assert (first.text, second.text) == (AS_LINES, "")
        taken.app.post_message(events.Paste("x\r\ny\rz"))
        await until(pilot, lambda: first.text == f"{AS_LINES}x\ny\nz")
        assert not taken.handle.orders


async def test_a_burst_in_a_dialog_of_one_line(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press(";")
        await until(pilot, lambda: isinstance(taken.app.screen, Ask))
        taken.hands.burst()
        await pilot.press(*LINES)
        box = taken.app.screen.query_one(Input)
        assert box.value == AS_LINE
        taken.app.post_message(events.Paste("one\r\ntwo\nthree\n"))
        await until(pilot, lambda: box.value == f"{AS_LINE}one two three")
        assert isinstance(taken.app.screen, Ask)


async def test_a_burst_in_the_search_line(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press("/")
        box = taken.screen.query_one("#search", Input)
        await until(pilot, lambda: box.has_focus)
        taken.hands.burst()
        await pilot.press(*LINES)
        assert box.value == AS_LINE
        assert box.has_focus
        assert not taken.screen.parts.search.text
        taken.hands.rest()
        await pilot.press("enter")
        await until(pilot, lambda: taken.screen.parts.search.text == AS_LINE.strip())


async def test_a_burst_in_the_palette_runs_nothing(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press(":")
        await until(pilot, lambda: isinstance(taken.app.screen, Commands))
        taken.hands.burst()
        await pilot.press(*"approve", "enter")
        assert isinstance(taken.app.screen, Commands)
        assert taken.app.screen.query_one(Input).value == "approve "
        assert "Press enter again" in taken.notices()
        assert not taken.handle.orders


async def test_a_burst_in_the_list_of_breakpoints_adds_nothing_and_says_so(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(taken.app.screen, BreakpointsScreen))
        taken.hands.burst()
        await pilot.press(*"~end", "enter")
        assert taken.app.screen.query_one(Input).value == "~end "
        assert taken.notices().count("Press enter again") == 1
        taken.hands.rest()
        await pilot.press("enter")
        await until(pilot, lambda: taken.handle.orders)
        assert taken.last == ("break_add", {"expression": "~end"})


async def test_a_burst_over_a_list_does_nothing(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press("M")
        await until(pilot, lambda: isinstance(taken.app.screen, NotesScreen))
        taken.hands.burst()
        await pilot.press(*"quit", "enter")
        assert isinstance(taken.app.screen, NotesScreen)


# --- alt+enter


@pytest.mark.parametrize("sequence", ["\x1b\r", "\x1b\n", "\x1b[13;3u", "\x1b[27;3;13~"])
async def test_alt_enter_begins_a_new_line(taken: Taken, sequence: str) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press("a")
        for message in XTermParser().feed(sequence):
            taken.app.post_message(message)
        await until(pilot, lambda: taken.box.text == "a\n")
        assert not taken.handle.orders


def test_textual_reads_alt_enter_at_once() -> None:
    read_alt_enter()
    keys = [cast(events.Key, message).key for message in XTermParser().feed("a\x1b\rb")]
    assert keys == ["a", "alt+enter", "b"]


class Late(KeyClock):
    """A clock by which a key is handled some time after it came."""

    def __init__(self, late: float) -> None:
        self.late = late
        self.delays: list[float] = []

    def now(self) -> float:
        return 100.0 + self.late

    def arrived(self, event: events.Key) -> float:
        return 100.0

    def later(self, app: App[Any], delay: float, callback: Callable[[], object]) -> None:
        self.delays.append(delay)


@pytest.mark.parametrize(("late", "delay"), [(0.0, BURST_GAP), (0.02, 0.01), (0.5, 0.001)])
async def test_a_key_waits_from_when_it_came(taken: Taken, late: float, delay: float) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await take_over(taken, pilot)
        clock = taken.app.typed.clock = Late(late)
        await taken.app.typed.key(events.Key("enter", "\r"))
        assert clock.delays == [pytest.approx(delay)]
