"""The app: puts its parts together, and answers Textual."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.filter import LineFilter, Monochrome
from textual.screen import ModalScreen, Screen, SystemModalScreen

from convtui.actions.registry import Keymap, load_keymap
from convtui.errors import ConvtuiError
from convtui.text.boundary import visible
from convtui.tui.attention import Attention
from convtui.tui.drawing import frames, glyphs
from convtui.tui.drawing.palette import Palette
from convtui.tui.folder_trust import trusted_settings
from convtui.tui.interrupt import Interrupt
from convtui.tui.keyboard.typed_keys import TypedKeys
from convtui.tui.notice_board import NoticeApp
from convtui.tui.open_runs import OpenRuns
from convtui.tui.saved_state import SavedState
from convtui.tui.screens.action_screen import ActionScreen, action_screen_of
from convtui.tui.screens.handlers import Handler
from convtui.tui.terminal_end import leave_when_ended
from convtui.tui.textual_compat import (
    can_suspend,
    draw_promptly,
    read_alt_enter,
    write_to_terminal,
)
from convtui.tui.theme_drawing import draw_theme
from convtui.tui.themes import Themes
from convtui.tui.too_small import TooSmall, too_small

if TYPE_CHECKING:
    from convtui.config.settings import Config

First = Callable[["ConvtuiApp"], Screen[Any]]
_PROMPT = (events.Key, events.Paste, events.MouseDown, events.MouseScrollDown, events.MouseScrollUp)
"""What a person does and expects to see the effect of at once."""


class ConvtuiApp(NoticeApp, inherit_bindings=False):
    """The app. `first` creates the screen that is opened."""

    TITLE = "convtui"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "leave", "quit", show=False, priority=True),
        Binding("ctrl+c", "interrupt", "copy", show=False, system=True, priority=True),
        Binding("f1", "dialog_help", "help", show=False, priority=True),
    ]
    CSS = f"""
    {frames.CSS}
    ModalScreen {{ layers: default notices; }}
    .-aside {{ display: none !important; }}
    .-whole {{ width: 1fr !important; height: 1fr !important; max-width: 100% !important; }}
    """

    def __init__(
        self,
        first: First,
        *,
        config: Config | None = None,
        keymap: Keymap | None = None,
        state_file: Path | None = None,
    ) -> None:
        super().__init__()
        self._first = first
        self.config = config
        self.keymap_problem = ""
        self.keymap = keymap or self._load_keymap()
        self.runs = OpenRuns(self, self.keymap, lambda: self.config)
        self.has_begun = False
        """Whether the first frame is drawn."""
        self.failed_with: ConvtuiError | None = None
        """The error that ended the app, for the caller."""
        if state_file is None and config is not None:
            state_file = config.paths.state_file
        self.saved_state = SavedState(state_file)
        setting = config.glyphs if config is not None else "auto"
        self._ascii = glyphs.AsciiGlyphs() if glyphs.wants_ascii(setting, os.environ) else None
        read_alt_enter()
        self.typed = TypedKeys(
            self,
            deliver=super().on_event,
            acts=self._acts,
            dropped=self._keys_dropped,
            joined=self._enter_typed,
        )
        self.attention = Attention(lambda: self.config, lambda text: write_to_terminal(self, text))
        self.interrupt = Interrupt(self, self.action_leave)
        self.themes = Themes(
            lambda: self.config,
            self.saved_state,
            draw=partial(draw_theme, self),
            ask=self.push_screen_wait,
            notify=self.notify,
            warn=self._warn,
        )
        self.themes.show_first()

    def handlers(self) -> Iterator[Handler]:
        """What the app does on every screen."""
        yield Handler("app.notices", self.board.open_log)
        yield Handler("app.theme", self.themes.choose)
        yield Handler("app.interrupt", self.interrupt.press)
        yield Handler("app.photograph", self._photograph)
        yield Handler("app.suspend", self.action_suspend_process, partial(can_suspend, self))

    async def _photograph(self) -> None:
        from convtui.tui.photograph import photograph

        await photograph(self, self.config)

    # --- settings

    def get_driver_class(self) -> type[Driver]:
        """Called by Textual to learn how it reads and draws."""
        driver = super().get_driver_class()
        if driver.__name__ != "LinuxDriver":
            return driver
        from convtui.tui.terminal_driver import TerminalDriver

        return TerminalDriver

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Called by Textual for each line that it draws."""
        # Textual's own idea of no colour is grey, ground and all.
        filters = [it for it in super().get_line_filters() if not isinstance(it, Monochrome)]
        return [*filters, *(it for it in (self.themes.line_filter, self._ascii) if it is not None)]

    @property
    def palette(self) -> Palette:
        """The colours that everything is drawn with."""
        return self.themes.palette

    def _load_keymap(self) -> Keymap:
        path = self.config.keymap_file if self.config is not None else None
        try:
            return load_keymap(path)
        except ConvtuiError as error:
            self.keymap_problem = str(error)
            return Keymap()

    def _warn(self, problems: list[str], title: str) -> None:
        if problems:
            text = "\n".join(visible(problem) for problem in problems[:4])
            self.notify(text, title=title, severity="warning", markup=False, timeout=8)

    # --- screens

    def get_default_screen(self) -> Screen[Any]:
        """Makes the first screen the bottom one, so that nothing is drawn twice at the start."""
        return self._first(self)

    def on_mount(self) -> None:
        leave_when_ended(self)
        self.call_after_refresh(self._after_first_frame)

    def refresh_css(self, animate: bool = True) -> None:
        """Called by Textual also at the start, for the theme that all was styled with already."""
        if self.has_begun:
            super().refresh_css(animate)

    def _after_first_frame(self) -> None:
        self.has_begun = True
        if not gc.isenabled():
            # Exclude what exists now from garbage collection: it stays. A full collection stops
            # everything for a frame or two, and what streams in would cause one every other second.
            gc.freeze()
            gc.set_threshold(700, 10, 300)
            gc.enable()
        self._warn(self.themes.problems, "Theme not loaded")
        if self.keymap_problem:
            self._warn([self.keymap_problem], "Keys not loaded")
        self.run_worker(self.themes.watch(), group="themes", exit_on_error=False)
        if self.config is not None and self.config.untrusted is not None:
            self.run_worker(self._ask_for_trust(self.config), group="trust", exit_on_error=False)

    async def _ask_for_trust(self, config: Config) -> None:
        try:
            settings = await trusted_settings(config, self.saved_state, self.push_screen_wait)
        except ConvtuiError as error:
            self._warn([str(error)], "Not trusted")
            return
        if settings is not config:
            self.config = settings
            self.notify("Trusted: the settings apply from the next run.", markup=False)

    def fail(self, error: ConvtuiError) -> None:
        """Leaves the app; the command line reports the error."""
        self.failed_with = error
        self.exit(error.exit_code)

    def action_leave(self) -> None:
        """Quits as `q` does, from wherever the focus is."""
        screen = action_screen_of(self)
        if screen is None:
            self.exit(0)
        else:
            while self.screen is not screen:
                self.pop_screen()
            screen.perform("app.quit")

    def action_dialog_help(self) -> None:
        """Help for a dialog; elsewhere the keymap handles F1."""
        from convtui.tui.screens.help import HelpScreen, help_of_dialog

        dialog, below = self.screen, action_screen_of(self)
        ours = isinstance(dialog, ModalScreen) and not isinstance(
            dialog, (HelpScreen, SystemModalScreen, TooSmall)
        )
        if below is None or not ours:
            raise SkipAction
        self.push_screen(help_of_dialog(dialog, below))

    def action_interrupt(self) -> None:
        self.interrupt.press()

    async def on_unmount(self) -> None:
        await self.runs.close()

    def on_resize(self, event: events.Resize) -> None:
        """Below a minimum size, asks for a larger terminal instead."""
        small = too_small(event.size)
        if small and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())
        elif not small and isinstance(self.screen, TooSmall):
            self.pop_screen()

    # --- keys

    async def on_event(self, event: events.Event) -> None:
        """Passes keys and pastes through `TypedKeys` first."""
        if isinstance(event, _PROMPT) and not event.is_forwarded:
            draw_promptly(self.screen)
        if isinstance(event, events.Key) and not event.is_forwarded:
            # A key proves that the terminal has the focus; restore that of the input.
            self.app_focus = True
            self.attention.pressed()
            await self.typed.key(event)
            return
        if isinstance(event, events.Paste) and not event.is_forwarded:
            event = self.typed.paste(event)
        elif isinstance(event, events.MouseDown) and not event.is_forwarded:
            self.typed.mouse_pressed()
        await super().on_event(event)

    def on_app_focus(self) -> None:
        self.attention.focus(True)

    def on_app_blur(self) -> None:
        self.attention.focus(False)

    def _acts(self, key: str) -> bool:
        """Whether a key does more, outside of inputs, than show something."""
        screen = self.screen
        action = screen.action_of(key) if isinstance(screen, ActionScreen) else None
        return action is None or action.acts

    def _enter_typed(self) -> None:
        self.notify("Enter came at once with the text: it is a space. Press enter again.")

    def _keys_dropped(self) -> None:
        screen = action_screen_of(self)
        if screen is not None:
            screen.keys_dropped()
