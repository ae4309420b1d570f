"""The command palette: the actions that apply now, found by what is typed of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from convtui.actions.search import match
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.palette import Span
from convtui.tui.widgets.row_list import RowList

_FRAME_ROWS = 5
"""Rows of the dialog besides the list, and a row of the screen above and below."""


@dataclass(frozen=True, slots=True)
class Command:
    """An action that applies now."""

    action: str
    sentence: str
    key: str
    label: str = ""
    """Its short name, which is searched too."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A command, and the letters of its sentence that match what was typed."""

    command: Command
    offsets: frozenset[int] = field(default_factory=frozenset)


def hits(commands: Sequence[Command], query: str) -> list[Hit]:
    """The commands that fit `query`, the best first; all in their order if it is empty."""
    if not query.strip():
        return [Hit(command) for command in commands]
    scored: list[tuple[bool, int, Hit]] = []
    for command in commands:
        sentence = match(query, command.sentence)
        by_name = match(query, f"{command.label} {command.sentence}")
        if sentence is not None:
            # One that has the words in its name comes first.
            named = match(query, command.label) is not None
            hit = Hit(command, sentence.offsets)
            scored.append((sentence.scattered, -sentence.score - named, hit))
        elif by_name is not None:
            scored.append((by_name.scattered, -by_name.score, Hit(command)))
    scored.sort(key=lambda item: item[:2])
    # Scattered letters count only where nothing else fits.
    return [hit for scattered, _, hit in scored if scattered == scored[0][0]]


def hit_spans(hit: Hit, width: int) -> list[Span]:
    """A command on one line: its sentence with the matched letters marked, its key at the end."""
    key = hit.command.key
    room = max(4, width - cell_len(key) - 2)
    spans: list[Span] = []
    for offset, letter in enumerate(hit.command.sentence):
        role = "accent bold under" if offset in hit.offsets else "text"
        if spans and spans[-1][1] == role:
            spans[-1] = (spans[-1][0] + letter, role)
        else:
            spans.append((letter, role))
    spans = fit(spans, room)
    used = sum(cell_len(text) for text, _ in spans)
    return [*spans, (" " * (room - used + 2), "text"), (key, "accent bold")]


class CommandList(RowList[Hit]):
    """The commands, one line each."""

    # The input keeps the focus.
    can_focus = False
    DEFAULT_CSS = """
    CommandList { height: 1fr; background: $surface; scrollbar-background: $surface; }
    """

    def spans_of(self, item: Hit) -> Sequence[Span]:
        return hit_spans(item, self.view_width - 2)


class Commands(ModalScreen[str | None]):
    """Finds an action by name. Returns its id; Escape returns None."""

    DEFAULT_CSS = """
    Commands { align: center top; background: $background 60%; }
    Commands > Vertical { width: 86; max-width: 96%; height: auto; margin-top: 1;
                          border: round $accent; background: $surface; padding: 0 1; }
    Commands Input, Commands Input:focus { height: 1; border: none; padding: 0;
                                           background: $surface; }
    Commands #commands-none { height: 1; color: $text-muted; display: none; }
    Commands.-none #commands-none { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "close"),
        Binding("up,ctrl+p", "move(-1)", "up"),
        Binding("down,ctrl+n", "move(1)", "down"),
        Binding("pageup", "page(-1)", "page up"),
        Binding("pagedown", "page(1)", "page down"),
    ]

    def __init__(self, commands: Iterable[Command]) -> None:
        super().__init__()
        self._commands = list(commands)
        self._list = CommandList()

    def compose(self) -> ComposeResult:
        box = Vertical()
        box.border_title = Content("commands")
        box.border_subtitle = Content("type to find  enter run  esc close")
        with box:
            yield Input(placeholder="what do you want to do?")
            yield Static("No command fits.", id="commands-none", markup=False)
            yield self._list

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._fit(self.app.size.height)
        self._find("")

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size.height)

    def _fit(self, height: int) -> None:
        """Gives every command a row if there is room; the list does not shrink while one types."""
        self._list.styles.height = max(1, min(len(self._commands), height - _FRAME_ROWS))

    def _find(self, query: str) -> None:
        found = hits(self._commands, query)
        self._list.show_items(found)
        self.set_class(not found, "-none")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._find(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._run()

    def on_row_list_chosen(self) -> None:
        self._run()

    def _run(self) -> None:
        hit = self._list.selected
        if hit is not None:
            self.dismiss(hit.command.action)

    def action_move(self, by: int) -> None:
        self._list.go_to(self._list.cursor + by)

    def action_page(self, by: int) -> None:
        (self._list.action_page_down if by > 0 else self._list.action_page_up)()
