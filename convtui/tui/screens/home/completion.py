"""Completes paths, and the names in Python files, while they are typed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from convtui.files.regular import is_dir

_MOST = 200
Complete = Callable[[str], Sequence[str]]
"""What a text can go on to be; blocking."""


def path_completions(
    text: str, cwd: Path, suffixes: Sequence[str], *, names: bool = False
) -> list[str]:
    """What a path that begins with `text` can be: files with one of `suffixes`, and folders.

    With `names` a Python file goes on with the functions and classes in it. Blocking; files are
    parsed, never imported.
    """
    if names and ".py:" in text:
        file, _, start = text.partition(".py:")
        return [name for name in _names(f"{file}.py", cwd) if name.startswith(f"{file}.py:{start}")]
    folder, slash, start = text.rpartition("/")
    completions: list[str] = []
    try:
        entries = sorted(_at(f"{folder}{slash}" or ".", cwd).iterdir())
    except OSError:
        return []
    for entry in entries[: _MOST * 10]:
        hidden = entry.name.startswith((".", "__")) and not start.startswith((".", "_"))
        if hidden or not entry.name.startswith(start):
            continue
        if is_dir(entry):
            completions.append(f"{folder}{slash}{entry.name}/")
        elif entry.suffix in suffixes:
            completions.append(f"{folder}{slash}{entry.name}")
    if names and completions == [text]:
        return _names(text, cwd) or completions
    return completions[:_MOST]


def _at(text: str, cwd: Path) -> Path:
    try:
        return cwd / Path(text).expanduser()
    except RuntimeError:
        return cwd / text  # no such user


def _names(file: str, cwd: Path) -> list[str]:
    from convtui.scenario.provider_spec import source_names

    return [f"{file}:{name}" for name in source_names(_at(file, cwd)) or ()]


def longest_common(texts: Sequence[str]) -> str:
    """What all of `texts` begin with."""
    first, last = min(texts), max(texts)
    same = (a == b for a, b in zip(first, last, strict=False))
    return first[: next((n for n, equal in enumerate(same) if not equal), len(first))]


class _FirstCompletion(Suggester):
    """Suggests the first completion, in grey behind the cursor."""

    def __init__(self, complete: Complete) -> None:
        # Files come and go: nothing is cached.
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        completions = await asyncio.to_thread(self._complete, value)
        return next((text for text in completions if text != value), None)


class CompletingInput(Input):
    """An input that tab completes; where there is nothing to complete, tab goes on."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("tab", "complete", "complete", show=False)]

    class Offered(Message):
        """What the text can go on to be, when tab alone cannot decide."""

        def __init__(self, completions: Sequence[str]) -> None:
            super().__init__()
            self.completions = list(completions)

    def __init__(self, value: str, placeholder: str, *, id: str) -> None:
        super().__init__(value, placeholder=placeholder, id=id)
        self._complete: Complete | None = None
        self._offered_for = ""

    def complete_with(self, complete: Complete) -> None:
        self._complete = complete
        self.suggester = _FirstCompletion(complete)

    async def action_complete(self) -> None:
        """Completes as far as it is clear, then offers what there is, then goes on."""
        text = self.value
        completions: Sequence[str] = ()
        if self._complete is not None and text and self.cursor_position == len(text):
            completions = await asyncio.to_thread(self._complete, text)
        common = longest_common(completions) if completions else ""
        if len(common) > len(text) and common.startswith(text):
            self.value = common
            self.cursor_position = len(common)
            if len(completions) > 1:
                self._offer(common, completions)
        elif len(completions) > 1 and text not in completions and self._offered_for != text:
            self._offer(text, completions)
        else:
            self.screen.focus_next()

    def _offer(self, text: str, completions: Sequence[str]) -> None:
        self._offered_for = text
        self.post_message(self.Offered(completions))
