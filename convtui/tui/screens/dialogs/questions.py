"""Small questions: yes or no, a line of text, an edit."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from convtui.text.boundary import visible_line
from convtui.tui.widgets.safe_area import SafeTextArea


class Choose(ModalScreen[str | None]):
    """A question with some answers; Escape is None."""

    DEFAULT_CSS = """
    Choose { align: center middle; background: $background 60%; }
    Choose > Vertical { width: 64; max-width: 96%; height: auto; max-height: 96%;
                        border: round $accent; background: $surface; padding: 0 1; }
    Choose Static { width: 1fr; height: auto; padding: 0 1 1 1; }
    Choose OptionList, Choose OptionList:focus {
                        height: auto; border: none; background: $surface; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "stay")]

    def __init__(self, title: str, answers: Sequence[tuple[str, str]], text: str = "") -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._answers = list(answers)

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        box = Vertical()
        box.border_title = Content(self._title)
        box.border_subtitle = Content("enter choose  esc stay")
        with box:
            if self._text:
                yield Static(Content(self._text), markup=False)
            yield OptionList(
                *(Option(Content(label), id=identity) for identity, label in self._answers)
            )

    def on_mount(self) -> None:
        """The first answer is ready to be taken."""
        self.query_one(OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Takes the answer."""
        event.stop()
        self.dismiss(event.option_id)


DROPS = "esc again drops what was written"


class Ask(ModalScreen[str | None]):
    """One line of text; `check` refuses with a reason, which is shown in place.

    Escape has to be pressed twice where something was written: it would be lost.
    """

    DEFAULT_CSS = """
    Ask { align: center middle; background: $background 60%; }
    Ask > Vertical { width: 64; max-width: 96%; height: auto; border: round $accent;
                     background: $surface; padding: 0 1; }
    Ask Static { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }
    Ask Static.-bad { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "cancel")]

    def __init__(
        self,
        title: str,
        *,
        value: str = "",
        hint: str = "",
        check: Callable[[str], str | None] = lambda text: None,
        wrote: str | None = None,
    ) -> None:
        """`wrote` is what was written in place of `value` before, and was not taken."""
        super().__init__()
        self._title, self._value, self._hint, self._check = title, value, hint, check
        self._wrote = wrote
        self._leaving = False

    def compose(self) -> ComposeResult:
        """The input and a hint below it."""
        box = Vertical()
        box.border_title = Content(self._title)
        box.border_subtitle = Content(self._keys())
        with box:
            yield Input(self._value if self._wrote is None else self._wrote)
            yield Static(Content(self._hint), markup=False)

    def _keys(self) -> str:
        return f"enter take it  {DROPS if self._leaving else 'esc cancel'}"

    def _warn(self, leaving: bool) -> None:
        self._leaving = leaving
        self.query_one(Vertical).border_subtitle = Content(self._keys())

    def action_leave(self) -> None:
        """Leaves it as it was; asks for a second press where that loses something."""
        if self.query_one(Input).value != self._value and not self._leaving:
            self._warn(True)
        else:
            self.dismiss(None)

    def on_input_changed(self) -> None:
        """The complaint, and the warning, are about what is not there any more."""
        if self._leaving:
            self._warn(False)
        hint = self.query_one(Static)
        hint.remove_class("-bad")
        hint.update(Content(self._hint))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Takes the text when nothing speaks against it."""
        event.stop()
        wrong = self._check(event.value)
        if wrong is None:
            self.dismiss(event.value)
            return
        hint = self.query_one(Static)
        hint.add_class("-bad")
        hint.update(Content(visible_line(wrong, 400)))


class Edit(ModalScreen[dict[str, str] | None]):
    """Edits texts. The result maps fields that are different to their new text; Escape is None.

    Escape has to be pressed twice where something was written: it would be lost.
    """

    DEFAULT_CSS = """
    Edit { align: center middle; background: $background 60%; }
    Edit > VerticalScroll { width: 92%; max-width: 110; height: 90%; border: round $accent;
                            background: $surface; padding: 0 1; }
    Edit Static { height: 1; width: 1fr; color: $text-muted; }
    Edit Static.-bad { color: $text-error; height: auto; max-height: 3; }
    Edit SafeTextArea { height: 1fr; min-height: 5; border: tall $border; }
    Edit SafeTextArea:focus { border: tall $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "leave"),
        Binding("ctrl+s,ctrl+enter", "apply", "apply", priority=True),
    ]

    def __init__(
        self,
        title: str,
        drafts: Sequence[tuple[str, str, str]],
        *,
        check: Callable[[str, str], str | None] = lambda field, text: None,
        apply: str = "apply",
        wrote: Mapping[str, str] | None = None,
    ) -> None:
        """`drafts` are (field, label, text); `check` refuses the text of a field with a reason,
        which is shown above it. `wrote` is what was written before in place of the texts of
        fields, and was not taken.
        """
        super().__init__()
        self._title = title
        self._drafts = list(drafts)
        self._wrote = wrote or {}
        self._check, self._word = check, apply
        self._leaving = False

    def compose(self) -> ComposeResult:
        """A text area for each field."""
        box = VerticalScroll()
        box.can_focus = False
        box.border_title = Content(self._title)
        box.border_subtitle = Content(self._keys())
        with box:
            for field, label, text in self._drafts:
                yield Static(Content(visible_line(label, 120)), markup=False)
                text = self._wrote.get(field, text)  # noqa: PLW2901
                yield SafeTextArea(text, soft_wrap=True, show_line_numbers=False)

    def on_mount(self) -> None:
        """The first text is ready to be edited."""
        self.query(SafeTextArea).first().focus()

    def _keys(self) -> str:
        leaves = DROPS if self._leaving else "esc leave it as it was"
        return f"ctrl+s {self._word}  {leaves}"

    def _warn(self, leaving: bool) -> None:
        self._leaving = leaving
        self.query_one(VerticalScroll).border_subtitle = Content(self._keys())

    def on_text_area_changed(self) -> None:
        """What is written after the warning is warned of again."""
        if self._leaving:
            self._warn(False)

    def action_leave(self) -> None:
        """Leaves the texts as they were; asks for a second press where that loses something."""
        areas = self.query(SafeTextArea)
        written = any(
            area.text != text for (_, _, text), area in zip(self._drafts, areas, strict=True)
        )
        if written and not self._leaving:
            self._warn(True)
        else:
            self.dismiss(None)

    def action_apply(self) -> None:
        """Takes over what is different, as soon as the keys before this one are in the text."""
        (self.focused or self).call_later(self._apply)

    def _apply(self) -> None:
        areas = self.query(SafeTextArea)
        labels = self.query(Static)
        wrong: SafeTextArea | None = None
        found: dict[str, str] = {}
        for (field, label, before), area, line in zip(self._drafts, areas, labels, strict=True):
            if area.text == before:
                continue
            found[field] = area.text
            why = self._check(field, area.text)
            line.set_class(why is not None, "-bad")
            line.update(Content(visible_line(label if why is None else f"{label}: {why}", 300)))
            if why is not None:
                wrong = wrong or area
        if wrong is not None:
            wrong.focus()
            return
        self.dismiss(found or None)


def editor_command(configured: str | None) -> list[str] | None:
    """The editor: the configured one, `$VISUAL`, `$EDITOR`; None when there is none."""
    text = configured or os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        return shlex.split(text) or None
    except ValueError:
        return None


async def edit_outside(
    app: App[object], command: Sequence[str], text: str, *, name: str = "draft.txt"
) -> str | None:
    """`text` as it comes back from an editor program; None when it failed or changed nothing.

    The screen is given to the editor meanwhile. Raises `OSError` when it cannot be started and
    `app.SuspendNotSupported` where a screen cannot be given away.
    """

    def work() -> tuple[int, str]:
        with tempfile.TemporaryDirectory(prefix="convtui-") as folder:
            path = Path(folder) / name
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            status = subprocess.call([*command, str(path)])
            return status, path.read_bytes().decode("utf-8", "replace")

    with app.suspend():
        # The terminal is the editor's: there is nothing that the loop could draw.
        status, after = work()
    await asyncio.sleep(0)
    # Editors end a file with a newline whether or not there was one.
    if after.endswith("\n") and not text.endswith("\n"):
        after = after[:-1]
    return after if status == 0 and after != text else None
