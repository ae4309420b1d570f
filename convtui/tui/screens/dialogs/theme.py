"""Chooses a theme, which the screen below already wears while one chooses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from convtui.text.boundary import visible_line
from convtui.tui.drawing.theming import ThemeView
from convtui.tui.screens.dialogs.box import FRAME, width_of


@dataclass(frozen=True, slots=True)
class ThemeOffer:
    """A theme to choose, and a sentence on it."""

    view: ThemeView
    about: str


class ChooseTheme(ModalScreen[str | None]):
    """The names of the themes; returns the chosen one, None on Escape."""

    DEFAULT_CSS = """
    ChooseTheme { align: right top; background: transparent; }
    ChooseTheme > Vertical { max-width: 96%; height: auto; max-height: 60%;
                             margin: 2 3 0 0; border: round $accent; background: $surface;
                             padding: 0 1; }
    ChooseTheme OptionList, ChooseTheme OptionList:focus {
        height: auto; max-height: 100%; border: none; padding: 0;
        background: transparent; background-tint: $surface 0%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "as before")]

    def __init__(
        self, offers: Sequence[ThemeOffer], current: str, preview: Callable[[ThemeView], None]
    ) -> None:
        super().__init__()
        self._offers = list(offers)
        self._current = current
        self._preview = preview

    def compose(self) -> ComposeResult:
        names = [visible_line(offer.view.name, 30) for offer in self._offers]
        # What a name says already is not said again.
        abouts = [
            "" if offer.about in name else visible_line(offer.about, 60)
            for name, offer in zip(names, self._offers, strict=True)
        ]
        width = max(map(cell_len, names), default=0)
        rows = [
            (name.ljust(width), f"  {about}".rstrip())
            for name, about in zip(names, abouts, strict=True)
        ]
        keys = "enter keep  esc as before"
        box = Vertical()
        box.border_title, box.border_subtitle = Content("theme"), Content(keys)
        box.styles.width = max(width_of(map("".join, rows), least=0), cell_len(keys) + FRAME + 2)
        with box:
            yield OptionList(
                *(Option(Content.assemble(name, (about, "$text-muted"))) for name, about in rows)
            )

    def on_mount(self) -> None:
        names = [offer.view.name for offer in self._offers]
        # There is no list if this is closed before it is drawn.
        for listed in self.query(OptionList):
            listed.highlighted = names.index(self._current) if self._current in names else 0
            listed.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._preview(self._offers[event.option_index].view)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._offers[event.option_index].view.name)
