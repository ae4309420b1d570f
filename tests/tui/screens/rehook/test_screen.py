"""Rehook on the screen: progress, what changed, one reply then and now, again."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from convtui.analysis.rehook.rehook_process import Rehooked
from convtui.analysis.rehook.report import RehookReport
from convtui.analysis.rehook.sources import Source
from convtui.trust.rules import make_seal
from convtui.tui.app import ConvtuiApp
from convtui.tui.documents.rehook_details import details_of
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.screens.rehook.provider_choice import own_provider
from convtui.tui.screens.rehook.rehook_list import items_of
from convtui.tui.screens.rehook.screen import RehookScreen
from convtui.tui.widgets.keybar import KeyBar
from tests.builders.conversations import Bot, cut_turn, run, scenario
from tests.builders.logs import sample, write_log
from tests.tui.harness.sample import until
from tests.tui.screens.compare.test_screen import text

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
    header = records[0].model_copy(update={"scenario": {"on_discard": "skip"}})
    records[0] = header.model_copy(update={"seal": make_seal(header.payload())})
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
    app = ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")
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
        assert "! 2:2" in seen and "no longer discarded; ends here (ended early)" in seen
        assert "≈ counterfactual" in next(x for x in seen.splitlines() if "2:4" in x)
        assert "ended at turn 4, ends at turn 2 now: earlier" in seen
        assert [item.label for item in screen.query_one(KeyBar).items].count("back") == 1
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
        assert (await app.saved_state.recall())["rehook_providers"] == {"my_provider.py:Bot": spec}


async def test_it_is_stopped_and_tells_what_was_done(log: Path, tmp_path: Path) -> None:
    second = tmp_path / "second.jsonl"
    second.write_bytes(log.read_bytes())
    spec = bot(
        tmp_path,
        """
        seen = 0

        def extract_signals(self, raw):
            import time
            self.seen += 1
            if self.seen > 3:
                time.sleep(60)
            return super().extract_signals(raw)
        """,
    )
    app = ConvtuiApp(lambda app: RehookScreen(app.keymap, [log, second], spec))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "1/2 logs  3 replies" in text(app))
        assert "esc stop" in text(app) and "R run again" not in text(app)
        await pilot.press("escape")
        await until(pilot, lambda: "stopped by hand after 1 of 2 logs" in text(app))
        assert "3 replies of 1 log: nothing changed" in text(app)
        bot(tmp_path, "raise ImportError('gone')")
        await pilot.press("R")
        await until(pilot, lambda: "gone" in text(app))
        lines = (tmp_path / "bot.py").read_text().splitlines()
        place = f"bot.py:{next(n for n, line in enumerate(lines, 1) if 'gone' in line)}"
        screen = app.screen
        assert isinstance(screen, RehookScreen) and place in screen.problem


async def test_a_branch_is_followed_to_its_parents(tmp_path: Path) -> None:
    then = scenario(Bot("a", "b"), ["one", "two"])
    parent = await run(then, tmp_path / "runs")
    child = await cut_turn(parent, 4, tmp_path / "runs", then)
    spec = bot(tmp_path, "def extract_signals(self, raw): raise KeyError(raw)")
    app = ConvtuiApp(lambda app: RehookScreen(app.keymap, [child.path], spec))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "2 replies of 1 log, 1 of them from its parent" in text(app))
        assert "over 1 run," in text(app)
        assert f"{parent.path.name}  parent of {child.path.name}" in text(app)
        assert "✗ 1:2" in text(app) and "✗ 1:4" in text(app)


def test_the_list_has_the_runs_that_changed_in_their_order() -> None:
    def found(log: int, *changed: dict[str, Any], end: int | None = 4) -> dict[str, Any]:
        more = {"id": "", "turns": [[1, 2, 1]], "counterfactual": 0, "seeded": 0, "damaged": 0}
        endings = [{"session": 1, "before": 4, "after": end}] if end != 4 else []
        return {"log": log, "changed": list(changed), "endings": endings, **more}

    made = {"signals": [], "text": "a", "discarded": False, "ends": None}
    change = {
        "session": 1, "turn": 2, "attempt": 1, "kinds": ["text"], "counterfactual": True,
        "raw": "a\x1b[31m", "before": made, "after": {**made, "text": "b\u202e"}, "error": None,
        "by_hand": ["text"],
    }  # fmt: skip
    logs = [Path(f"{name}\x1b.jsonl") for name in "abcd"]
    sources = [Source(log) for log in logs]
    result = Rehooked(sources, outcomes=[found(0), found(1, change), found(2, end=None), found(3)])
    items = items_of(RehookReport(result))
    assert [(item.log, item.change is not None, item.session) for item in items] == [
        (logs[1], False, 0),
        (logs[1], True, 0),
        (logs[2], False, 0),
        (logs[2], False, 1),
    ]
    doc = str(details_of(items[1].change))
    assert "≈ counterfactual" in doc
    assert "text edited by hand then: compared with what the hooks made of it" in doc
    assert "[-a-]{+b" in doc


async def test_enter_runs_no_code_that_a_log_of_somebody_elses_names(tmp_path: Path) -> None:
    log = write_log(tmp_path / "run.jsonl", sample())
    app = ConvtuiApp(lambda app: app.runs.recording(log), state_file=tmp_path / "state.json")
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, DebuggerScreen))
        await pilot.press("h")
        await until(pilot, lambda: isinstance(app.screen, Ask) and app.screen.query(Input))
        assert app.screen.query_one(Input).value == ""
        await pilot.press("enter")
        await until(pilot, lambda: "Write a provider" in text(app))


@pytest.mark.parametrize(
    ("told", "spec"),
    [
        ({"spec": "bot.py:Bot", "file": "/there/bot.py"}, "/there/bot.py:Bot"),
        ({"spec": "openai/gpt-4o", "name": "gpt"}, "openai/gpt-4o"),
        ({"name": "imported"}, "imported"),
        ("nonsense", ""),
    ],
)
def test_the_provider_that_a_run_names(told: object, spec: str) -> None:
    assert own_provider({"provider": told}) == spec
