"""The registry of actions, keymaps, and the key table made from them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from convtui.actions.key_names import display_key, normal_key
from convtui.actions.registry import CONTEXTS, Keymap, actions, key_table_markdown, load_keymap
from convtui.errors import DataFileError

PALETTE_ONLY = {"app.notices", "app.theme", "hints.toggle", "view.hooks"}


def test_the_registry_is_consistent() -> None:
    keymap = Keymap()
    for action in actions().values():
        assert 0 < len(action.label) <= 12, action
        assert action.help.endswith("."), action
        assert action.contexts, action
        assert action.contexts <= set(CONTEXTS), action
        assert action.keys or action.id in PALETTE_ONLY, action
        for key in (*action.keys, *action.aliases):
            assert normal_key(key) == key
    for one, other in combinations(actions().values(), 2):
        if one.contexts & other.contexts:
            assert not set(keymap.keys(one)) & set(keymap.keys(other)), (one.id, other.id)


def test_the_keys_that_were_promised() -> None:
    promised = {
        "space": "run.toggle", "n": "run.step_turn", "s": "run.step_stage", "c": "run.continue",
        "b": "break.here", "B": "break.list", "t": "take_over.toggle", "a": "hold.ask_again",
        "x": "run.cancel_call", "K": "run.kill_engine", "w": "branch.rewind",
        "R": "provider.reload", "r": "view.cycle", "i": "inspector.toggle", "j": "move.down",
        "k": "move.up", "g": "move.first", "G": "move.last", "]": "move.next_event",
        "[": "move.previous_event", ".": "move.next_event", ",": "move.previous_event",
        "/": "search.open", "y": "copy.turn", "Y": "copy.transcript", "F": "view.follow",
        "?": "app.help", "f1": "app.manual", ":": "app.palette", "^p": "app.palette",
        "q": "app.quit", "^q": "app.quit", "f5": "run.continue", "f9": "break.here",
        "f10": "run.step_turn", "enter": "inspector.open", "3": "inspector.tab_3",
    }  # fmt: skip
    keymap = Keymap()
    for key, name in promised.items():
        found = keymap.find(normal_key(key), ["live"])
        assert found is not None, key
        assert found.id == name
    for key, name in {"e": "hold.edit", "E": "hold.open_editor", "o": "hold.override",
                      "enter": "hold.first", "u": "hold.undo", "J": "hold.skip",
                      "X": "hold.let_end", "2": "inspector.tab_2",
                      "0": "inspector.tab_10"}.items():  # fmt: skip
        found = keymap.find(key, ["held"])
        assert found is not None
        assert found.id == name
    found = keymap.find("n", ["search", "live"])
    assert found is not None
    assert found.id == "search.next"


@pytest.mark.parametrize(
    ("written", "key", "shown"),
    [
        ("?", "question_mark", "?"),
        ("^p", "ctrl+p", "^p"),
        ("Ctrl+P", "ctrl+p", "^p"),
        ("F5", "f5", "F5"),
        ("E", "E", "E"),
        ("+", "plus", "+"),
        ("alt++", "alt+plus", "alt++"),
        ("shift+TAB", "shift+tab", "shift+tab"),
        ("space", "space", "space"),
        ("shift+ctrl+up", "ctrl+shift+up", "^shift+up"),
    ],
)
def test_names_of_keys(written: str, key: str, shown: str) -> None:
    assert normal_key(written) == key
    assert display_key(key) == shown


@pytest.mark.parametrize("written", ["", "spce", "shift+k", "meta+x", "ctrl+i", "^m", "ab", "++x"])
def test_what_is_no_key(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normal_key(written)


def test_a_keymap(tmp_path: Path) -> None:
    file = tmp_path / "keymap.yaml"
    file.write_text("run.toggle: Z\nmove.up: [up, '{']\ncopy.turn: []\nview.follow: f5\n")
    keymap = load_keymap(file)
    assert keymap.keys("run.toggle") == ("Z",)
    assert keymap.keys("move.up") == ("up", "left_curly_bracket")
    assert keymap.keys("copy.turn") == ()
    assert keymap.shown("copy.turn") == ""
    # An alias gives way to a chosen key.
    assert keymap.keys("run.continue") == ("c",)
    assert load_keymap(None) == Keymap()
    assert "`Z`" in key_table_markdown(keymap)


def test_two_actions_may_exchange_keys(tmp_path: Path) -> None:
    file = tmp_path / "keymap.yaml"
    file.write_text("run.step_turn: s\nrun.step_stage: n\n")
    assert load_keymap(file).keys("run.step_stage") == ("n",)


def test_mistakes_in_a_keymap(tmp_path: Path) -> None:
    file = tmp_path / "keymap.yaml"
    file.write_text(
        "run.step_turn: s\nhold.edt: e\nmove.up: [shift+k, 1.5]\ncopy.turn: ctrl+c\n"
        "run.toggle: Z\nbreak.here: Z\nhold.choice_2: y\n"
    )
    with pytest.raises(DataFileError) as caught:
        load_keymap(file)
    assert [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems] == [
        "1: run.step_turn: 's' is also the key of run.step_stage (held, live, replay) by default;"
        " give that action another key",
        "2: hold.edt: unknown action, did you mean 'hold.edit'?",
        "3: move.up: 'shift+k': write K instead of shift+k",
        "3: move.up: 1.5 is not a key; put it in quotes",
        "4: copy.turn: ctrl+c is reserved for copying and quitting",
        "6: break.here: 'Z' is also the key of run.toggle (held, live)",
        "7: hold.choice_2: choices of a hold have no numbers; each has a key of its own, such as"
        " hold.edit, hold.ask_again, hold.override",
    ]
    file.write_text("- a\n")
    with pytest.raises(DataFileError, match="a keymap is a mapping"):
        load_keymap(file)
    file.write_text("# nothing yet\n")
    assert load_keymap(file).chosen == {}
