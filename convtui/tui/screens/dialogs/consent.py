"""What has to be agreed to before something that others have written is run or counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from convtui.errors import EngineError
from convtui.text.boundary import visible, visible_line
from convtui.tui.screens.screen_context import AskScreen

if TYPE_CHECKING:
    from convtui.tui.sources.run import LiveRun

NO, YES = "no", "yes"


class Consent(ModalScreen[bool]):
    """A list of what would be done, and yes or no; Escape is no, and no is what Enter takes first.

    The list scrolls (`up`, `down`, page keys), so that the answers are in sight on any screen.
    """

    DEFAULT_CSS = """
    Consent { align: center middle; background: $background 60%; }
    Consent > Vertical { width: 84; max-width: 96%; height: auto; max-height: 96%;
                         border: round $accent; background: $surface; padding: 0 1; }
    Consent VerticalScroll { height: auto; max-height: 100%; padding: 0 1; }
    Consent #consent-rows { height: auto; }
    Consent Static { width: 1fr; height: auto; }
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
        """`why` stands above the list, `yes` and `no` are what the answers are called."""
        super().__init__()
        self._title, self._why, self._rows = title, why, list(rows)
        self._answers = ((NO, no), (YES, yes))

    def compose(self) -> ComposeResult:
        """The list and the answers below it."""
        box = Vertical()
        box.border_title = Content(self._title)
        box.border_subtitle = Content("enter choose  pgup/pgdn read  esc no")
        with box:
            with VerticalScroll(id="consent-rows") as rows:
                rows.can_focus = False
                yield Static(Content(visible(self._why)), markup=False)
                for row in self._rows:
                    yield Static(Content(f"- {visible_line(row)}"), markup=False)
            yield OptionList(
                *(Option(Content(label), id=identity) for identity, label in self._answers)
            )

    def on_mount(self) -> None:
        """No is the answer that is ready to be taken; what does not fit is scrolled to."""
        self.query_one(OptionList).focus()
        self.call_after_refresh(self._fit)

    def on_resize(self) -> None:
        """The answers stay in sight."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        rows = self.query_one("#consent-rows")
        others = len(self._answers) + 3  # the frame, and the line above the answers
        rows.styles.max_height = max(3, self.app.size.height * 96 // 100 - others)

    def action_scroll(self, pages: int) -> None:
        """Reads on, or back."""
        rows = self.query_one("#consent-rows", VerticalScroll)
        (rows.scroll_page_down if pages > 0 else rows.scroll_page_up)(animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Takes the answer."""
        event.stop()
        self.dismiss(event.option_id == YES)


def is_question(error: EngineError) -> bool:
    """Whether an engine has not started because the user has to agree to something first."""
    return bool(error.error.get("consent"))


async def agrees(ask: AskScreen, run: LiveRun, error: EngineError) -> bool:
    """Asks what an engine has refused to do unasked; whether the user agrees, which `run` is told.

    `error` is one of which `is_question()` is true.
    """
    # Scenarios take longer to import than the screen to draw.
    from convtui.trust.rules import Question

    question = Question.of(error.error["consent"])
    yes = await ask(
        Consent(
            "Run what this log names?",
            f"{visible_line(question.log)}: {question.why}. Going on with it would",
            question.would,
            yes="Yes, do all that",
            no="No, run nothing",
        )
    )
    run.agree(question.items if yes else ())
    return bool(yes)
