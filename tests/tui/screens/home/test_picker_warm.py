"""Home: which warm template the provider begins with."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Select

from convtui.errors import UsageError
from convtui.tui.screens.home import choices
from tests.tui.harness.sample import until
from tests.tui.screens.home.test_picker import Picking, app, check, folder

__all__ = ["app", "folder"]


def test_slots_are_given_as_text_whatever_they_look_like() -> None:
    assert choices.slot_flags(" who = Ada; n=17;; t = a=b ") == [
        'warm.slots.who="Ada"',
        'warm.slots.n="17"',
        'warm.slots.t="a=b"',
    ]
    assert choices.slot_flags("") == []
    with pytest.raises(UsageError, match="write slot=value; other=value, not 'Ada'"):
        choices.slot_flags("Ada")


def test_templates_say_what_they_are(tmp_path: Path) -> None:
    assert choices.templates(tmp_path / "none") == []
    (tmp_path / "desk.json").write_text(
        '{"patterns": [{"tool_name": "t"}], "description": "a\\u001b desk", "slots": ["who"]}'
    )
    (tmp_path / "broken.json").write_text("{")
    broken, desk = choices.templates(tmp_path)
    assert broken.label == "broken  (cannot be read)"
    assert (desk.label, desk.slots) == ("desk  (1 pattern, a␛ desk)", ("who",))


async def test_a_warm_template_is_chosen_filled_and_remembered(app: Picking, folder: Path) -> None:
    warm = folder / "home" / "data" / "warm"
    warm.mkdir()
    text = '{"patterns": [], "system_prompt_addendum": "For {who}.", "description": "[b] desk"}'
    (warm / "desk.json").write_text(text)
    (warm / "broken.json").write_text("{")
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: check(app).startswith("ready"))
        line = app.screen.query_one("#line_warm_slots")
        assert not line.has_class("-wanted"), "a cold start has no slots"
        app.screen.query_one("#warm", Select).value = "broken"
        await until(pilot, lambda: "is not JSON" in check(app))
        app.screen.query_one("#warm", Select).value = "desk"
        await until(pilot, lambda: "slot without a value: who" in check(app))
        await until(pilot, lambda: line.display)
        slots = app.screen.query_one("#warm_slots", Input)
        assert slots.placeholder == "who=..."
        slots.value = "Ada"
        await until(pilot, lambda: "write slot=value" in check(app))
        slots.value = "who = 17: Ada"
        await until(pilot, lambda: check(app).endswith("warm: desk"))
        await pilot.press("enter")
        await until(pilot, lambda: app.started is not None)
        assert app.started is not None
        chosen = {"use": "desk", "slots": {"who": "17: Ada"}, "max_patterns": 15}
        assert app.started.scenario["warm"] == chosen
        assert (await app.saved_state.recall())["picker"]["warm"] == "desk"
