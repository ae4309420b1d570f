"""Every choice of every hold that the engine can offer has a key of its own."""

from __future__ import annotations

from itertools import chain

import pytest

from convtui.actions.hold_choices import ANSWERS, action_of
from convtui.actions.registry import Keymap, actions
from convtui.engine.core import gate
from convtui.engine.core.gate import Choice
from convtui.tui.screens.debugger.hold_bar_feed import choice_items
from tests.builders.engine_holds import CHOICES, engine_holds

HOLDS = engine_holds()


def test_the_holds_are_those_of_the_engine() -> None:
    assert len(HOLDS) > 15
    assert {choice for hold in HOLDS for choice in hold} == set(CHOICES)
    # The choice of a hold that says it differently is the same choice.
    assert {choice.id for choice in vars(gate).values() if isinstance(choice, Choice)} == {
        choice.id for choice in CHOICES.values()
    }


@pytest.mark.parametrize("side", ["persona", "provider"])
def test_a_key_is_for_one_choice_and_each_has_one(side: str) -> None:
    keymap = Keymap()
    for names in HOLDS:
        choices = [{"id": CHOICES[name].id, "label": name} for name in names]
        items = choice_items({"choices": choices, "side": side}, keymap)
        assert [item.label for item in items] == list(names)
        keys = [item.key for item in items]
        assert all(keys), names
        assert len(set(keys)) == len(keys), (names, keys)
        assert keys[0] == "enter"


def test_choices_keep_their_keys_in_every_hold() -> None:
    keymap = Keymap()
    for choice in CHOICES.values():
        action = action_of(choice.id)
        assert action is not None, choice
        assert "held" in actions()[action].contexts, action
        assert keymap.find(keymap.keys(action)[0], ["held"]) is actions()[action]
    answers = list(chain(*ANSWERS.values()))
    assert len(set(answers)) == len(answers)


def test_no_digit_and_no_key_that_moves_answers_a_hold() -> None:
    keys = {key for action in ANSWERS for key in Keymap().keys(action)}
    assert not keys & set("0123456789jkgG")
