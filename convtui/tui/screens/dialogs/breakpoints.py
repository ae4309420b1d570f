"""The breakpoints: switch on and off, once only, edit, remove, add a filter expression."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from convtui.errors import CommandRefused
from convtui.text.boundary import visible, visible_line
from convtui.tui.screens.dialogs.questions import DROPS
from convtui.tui.sources.run import Breakpoint, LiveRun


class BreakpointsScreen(ModalScreen[None]):
    """Lists a run's breakpoints. What the engine refuses is said in place."""

    DEFAULT_CSS = """
    BreakpointsScreen { align: center middle; background: $background 60%; }
    BreakpointsScreen > Vertical { width: 76; max-width: 96%; height: auto; max-height: 92%;
                                   border: round $accent; background: $surface; padding: 0 1; }
    BreakpointsScreen OptionList, BreakpointsScreen OptionList:focus {
                                   height: auto; max-height: 12; border: none;
                                   background: $surface; padding: 0; }
    BreakpointsScreen Static { width: 1fr; height: auto; color: $text-muted; padding: 0 1; }
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
        """The number of the one that the line below will replace."""
        self._leaving = False

    def compose(self) -> ComposeResult:
        """The list and a line to add one."""
        box = Vertical()
        box.border_title = Content("breakpoints")
        box.border_subtitle = Content("space on/off  o once  e edit  d remove  tab add  esc close")
        with box:
            yield OptionList(id="break-list")
            yield Static(id="break-empty", markup=False)
            yield Input(
                id="break-new",
                placeholder="add one: ~discard, once: ~end, skip 2: ~signal & ~turn > 3 ...",
            )
            yield Static(id="break-error", markup=False)

    def on_mount(self) -> None:
        """Shows what there is."""
        self._fill()
        focus = OptionList if self._run.breakpoints else Input
        self.query_one(focus).focus()
        self.run_worker(self._refresh(), group="breakpoints")

    async def _refresh(self) -> None:
        """Asks the engine how often each has stopped."""
        await self._run.refresh_breakpoints()
        self._fill()

    def _fill(self) -> None:
        listed = self.query_one(OptionList)
        place = listed.highlighted or 0
        listed.clear_options()
        for item in self._run.breakpoints:
            listed.add_option(Option(Content(row(item)), id=str(item.number)))
        found = bool(self._run.breakpoints)
        listed.display = found
        if found:
            listed.highlighted = min(place, len(self._run.breakpoints) - 1)
        empty = self.query_one("#break-empty", Static)
        empty.display = not found
        empty.update("No breakpoint yet. b sets one at the selected turn; a filter stops anywhere.")
        self.query_one("#break-error", Static).display = False

    def _chosen(self) -> Breakpoint | None:
        place = self.query_one(OptionList).highlighted
        if place is None or place >= len(self._run.breakpoints):
            return None
        return self._run.breakpoints[place]

    def _refused(self, error: CommandRefused) -> None:
        self._say(visible(str(error)))

    def _say(self, text: str) -> None:
        line = self.query_one("#break-error", Static)
        line.display = bool(text)
        line.update(Content(text))

    def on_input_changed(self) -> None:
        """What is written after the warning is warned of again."""
        if self._leaving:
            self._leaving = False
            self._say("")

    def action_leave(self) -> None:
        """Closes; asks for a second press where a filter was written and not set."""
        if self.query_one(Input).value.strip() and not self._leaving:
            self._leaving = True
            self._say(DROPS)
        else:
            self.dismiss(None)

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter switches it on or off."""
        event.stop()
        await self.action_switch()

    async def action_switch(self) -> None:
        """On or off."""
        found = self._chosen()
        if found is None:
            return
        try:
            await self._run.enable_breakpoint(found, not found.enabled)
        except CommandRefused as error:
            self._refused(error)
        else:
            self._fill()

    async def action_once(self) -> None:
        """Once only, or every time."""
        found = self._chosen()
        if found is not None:
            await self._change(found, found.text_with(once=not found.once))

    def action_edit(self) -> None:
        """Puts it into the line below; Enter there puts it back changed."""
        found = self._chosen()
        if found is None:
            return
        line = self.query_one(Input)
        line.value = found.text
        self._edited = found.number
        line.focus()
        line.cursor_position = len(line.value)

    async def _change(self, found: Breakpoint, text: str) -> bool:
        try:
            await self._run.change_breakpoint(found, text)
        except CommandRefused as error:
            self._refused(error)
            return False
        self._fill()
        return True

    async def action_remove(self) -> None:
        """Takes it away."""
        found = self._chosen()
        if found is None:
            return
        try:
            await self._run.remove_breakpoint(found)
        except CommandRefused as error:
            self._refused(error)
        else:
            self._fill()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Adds one."""
        event.stop()
        text = event.value.strip()
        if not text:
            return
        old = next((each for each in self._run.breakpoints if each.number == self._edited), None)
        if old is not None:
            if not await self._change(old, text):
                return
        else:
            try:
                await self._run.add_breakpoint(text)
            except CommandRefused as error:
                self._refused(error)
                return
            self._fill()
        self._edited = None
        event.input.value = ""
        if old is not None:
            self.query_one(OptionList).focus()


def row(item: Breakpoint) -> str:
    """One breakpoint as a line: on or off, number, filter, what it counts."""
    mark = "[x]" if item.enabled else "[ ]"
    words = []
    if item.once:
        words.append("once")
    if item.skip:
        words.append(f"passed {item.passed} of {item.skip}")
    if item.hits:
        words.append(f"stopped {item.hits} time{'s' if item.hits != 1 else ''}")
    more = f"  ({', '.join(words)})" if words else ""
    return f"{mark} {item.number}  {visible_line(item.expression, 200)}{more}"
