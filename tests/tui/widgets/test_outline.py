"""The outline's tree: rows by arithmetic, branches under their turns, keys that move over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult

from convtui.library.families import families
from convtui.log.run_summary import summarise
from convtui.printing.turn_sign import turn_sign
from convtui.transcript.fold import Transcript
from convtui.tui.drawing.palette import plain
from convtui.tui.sources.branches import Branch, branches_beside, branches_of
from convtui.tui.widgets.transcript.legend import legend_rows
from convtui.tui.widgets.transcript.outline import Outline
from convtui.tui.widgets.transcript.outline_rows import SessionRows
from convtui.tui.widgets.transcript.outline_tree import OutlineTree
from tests.builders.logs import conversation, fold, session, turn
from tests.builders.rich_log import rich_records
from tests.tui.harness.family import family

SHAPES = [
    SessionRows(turns=0, per_row=4),
    SessionRows(turns=9, per_row=4, calls_before=1, calls_after=2, coming=2),
    SessionRows(turns=9, per_row=4, branches=(0, 3, 3, 8), skipped=True),
    SessionRows(turns=9, per_row=4, branches=(5,), calls_after=1, coming=1, folded=True),
]


@pytest.mark.parametrize("rows", SHAPES)
def test_every_row_is_something_and_everything_has_a_row(rows: SessionRows) -> None:
    what = [rows.at(row) for row in range(rows.height)]
    assert None not in what and rows.at(rows.height) is None
    assert what[0] is not None and what[0].kind == "heading"
    kinds = [row.kind for row in what if row is not None]
    assert kinds.count("coming") == rows.coming
    if rows.folded:
        return
    assert kinds.count("call") == rows.calls_before + rows.calls_after
    assert kinds.count("branch") == len(rows.branches)
    for position in range(rows.turns):
        row = rows.at(rows.row_of_turn(position))
        assert row is not None and row.kind == "turns"
        assert row.number <= position < row.number + rows.per_row
    for number, position in enumerate(rows.branches):
        row = rows.at(rows.row_of_branch(number))
        assert row == ("branch", number)
        above = rows.row_of_branch(number) - rows.row_of_turn(position)
        assert above >= 1, "a branch stands below its turn"


def drawn(tree: OutlineTree) -> list[str]:
    sessions = range(1 + len(tree.transcript.sessions))
    return [
        plain(tree.spans(item, row)).rstrip()
        for item in sessions
        for row in range(tree.height(item))
    ]


def two_sessions() -> Transcript:
    said = [turn(n, "provider" if n % 2 == 0 else "persona", f"word {n}") for n in range(1, 6)]
    return fold(conversation(session(1, "intake", said), session(2, "refund", said[:2])))


def tree(width: int = 15) -> OutlineTree:
    made = OutlineTree(two_sessions())
    made.width = width
    return made


def test_signs_of_many_turns_are_those_of_each() -> None:
    records = rich_records()
    transcript, grown = Transcript(), OutlineTree(Transcript())
    grown.transcript = transcript
    for record in records:
        transcript.apply(record)
    grown.refresh(())
    expected = [turn_sign(turn)[0] for turn in transcript.turns]
    assert len({*expected}) > 5
    for tree in (grown, OutlineTree(transcript)):
        assert [*map(chr, tree.signs)] == expected
        assert tree.seen == {*expected}


def test_branches_stand_under_the_turn_where_they_leave() -> None:
    shown = tree()
    shown.branches = [
        Branch(Path("b"), 1, 2, "b1b1", (("rewind", "text"),)),
        Branch(Path("c"), 1, 9, "c2c2", (("fork", "text"), ("⋯", "accent"))),
    ]
    assert drawn(shown) == [
        "▾ 1 intake",
        "  ∙ 1 ∙ 2 ∙ 3",
        "  └ b1b1 rewind",
        "  ∙ 4 ∙ 5",
        "  └ c2c2 fork ⋯",
        "▾ 2 refund",
        "  ∙ 1 ∙ 2",
    ]
    shown.limit = 1
    assert "  └ c2c2 fork ⋯" not in drawn(shown), "it leaves after what is shown"
    shown.limit = None
    shown.folded.add(1)
    assert drawn(shown)[:2] == ["▸ 1 intake", "▾ 2 refund"]


def test_sessions_to_come_and_hooks_worth_a_line() -> None:
    shown = tree(30)
    shown.transcript.prepared.append("farewell")
    assert drawn(shown)[-1] == "  3 farewell"
    shown.transcript.lifecycle += [
        {"type": "session.reset", "session": 2, "duration": 0.4, "outcome": "ok"},
        {"type": "session.reset", "session": 2, "duration": 0.01, "outcome": "ok"},
        {"type": "session.reset", "session": 2, "duration": 0.01, "outcome": "failed"},
        {"type": "debug.took_over", "session": 2, "side": "persona"},
    ]
    shown.refresh(())
    listed = [row.strip() for row in drawn(shown) if not row.startswith(("▾", "  ∙"))]
    assert listed == ["reset ok 400ms", "reset failed 10ms", "took over", "3 farewell"]
    shown.all_hooks = True
    assert len(drawn(shown)) > 5 + len(listed)


def test_the_family_around_a_log(tmp_path: Path) -> None:
    first, second, third = family(tmp_path)
    names = {
        path: [f"{b.name} {b.words[0][0]}" for b in branches_beside(path)]
        for path in (first, second, third)
    }
    assert names == {first: ["bran rewind"], second: ["tree fork"], third: []}
    # What leaves a parent before this one did leaves what both share.
    (root,) = families(map(summarise, (first, second, third)))
    late = branches_of(root, third)
    assert all((b.session, b.turn) <= (1, 4) for b in late)


def test_the_legend_names_the_glyphs_that_are_there() -> None:
    rows = [plain(row) for row in legend_rows({"∙", "✗", "∆", "✎"}, 24)]
    assert rows == ["∆ look here  ✗ dropped", "✎ by hand"]
    assert legend_rows({"∙"}, 24) == []


class Bench(App[None]):
    def __init__(self, outline: Outline) -> None:
        super().__init__()
        self.outline = outline
        self.told: list[Any] = []
        outline.open_log = self.told.append

    def compose(self) -> ComposeResult:
        yield self.outline

    def on_outline_turn_selected(self, event: Outline.TurnSelected) -> None:
        self.told.append(event.turn_index)


async def test_keys_move_over_the_tree(tmp_path: Path) -> None:
    outline = Outline()
    app = Bench(outline)
    async with app.run_test(size=(15, 20)) as pilot:
        outline.set_transcript(two_sessions())
        outline.set_branches([Branch(tmp_path, 1, 2, "c2c2")])
        outline.set_origin("fork of 1f3a at 1:4", "", "muted", tmp_path / "parent")
        outline.cursor = 1
        outline.focus()
        await pilot.press("down", "enter", "down", "down", "enter", "up", "right")
        # The branch, turn 4, the heading of session 2 which folds, turn 4 again, turn 5.
        assert app.told == [tmp_path, 3, 3, 4]
        assert "▸ 2 refund" in "".join(outline.render_line(y).text for y in range(12))
        await pilot.press("left", "left", "left")
        assert app.told[-1] == 1, "left goes from turn to turn"
        await pilot.press("up", "left", "up", "enter")
        assert app.told[-1] == tmp_path / "parent"
