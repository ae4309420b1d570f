"""Every row of the provider's hooks, against everything that is made from the rows."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from convtui.analysis.probe.report import PROBES
from convtui.errors import HookError, ProviderLoadError
from convtui.manual.pages import page_file
from convtui.providers.base import Provider
from convtui.providers.loader import load_provider
from convtui.providers.settings import ProviderSettings
from convtui.providers.signatures import check_signatures
from convtui.records.models import STAGES
from convtui.scenario.provider_hooks import HOOKS, METHODS, REPLY_HOOKS, Hook
from convtui.scenario.provider_spec import ProviderSpec
from convtui.scenario.starter import starter_files

ALL = pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.name)
CALLED = pytest.mark.parametrize("hook", METHODS, ids=lambda hook: hook.name)


def derived(**members: Any) -> type[Provider]:
    """A provider class with these members and one way to answer."""
    return type("Bot", (Provider,), {"generate_response": lambda self, messages: "", **members})


@ALL
def test_a_row_says_what_the_base_class_does(hook: Hook) -> None:
    if hook.name == "restore":
        assert not hasattr(Provider, "restore"), "whether there is one tells what can be restored"
        return
    member = getattr(Provider, hook.name)
    assert callable(member) == hook.is_method
    if hook.arguments is not None:
        assert tuple(inspect.signature(member).parameters) == ("self", *hook.arguments)
        awaited = inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
        assert awaited == hook.awaited


@ALL
def test_a_row_has_its_words(hook: Hook) -> None:
    assert hook.sentence.endswith(".")
    assert hook.default
    assert f"| `{hook.signature}` |" in page_file("sessions-and-hooks").read_text()
    assert not hook.called or f"{hook.name} {hook.called}" in PROBES["hook_order"]


@ALL
def test_a_name_that_is_nearly_a_hooks_is_told(hook: Hook, tmp_path: Path) -> None:
    misspelled = hook.name[:-2] + hook.name[-1]
    file = tmp_path / "bot.py"
    file.write_text(
        f"class Bot:\n    {misspelled} = None\n    def generate_response(self, messages): ...\n"
    )
    loaded = load_provider(ProviderSpec("file", str(file), "Bot"), ProviderSettings())
    assert loaded.near_names == [(misspelled, hook.name)]


@CALLED
def test_it_is_told_whose_a_hook_is(hook: Hook, tmp_path: Path) -> None:
    arguments = ", ".join(("self", *(hook.arguments or ())))
    file = tmp_path / "bot.py"
    file.write_text(
        "class Bot:\n    def generate_response(self, messages): ...\n"
        f"    def {hook.name}({arguments}): ...\n"
    )
    loaded = load_provider(ProviderSpec("file", str(file), "Bot"), ProviderSettings())
    assert list(loaded.hooks) == [row.name for row in METHODS]
    assert loaded.hooks[hook.name] == "yours"
    assert loaded.hooks["cleanup" if hook.name == "setup" else "setup"] == "default"


@CALLED
def test_a_hook_that_cannot_be_called_is_refused(hook: Hook) -> None:
    bot = derived(**{hook.name: lambda self, one, two, three: None})()
    with pytest.raises(
        ProviderLoadError, match=rf"^bot\.py: {hook.name}\(one, two, three\) cannot"
    ):
        check_signatures(bot, "bot.py")


@CALLED
def test_the_class_that_is_written_has_the_hook(hook: Hook) -> None:
    written = starter_files("class")["my_provider.py"]
    arguments = ", ".join(("self", *(hook.arguments or ())))
    lines = f'def {hook.name}({arguments}):\n        """{hook.sentence}"""\n'
    assert (lines in written) == hook.in_starter


def test_the_stages_of_a_reply_have_their_hooks() -> None:
    assert list(REPLY_HOOKS) == [stage for stage in STAGES if stage in REPLY_HOOKS]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("extract_signals", "[END]", "extract_signals returned str instead of a list of signals"),
        ("post_process_response", 7, "post_process_response returned int instead of text"),
        ("prepare_sessions", None, "returned NoneType instead of a list: is a `return` missing?"),
    ],
)
def test_a_result_of_another_type(name: str, value: Any, says: str) -> None:
    hook = next(hook for hook in HOOKS if hook.name == name)
    with pytest.raises(HookError, match=says.replace("?", r"\?")) as raised:
        hook.check(value)
    assert raised.value.hook == name
