"""All notices of this session, the newest first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from convtui.text.boundary import visible
from convtui.tui.notices import Notice
from convtui.tui.widgets.notice_line import signs


def log_text(notices: Iterable[Notice]) -> str:
    """Notices as text, the newest first."""
    return "\n".join(line for notice in notices for line, _ in _lines(notice))


def _lines(notice: Notice) -> Iterable[tuple[str, str]]:
    """The lines of a notice, each with its style."""
    glyph, word, style = signs(notice.severity)
    times = f"  x{notice.count}" if notice.count > 1 else ""
    yield f"{notice.at:%H:%M:%S}  {glyph} {word}{times}", f"bold {style}"
    for line in visible(notice.text).splitlines():
        yield f"  {line}", ""


class NoticesScreen(ModalScreen[None]):
    """What the program said, with times; `y` copies all of it."""

    DEFAULT_CSS = """
    NoticesScreen { align: center middle; background: $background 60%; }
    NoticesScreen > VerticalScroll { width: 96; max-width: 96%; height: auto; max-height: 92%;
                                     border: round $accent; background: $surface; padding: 0 1; }
    NoticesScreen Static { width: 1fr; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss(None)", "close"),
        Binding("y", "copy", "copy all"),
    ]

    def __init__(self, notices: Iterable[Notice]) -> None:
        super().__init__()
        self._notices = list(notices)[::-1]

    def compose(self) -> ComposeResult:
        box = VerticalScroll()
        box.border_title = Content("notices of this session")
        box.border_subtitle = Content("y copy all  esc close")
        with box:
            yield Static(self._content(), markup=False)

    def _content(self) -> Content:
        if not self._notices:
            return Content.styled("None so far. What the program says is kept here.", "$text-muted")
        lines = [line for notice in self._notices for line in _lines(notice)]
        return Content("\n").join(Content.styled(text, style) for text, style in lines)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(log_text(self._notices))
        self.query_one(VerticalScroll).border_subtitle = Content("copied  esc close")
