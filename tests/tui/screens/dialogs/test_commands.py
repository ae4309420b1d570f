"""The command palette: one line a command, found by what is typed."""

from __future__ import annotations

from pathlib import Path

from rich.cells import cell_len
from textual.widgets import Input

from convtui.tui.drawing.palette import plain
from convtui.tui.screens.dialogs.commands import Command, CommandList, Commands, hit_spans, hits
from tests.tui.harness.live_app import LiveApp
from tests.tui.harness.sample import header, refund, turn, until

COMMANDS = [
    Command("hold.first", "Take the hold's first choice", "enter", "go on"),
    Command("run.step_turn", "Run one turn", "n", "turn"),
    Command("take_over.toggle", "Take over as the user, or hand back", "t", "take over"),
    Command("copy.turn", "Copy the selected turn", "y", "copy turn"),
]


def ids(query: str) -> list[str]:
    return [hit.command.action for hit in hits(COMMANDS, query)]


def test_without_a_query_all_are_there_in_their_order() -> None:
    assert ids(" ") == [command.action for command in COMMANDS]


def test_the_best_match_is_first_and_names_are_searched_too() -> None:
    assert ids("turn") == ["run.step_turn", "copy.turn"]
    assert ids("copy") == ["copy.turn"]
    assert ids("go on") == ["hold.first"]
    assert ids("nothing like this") == []
    assert ids("tkov") == ["take_over.toggle"], "letters count where nothing else fits"


def test_a_command_is_one_line_with_its_key_at_the_end() -> None:
    (hit,) = hits(COMMANDS, "hand back")
    for width in (30, 60):
        text = plain(hit_spans(hit, width))
        assert cell_len(text) == width
        assert text.endswith(" t")
    assert "…" in plain(hit_spans(hit, 30))
    assert "".join(text for text, role in hit_spans(hit, 60) if "under" in role) == "handback"


async def test_a_hold_comes_first_and_what_is_chosen_is_done(tmp_path: Path) -> None:
    turns = [turn(1, "persona", "Hello."), turn(2, "provider", "Yes?")]
    opening = [header(), *refund()[1:4], *(record for records in turns for record in records)]
    live = LiveApp(tmp_path, opening, {})
    async with live.app.run_test(size=(60, 16)) as pilot:
        await live.begin(pilot)
        live.handle.held(("go", "go on"), ("edit", "edit"))
        await until(pilot, lambda: live.screen.conversation.hold is not None)
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(live.app.screen, Commands))
        listed = live.app.screen.query_one(CommandList)
        first = [hit.command.action for hit in listed.items[:2]]
        assert first == ["hold.first", "hold.edit"]
        shown = {hit.command.action for hit in listed.items}
        assert "hold.undo" not in shown, "what does not apply is not offered"
        assert "app.palette" not in shown
        assert live.app.screen.query_one(Input).region.right <= 60
        assert listed.region.bottom < 16
        await pilot.press(*"stage", "enter")
        await until(pilot, lambda: live.last[0] == "step_stage")
