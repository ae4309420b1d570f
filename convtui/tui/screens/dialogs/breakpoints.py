"""The breakpoints dialog: list, switch, edit, remove, add."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from convtui.errors import CommandRefused
from convtui.filters.in_words import in_words
from convtui.text.boundary import visible, visible_line
from convtui.text.counts import counted
from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.screens.dialogs.questions import DROPS
from convtui.tui.sources.run import Breakpoint, LiveRun
from convtui.tui.textual_compat import is_open, run_while_open

_KEYS = "space on/off  o once  e edit  d remove  tab, enter add  esc close"
_EXAMPLES = "add one: ~discard, once: ~end, skip 2: ~signal & ~turn > 3 ..."
_WIDEST = 90
_MOST_ROWS = 12
"""Rows of the list, two a breakpoint."""


class BreakpointsScreen(ModalScreen[None]):
    """Lists a run's breakpoints, and shows what the engine refuses."""

    DEFAULT_CSS = """
    BreakpointsScreen { align: center middle; background: $background 60%; }
    BreakpointsScreen OptionList, BreakpointsScreen OptionList:focus {
                                   height: auto; border: none;
                                   background: $surface; padding: 0; }
    BreakpointsScreen Input { border-left: outer $surface; }
    BreakpointsScreen Input:focus { border-left: outer $accent; }
    BreakpointsScreen .said { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }
    BreakpointsScreen #break-error { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close"),
        Binding("B", "dismiss(None)", "close", show=False),
        Binding("delete,d,backspace", "remove", "remove"),
        Binding("space", "switch", "on/off"),
        Binding("o", "once", "once"),
        Binding("e", "edit", "edit"),
    ]

    def __init__(self, run: LiveRun) -> None:
        super().__init__()
        self._run = run
        self._edited: int | None = None
        """The number of the breakpoint that the input will replace."""
        self._leaving = False
        self._removing: int | None = None
        """The number of the breakpoint that the next press removes."""

    def compose(self) -> ComposeResult:
        with DialogBox("breakpoints", _KEYS):
            yield OptionList(id="break-list")
            yield Static(id="break-empty", classes="said", markup=False)
            yield Input(
                id="break-new",
                placeholder=_EXAMPLES,
            )
            yield Static(id="break-error", classes="said", markup=False)

    def on_mount(self) -> None:
        self._fill()
        focus = OptionList if self._run.breakpoints else Input
        self.query_one(focus).focus()
        run_while_open(self, self._refresh(), group="breakpoints")

    async def _refresh(self) -> None:
        """Asks the engine for hit counts."""
        await self._run.refresh_breakpoints()
        self._fill()

    def _fill(self) -> None:
        listed = self.query_one(OptionList)
        index = listed.highlighted or 0
        listed.clear_options()
        for item in self._run.breakpoints:
            listed.add_option(Option(breakpoint_lines(item), id=str(item.number)))
        rows = [breakpoint_lines(item).plain for item in self._run.breakpoints]
        self.query_one(DialogBox).hold((_EXAMPLES + "    ", *rows), widest=_WIDEST)
        has_any = bool(self._run.breakpoints)
        listed.display = has_any
        if has_any:
            listed.highlighted = min(index, len(self._run.breakpoints) - 1)
        empty = self.query_one("#break-empty", Static)
        empty.display = not has_any
        empty.update(
            "No breakpoints yet. b sets one at the selected turn; a filter stops anywhere."
        )
        self._removing = None
        self._show_error("")
        self.call_after_refresh(self._fit)

    def on_resize(self) -> None:
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """The list has the rows that the input, the messages and the keys leave."""
        if not is_open(self):
            return
        box = self.query_one(DialogBox)
        said = sum(line.outer_size.height for line in self.query(".said") if line.display)
        left = box.room(self.app.size).height - self.query_one(Input).outer_size.height - said
        self.query_one(OptionList).styles.max_height = max(1, min(_MOST_ROWS, left))

    def _chosen(self) -> Breakpoint | None:
        index = self.query_one(OptionList).highlighted
        if index is None or index >= len(self._run.breakpoints):
            return None
        return self._run.breakpoints[index]

    def _show_refusal(self, error: CommandRefused) -> None:
        self._show_error(visible(str(error)))

    def _show_error(self, text: str) -> None:
        line = self.query_one("#break-error", Static)
        line.display = bool(text)
        line.update(Content(text))
        self.call_after_refresh(self._fit)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Another one was selected: it is not the one that was to be removed."""
        chosen = self._chosen()
        if self._removing is not None and (chosen is None or chosen.number != self._removing):
            self._removing = None
            self._show_error("")

    def on_input_changed(self) -> None:
        """Editing after the warning asks for a second press again."""
        if self._leaving:
            self._leaving = False
            self._show_error("")

    def action_leave(self) -> None:
        """Closes; asks for a second press if that would lose a filter."""
        if self.query_one(Input).value.strip() and not self._leaving:
            self._leaving = True
            self._show_error(DROPS)
        else:
            self.dismiss(None)

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        await self.action_switch()

    async def action_switch(self) -> None:
        breakpoint = self._chosen()
        if breakpoint is None:
            return
        try:
            await self._run.enable_breakpoint(breakpoint, not breakpoint.enabled)
        except CommandRefused as error:
            self._show_refusal(error)
        else:
            self._fill()

    async def action_once(self) -> None:
        """Switches between stopping once and every time."""
        breakpoint = self._chosen()
        if breakpoint is not None:
            await self._change(breakpoint, breakpoint.text_with(once=not breakpoint.once))

    def action_edit(self) -> None:
        """Loads it into the input, which then replaces it."""
        breakpoint = self._chosen()
        if breakpoint is None:
            return
        line = self.query_one(Input)
        line.value = breakpoint.text
        self._edited = breakpoint.number
        line.focus()
        line.cursor_position = len(line.value)

    async def _change(self, breakpoint: Breakpoint, text: str) -> bool:
        try:
            await self._run.change_breakpoint(breakpoint, text)
        except CommandRefused as error:
            self._show_refusal(error)
            return False
        self._fill()
        return True

    async def action_remove(self) -> None:
        """Asks for a second press: a breakpoint cannot be brought back."""
        breakpoint = self._chosen()
        if breakpoint is None:
            return
        if self._removing != breakpoint.number:
            self._removing = breakpoint.number
            text = visible_line(breakpoint.text, 60)
            self._show_error(f"d again removes breakpoint {breakpoint.number}: {text}")
            return
        try:
            await self._run.remove_breakpoint(breakpoint)
        except CommandRefused as error:
            self._show_refusal(error)
        else:
            self._fill()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Adds the typed breakpoint, or replaces the edited one."""
        event.stop()
        text = event.value.strip()
        if not text:
            return
        old = next((item for item in self._run.breakpoints if item.number == self._edited), None)
        if old is not None:
            if not await self._change(old, text):
                return
        else:
            try:
                await self._run.add_breakpoint(text)
            except CommandRefused as error:
                self._show_refusal(error)
                return
            self._fill()
        self._edited = None
        event.input.value = ""
        if old is not None:
            self.query_one(OptionList).focus()


def breakpoint_lines(item: Breakpoint) -> Content:
    """A breakpoint, and below it what it means."""
    return Content.assemble(
        breakpoint_row(item), "\n", (f"       {breakpoint_words(item)}", "$text-muted")
    )


def breakpoint_words(item: Breakpoint) -> str:
    """When it stops, in words."""
    from convtui.filters.breaks import parse_breakpoint

    words = visible_line(in_words(parse_breakpoint(item.text).filter.node), 160)
    if not item.enabled:
        return f"off; would stop {words}"
    return f"stops {'once, ' if item.once else ''}{words}"


def breakpoint_row(item: Breakpoint) -> str:
    """A breakpoint on one line: enabled, number, filter, counts."""
    mark = "[x]" if item.enabled else "[ ]"
    counts = []
    if item.once:
        counts.append("once")
    if item.skip:
        counts.append(f"passed {item.passed} of {item.skip}")
    if item.hits:
        counts.append(f"stopped {counted(item.hits, 'time')}")
    more = f"  ({', '.join(counts)})" if counts else ""
    return f"{mark} {item.number}  {visible_line(item.expression, 200)}{more}"
