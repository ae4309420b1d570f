"""Text or command, by when keys came; no screen, no clock."""

from __future__ import annotations

import pytest

from convtui.tui.keyboard.typing_guard import AFTER_TEXT, BURST_GAP, Stroke, TypingGuard, Verdict

FAST = BURST_GAP / 10
PERSON = 0.12
GO, TEXT, BACK, WAIT, DROP = Verdict
_CHARACTERS = {"enter": "\r", "tab": "\t", "ctrl+j": "\n", "escape": "\x1b", "space": " "}


class Typist:
    """Presses keys and keeps what was said about each."""

    def __init__(self) -> None:
        self.guard = TypingGuard()
        self.now = 100.0
        self.typing = True
        self.acts = True
        self.verdicts: list[tuple[str, Verdict]] = []

    def press(self, *keys: str, gap: float = PERSON) -> Typist:
        for key in keys:
            self.now += gap
            character = _CHARACTERS.get(key, key if len(key) == 1 else None)
            stroke = Stroke(key, character, self.now)
            verdicts = self.guard.judge(stroke, typing=self.typing, acts=self.acts)
            self.verdicts += [(judged.key, verdict) for judged, verdict in verdicts]
        return self

    def rest(self, seconds: float = 1.0) -> list[Verdict]:
        """Nothing more comes; what was said about the keys so far."""
        self.now += seconds
        self.verdicts += [(judged.key, verdict) for judged, verdict in self.guard.rest()]
        return [verdict for _, verdict in self.verdicts]


@pytest.fixture
def typist() -> Typist:
    return Typist()


def test_a_persons_enter_sends(typist: Typist) -> None:
    typist.press("h", "i", "enter")
    assert typist.verdicts == [("h", GO), ("i", GO)]
    assert typist.rest() == [GO, GO, GO]


@pytest.mark.parametrize("gap", [0.0, 0.012, 0.02, BURST_GAP * 0.99])
def test_line_ends_in_a_burst_are_text(typist: Typist, gap: float) -> None:
    typist.press("a", "enter", "b", "enter", gap=gap)
    assert typist.rest() == [GO, TEXT, GO, TEXT]


@pytest.mark.parametrize("gap", [BURST_GAP * 1.01, 0.06, 0.1])
def test_the_fastest_typists_send(typist: Typist, gap: float) -> None:
    typist.press("a", "b", "enter", gap=gap)
    assert typist.rest() == [GO, GO, GO]


def test_one_quick_pair_of_letters_is_no_burst(typist: Typist) -> None:
    typist.press("t").press("h", gap=FAST).press("enter")
    assert typist.rest() == [GO, GO, GO]


def test_a_paste_may_begin_with_line_ends(typist: Typist) -> None:
    typist.press("enter").press("enter", "a", gap=FAST)
    assert typist.rest() == [TEXT, TEXT, GO]


def test_empty_lines_in_a_paste_are_kept(typist: Typist) -> None:
    typist.press("a", "enter", "enter", "b", gap=FAST)
    assert typist.rest() == [GO, TEXT, TEXT, GO]


def test_both_halves_of_a_line_end_are_one(typist: Typist) -> None:
    typist.press("a", "enter", "ctrl+j", "ctrl+j", gap=FAST)
    assert typist.rest() == [GO, TEXT, DROP, TEXT]


def test_tabs_in_a_paste_are_text_and_a_persons_leave(typist: Typist) -> None:
    typist.press("a", "tab", "b", gap=FAST)
    assert typist.rest() == [GO, TEXT, GO]
    typist.press("tab").press("c", gap=FAST)
    assert typist.rest()[3:] == [TEXT, GO]
    typist.press("tab")
    assert typist.rest()[5:] == [GO]


def test_control_characters_in_a_paste_do_nothing(typist: Typist) -> None:
    typist.press("a", "ctrl+g", "escape", "alt+r", "b", gap=FAST)
    assert typist.rest() == [GO, DROP, DROP, DROP, GO]


def test_a_person_may_use_chords_at_once(typist: Typist) -> None:
    typist.press("a", "ctrl+g")
    assert typist.rest() == [GO, GO]


def test_an_enter_that_is_held_counts_once(typist: Typist) -> None:
    typist.press("a", "enter").press("enter", "enter", gap=0.016)
    assert typist.rest() == [GO, GO, DROP, DROP]


def test_the_next_key_decides_without_a_rest(typist: Typist) -> None:
    typist.press("a", "enter", "b")
    assert typist.verdicts == [("a", GO), ("enter", GO), ("b", GO)]


def test_what_follows_text_is_given_back_where_the_focus_was_lost(typist: Typist) -> None:
    typist.press("h", "i")
    typist.typing = False
    # Each is text and keeps the next one text, at any pace of a typist.
    typist.press("R", "a", "w", "enter", gap=AFTER_TEXT * 0.9)
    assert typist.rest() == [GO, GO, BACK, BACK, BACK, BACK]
    typist.press("R", gap=AFTER_TEXT)
    assert typist.rest()[6:] == [GO]


def test_what_follows_text_is_no_command_where_the_input_was_left(typist: Typist) -> None:
    typist.press("h", "escape")
    typist.typing = False
    typist.press("R", gap=AFTER_TEXT / 3).press("w", gap=AFTER_TEXT)
    assert typist.rest() == [GO, GO, DROP, GO]


def test_keys_that_are_no_characters_work_right_after_text(typist: Typist) -> None:
    typist.press("h")
    typist.typing = False
    typist.press("f1", "down", "ctrl+q", gap=FAST)
    assert typist.rest() == [GO, GO, GO, GO]


def test_a_burst_outside_of_inputs_is_no_command(typist: Typist) -> None:
    typist.typing = False
    typist.press("R").press("o", "b", "enter", gap=FAST)
    assert typist.rest() == [DROP, DROP, DROP, DROP]


def test_what_only_shows_something_does_not_wait(typist: Typist) -> None:
    typist.typing = typist.acts = False
    typist.press("j")
    assert typist.verdicts == [("j", GO)]


@pytest.fixture
def viewer() -> Typist:
    """Somebody in a line whose Enter only moves the view, and closes it."""
    viewer = Typist()
    viewer.press("7")
    viewer.acts = False
    viewer.press("enter", gap=1.0)
    viewer.acts, viewer.typing = True, False
    return viewer


def test_an_enter_that_only_moves_the_view_does_not_wait(viewer: Typist) -> None:
    assert viewer.verdicts == [("7", GO), ("enter", GO)]
    viewer.press("r")
    assert viewer.rest()[2:] == [GO]


@pytest.mark.parametrize("key", ["r", "enter", "tab", "ctrl+j", "ctrl+q", "escape"])
def test_what_comes_at_once_after_it_is_no_command(viewer: Typist, key: str) -> None:
    viewer.press(key, *"re", "enter", "tab", "q", gap=BURST_GAP * 0.9)
    assert viewer.rest()[2:] == [DROP] * 6
    viewer.press("r")
    assert viewer.rest()[8:] == [GO]


def test_a_paste_after_it_may_hold_control_characters(viewer: Typist) -> None:
    viewer.press(*"ab", "ctrl+q", "c", "ctrl+c", gap=FAST)
    assert viewer.rest()[2:] == [DROP] * 5


def test_keys_that_no_text_has_are_keys_after_it(viewer: Typist) -> None:
    viewer.press("up", "pagedown", gap=FAST)
    assert viewer.rest()[2:] == [GO, GO]


def test_it_is_held_down(viewer: Typist) -> None:
    viewer.press(*["enter"] * 40, gap=0.016)
    assert viewer.rest()[2:] == [DROP] * 40


def test_in_a_burst_it_is_text_there_too(typist: Typist) -> None:
    typist.acts = False
    typist.press("1", "enter", "2", "enter", gap=FAST)
    assert typist.rest() == [GO, TEXT, GO, TEXT]


def test_a_tab_there_waits_all_the_same(typist: Typist) -> None:
    typist.press("1")
    typist.acts = True
    typist.press("tab")
    assert typist.verdicts == [("1", GO)]
    assert typist.rest() == [GO, GO]


def test_a_command_that_is_held_repeats(typist: Typist) -> None:
    typist.typing = False
    typist.press("n", "n", "n", gap=0.016)
    assert typist.rest() == [GO, GO, GO]


def test_commands_of_a_fast_hand_run(typist: Typist) -> None:
    typist.typing = False
    typist.press("g", "n", "s", gap=0.05)
    assert typist.rest() == [GO, GO, GO]


def test_a_paste_counts_as_text(typist: Typist) -> None:
    typist.guard.pasted(typist.now)
    typist.typing = False
    typist.press("R", gap=FAST)
    assert typist.rest() == [BACK]
