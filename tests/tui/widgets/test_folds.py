"""What folds: JSON, long requests, headers; and the keys and clicks that open it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from textual.app import App, ComposeResult

from convtui.tui.drawing.palette import Palette
from convtui.tui.drawing.word_diff import diff_spans
from convtui.tui.widgets.fold_pane import FoldPane
from convtui.tui.widgets.inspector.inspector import TabBar
from convtui.tui.widgets.inspector.json_tree import json_text, json_value
from convtui.tui.widgets.inspector.requests import all_messages
from convtui.tui.widgets.inspector.tabs import DECIDING, Context, build
from convtui.tui.widgets.text_pane import MAX_BLOCKS, Document, TextPane
from tests.tui.harness.sample import until
from tests.tui.harness.sources import ferry

BODY = {
    "messages": [{"role": "user", "content": f"message {number}"} for number in range(40)],
    "stream": True,
    "stop": None,
    "temperature": 0.2,
    "usage": {"in": 1, "out": 2},
}


def drawn(doc: Document, opened: dict[str, bool] | None = None) -> list[str]:
    """The lines before they are wrapped."""
    return [" " * block.depth + block.text for block in doc.blocks(opened)]


def test_what_is_big_says_how_big_it_is() -> None:
    doc = json_value(Document(), BODY, "body")
    assert drawn(doc) == ["{... 5 keys}"]
    assert drawn(doc, {"body": True}) == [
        "{",
        '  "messages": [... 40 messages],',
        '  "stream": true,',
        '  "stop": null,',
        '  "temperature": 0.2,',
        '  "usage": {"in": 1, "out": 2}',
        "}",
    ]
    opened = drawn(doc, {"body": True, "body.messages": True, "body.messages.3": True})
    assert '        "content": "message 3"' not in opened[:8]
    assert '    {"role": "user", "content": "message 3"},' in opened


def test_values_have_their_colours_unless_there_is_one_for_all() -> None:
    block = json_value(Document(), {"a": ["x" * 50, 1, None]}, "k").blocks(everything=True)
    roles = {role for each in block for _, _, role in each.marks}
    assert {"json:key", "json:string", "json:number", "json:literal"} <= roles
    grey = json_value(Document(), {"a": ["x" * 50, 1]}, "k", role="muted").blocks(everything=True)
    assert {role for each in grey for _, _, role in each.marks} == {"muted"}


@pytest.mark.parametrize("value", [BODY, [], {}, [[[]]], {"": {"a": [1, {"b": "c" * 9_000}]}}])
def test_what_is_copied_is_the_same_json(value: Any) -> None:
    assert json.loads(str(json_value(Document(), value, "k"))) == value


def test_huge_and_deep_values_are_bounded() -> None:
    doc = json_value(Document(), list(range(10_000)), "k")
    shown = drawn(doc, {"k": True})
    assert shown[-2:] == ["  ... 9,800 more", "]"]
    assert drawn(doc, {"k": True, "k+200": True})[-2:] == ["  ... 9,600 more", "]"]
    assert len(doc.blocks(everything=True)) <= MAX_BLOCKS + 1_000
    deep: Any = []
    for _ in range(1_000):
        deep = [deep]
    assert len(json_value(Document(), deep, "k").blocks(everything=True)) > 1_000
    for text in ("[" * 100_000, "{" + "x" * 2_000_000, '{"a": 1', "\x1b[2J"):
        assert str(json_text(Document(), text, "k")) == f"{text}\n"


def test_the_last_messages_of_a_long_request_are_shown() -> None:
    messages = [{"role": "user", "content": f"message {number}"} for number in range(1, 41)]
    doc = all_messages(Document(), [*messages, {"role": "user", "content": "x" * 5_000}], "r")
    lines = drawn(doc)
    assert "[... 35 messages before these]" in lines
    assert "message 35" not in lines
    assert {"message 36", "message 40"} <= set(lines)
    long = next(line for line in lines if "5,000 characters" in line)
    assert long.startswith("41 user  xxx") and len(long) < 100
    assert "message 1" in drawn(doc, {"r.messages": True})


def test_headers_are_one_line_and_secrets_stay_masked() -> None:
    story = ferry()
    turn = story.transcript.turns[1]
    exchange = {
        "method": "POST", "status": 200, "url": "http://h/v1", "duration": 0.2,
        "request_headers": [["authorization", "[redacted]"], ["accept", "*/*"]],
        "request_body": json.dumps(BODY),
        "response_body": 'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\ndata: [DONE]\n\n',
    }  # fmt: skip
    doc = build("Wire", story.detail(turn), turn, Context(wire=[exchange]))
    lines = drawn(doc)
    assert "2 headers" in lines and "accept: */*" not in lines
    assert "{... 5 keys}" in lines
    assert "stream of 2 events" in lines and "data: [DONE]" in lines
    assert "authorization: [redacted]" in drawn(doc, {"wire 1.request headers": True})


# --- on the screen


class Bench(App[None]):
    def __init__(self, pane: TextPane) -> None:
        super().__init__()
        self.pane = pane

    def compose(self) -> ComposeResult:
        yield self.pane


def shown(pane: TextPane) -> list[str]:
    lines = [pane.render_line(y).text.rstrip() for y in range(pane.content_size.height)]
    return [line for line in lines if line]


async def test_folds_are_opened_with_keys_and_clicks() -> None:
    pane = FoldPane()
    async with Bench(pane).run_test(size=(60, 20)) as pilot:
        doc = Document().line(("above", "text"))
        pane.show(json_value(doc, BODY, "body"))
        pane.focus()
        await pilot.pause()
        assert shown(pane) == ["above", "▸ {... 5 keys}"]
        pane.toggle()
        assert pane.is_open
        assert '  ▸ "messages": [... 40 messages],' in shown(pane)
        await pilot.press("down")
        pane.toggle()
        assert pane.cursor == 2 and '      {"role": "user", "content": "message 0"},' in shown(pane)
        # Made again, as with every record that comes: what was opened stays open.
        pane.show(json_value(Document().line(("above", "text")), BODY, "body"), keep_place=True)
        assert len(shown(pane)) > 15
        await pilot.click(pane, offset=(4, 1))
        assert shown(pane) == ["above", "▸ {... 5 keys}"]
        pane.toggle_all()
        assert pane.line_count > 45
        for _ in range(30):
            pane.move(1)
        assert pane.scroll_y > 0, "without a fold in sight the keys scroll"


async def test_what_is_read_stays_in_its_row_while_records_come() -> None:
    pane = FoldPane()
    async with Bench(pane).run_test(size=(30, 10)) as pilot:

        def doc(more: str) -> Document:
            doc = Document()
            for number in range(30):
                doc.line((f"{number} " + "word " * 20, "text"))
            return doc.line((more, "text"))

        pane.show(doc("old"))
        await pilot.pause()
        pane.scroll_to(y=60, animate=False)
        before = shown(pane)
        pane.show(doc("new"), keep_place=True)
        assert shown(pane) == before


async def test_a_long_value_is_below_its_name_where_there_is_little_room() -> None:
    path = "/home/me/runs/20261120T175343Z_user_hermes.jsonl"
    pane = TextPane(Document().field("log", path).field("status", "ended"))
    app = Bench(pane)
    async with app.run_test(size=(30, 6)) as pilot:
        await pilot.pause()
        assert shown(pane) == ["log", f"  {path[:26]}", f"  {path[26:]}", "status         ended"]
        await pilot.resize_terminal(60, 6)
        await until(pilot, lambda: shown(pane)[0] == f"log            {path[:43]}")


async def test_a_diff_has_brackets_only_without_colours() -> None:
    doc = Document().spans(diff_spans("one two\nthree", "one four three"))
    for monochrome in (False, True):
        pane = TextPane(doc, palette=Palette(monochrome=monochrome))
        async with Bench(pane).run_test(size=(60, 6)) as pilot:
            await pilot.pause()
            assert ("[-two" in " ".join(shown(pane))) is monochrome
    assert "{+four" in str(doc), "copied text tells without colours"


@pytest.mark.parametrize(("width", "rows"), [(120, 1), (80, 1), (44, 2), (30, 3)])
def test_tabs_are_never_broken(width: int, rows: int) -> None:
    bar = TabBar([*"1234567890"])
    bar.tabs = DECIDING
    lines = bar.rows(width)
    assert len(lines) == rows
    assert [tab for line in lines for tab, _, _ in line] == list(DECIDING)
    assert [key for line in lines for _, key, _ in line] == [*"1234567890"]
    if width == 120:
        assert [name.split()[1] for line in lines for _, _, name in line] == list(DECIDING)


def test_a_tab_without_a_key_has_only_its_name() -> None:
    assert TabBar().rows(200)[0][0] == ("Stages", "", " Stages ")


async def test_times_are_in_a_column() -> None:
    story = ferry()
    turn = story.transcript.turns[1]
    pane = TextPane(build("Stages", story.detail(turn), turn, Context()))
    async with Bench(pane).run_test(size=(60, 16)) as pilot:
        await pilot.pause()
        row = next(line for line in shown(pane) if "response" in line)
        assert row.endswith("tok, first token 210 ms           512 ms") and len(row) == 58
        narrow = build("Stages", story.detail(turn), turn, Context(width=30))
        pane.show(narrow)
        lines = shown(pane)
        at = next(number for number, line in enumerate(lines) if "response" in line)
        assert lines[at].endswith(" ms") and lines[at + 1].endswith("first token 210 ms")
