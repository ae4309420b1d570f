"""A bell or a notice when something holds and nobody looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from convtui.client.engine_client import EngineState
from convtui.config.settings import Config
from convtui.tui.attention import ALONE, Attention, notice, sequence
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import refund, until

HOSTILE = "\x1b]0;mine\x07"


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        ({"reason": "human", "session": 2, "turn": 7}, "convtui: your turn at 2:7"),
        ({"reason": HOSTILE, "session": 1, "turn": 3, "detail": HOSTILE}, "convtui: held at 1:3"),
        ({"reason": "error", "session": HOSTILE, "turn": 3}, "convtui: held at 1:3"),
        ({"reason": "error", "turn": HOSTILE, "stage": HOSTILE}, "convtui: held"),
        ({"turn": True}, "convtui: held"),
    ],
)
def test_a_notice_has_fixed_words_and_numbers_only(hold: dict[str, Any], words: str) -> None:
    assert notice(hold) == words


def test_each_mode_has_its_sequence() -> None:
    text = "convtui: held at 1:3"
    sequences = {mode: sequence(mode, text) for mode in get_args(get_type_hints(Config)["notify"])}
    assert sequences == {
        "off": "",
        "bell": "\x07",
        "osc9": "\x1b]9;convtui: held at 1:3\x07",
        "osc777": "\x1b]777;notify;convtui;held at 1:3\x07",
    }
    assert sequence("osc9", text, tmux=True) == f"\x1bPtmux;\x1b\x1b]9;{text}\x07\x1b\\"
    assert sequence("bell", text, tmux=True) == "\x07"


class Terminal:
    """What was sent to it, and a clock."""

    def __init__(self, config: Config) -> None:
        self.sent: list[str] = []
        self.now = 0.0
        self.attention = Attention(lambda: config, self.sent.append, clock=lambda: self.now)

    def hold(self) -> int:
        self.attention.held({"reason": "error", "session": 1, "turn": 2})
        return len(self.sent)


def test_it_calls_only_where_nobody_looks() -> None:
    terminal = Terminal(Config(notify="bell"))
    assert terminal.hold() == 0, "a key was just pressed"
    terminal.now = ALONE
    assert terminal.hold() == 1, "the terminal never said whether it has the focus"
    terminal.attention.pressed()
    assert terminal.hold() == 1
    terminal.attention.focus(False)
    assert terminal.hold() == 2
    terminal.attention.focus(True)
    terminal.now = 100 * ALONE
    assert terminal.hold() == 2


def test_it_calls_always_or_never_as_set() -> None:
    always = Terminal(Config(notify="bell", notify_when="always"))
    always.attention.focus(True)
    assert always.hold() == 1
    always.attention.held(None)
    assert len(always.sent) == 1, "a release calls nobody"
    never = Terminal(replace(Config(), notify="off", notify_when="always"))
    assert never.hold() == 0


async def test_a_hold_of_a_run_calls_once(tmp_path: Path) -> None:
    live = LiveApp(tmp_path, refund()[:7], {})
    sent: list[str] = []
    live.app.config = Config(notify="osc9", notify_when="always")
    live.app.attention = Attention(lambda: live.app.config, sent.append)
    async with live.app.run_test() as pilot:
        await until(pilot, lambda: live.handle.state is EngineState.RUNNING)
        live.handle.held(("go", "go on"))
        await until(pilot, lambda: sent)
        live.handle.notify()
        live.screen.repaint()
        assert len(sent) == 1
