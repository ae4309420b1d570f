"""Dialogs that ask for a choice, a line of text, or an edit."""

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
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from convtui.text.boundary import visible_line
from convtui.tui.screens.dialogs.box import FRAME, WIDEST, DialogBox, heights_of, width_of
from convtui.tui.textual_compat import after_refresh, is_open
from convtui.tui.widgets.safe_area import SafeTextArea
from convtui.tui.widgets.view_line import ViewLine

_SENTENCE = 76
"""Cells after which a sentence is folded rather than the dialog made wider."""
_SPARE = 12
"""Cells left free beside a text that is edited."""
_FEWEST = 2
"""Rows of the smallest text that is edited."""


class Choose(ModalScreen[str | None]):
    """A question with answers; Escape returns None."""

    DEFAULT_CSS = """
    Choose { align: center middle; background: $background 60%; }
    Choose VerticalScroll { height: auto; width: 1fr; }
    Choose #choose-text { width: 1fr; height: auto; padding: 0 1 1 1; }
    Choose OptionList, Choose OptionList:focus {
                        height: auto; border: none; background: $surface; padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "stay"),
        Binding("pageup", "scroll(-1)", "up", priority=True),
        Binding("pagedown", "scroll(1)", "down", priority=True),
    ]

    def __init__(
        self,
        title: str,
        answers: Sequence[tuple[str, str]],
        text: str = "",
        *,
        on_interrupt: str = "",
    ) -> None:
        """`on_interrupt` is the answer that ctrl+c gives, if any."""
        super().__init__()
        self._on_interrupt = on_interrupt
        self._title = title
        self._text = text
        self._answers = list(answers)

    def compose(self) -> ComposeResult:
        interrupt = dict(self._answers).get(self._on_interrupt, "")
        keys = f"enter choose  esc stay{f'  ctrl+c {interrupt.lower()}' if interrupt else ''}"
        with DialogBox(self._title, keys):
            if self._text:
                with VerticalScroll() as text:
                    text.can_focus = False
                    yield Static(Content(self._text), id="choose-text", markup=False)
            yield OptionList(
                *(Option(Content(label), id=identity) for identity, label in self._answers)
            )

    def on_mount(self) -> None:
        self.query_one(DialogBox).hold(
            (self._text, *(label for _, label in self._answers)), widest=_SENTENCE
        )
        self.query_one(OptionList).focus()
        after_refresh(self, self._fit)

    def on_resize(self) -> None:
        after_refresh(self, self._fit)

    def _fit(self) -> None:
        """The answers first: a long text scrolls above them."""
        if not is_open(self):
            return
        rows = self.query_one(DialogBox).room(self.app.size).height
        answers = min(len(self._answers), max(3, rows - 4))
        self.query_one(OptionList).styles.max_height = answers
        for text in self.query(VerticalScroll):
            text.styles.max_height = max(1, rows - answers)

    def action_scroll(self, pages: int) -> None:
        """Scrolls a long text."""
        for text in self.query(VerticalScroll):
            (text.scroll_page_down if pages > 0 else text.scroll_page_up)(animate=False)

    def interrupted(self) -> bool:
        """Answers for ctrl+c; False if there is no such answer."""
        if self._on_interrupt:
            self.dismiss(self._on_interrupt)
        return bool(self._on_interrupt)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id)


DROPS = "esc again discards your text"


class Ask(ModalScreen[str | None]):
    """Asks for one line of text; `check` rejects it with a reason, which is shown in place.

    Escape has to be pressed twice if it would lose text.
    """

    DEFAULT_CSS = """
    Ask { align: center middle; background: $background 60%; }
    Ask #ask-hint { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }
    Ask #ask-hint.-bad { color: $text-error; }
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
        moves_view: bool = False,
    ) -> None:
        """`wrote` is an earlier text in place of `value` that was not accepted; `moves_view` says
        that the text is used for nothing else."""
        super().__init__()
        self._line = ViewLine if moves_view else Input
        self._title, self._value, self._hint, self._check = title, value, hint, check
        self._wrote = wrote
        self._leaving = False

    def compose(self) -> ComposeResult:
        with DialogBox(self._title, self._keys()):
            text = self._value if self._wrote is None else self._wrote
            # The text is there to be changed: the first key must not replace it.
            yield self._line(text, select_on_focus=False)
            yield Static(Content(self._hint), id="ask-hint", markup=False)

    def on_mount(self) -> None:
        line = self.query_one(Input)
        hints = [part for sentence in self._hint.splitlines() for part in [sentence[:_SENTENCE]]]
        self.query_one(DialogBox).hold([line.value + " " * _SPARE, *hints])
        line.cursor_position = len(line.value)

    def _keys(self) -> str:
        return f"enter accept  {DROPS if self._leaving else 'esc cancel'}"

    def _warn(self, leaving: bool) -> None:
        self._leaving = leaving
        self.query_one(DialogBox).keys = self._keys()

    def action_leave(self) -> None:
        """Cancels; asks for a second press if that would lose text."""
        if self.query_one(Input).value != self._value and not self._leaving:
            self._warn(True)
        else:
            self.dismiss(None)

    def on_input_changed(self) -> None:
        """Removes the error and the warning, which are about the old text."""
        if self._leaving:
            self._warn(False)
        hint = self.query_one("#ask-hint", Static)
        hint.remove_class("-bad")
        hint.update(Content(self._hint))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accepts the text if `check` does."""
        event.stop()
        problem = self._check(event.value)
        if problem is None:
            self.dismiss(event.value)
            return
        hint = self.query_one("#ask-hint", Static)
        hint.add_class("-bad")
        hint.update(Content(visible_line(problem, 400)))


class Edit(ModalScreen[dict[str, str] | None]):
    """Edits texts. The result maps changed fields to their new text, which may be none; Escape
    returns None.

    Escape has to be pressed twice if it would lose text.
    """

    DEFAULT_CSS = """
    Edit { align: center middle; background: $background 60%; }
    Edit VerticalScroll { width: 1fr; height: auto; }
    Edit .label { height: 1; width: 1fr; color: $text-muted; }
    Edit .label.-bad { color: $text-error; height: auto; max-height: 3; }
    Edit SafeTextArea { height: 5; border: tall $border-blurred; }
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
        """`drafts` are (field, label, text).

        `check` rejects the text of a field with a reason, which is shown above it. `wrote` maps
        fields to earlier texts that were not accepted.
        """
        super().__init__()
        self._title = title
        self._drafts = list(drafts)
        self._wrote = wrote or {}
        self._check, self._word = check, apply
        self._leaving = False

    def compose(self) -> ComposeResult:
        with DialogBox(self._title, self._keys()), VerticalScroll() as drafts:
            drafts.can_focus = False
            for field, label, text in self._drafts:
                yield Static(Content(visible_line(label, 120)), classes="label", markup=False)
                text = self._wrote.get(field, text)  # noqa: PLW2901
                yield SafeTextArea(text, soft_wrap=True, show_line_numbers=False)

    def on_mount(self) -> None:
        # What is inside the scroll is mounted after the screen.
        after_refresh(self, self._begin)

    def _begin(self) -> None:
        if not is_open(self):
            return
        areas = list(self.query(SafeTextArea))
        if not areas:
            return  # closed meanwhile
        for area in areas:
            area.move_cursor(area.document.end)
        self._fit()
        areas[0].focus()

    def on_resize(self) -> None:
        after_refresh(self, self._fit)

    def _fit(self) -> None:
        """Each text has the rows that it needs, as far as the screen has them."""
        if not is_open(self):
            return  # closed before its first frame
        box, areas = self.query_one(DialogBox), list(self.query(SafeTextArea))
        texts = [area.text for area in areas]
        labels = [label for _, label, _ in self._drafts]
        box.hold([*(text + " " * _SPARE for text in texts), *labels])
        width = min(width_of([*texts, *labels], widest=WIDEST), self.app.size.width * 96 // 100)
        rows = box.room(self.app.size).height
        # A row for the next line that is written, and the borders of the area.
        heights = heights_of(
            [f"{text}\n" for text in texts],
            max(8, width - FRAME - 4),
            rows - 3 * len(areas),
            least=_FEWEST,
        )
        for area, height in zip(areas, heights, strict=True):
            area.styles.height = height + 2
        self.query_one(VerticalScroll).styles.max_height = rows

    def _keys(self) -> str:
        leave = DROPS if self._leaving else "esc cancel"
        return f"ctrl+s {self._word}  {leave}"

    def _warn(self, leaving: bool) -> None:
        self._leaving = leaving
        self.query_one(DialogBox).keys = self._keys()

    def on_text_area_changed(self) -> None:
        """Editing after the warning asks for a second press again."""
        self._fit()
        if self._leaving:
            self._warn(False)

    def action_leave(self) -> None:
        """Cancels; asks for a second press if that would lose text."""
        areas = self.query(SafeTextArea)
        changed = any(
            area.text != text for (_, _, text), area in zip(self._drafts, areas, strict=True)
        )
        if changed and not self._leaving:
            self._warn(True)
        else:
            self.dismiss(None)

    def action_apply(self) -> None:
        """Applies the changes, after the keys that are still being handled."""
        (self.focused or self).call_later(self._apply)

    def _apply(self) -> None:
        areas = self.query(SafeTextArea)
        labels = self.query(".label").results(Static)
        invalid: SafeTextArea | None = None
        changes: dict[str, str] = {}
        for (field, label, before), area, line in zip(self._drafts, areas, labels, strict=True):
            if area.text == before:
                continue
            changes[field] = area.text
            problem = self._check(field, area.text)
            line.set_class(problem is not None, "-bad")
            line.update(
                Content(visible_line(label if problem is None else f"{label}: {problem}", 300))
            )
            if problem is not None:
                invalid = invalid or area
        if invalid is not None:
            invalid.focus()
            return
        self.dismiss(changes)


def editor_command(configured: str | None) -> list[str] | None:
    """The configured editor, `$VISUAL` or `$EDITOR`; None if there is none."""
    text = configured or os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        return shlex.split(text) or None
    except ValueError:
        return None


async def edit_outside(
    app: App[object], command: Sequence[str], text: str, *, name: str = "draft.txt"
) -> str | None:
    """Edits `text` in an editor program; None if that failed or changed nothing.

    The app is suspended meanwhile. Raises `OSError` if the editor cannot be started, and
    `app.SuspendNotSupported` where the app cannot be suspended.
    """

    def work() -> tuple[int, str]:
        with tempfile.TemporaryDirectory(prefix="convtui-") as folder:
            path = Path(folder) / name
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
            status = subprocess.call([*command, str(path)])
            return status, path.read_bytes().decode("utf-8", "replace")

    with app.suspend():
        # Blocking is fine: the terminal is the editor's, there is nothing to draw.
        status, after = work()
    await asyncio.sleep(0)
    # Editors add a final newline if there was none.
    if after.endswith("\n") and not text.endswith("\n"):
        after = after[:-1]
    return after if status == 0 and after != text else None
