"""Warm templates on the screen: what one injects, how two differ, built, edited, deleted, used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, Select

from convtui.errors import DataFileError, FieldError, UsageError
from convtui.tui.app import ConvtuiApp
from convtui.tui.documents.warm import difference, preview
from convtui.tui.screens import external_editor
from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.screens.home.picker import PickerScreen
from convtui.tui.screens.warm.form import BuildForm, wishes_of
from convtui.tui.screens.warm.screen import WarmScreen
from convtui.tui.screens.warm.warm_list import TemplateList, entries_of
from convtui.tui.widgets.text_pane import TextPane
from convtui.warm.store import WarmStore
from tests.builders.tool_logs import tool_log
from tests.tui.harness.sample import until
from tests.tui.screens.compare.test_screen import text
from tests.tui.screens.home.test_picker import Picking, app, check, folder

__all__ = ["app", "folder"]

T, F = True, False


def pattern(tool: str, asked: str, **arguments: Any) -> dict[str, Any]:
    return {"tool_name": tool, "arguments": arguments, "preceding_context": asked,
            "result_summary": "[b]3\x1b[31m", "reply": "Found."}  # fmt: skip


DESK: dict[str, Any] = {
    "name": "desk",
    "description": "For {who}",
    "tags": ["ferry"],
    "patterns": [pattern("search", "Ferry of {who}?", q="ferry"), pattern("refund", "Refund.")],
    "system_prompt_addendum": "Be kind to {who}.",
    "slots": {"who": "Ada"},
    "source_session_ids": ["r1"],
}


@pytest.fixture
def store(tmp_path: Path) -> WarmStore:
    warm = tmp_path / "warm"
    warm.mkdir()
    other = [pattern("search", "Ferry of {who} today?", q="ferry"), pattern("mail", "Write.")]
    (warm / "desk.json").write_text(json.dumps(DESK))
    (warm / "other.json").write_text(json.dumps({"patterns": other, "slots": ["who"]}))
    (warm / "wrong.json").write_text('{"patterns": [\n}')
    return WarmStore(warm)


def screen_on(store: WarmStore, runs: Path) -> ConvtuiApp:
    return ConvtuiApp(lambda app: WarmScreen(app.keymap, store.folder, runs))


def doc(app: ConvtuiApp) -> str:
    return str(app.screen.query_one(TextPane).doc)


def test_the_preview_is_exactly_what_is_injected_with_its_slots(store: WarmStore) -> None:
    desk, _, wrong = entries_of(store)
    shown = str(preview(desk))
    assert "slots     who (Ada)" in shown
    assert "what it injects  8 messages before every session's history" in shown
    assert "[WARM SESSION] Be kind to {who}." in shown
    assert desk.stored is not None
    for message in desk.stored.context({"who": "{who}"}).messages:
        assert str(message.get("content") or message["tool_calls"][0]["function"]["name"]) in shown
    marks = [
        piece.text[start:end]
        for piece in preview(desk).pieces
        for start, end, role in piece.marks
        if role == "mark:held"
    ]
    assert marks == ["{who}", "{who}"]
    assert "wrong.json:2: is not JSON" in str(preview(wrong))


def test_two_are_compared_pattern_by_pattern(store: WarmStore) -> None:
    desk, other, _ = (entry.stored for entry in entries_of(store))
    assert desk is not None
    assert other is not None
    told = str(difference(desk, other))
    assert "[-[WARM SESSION] Be kind to {who}.-]" in told
    assert "pattern 1 search" in told and "Ferry of {who}{+ today+}?" in told
    assert "pattern 2 refund  only in desk" in told and "[-Refund.-]" in told
    assert "pattern 2 mail  only in other" in told and "{+Write.+}" in told
    assert "They inject the same." in str(difference(desk, desk))


def test_what_is_edited_is_checked_before_it_takes_the_place(store: WarmStore) -> None:
    before = store.path("desk").read_text()
    with pytest.raises(DataFileError, match=r"desk\.json:1: patterns\[0\]\.tool_name: must be"):
        store.rewrite("desk", json.dumps({**DESK, "patterns": [{"tool_name": 3}]}))
    with pytest.raises(UsageError, match="must be 'desk'"):
        store.rewrite("desk", json.dumps({**DESK, "name": "else"}))
    assert store.path("desk").read_text() == before
    store.rewrite("desk", json.dumps({**DESK, "tags": ["new"]}))
    assert store.load("desk").template.tags == ["new"]


WISHES = {
    "name": "n", "description": "", "tags": " a, b,", "filter": "", "min_messages": "2",
    "max_sessions": "3", "max_error_rate": "0.5", "min_success_rate": "1", "ended": "completed",
}  # fmt: skip


def test_wishes_are_read_and_refused_by_field() -> None:
    wishes = wishes_of(WISHES)
    assert (wishes.tags, wishes.rules.ended) == (("a", "b"), ("completed",))
    assert (wishes.rules.min_messages, wishes.rules.min_success_rate) == (2, 1.0)
    for field, value in (
        ("max_sessions", "0"), ("min_messages", "-1"), ("max_error_rate", "nan"),
        ("min_success_rate", "1.1"), ("filter", "~nothing ("),
    ):  # fmt: skip
        with pytest.raises(FieldError) as caught:
            wishes_of({**WISHES, field: value})
        assert caught.value.field == field


async def test_one_is_built_marked_compared_and_deleted(store: WarmStore, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    tool_log(runs / "a.jsonl", [T] * 8)
    tool_log(runs / "b.jsonl", [F, T])
    app = screen_on(store, runs)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "3" in text(app).splitlines()[0] and "#ferry" in text(app))
        assert "wrong" in text(app) and "✗ cannot be read" in text(app)
        await pilot.press("m", "j", "C")
        await until(pilot, lambda: "{+ today+}" in doc(app))
        await pilot.press("escape")
        await until(pilot, lambda: "what it injects" in doc(app))
        await pilot.press("n")
        await until(pilot, lambda: bool(app.screen.query("#build-name")))
        await pilot.press(*"a b", "enter")
        await until(pilot, lambda: "cannot be the name of a warm template" in text(app))
        app.screen.query_one("#build-name", Input).value = "built"
        app.screen.query_one("#build-min_messages", Input).value = "10"
        await pilot.press("enter")
        await until(pilot, lambda: "✓ saved as built" in doc(app))
        assert "2, 2 looked at, 1 passed" in doc(app)
        assert "1: fewer than 10 messages" in doc(app)
        assert "8, of 8 successful calls" in doc(app)
        listed = app.screen.query_one(TemplateList)
        assert listed.selected is not None
        assert listed.selected.name == "built"
        assert len(store.load("built").template.patterns) == 8
        await pilot.press("d", "down", "enter")
        await until(pilot, lambda: "built" not in store.names())
        await until(pilot, lambda: len(listed.items) == 3)


async def test_a_bad_edit_is_refused_with_its_place(
    store: WarmStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ['{"patterns": [\n3]}', json.dumps({**DESK, "tags": ["edited"]})]
    seen: list[str] = []

    async def edited(app: object, command: object, text: str, *, name: str) -> str:
        seen.append(text)
        return texts[len(seen) - 1]

    monkeypatch.setenv("EDITOR", "vi")
    monkeypatch.setattr(external_editor, "edit_outside", edited)
    app = screen_on(store, tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "#ferry" in text(app))
        await pilot.press("e")
        await until(pilot, lambda: "this is no template" in text(app))
        shown = text(app)  # The path may be folded anywhere.
        assert "desk.json:2" in "".join(letter for letter in shown if letter not in "│ \n")
        assert store.load("desk").template.tags == ["ferry"]
        await pilot.press("enter")
        await until(pilot, lambda: "#edited" in doc(app))
        assert seen == [json.dumps(DESK), texts[0]]


@pytest.mark.parametrize("size", [(120, 36), (60, 16), (40, 10)])
async def test_the_form_is_whole_and_names_its_keys(tmp_path: Path, size: tuple[int, int]) -> None:
    app = screen_on(WarmStore(tmp_path / "none"), tmp_path)
    async with app.run_test(size=size) as pilot:
        app.push_screen(BuildForm("3 runs that were marked or filtered", lambda _: "not a name"))
        await until(pilot, lambda: "esc cancel" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "not a name" in text(app))
        assert "name" in text(app) and "enter build" in text(app)
        box = app.screen.query_one(DialogBox).region
        assert box.y >= 0 and box.bottom <= size[1]


async def test_without_one_it_says_how_to_build_one(tmp_path: Path) -> None:
    app = screen_on(WarmStore(tmp_path / "none"), tmp_path)
    async with app.run_test(size=(60, 16)) as pilot:
        await until(pilot, lambda: "No warm template yet." in text(app))
        assert "n builds one from all saved runs" in " ".join(text(app).split())
        assert "q quit" in text(app)
        assert "esc quit" not in text(app)
        assert "esc back" not in text(app), "one key that leaves is enough"
        assert "d delete" not in text(app)


async def test_it_is_used_for_the_next_run(app: Picking, folder: Path) -> None:
    warm = folder / "home" / "data" / "warm"
    warm.mkdir()
    (warm / "desk.json").write_text(json.dumps({**DESK, "slots": ["who"]}))
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: check(app).startswith("ready"))
        await pilot.press("W")
        await until(pilot, lambda: "#ferry" in text(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PickerScreen))
        await until(pilot, lambda: "slot without a value: who" in check(app))
        assert app.screen.query_one("#warm", Select).value == "desk"
