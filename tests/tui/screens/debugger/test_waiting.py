"""A wait before another attempt on the status line."""

from __future__ import annotations

from typing import Any, cast

import pytest

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.tui.widgets.status import live_status
from convtui.tui.widgets.statusline import title_spans
from tests.tui.harness.fake_handle import FakeHandle


def shown(wait: dict[str, Any] | None, state: EngineState = EngineState.RUNNING) -> tuple[str, str]:
    handle = FakeHandle()
    handle.state = state
    handle.busy = 30.0
    handle.retry_wait = wait
    status = live_status(cast(EngineHandle, handle))
    return status.state, status.detail


@pytest.mark.parametrize(
    ("wait", "detail"),
    [
        (
            {"left": 11.6, "attempt": 2, "attempts": 4, "why": "slow\x1b[2J down"},
            "waiting 12 s before attempt 2 of 4: slow␛[2J down",
        ),
        (
            {"left": 3599.9, "attempt": None, "attempts": None, "why": "slow down"},
            "waiting 1 h 0 min before asking again: slow down",
        ),
    ],
)
def test_it_is_counted_down(wait: dict[str, Any] | None, detail: str) -> None:
    assert shown(wait) == ("running", detail)


REQUEST = {"session": 1, "turn": 1, "side": "provider"}
BEGUN = (
    {"type": "turn.started", "session": 1, "turn": 1, "speaker": "provider"},
    {"type": "llm.request", **REQUEST, "append": [], "params": {}, "model": "m", "sha256": "0"},
)


@pytest.mark.parametrize(
    ("busy", "text", "thinking", "words"),
    [
        (0.4, "", False, "waiting for the provider"),
        (30.0, "", False, "waiting for the provider, 30 s"),
        (30.0, "", True, "provider is thinking, 30 s"),
        (1.0, "<think>where", True, "provider is thinking"),
        (30.0, "<think>here</think>It is", False, "provider is streaming"),
        (30.0, "It is", True, "provider is streaming"),
        (None, "", False, ""),
    ],
)
def test_the_word_fits_what_happens(
    busy: float | None, text: str, thinking: bool, words: str
) -> None:
    handle = FakeHandle()
    handle.state = EngineState.RUNNING
    handle.tell(*BEGUN)
    if text:
        handle.transcript.stream(1, 1, text)
    handle.busy, handle.thinking = busy, thinking
    assert live_status(cast(EngineHandle, handle)).detail == words


def test_tools_and_what_follows_are_no_waiting_for_words() -> None:
    handle = FakeHandle()
    handle.state = EngineState.RUNNING
    handle.busy = 3.0
    handle.tell(*BEGUN)
    handle.tell({"type": "tool.called", **REQUEST, "id": "1", "name": "look", "arguments": {}})
    assert live_status(cast(EngineHandle, handle)).detail == "tools are running, 3 s"


def test_it_is_shown_while_a_pause_waits_for_the_call() -> None:
    wait = {"left": 5.0, "attempt": 2, "attempts": 4, "why": "slow down"}
    assert shown(wait, EngineState.PAUSING) == (
        "pausing",
        "waiting 5 s before attempt 2 of 4: slow down",
    )


def test_the_figures_come_first_where_there_is_little_room() -> None:
    handle = FakeHandle()
    handle.state = EngineState.RUNNING
    handle.retry_wait = {"left": 5.0, "attempt": 2, "attempts": 4, "why": "slow down " * 20}
    spans = title_spans("maya", "openai/m", live_status(cast(EngineHandle, handle)), 80)
    line = "".join(text for text, _ in spans)
    assert len(line) <= 80
    assert "waiting 5 s before attempt 2 of 4" in line
