"""Asks for consent before code or settings that others wrote take effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from convtui.errors import EngineError
from convtui.text.boundary import visible, visible_line
from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.screens.screen_context import AskScreen
from convtui.tui.textual_compat import after_refresh

if TYPE_CHECKING:
    from convtui.tui.sources.run import LiveRun

NO, YES = "no", "yes"


class Consent(ModalScreen[bool]):
    """A list of consequences, and yes or no; Escape means no, and no is preselected.

    The list scrolls (`up`, `down`, page keys), so that the answers are always visible.
    """

    DEFAULT_CSS = """
    Consent { align: center middle; background: $background 60%; }
    Consent VerticalScroll { height: auto; max-height: 100%; padding: 0 1; }
    Consent #consent-rows { height: auto; }
    Consent #consent-rows Static { width: 1fr; height: auto; }
    Consent OptionList, Consent OptionList:focus {
                         height: auto; border: none; background: $surface; padding: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(False)", "no"),
        Binding("pageup", "scroll(-1)", "up", priority=True),
        Binding("pagedown", "scroll(1)", "down", priority=True),
    ]

    def __init__(
        self, title: str, why: str, rows: Sequence[str], *, yes: str, no: str = "No"
    ) -> None:
        """`why` is shown above the list; `yes` and `no` label the answers."""
        super().__init__()
        self._title, self._why, self._rows = title, why, list(rows)
        self._answers = ((NO, no), (YES, yes))

    def compose(self) -> ComposeResult:
        with DialogBox(self._title, "enter choose  pgup/pgdn read  esc no"):
            with VerticalScroll(id="consent-rows") as rows:
                rows.can_focus = False
                yield Static(Content(visible(self._why)), markup=False)
                for row in self._rows:
                    yield Static(Content(f"- {visible_line(row)}"), markup=False)
            yield OptionList(
                *(Option(Content(label), id=identity) for identity, label in self._answers)
            )

    def on_mount(self) -> None:
        labels = (label for _, label in self._answers)
        self.query_one(DialogBox).hold((self._why, *self._rows, *labels), widest=84)
        self.query_one(OptionList).focus()
        after_refresh(self, self._fit)

    def on_resize(self) -> None:
        after_refresh(self, self._fit)

    def _fit(self) -> None:
        rows = self.query_one("#consent-rows")
        others = len(self._answers) + 1  # and the line above them
        room = self.query_one(DialogBox).room(self.app.size)
        rows.styles.max_height = max(3, room.height - others)

    def action_scroll(self, pages: int) -> None:
        rows = self.query_one("#consent-rows", VerticalScroll)
        (rows.scroll_page_down if pages > 0 else rows.scroll_page_up)(animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id == YES)


def is_question(error: EngineError) -> bool:
    """Whether an engine did not start because the user has to consent to something first."""
    return bool(error.error.get("consent"))


async def agrees(ask: AskScreen, run: LiveRun, error: EngineError) -> bool:
    """Asks for what an engine refused to do without consent, and records the answer in `run`.

    `error` is one for which `is_question()` is true.
    """
    # Importing scenarios takes longer than drawing the screen.
    from convtui.trust.rules import Question

    question = Question.of(error.error["consent"])
    yes = await ask(
        Consent(
            "Run what this log names?",
            f"{visible_line(question.log)}: {question.why}. Continuing it would",
            question.would,
            yes="Yes, do all of that",
            no="No, run nothing",
        )
    )
    run.agree(question.items if yes else ())
    return bool(yes)
