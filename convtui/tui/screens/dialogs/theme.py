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


@dataclass(frozen=True, slots=True)
class ThemeOffer:
    """A theme to choose, and a sentence on it."""

    view: ThemeView
    about: str


class ChooseTheme(ModalScreen[str | None]):
    """The names of the themes; returns the chosen one, None on Escape."""

    DEFAULT_CSS = """
    ChooseTheme { align: right bottom; background: transparent; }
    ChooseTheme > Vertical { width: 44; max-width: 96%; height: auto; max-height: 60%;
                             margin: 0 1 2 0; border: round $accent; background: $surface;
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
        box = Vertical()
        box.border_title = Content("theme")
        box.border_subtitle = Content("enter keep  esc as before")
        width = max((cell_len(offer.view.name) for offer in self._offers), default=0)
        with box:
            yield OptionList(
                *(
                    Option(
                        Content.assemble(
                            visible_line(offer.view.name, 30).ljust(width),
                            (f"  {visible_line(offer.about, 60)}", "$text-muted"),
                        )
                    )
                    for offer in self._offers
                )
            )

    def on_mount(self) -> None:
        listed = self.query_one(OptionList)
        names = [offer.view.name for offer in self._offers]
        listed.highlighted = names.index(self._current) if self._current in names else 0
        listed.focus()

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._preview(self._offers[event.option_index].view)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(self._offers[event.option_index].view.name)
