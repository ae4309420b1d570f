"""Home: what the fields of the form mean, and completing them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.widget import Widget
from textual.widgets import Button, Input, Select

from convtui.config.settings import load_config
from convtui.errors import FieldError
from convtui.tui.screens.home.check import check as check_choice
from convtui.tui.screens.home.completion import longest_common, path_completions
from convtui.tui.screens.home.fields import ANOTHER_FILE, FIELDS, flags_of
from convtui.tui.screens.home.form import ChoiceForm
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.run_list import RunList
from tests.tui.harness.sample import until
from tests.tui.screens.home.test_picker import Picking, app, check, folder, ready

__all__ = ["app", "folder"]
BASE = "http://127.0.0.1:8000/v1"


def flags(**changed: str) -> dict[str, Any]:
    values = {field.name: field.default for field in FIELDS}
    return flags_of({**values, **changed})


def test_endpoints_and_parameters_reach_the_side_they_are_for(tmp_path: Path) -> None:
    (tmp_path / "kim.yaml").write_text("name: Kim\nprompt: You are Kim.\n")
    given = flags(
        persona=ANOTHER_FILE, persona_file="kim.yaml", provider="openai/gpt-4o",
        user_model="openai/gpt-4o-mini", api_base=BASE, params="temperature=0.2 stop=x",
        user_api_base=f"{BASE}/user", user_params="max_tokens=300",
    )  # fmt: skip
    scenario = check_choice(given, tmp_path)
    assert scenario.provider.params == {"api_base": BASE, "temperature": 0.2, "stop": "x"}
    assert scenario.persona.params == {"api_base": f"{BASE}/user", "max_tokens": 300}


def test_what_is_empty_comes_from_the_settings_where_it_has_a_use(tmp_path: Path) -> None:
    environ = {"CONVTUI_HOME": str(tmp_path), "CONVTUI_API_BASE": BASE}
    config = load_config(environ=environ, cwd=tmp_path)

    def params(**changed: str) -> dict[str, Any]:
        return check_choice(flags(**changed), tmp_path, config).provider.params

    assert params(provider="openai/gpt-4o") == {"api_base": BASE}
    assert params(provider="openai/gpt-4o", api_base="http://o/v1") == {"api_base": "http://o/v1"}
    assert params() == {}, "the demo calls no model"


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("max_turns", "many", "whole number"),
        ("params", "temperature", "write key=value"),
        ("user_params", "=1", "write key=value"),
        ("provider", "openia/gpt-4o", "did you mean openai/gpt-4o?"),
        ("user_model", "antropic/claude-3-haiku", "did you mean anthropic/claude-3-haiku?"),
        ("provider", "none.py:Bot", "no such file"),
        ("provider", "gpt-4o", "openai/gpt-4o"),
        ("api_base", BASE, "takes no params"),
        ("params", "temperature=1", "takes no params"),
        ("user_params", "temperature=1", "calls no model"),
        ("user_model", "openai/gpt-4o", "calls no model"),
    ],
)
def test_a_mistake_names_its_field(field: str, value: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(FieldError) as raised:
        check_choice(flags(**{field: value}), tmp_path)
    assert raised.value.field == field
    assert problem in raised.value.problem


def test_a_model_with_an_endpoint_of_its_own_may_have_any_name(tmp_path: Path) -> None:
    given = flags(provider="my-host/model", api_base=BASE)
    assert check_choice(given, tmp_path).provider.params["api_base"] == BASE


def test_paths_are_completed_then_the_names_in_python_files(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "raise SystemExit\ndef reply(m): ...\nclass Bot: ...\n_x = 1\n"
    )
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "two.py").write_text("")
    for other in (".hidden.py", "notes.txt"):
        (tmp_path / other).write_text("")
    (tmp_path / "__pycache__").mkdir()

    def of(text: str) -> list[str]:
        return path_completions(text, tmp_path, (".py",), names=True)

    assert of("") == of("bot") == ["bot.py", "bots/"]
    assert of("bots/") == ["bots/two.py"]
    assert of("bot.py") == ["bot.py:Bot", "bot.py:reply"]
    assert of("bot.py:r") == ["bot.py:reply"]
    assert of(f"{tmp_path}/bot.") == [f"{tmp_path}/bot.py"] or of(f"{tmp_path}/bot.")
    assert of("nowhere/x") == of("\0") == of("~nobody-like-this/") == []
    assert longest_common(of("bot.py")) == "bot.py:"
    assert longest_common(["same"]) == "same"


async def test_tab_completes_as_far_as_it_is_clear_then_goes_on(app: Picking) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        box = app.screen.query_one("#provider", Input)
        await until(pilot, lambda: box.suggester is not None)
        box.focus()
        box.value = "bo"
        await until(pilot, lambda: box.has_focus and box.cursor_position == 2)
        await pilot.press("tab")
        await until(pilot, lambda: box.value == "bot.py")
        await pilot.press("tab")
        await until(pilot, lambda: box.value == "bot.py:Bot")
        await until(pilot, lambda: "Bot" in check(app))
        await pilot.press("tab")
        assert not box.has_focus
        await pilot.press("shift+tab")
        assert box.has_focus


async def test_a_persona_can_be_any_file(app: Picking) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        form = app.screen.query_one(ChoiceForm)
        line = form.query_one("#line_persona_file")
        assert not line.region
        form.query_one("#persona", Select).value = ANOTHER_FILE
        await until(pilot, lambda: line.region and "name the file" in check(app))
        form.input("persona_file").value = "personas/kim.yaml"
        await until(pilot, lambda: check(app).startswith("ready: Kim"))


async def test_rare_fields_are_folded_until_one_is_set(app: Picking, folder: Path) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)
        form = app.screen.query_one(ChoiceForm)
        assert not form.input("params").region
        form.query_one("#more", Button).focus()
        await pilot.press("enter")
        await until(pilot, lambda: form.input("params").region)
        form.input("params").value = "temperature"
        await until(pilot, lambda: "parameters: temperature: write" in check(app))
        assert form.query_one("#line_params").has_class("-bad")
        form.query_one("#more", Button).focus()
        form.input("params").value = ""
        form.input("max_total_words").value = "900"
        await until(pilot, lambda: check(app).startswith("ready"))
        assert not form.query_one("#line_params").has_class("-bad")
        await app.screen.start()  # type: ignore[attr-defined]
        assert app.started is not None
    again = Picking(app._first, config=app.config)
    async with again.run_test(size=(80, 24)) as pilot:
        await ready(again, pilot)
        assert again.screen.query_one(ChoiceForm).has_more
        assert again.screen.query_one("#max_total_words", Input).value == "900"


async def test_the_footer_says_what_enter_does_here(app: Picking) -> None:
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(app, pilot)

        def enter() -> dict[str, str]:
            return {item.key: item.label for item in app.screen.query_one(KeyBar).items}

        for name, label in (("start", "start"), ("persona", "choose"), ("more", "more")):
            app.screen.query_one(f"#{name}").focus()
            await until(pilot, lambda label=label: enter()["enter"] == label)  # type: ignore[misc]
            assert enter()["O"] == "library"
        app.screen.query_one("#sessions").focus()
        await until(pilot, lambda: enter()["enter"] == "start")
        assert "O" not in enter(), "it would be typed"
        assert enter()["F2"] == "library"
        app.screen.query_one(RunList).focus()
        await until(pilot, lambda: enter()["enter"] == "open run")
        assert enter()["^n"] == "run again"


def test_a_recorded_provider_is_named_as_runs_are(folder: Path) -> None:
    config = load_config(environ={"CONVTUI_HOME": str(folder / "home")}, cwd=folder)
    (config.runs_dir / "b.jsonl").unlink()
    log = config.runs_dir / "a.jsonl"
    for word in ("last", "a"):
        scenario = check_choice(flags(provider=f"recorded:{word}"), folder, config)
        assert scenario.provider.use == f"recorded:{log}"
    with pytest.raises(FieldError) as caught:
        check_choice(flags(provider="recorded:nothing"), folder, config)
    assert caught.value.field == "provider"


async def test_start_and_the_check_stay_in_sight_while_the_form_scrolls(app: Picking) -> None:
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app, pilot)
        app.screen.query_one(ChoiceForm).show_more(True)
        await until(pilot, lambda: app.screen.query_one("#user_params").region)
        start, line = app.screen.query_one("#start"), app.screen.query_one("#check")
        for name in ("user_params", "more", "provider"):
            field = app.screen.query_one(f"#{name}")
            field.focus()
            shown = (field, start, line)
            await until(pilot, partial(all_seen, shown))


def all_seen(widgets: Iterable[Widget]) -> bool:
    return all(map(seen, widgets))


def seen(widget: Widget) -> bool:
    """Whether the whole of a widget is on the screen."""
    if not widget.region:
        return False
    geometry = widget.screen.find_widget(widget)
    return geometry.visible_region == geometry.region
