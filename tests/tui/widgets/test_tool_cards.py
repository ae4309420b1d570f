"""Tool calls on the screen: rows of the transcript, cards of the Tools tab, whole results."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from convtui.log.tool_results import ToolResultsFile
from convtui.log.tool_uses import ToolUse, tool_uses
from convtui.tui.app import ConvtuiApp
from convtui.tui.drawing.palette import Palette, plain
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.widgets.inspector.tabs import Context, build, has_content
from convtui.tui.widgets.transcript.geometry import Geometry
from convtui.tui.widgets.transcript.marks import extras_of
from convtui.tui.widgets.transcript.session_rows import Frame
from convtui.tui.widgets.transcript.tool_marks import MAX_CALLS, short_arguments, tool_rows
from convtui.tui.widgets.transcript.turn_lines import TurnLines
from tests.log.test_tool_uses import eventful_story
from tests.tui.harness.sample import header, turn, until, write_log
from tests.tui.harness.sources import Story


def rows(story: Story, width: int = 100, *, running: bool = False) -> list[str]:
    uses = tool_uses(story.detail(story.transcript.turns[0]))
    return [plain(row) for row in tool_rows(uses, width, running=running)]


def card(story: Story, **context: Any) -> str:
    turn = story.transcript.turns[0]
    return str(build("Tools", story.detail(turn), turn, Context(**context)))


def test_a_row_for_each_call_says_how_it_went() -> None:
    assert rows(eventful_story(), running=True) == [
        "tools round 1 of 64, 3 calls",
        "✗ pay(amount: 5)  denied by hand: too much",
        "✓ look()  ok 2.0 s, result edited by hand, truncated, 1,000,000 characters in all",
        "✓ pay(amount: 1)  ok 500 ms, edited by hand",
        "tools round 2 of 64, 1 call",
        "⋯ look()  running",
    ]
    assert rows(eventful_story())[-1] == "⋯ look()  no result on record"


def test_the_outcome_has_room_before_the_arguments() -> None:
    story = Story()
    story.begin()
    story.open("provider")
    story.on("tool.called", id="1", name="find", arguments={"text": "w" * 500, "b": 1})
    story.on("tool.returned", id="1", name="find", ok=False, error_kind="tool_timeout",
             result={"message": "no result within 5 s"}, duration=5.0)  # fmt: skip
    (row,) = rows(story, 50)
    assert row.startswith("! tool find(") and "timeout 5.0 s: no result" in row


def test_many_calls_are_not_all_listed() -> None:
    uses = [ToolUse(str(n), "t") for n in range(500)]
    shown = [plain(row) for row in tool_rows(uses, 80, running=True)]
    assert len(shown) == MAX_CALLS + 2
    assert shown[-1] == f"… {500 - MAX_CALLS} more calls in the Tools tab"


def test_how_many_rows_there_are_does_not_depend_on_the_width() -> None:
    story = eventful_story()
    turn = story.transcript.turns[0]
    extra = extras_of(story.detail(turn))
    seen = set()
    for width in (30, 60, 120):
        lines = TurnLines(Geometry(width, 2, 0), Palette())
        lines.update(turn, Frame(), extra, None, None)
        shown = "\n".join(lines.strip(row).text for row in range(lines.height))
        assert "✗ pay(" in shown and "tool call" not in shown
        seen.add(len(rows(story, width)))
    assert len(seen) == 1


def test_arguments_in_short_are_one_harmless_line() -> None:
    use = ToolUse("1", "t", arguments={"note": "a\nb\x1b[2J", "n": {"x": [1, 2]}})
    assert short_arguments(use) == 'note: a␤b␛[2J, n: {"x": [1, 2]}'
    assert len(short_arguments(use, 10)) == 10
    assert short_arguments(ToolUse("1", "t", raw_arguments="{oops")) == "{oops"


def test_a_card_tells_who_decided_and_what_was_changed() -> None:
    text = card(eventful_story())
    assert "round 1 of 64  3 calls" in text and "round 2 of 64  1 call" in text
    assert "✗ pay  denied by hand" in text and "too much" in text
    assert "approved       by a human" in text
    assert 'arguments of the model\n{"amount": 7}' in text
    assert 'arguments, edited by hand\n{"amount": 1}' in text
    assert "truncated: the model received 50 of 1,000,000 characters" in text
    assert "result, edited by hand: sent to the model\ny" in text
    assert "duration       500 ms" in text
    assert text.index("denied by hand") < text.index("✓ look") < text.index("✓ pay")


def test_texts_of_several_lines_are_readable() -> None:
    story = Story()
    story.begin()
    story.open("provider")
    story.on("tool.called", id="1", name="t", arguments={"note": "one\ntwo", "n": 3})
    story.on("tool.returned", id="1", name="t", ok=True, result={"a": "x\ny"}, duration=0.1)
    text = card(story)
    assert "note:\none\ntwo\nn: 3" in text
    assert "a:\nx\ny" in text


def test_an_error_has_its_kind_message_and_detail() -> None:
    story = Story()
    story.begin()
    story.open("provider")
    story.on("tool.called", id="1", name="t", raw_arguments="{oops")
    body = {"ok": False, "message": "no JSON", "detail": "at line 1"}
    story.on("tool.returned", id="1", name="t", ok=False, error_kind="bad_arguments", result=body)
    text = card(story)
    assert "error          bad_arguments" in text
    assert "says           no JSON" in text and "at line 1" in text
    assert "not a JSON object, shown as written\n{oops" in text


def test_what_is_held_is_a_card_before_it_runs() -> None:
    story = Story()
    story.begin()
    story.open("provider")
    hold = {"drafts": [{"field": "c1", "tool": "pay", "text": '{"a": 1}', "round": 1}]}
    turn = story.transcript.turns[0]
    detail, context = story.detail(turn), Context(hold=hold)
    assert has_content("Tools", detail, context)
    text = str(build("Tools", detail, turn, context))
    assert "▸ pay  waiting for you" in text and "not yet" in text and '"a": 1' in text


WHOLE = "line of a long result\n" * 5000


def cut_log(folder: Path, *, kept: bool) -> Path:
    """A log with a cut result, and the whole beside it."""
    at = {"session": 1, "turn": 1, "side": "provider"}
    records = turn(1, "provider", "Done.")
    records[3:3] = [
        {"type": "tool.called", **at, "id": "1", "name": "history", "arguments": {}, "round": 1},
        {"type": "tool.returned", **at, "id": "1", "name": "history", "ok": True, "round": 1,
         "result": WHOLE[:100], "truncated": True, "size": len(WHOLE), "duration": 0.1},
    ]  # fmt: skip
    records = [header(), *records]
    log = write_log(folder / "a.jsonl", records)
    if kept:
        seq = next(n for n, r in enumerate(records) if r["type"] == "tool.returned")
        assert ToolResultsFile(log).add(seq, "1", "history", WHOLE)
    return log


def has(screen: DebuggerScreen, word: str) -> bool:
    return word in screen.inspector.copy_text()


async def shown_whole(folder: Path, *, kept: bool) -> tuple[str, str, str]:
    """The tab before and after the key, and after it was pressed once more."""
    log = cut_log(folder, kept=kept)
    app = ConvtuiApp(
        lambda app: DebuggerScreen(app.keymap, ReplaySource(log)), state_file=folder / "s.json"
    )
    async with app.run_test(size=(120, 36)) as pilot:
        screen = next(s for s in app.screen_stack if isinstance(s, DebuggerScreen))
        await until(pilot, lambda: screen.view.shown_items == 1)
        screen.inspector.tab = "Tools"
        await until(pilot, lambda: "truncated" in screen.inspector.copy_text())
        seen = [screen.inspector.copy_text()]
        for word in ("in full, " if kept else "not kept", "the model received 100 of"):
            screen.perform("inspector.whole")
            await until(pilot, partial(has, screen, word))
            seen.append(screen.inspector.copy_text())
    return seen[0], seen[1], seen[2]


async def test_a_cut_result_is_shown_in_full_on_demand(tmp_path: Path) -> None:
    before, whole, after = await shown_whole(tmp_path, kept=True)
    assert "shows cut results in full" in before and before.count("long result") < 10
    assert whole.count("line of a long result") == 5000
    assert f"in full, {len(WHOLE):,} characters; the model received 100" in whole
    assert after == before


async def test_a_whole_result_that_is_gone_is_said(tmp_path: Path) -> None:
    _, gone, _ = await shown_whole(tmp_path, kept=False)
    assert "truncated; the full result was not kept" in gone


@pytest.mark.parametrize(
    ("expression", "found"),
    [("~tool", 1), ("~tool history", 1), ("~tool pay", 0), ("~toolerror", 0)],
)
async def test_tool_calls_are_searched_for(tmp_path: Path, expression: str, found: int) -> None:
    log = cut_log(tmp_path, kept=False)
    app = ConvtuiApp(
        lambda app: DebuggerScreen(app.keymap, ReplaySource(log)), state_file=tmp_path / "s.json"
    )
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        screen = next(s for s in app.screen_stack if isinstance(s, DebuggerScreen))
        await until(pilot, lambda: screen.view.shown_items == 1)
        await pilot.press("slash")
        screen.query_one("#search", Input).value = expression
        await pilot.press("enter")
        if found:
            await until(pilot, lambda: screen.view.search_count == found)
        else:
            await until(
                pilot, lambda: any("No turn matches" in n.message for n in app._notifications)
            )
