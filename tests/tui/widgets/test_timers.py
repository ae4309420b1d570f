"""Timers that go off once."""

from __future__ import annotations

import itertools

import pytest
from textual import _time
from textual.app import App

from convtui.tui.timers import call_once
from tests.tui.harness.sample import until


async def test_a_timer_goes_off_though_the_machine_is_late_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        clock = itertools.count(_time.get_time())
        monkeypatch.setattr(_time, "get_time", lambda: float(next(clock)))
        fired: list[bool] = []
        call_once(app, 0.001, lambda: fired.append(True))
        await until(pilot, lambda: fired)
        assert fired == [True]


async def test_a_timer_that_is_stopped_does_not_go_off() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        fired: list[str] = []
        call_once(app, 0.001, lambda: fired.append("stopped")).stop()
        call_once(app, 0.002, lambda: fired.append("later"))
        await until(pilot, lambda: "later" in fired)
        assert fired == ["later"]
