"""Taking over on the screen: whose words, drafts, what was typed, history, paste, editors."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual import events
from textual.app import SuspendNotSupported

from convtui.tui.screens import external_editor
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.widgets.keybar import KeyBar
from tests.tui.harness.sample import turn, until
from tests.tui.harness.taken import DECIDES, SAYS, Taken


@pytest.fixture
def taken(tmp_path: Path) -> Taken:
    return Taken(tmp_path)


async def test_the_input_is_alive_as_soon_as_a_side_is_taken_over(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        taken.hands.gap = 0.1
        await pilot.press("t", *"Hi there, run")
        assert taken.handle.orders == [("take_over", {"side": "persona"})]
        assert taken.box.text == "Hi there, run"
        assert taken.title == "you are the persona: not your turn yet"
        assert "You can write ahead" in str(taken.box.placeholder)
        # The engine reports it, and then it is the other side's turn: the text stays.
        taken.handle.tell({"type": "debug.took_over", "side": "persona"}, *turn(3, "provider", "x"))
        await pilot.press(*" it")
        assert taken.box.text == "Hi there, run it"
        taken.hands.gap = 1.0
        await taken.turn(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: taken.last[1].get("choice") == "say")
        assert taken.last[1]["edits"] == {"text": "Hi there, run it"}


async def test_a_side_that_cannot_be_taken_over_leaves_the_keys_alone(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        taken.handle.refuse = "the engine is busy"
        await pilot.press("t")
        await until(pilot, lambda: "The engine is busy." in taken.notices())
        await until(pilot, lambda: taken.screen.view.has_focus and not taken.box.display)


async def test_whose_words_these_are_is_said(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await pilot.press("T")
        assert taken.last == ("take_over", {"side": "provider"})
        taken.handle.tell({"type": "debug.took_over", "side": "provider"})
        await until(pilot, lambda: taken.title == "you are the provider: not your turn yet")
        assert taken.box.has_class("-provider")
        await taken.turn(pilot, side="provider")
        assert taken.title == "you speak for the provider"
        assert "as the provider" in str(taken.box.placeholder)
        await pilot.press("escape", "T")
        await until(pilot, lambda: taken.last == ("hand_back", {"side": "provider"}))
        taken.handle.tell({"type": "debug.handed_back", "side": "provider"})
        await taken.turn(pilot)
        assert taken.title == "you speak for the persona, Ida"
        assert taken.box.has_class("-persona")
        assert not taken.box.has_class("-provider")
        await pilot.press("escape", "t")
        await until(pilot, lambda: taken.last == ("hand_back", {"side": "persona"}))


async def test_a_draft_fills_the_input_and_is_sent_as_it_is(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await until(pilot, lambda: "draft" in taken.footer())
        await pilot.press("ctrl+g")
        assert taken.last == ("release", {"choice": "draft", "edits": {}})
        await until(pilot, lambda: taken.title == "drafting for the persona")
        # What is typed meanwhile is text; the keys of a call in flight are behind Escape.
        assert taken.box.has_focus
        assert str(taken.box.border_subtitle) == "esc, then x, cancels it"
        await taken.turn(pilot, "Where is it?", draft=True)
        assert taken.box.text == "Where is it?"
        assert taken.title.endswith("from a draft")
        await until(pilot, lambda: "other draft" in taken.footer())
        await pilot.press("enter")
        await until(pilot, lambda: taken.last[1].get("choice") == "say")
        assert taken.last[1]["edits"] == {"text": "Where is it?"}
        assert taken.box.text == ""


async def test_the_keys_in_the_footer_can_be_clicked(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await until(pilot, lambda: "send" in taken.footer())
        await pilot.press(*"Hello")
        bar = taken.screen.query_one(KeyBar)
        for action in ("take_over.newline", "take_over.draft"):
            bar.post_message(KeyBar.Chosen(action))
        draft = ("release", {"choice": "draft", "edits": {}})
        await until(pilot, lambda: draft in taken.handle.orders)
        assert taken.box.text == "Hello\n"
        await taken.turn(pilot)
        taken.box.text = "Hello again"
        bar.post_message(KeyBar.Chosen("take_over.send"))
        order = ("release", {"choice": "say", "edits": {"text": "Hello again"}})
        await until(pilot, lambda: taken.last == order)
        bar.post_message(KeyBar.Chosen("take_over.leave"))
        await until(pilot, lambda: not taken.box.has_focus)


async def test_what_was_typed_before_the_draft_comes_back(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press(*"mine", "ctrl+g")
        await taken.turn(pilot, "Its draft.", draft=True)
        assert taken.box.text == "Its draft."
        assert "press up" in taken.notices()
        await pilot.press("up")
        assert taken.box.text == "mine"
        await pilot.press("down")
        assert taken.box.text == "Its draft."


async def test_a_draft_that_nobody_touched_goes_with_its_turn(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot, "Its draft.", draft=True)
        await pilot.press("escape", "t")
        await until(pilot, lambda: taken.last[0] == "hand_back")
        taken.over()
        await until(pilot, lambda: taken.box.text == "")
        await taken.turn(pilot, "Another.", draft=True)
        await pilot.press("x", "escape", "t")
        taken.over()
        await until(pilot, lambda: not taken.box.my_turn)
        assert taken.box.text == "Another.x"


async def test_a_draft_that_ends_it_says_so(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press(*"hm", "ctrl+g")
        detail = "the simulator would stop here: it has what it came for"
        await taken.turn(pilot, draft=True, detail=detail)
        assert taken.box.text == "hm"
        assert "The simulator would stop here" in taken.notices()
        assert "would stop here" in str(taken.box.placeholder)
        assert "Enter accepts it" in str(taken.box.placeholder)
        taken.box.text = ""
        await pilot.press("enter")
        await until(pilot, lambda: taken.last[1].get("choice") == "simulate")


async def test_a_draft_that_could_not_be_made_loses_nothing(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press(*"mine", "ctrl+g")
        await taken.turn(pilot, detail="no draft: 401, the key is wrong")
        assert taken.box.text == "mine"
        assert "No draft: 401" in taken.notices()


async def test_a_draft_is_for_the_one_whose_turn_it_is(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        taken.handle.tell({"type": "debug.took_over", "side": "persona"})
        await until(pilot, lambda: taken.box.has_class("-shown"))
        taken.box.focus()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "when it is your turn" in taken.notices())
        await taken.turn(pilot, choices=SAYS[:1])
        assert "draft" not in taken.footer()
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "nothing else speaks" in taken.notices())
        assert not taken.handle.orders


async def test_a_draft_just_come_in_is_not_sent_by_the_key_before(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot, "Its draft.", draft=True)
        taken.hands.gap = 0.1
        taken.box._filled_at = taken.hands.now()
        await pilot.press("enter")
        assert not taken.handle.orders


async def test_a_responders_choices_are_behind_escape(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot, choices=(*SAYS, *DECIDES))
        assert str(taken.box.border_subtitle) == "esc: stop, abstain and more"
        assert not taken.screen.hold_bar.display
        await pilot.press("escape")
        await until(pilot, lambda: taken.screen.hold_bar.display)
        assert "S stop by hand" in str(taken.screen.query_one("#hold-choices").render())
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(taken.app.screen, Ask))
        await pilot.press(*"why", "enter")
        await until(pilot, lambda: taken.handle.orders)
        assert taken.last[1] == {"choice": "abstain", "edits": {"reason": "why"}}
        await taken.turn(pilot, choices=(*SAYS, *DECIDES))
        await until(pilot, lambda: not taken.screen.hold_bar.display)


async def test_what_is_refused_comes_back(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        taken.handle.refuse = "that hold is over"
        await pilot.press(*"hello", "enter")
        await until(pilot, lambda: taken.box.text == "hello")
        assert "That hold is over" in taken.notices()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_pasted_lines_are_kept_and_never_sent(taken: Taken, end: str) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        taken.box.post_message(events.Paste(f"one{end}two{end}"))
        await until(pilot, lambda: taken.box.text == "one\ntwo\n")
        await pilot.pause()
        assert not taken.handle.orders


async def test_the_text_is_written_in_an_editor(
    taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []

    async def edited(app: object, command: object, text: str, *, name: str) -> str:
        given.append(text)
        return text + " and more"

    monkeypatch.setenv("EDITOR", "vi")
    monkeypatch.setattr(external_editor, "edit_outside", edited)
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press(*"hi", "ctrl+o")
        await until(pilot, lambda: taken.box.text == "hi and more")
        await pilot.press("escape", "E")
        await until(pilot, lambda: taken.box.text == "hi and more and more")
        assert given == ["hi", "hi and more"]
        assert not taken.handle.orders


async def test_where_no_editor_can_be_opened_it_says_so(
    taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(app: object, command: object, text: str, *, name: str) -> str:
        raise SuspendNotSupported

    monkeypatch.setenv("EDITOR", "vi")
    monkeypatch.setattr(external_editor, "edit_outside", refused)
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        await taken.turn(pilot)
        await pilot.press(*"hi", "ctrl+o")
        await until(pilot, lambda: "cannot run an editor" in taken.notices())
        assert taken.box.text == "hi"
        monkeypatch.delenv("EDITOR")
        monkeypatch.delenv("VISUAL", raising=False)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "No editor is set" in taken.notices())


async def test_labels_are_text_and_nothing_else(taken: Taken) -> None:
    async with taken.app.run_test(size=(120, 26)) as pilot:
        await taken.begin(pilot)
        bad = "\x1b]52;c;AAAA\x07[/] [@click=app.quit]x[/]"
        taken.box.label(bad, bad, bad)
        for text in (taken.box.border_title, taken.box.border_subtitle, taken.box.placeholder):
            assert not any(char in str(text) for char in "\x1b\x07")
            assert "[@click=app.quit]" in str(text)
