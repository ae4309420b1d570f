"""Rehook on the screen: progress, what changed, one reply then and now, again."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from textual.widgets import Input

from convtui.tui.app import ConvtuiApp, recording
from convtui.tui.screens.debugger import DebuggerScreen
from convtui.tui.screens.dialogs import Ask
from convtui.tui.screens.rehooking import RehookScreen
from tests.logs import sample, write_log
from tests.tui.sample import until
from tests.tui.test_compare import text

_BOT = """
from convtui import Provider

class Bot(Provider):
    termination_signals = ["[[ERROR]]", "[[DONE]]"]

    def post_process_response(self, text):
        return text.replace("<think>hm</think>", "").replace(" [[DONE]]", "")

    def should_discard_response(self, signals):
        return any(match.signal == "[[ERROR]]" for match in signals)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    records = sample()
    records[0] = records[0].model_copy(update={"scenario": {"on_discard": "skip"}})
    return write_log(tmp_path / "run.jsonl", records)


def bot(folder: Path, more: str = "") -> str:
    path = folder / "bot.py"
    path.write_text(_BOT + textwrap.indent(textwrap.dedent(more), "    "))
    return f"{path}:Bot"


async def test_the_hooks_are_chosen_run_changed_and_run_again(log: Path, tmp_path: Path) -> None:
    spec = bot(
        tmp_path,
        """
        def should_discard_response(self, signals):
            return False

        def extract_signals(self, raw):
            if "sorry" in raw:
                raise KeyError("price")
            return super().extract_signals(raw)

        def post_process_response(self, text):
            return text.replace("Of course", "Certainly")
        """,
    )
    app = ConvtuiApp(lambda app: recording(app, log), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        field = app.screen.query_one(Input)
        assert field.value == "my_provider.py:Bot", "the provider that the run names"
        await pilot.press("enter")
        await until(pilot, lambda: "there is no such file" in text(app))
        field.value = spec
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RehookScreen))
        screen = app.screen
        assert isinstance(screen, RehookScreen)
        await until(pilot, lambda: "3 replies of 1 log: 3 changed" in text(app))
        seen = text(app)
        lines = (tmp_path / "bot.py").read_text().splitlines()
        failing = next(number for number, line in enumerate(lines, 1) if "price" in line)
        assert "hooks failed on 1" in seen
        assert "✗ 1:2" in seen and f"bot.py:{failing}" in seen, "the developer's own line"
        assert "! 2:2" in seen and "no longer discarded; ends here (early termination)" in seen
        assert "≈ counterfactual" in next(x for x in seen.splitlines() if "2:4" in x)
        assert "ended at turn 4, ends at turn 2 now: earlier" in seen
        await pilot.press("j", "enter")
        await until(pilot, lambda: "yes -> no" in text(app))
        assert "[[ERROR]] at 0-9" in text(app)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        view = app.screen
        assert isinstance(view, DebuggerScreen)
        await until(pilot, lambda: view.selected is not None and view.selected.number == 2)
        assert view.selected is not None and view.selected.session == 2
        await pilot.press("q")
        await until(pilot, lambda: app.screen is screen)
        bot(tmp_path)
        await until(pilot, lambda: "bot.py changed: R runs the hooks again" in text(app))
        screen.report = None
        await pilot.press("R")
        await until(pilot, lambda: screen.report is not None)
        await until(pilot, lambda: "✓ 3 replies of 1 log: nothing changed" in text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Select a reply" not in text(app))
        assert (await app.recall())["rehook_providers"] == {"my_provider.py:Bot": spec}
