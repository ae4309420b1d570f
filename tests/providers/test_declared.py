"""The values that a provider's class declares beside its hooks: whatever may stand there."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from convtui.engine.conversation.wiring import EngineModels
from convtui.errors import HookError, ProviderLoadError
from convtui.providers.base import Provider
from convtui.providers.declared import check_declared, defines, model_of
from convtui.providers.loader import Loaded, load_provider
from convtui.providers.settings import ProviderSettings
from convtui.scenario.provider_spec import ProviderSpec
from convtui.secrets.redactor import Redactor

ANSWERS = "async def generate_response(self, messages): return 'ok'"
LIST, SPEAKER = "termination_signals must be a list of text", "first_speaker must be 'persona'"
REFUSED = {
    "termination_signals = 'STOP'": f"{LIST}, not one text: write ['STOP']",
    "termination_signals = None": f"{LIST}, not NoneType",
    "termination_signals = 5": f"{LIST}, not 5",
    "termination_signals = [5]": "termination_signals has int in it; signals are text",
    "termination_signals = ['A', ' ']": "an empty termination signal would match everything",
    "termination_signals = ['End', 'END']": "'END' is there twice (as 'End')",
    "def termination_signals(self): ...": "not a method: is `@property` missing?",
    "system_prompt = 5": "system_prompt must be text, not 5",
    "def system_prompt(self): ...": "system_prompt must be text, not a method",
    "name = 5": "name must be text, not 5",
    "stateful = 'no'": "stateful must be True, False or None, not 'no'",
    "def stateful(self): ...": "stateful must be True, False or None, not a method",
    "params = 'x'": "params must be a dictionary, not 'x'",
    "tools = None": "tools must be a list of functions, not NoneType",
    "tools = 'abc'": "tools must be a list of functions, not 'abc'",
    "first_speaker = 'bot'": f"{SPEAKER}, 'provider' or None, not 'bot'",
    "def first_speaker(self): ...": f"{SPEAKER}, 'provider' or None, not a method",
}


def load(folder: Path, *lines: str, head: str = "class Bot:", **settings: Any) -> Loaded:
    """Loads the class `Bot` with these lines in it."""
    file = folder / "bot.py"
    file.write_text("\n".join([head, *(indent(line, "    ") for line in (*lines, ANSWERS))]))
    spec = ProviderSpec("file", str(file), "Bot")
    models = EngineModels(Redactor())
    return load_provider(spec, ProviderSettings(**settings), models=models)


@pytest.mark.parametrize("base", ["", "(Provider)"])
@pytest.mark.parametrize("line", REFUSED)
def test_a_value_of_a_wrong_type_is_refused_when_it_is_loaded(
    line: str, base: str, tmp_path: Path
) -> None:
    with pytest.raises(ProviderLoadError) as error:
        load(tmp_path, line, head=f"from convtui import Provider\nclass Bot{base}:")
    assert REFUSED[line] in str(error.value)


@pytest.mark.parametrize("name", ["termination_signals", "system_prompt", "name"])
def test_a_property_that_fails_is_shown_with_its_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(ProviderLoadError, match=rf"{name} failed: ValueError: not yet") as error:
        load(tmp_path, "@property", f"def {name}(self): raise ValueError('not yet')")
    assert error.value.location == (str(tmp_path / "bot.py"), 3)


def test_signals_may_be_any_collection(tmp_path: Path) -> None:
    for written in ("('A', 'B')", "{'A': 1, 'B': 2}", "frozenset(['A', 'B'])", "[]"):
        load(tmp_path, f"termination_signals = {written}")


def test_a_property_may_depend_on_the_session(tmp_path: Path) -> None:
    load(tmp_path, "@property", "def first_speaker(self): raise ValueError('no session yet')")


def test_what_setup_has_set_is_checked_as_well() -> None:
    provider = Provider()
    check_declared(provider)
    provider.termination_signals = "STOP"
    with pytest.raises(HookError, match="not one text") as error:
        check_declared(provider)
    assert error.value.hook == "termination_signals"


OWN_MODELS = {
    "in the constructor": "def __init__(self): self.models = {'fast': 'm'}",
    "a property": "@property\ndef models(self): return {'fast': 'm'}",
    "a slot": "__slots__ = ('models',)\ndef __init__(self): self.models = {'fast': 'm'}",
}


@pytest.mark.parametrize("where", OWN_MODELS)
def test_models_of_its_own_stay_its_own(where: str, tmp_path: Path) -> None:
    assert vars_of(load(tmp_path, OWN_MODELS[where])).models == {"fast": "m"}


def test_a_class_without_models_is_given_ours(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert isinstance(loaded.provider.models, EngineModels)


def vars_of(loaded: Loaded) -> Any:
    """The provider, whatever attributes it has."""
    return loaded.provider


@pytest.mark.parametrize(
    "head",
    [
        "from dataclasses import dataclass\n@dataclass(frozen=True, slots=True)\nclass Bot:",
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Bot:",
        "class Bot:\n    def __setattr__(self, name, value): raise TypeError(name)",
    ],
)
def test_an_object_that_is_frozen_has_its_name_and_prompt(head: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, head=head, system_prompt="Be brief.", model="m")
    assert (loaded.provider.name, loaded.provider.system_prompt) == ("Bot", "Be brief.")
    assert model_of(loaded.provider) == "m"


def test_what_cannot_be_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProviderLoadError, match=r"system_prompt is empty and cannot be set to"):
        load(tmp_path, "@property", "def system_prompt(self): return ''", system_prompt="Be brief.")


@pytest.mark.parametrize(
    "line",
    [
        "model = object()",
        "def model(self): ...",
        "def __getattr__(self, name): return lambda: name",
        "@property\ndef model(self): raise ValueError('not yet')",
    ],
)
def test_a_model_is_a_text_and_anything_else_is_not_ours(line: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, line, model="openai/gpt-4o")
    assert model_of(loaded.provider) is None
    assert "model" not in loaded.identity()
    assert loaded.construction is not None
    assert loaded.construction.left_out == ("model",)


def test_one_that_has_every_name_has_no_restore(tmp_path: Path) -> None:
    assert not defines(load(tmp_path, "def __getattr__(self, name): ...").provider, "restore")
    assert defines(load(tmp_path, "async def restore(self, state): ...").provider, "restore")


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        ("async def extract_signals(self, raw): ...", "extract_signals() must be a plain `def`"),
        ("async def post_process_response(self, text): ...", "must be a plain `def`, not `async"),
        ("async def should_discard_response(self, signals): ...", "must be a plain `def`"),
        ("def extract_signals(self, raw): yield raw", "must `return` its result, not `yield` it"),
        ("async def post_process_response(self, text): yield text", "must be a plain `def`"),
    ],
)
def test_a_hook_of_a_reply_is_plain(hook: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ProviderLoadError) as error:
        load(tmp_path, hook)
    assert says in str(error.value)
    assert error.value.location == (str(tmp_path / "bot.py"), 2)


def test_a_class_that_nothing_can_be_derived_from_is_named_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ProviderLoadError, match=r"name a function that calls it$"):
        load(tmp_path, "def __init_subclass__(cls): raise TypeError('do not')")
