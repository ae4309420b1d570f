"""Help: the keys of the current screen, from the live keymap, and the manual below them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from convtui.actions.registry import DEBUGGER, TABS, Action, Keymap
from convtui.errors import FileError
from convtui.manual.layout import Style, lay_out
from convtui.manual.pages import TOPICS, page, topic_of
from convtui.text.boundary import visible
from convtui.tui.drawing.key_table import Group, key_table
from convtui.tui.drawing.palette import Span, palette_of
from convtui.tui.drawing.strips import strip_of
from convtui.tui.textual_compat import after_refresh, is_open
from convtui.tui.widgets.transcript.legend import SIGNS, legend_rows

if TYPE_CHECKING:
    from convtui.tui.screens.action_screen import ActionScreen

_NUMBERED = re.compile(r".*_([2-9]|\d\d)")
_GROUPS: Final = {
    "take_over": "Take over",
    "inspector": "Look",
    "outline": "Outline",
    "search": "Search",
    "held": "Held",
    "replay": "Replay",
}
"""The group that comes first in a context."""
_KINDS: Final = {"title": "bold $text-accent", "keys": "bold", "": ""}
_STYLES: dict[Style, str] = {
    "": "",
    "title": "bold $text-accent",
    "heading": "bold $text-accent",
    "strong": "bold",
    "code": "$text-secondary",
    "link": "underline",
}


class KeyTable(Static):
    """Groups of keys, laid out to the widget's width."""

    def __init__(self, groups: Sequence[Group], *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._groups = groups
        self._width = 0

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._width:
            self._width = event.size.width
            self.update(table_content(self._groups, self._width))


def table_content(groups: Sequence[Group], width: int) -> Content:
    """A key table as styled text."""
    parts: list[tuple[str, str]] = []
    for line in key_table(groups, width):
        parts += [(text, _KINDS[kind]) for text, kind in line]
        parts.append(("\n", ""))
    return Content.assemble(*parts)


class Legend(Widget):
    """What the glyphs of turns mean, in their colours."""

    DEFAULT_CSS = "Legend { height: auto; width: 1fr; }"

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 1 + len(self._rows(width))

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        rows: list[list[Span]] = [[("Turns", "accent bold")], *self._rows(width)]
        strip = strip_of(rows[y] if y < len(rows) else [], palette_of(self.app))
        return strip.apply_style(base).crop_extend(0, width, base)

    @staticmethod
    def _rows(width: int) -> list[list[Span]]:
        return [[("  ", "text"), *row] for row in legend_rows(SIGNS, max(1, width - 2))]


class ManualPage(Static):
    """A page of the manual, laid out to the widget's width."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._markdown = ""
        self._ticks = False
        self._width = 0

    def show(self, markdown: str, *, ticks: bool = False) -> None:
        """Shows a page; `ticks` puts code in backquotes, where colour cannot mark it."""
        self._markdown, self._ticks = markdown, ticks
        self._lay_out()

    def on_resize(self, event: events.Resize) -> None:
        if event.size.width != self._width:
            self._lay_out()

    def _lay_out(self) -> None:
        self._width = self.size.width
        if self._markdown and self._width:
            self.update(page_content(self._markdown, self._width, ticks=self._ticks))


def page_content(markdown: str, width: int, *, ticks: bool = False) -> Content:
    """A page as styled text, with lines of at most `width` columns."""
    parts: list[tuple[str, str]] = []
    for line in lay_out(markdown, width, ticks=ticks):
        parts += [(piece.text, _STYLES[piece.style]) for piece in line]
        parts.append(("\n", ""))
    return Content.assemble(*parts)


class HelpScreen(ModalScreen[None]):
    """The keys by group, then a page of the manual."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll { width: 132; max-width: 96%; height: auto; max-height: 92%;
                                  border: round $accent; background: $surface; padding: 0 1;
                                  scrollbar-gutter: stable; }
    HelpScreen Static { width: 1fr; height: auto; }
    HelpScreen #help-page { max-width: 96; }
    HelpScreen #help-topic { height: auto; margin: 1 0; background: $panel; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss(None)", "close"),
        Binding("tab", "switch", "keys/manual"),
        Binding("right,right_square_bracket", "turn_page(1)", "next page"),
        Binding("left,left_square_bracket", "turn_page(-1)", "previous page"),
    ]

    def __init__(
        self,
        keymap: Keymap,
        actions: Sequence[Action],
        topic: str = "start",
        *,
        keys: Mapping[str, Sequence[str]] | None = None,
        contexts: Sequence[str] = (),
        dialog: Sequence[Binding] = (),
        manual: bool = False,
        monochrome: bool = False,
    ) -> None:
        """`topic` is the page below the keys, `contexts` say which of those come first.

        `keys` are those that work, by action, without which the keymap's are shown; `dialog` are
        the bindings of an open dialog; with `manual` it opens at the page.
        """
        super().__init__()
        self._keymap = keymap
        self._actions = list(actions)
        self._keys = keys or {}
        self._contexts = contexts
        self._first = [_GROUPS[context] for context in contexts if context in _GROUPS]
        self._dialog = list(dialog)
        self._monochrome = monochrome
        self._manual = manual
        self.topic = topic

    def compose(self) -> ComposeResult:
        box = VerticalScroll()
        box.border_title = Content("keys that work here")
        box.border_subtitle = Content("tab manual  ← → its pages  esc close")
        with box:
            yield KeyTable(list(self._groups()), id="help-keys")
            if not DEBUGGER.isdisjoint(self._contexts):
                yield Legend(id="help-legend")
            yield Static(markup=False, id="help-topic")
            yield ManualPage(id="help-page")

    def _groups(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        if self._dialog:
            yield "Dialog", [self._dialog_row(binding) for binding in self._dialog]
        groups: dict[str, list[tuple[str, str]]] = {name: [] for name in self._first}
        for action in self._actions:
            # The first tab stands for all.
            if not _NUMBERED.fullmatch(action.id):
                groups.setdefault(action.group, []).append(self._action_row(action))
        yield from ((name, rows) for name, rows in groups.items() if rows)

    def _action_row(self, action: Action) -> tuple[str, str]:
        working = self._keys.get(action.id, self._keymap.keys(action))
        keys = [self._keymap.display(key) for key in working]
        shown = "  ".join(keys) or self._keymap.as_command(action)
        does = action.help
        if action.id.endswith("_1"):
            shown = f"{keys[0]} to 9  0" if keys else ""
            does = does.replace(" 1 ", f" 1 to {TABS} ")
        confirm = " (press twice)" if action.confirm else ""
        return shown, f"{does.rstrip('.')}{confirm}"

    def _dialog_row(self, binding: Binding) -> tuple[str, str]:
        keys = [self._keymap.display(key.strip()) for key in binding.key.split(",")]
        return "  ".join(keys), binding.description.capitalize()

    async def on_mount(self) -> None:
        box = self.query_one(VerticalScroll)
        box.focus()
        self.watch(box, "scroll_y", self._entitle, init=False)
        self.call_after_refresh(self._show_page)

    async def _show_page(self) -> None:
        topic = self.topic
        try:
            text = await asyncio.to_thread(page, topic, self._keymap)
        except FileError as error:
            text = visible(str(error))
        if topic == self.topic and is_open(self):
            number = list(TOPICS).index(topic) + 1
            about = f" manual: {topic} ({number} of {len(TOPICS)}) · {TOPICS[topic]}"
            self.query_one("#help-topic", Static).update(Content(about))
            self.query_one(ManualPage).show(text, ticks=self._monochrome)
            if self._manual:
                self._manual = False
                after_refresh(self, self._go_to_manual)

    async def action_turn_page(self, by: int) -> None:
        """Shows another page from its start."""
        names = list(TOPICS)
        self.topic = names[(names.index(self.topic) + by) % len(names)]
        await self._show_page()
        after_refresh(self, self._go_to_manual)

    def action_switch(self) -> None:
        """Switches between the keys and the manual."""
        box = self.query_one(VerticalScroll)
        if box.scroll_offset.y < self._manual_row():
            self._go_to_manual()
        else:
            box.scroll_home(animate=False)

    def _entitle(self) -> None:
        """The title says what is in view."""
        box = self.query_one(VerticalScroll)
        manual = 0 < self._manual_row() <= box.scroll_offset.y
        box.border_title = Content(f"manual: {self.topic}" if manual else "keys that work here")

    def _go_to_manual(self) -> None:
        self.query_one(VerticalScroll).scroll_to(y=self._manual_row(), animate=False)

    def _manual_row(self) -> int:
        box = self.query_one(VerticalScroll)
        title = self.query_one("#help-topic", Static)
        return min(title.virtual_region.y, box.max_scroll_y)


def help_of_dialog(dialog: Screen[object], below: ActionScreen) -> HelpScreen:
    """Help for a dialog over `below`: its own keys, and a manual page."""
    from convtui.tui.screens.dialogs.breakpoints import BreakpointsScreen

    breakpoints = isinstance(dialog, BreakpointsScreen)
    topic = "filters" if breakpoints else topic_of(below.help_contexts())
    bindings = [
        binding
        for binding in type(dialog).BINDINGS
        if isinstance(binding, Binding) and binding.show and binding.description
    ]
    monochrome = below.capp.palette.monochrome
    return HelpScreen(below.keymap, [], topic, dialog=bindings, monochrome=monochrome)
