"""A walk over the states of the debugger: every key does what it is labelled with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.screen import ModalScreen
from textual.widgets import Input

from convtui.actions.registry import Keymap
from convtui.client.engine_client import EngineState
from convtui.protocol import Commands
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.hold_bar_feed import choice_items
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.runs.screen import RunsScreen
from convtui.tui.widgets.keybar import Keys
from tests.builders.engine_holds import CHOICES, engine_holds
from tests.tui.harness.honesty import check_keys
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import until
from tests.tui.harness.taken import OPENING

DRAFTS = [{"field": "raw", "label": "raw reply", "text": "Good day."}]
ASKS = ("edit", "supply", "reply", "abstain")
"""Choices that ask for a text before they are taken."""


def holds_to_press() -> Iterator[tuple[tuple[str, ...], int]]:
    """A hold and one of its choices: each choice as the first, and as another."""
    seen: set[tuple[str, bool]] = set()
    for hold in engine_holds():
        for number, name in enumerate(hold):
            if (name, number == 0) not in seen and len(hold) > 2:
                seen.add((name, number == 0))
                yield hold, number


def told(hold: tuple[str, ...]) -> dict[str, Any]:
    """A hold as the engine reports it; no step goes on there."""
    human = "SAY" in hold
    return {
        "choices": [(CHOICES[name].id, CHOICES[name].label) for name in hold],
        "reason": "human" if human else "error",
        "side": "persona" if human else "provider",
        "drafts": [] if human else DRAFTS,
    }


@pytest.fixture
def live(tmp_path: Path) -> LiveApp:
    return LiveApp(tmp_path, OPENING, {"persona": {"name": "Ida"}})


async def test_each_choice_of_a_hold_is_taken_by_its_key(live: LiveApp) -> None:
    async with live.app.run_test(size=(120, 30)) as pilot:
        await live.begin(pilot)
        for hold, number in holds_to_press():
            more = told(hold)
            live.handle.orders.clear()
            live.handle.held(*more.pop("choices"), hold=number + 10 * len(hold), **more)
            live.screen.repaint()
            action = choice_items(live.handle.hold or {}, Keymap())[number].action
            live.screen.press(Keymap().keys(action)[0])
            choice = CHOICES[hold[number]].id
            if choice == "say":
                await until(pilot, lambda: live.screen.take_over_input.has_focus)
            elif choice in ASKS:
                await until(pilot, lambda: isinstance(live.app.screen, ModalScreen))
                live.app.screen.dismiss(None)
                await until(pilot, lambda: live.app.screen is live.screen)
            else:
                await until(pilot, lambda: live.handle.orders)
            order = live.handle.orders[0] if live.handle.orders else ("", {})
            if choice == "hand_back":
                assert order == (Commands.HAND_BACK, {"side": "persona"})
            elif choice not in (*ASKS, "say"):
                assert order == ("release", {"choice": choice, "edits": {}}), hold
            live.handle.hold = None


async def test_the_keys_of_every_state_do_what_they_say(
    live: LiveApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live.app.run_test(size=(120, 30)) as pilot:
        await live.begin(pilot)
        screen = live.screen

        def check() -> None:
            screen.repaint()
            check_keys(screen, monkeypatch)

        check()
        for hold in engine_holds():
            more = told(hold)
            live.handle.held(*more.pop("choices"), **{**more, "reason": "error"})
            check()
        live.handle.held(("go", "go on"), ("edit", "edit"), drafts=DRAFTS)
        check()
        with monkeypatch.context() as focus:
            # In the inspector Enter unfolds: the first choice has its own letter.
            focus.setattr(screen.parts.inspector_keys, "on_fold", lambda: True)
            check()
            assert screen.hold_bar.query_one(Keys).items[0].key == "c"
        screen.parts.search.text = "day"
        check()
        screen.parts.search.text = ""
        live.handle.kill()
        check()
        assert (restart := screen.action_of("enter")) is not None
        assert restart.id == "provider.restart"
        live.handle.state = EngineState.CLOSED
        check()


@pytest.mark.parametrize("width", [60, 80, 120])
async def test_a_choice_is_never_broken_and_can_be_clicked(live: LiveApp, width: int) -> None:
    async with live.app.run_test(size=(width, 30)) as pilot:
        await live.begin(pilot)
        undo = ("undo", "undo the edit of the raw reply")
        hold = [*told(("GO", "OVERRIDE", "EDIT", "AGAIN", "SKIP"))["choices"], undo]
        live.handle.held(*hold, drafts=DRAFTS)
        bar = live.screen.hold_bar.query_one(Keys)
        await until(pilot, lambda: bar.region.height == len(bar.rows(bar.size.width)) > 0)
        lines = str(bar.render()).split("\n")
        assert all(len(line) <= bar.size.width for line in lines)
        assert any("undo the edit of the raw reply" in line for line in lines)
        row = next(number for number, line in enumerate(lines) if "J skip" in line)
        assert await pilot.click(bar, offset=(lines[row].index("J skip") + 3, row))
        await until(pilot, lambda: live.handle.orders)
        assert live.last == ("release", {"choice": "skip", "edits": {}})


async def test_escape_goes_back_one_step_and_never_leaves_a_live_run(live: LiveApp) -> None:
    async with live.app.run_test(size=(80, 24)) as pilot:
        await live.begin(pilot)
        screen = live.screen
        await pilot.press("i")
        await until(pilot, lambda: screen.inspecting)
        await pilot.press("escape")
        await until(pilot, lambda: not screen.inspecting and screen.view.has_focus)
        await pilot.press("escape")
        await until(pilot, lambda: "The conversation goes on: q leaves it." in live.notices())
        live.handle.state = EngineState.CLOSED
        await pilot.press("escape")
        await until(pilot, lambda: "Nothing to go back to: q quits." in live.notices())
        assert live.app.screen is screen
        assert live.app.return_value is None


@pytest.fixture
def in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second ctrl+c comes in time, however slow the machine is."""
    monkeypatch.setattr("convtui.tui.interrupt.INTERRUPT_AGAIN", 600.0)


@pytest.mark.usefixtures("in_time")
async def test_each_ctrl_c_says_or_does_something(live: LiveApp) -> None:
    async with live.app.run_test(size=(80, 24)) as pilot:
        await live.begin(pilot)
        said: list[str] = []
        live.app.notify = lambda message, **more: said.append(message)  # type: ignore[method-assign]
        await pilot.press("ctrl+c")
        assert said == ["ctrl+c again asks whether to end the conversation."]
        await pilot.press("ctrl+c")
        await until(pilot, lambda: isinstance(live.app.screen, Choose))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: live.app.return_value is not None)
    assert live.handle.over


@pytest.mark.usefixtures("in_time")
async def test_ctrl_c_in_a_field_copies_and_says_what_a_second_does(tmp_path: Path) -> None:
    app = ConvtuiApp(lambda app: RunsScreen(app.keymap, tmp_path), state_file=tmp_path / "s")
    async with app.run_test(size=(80, 24)) as pilot:
        said: list[str] = []
        app.notify = lambda message, **more: said.append(message)  # type: ignore[method-assign]
        await pilot.press("/", *"demo")
        app.screen.query_one(Input).select_all()
        await pilot.press("ctrl+c")
        assert app.clipboard == "demo"
        assert said == ["Copied. ctrl+c again quits."]
        await pilot.press("escape", "escape")
        assert said[1:] == ["Nothing to go back to: q quits."]
        assert app.return_value is None
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.return_value is not None)
