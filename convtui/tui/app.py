"""The app: creates screens, and owns the run, the keys, the theme and remembered state."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen, SystemModalScreen
from textual.widgets import Static

from convtui.actions.registry import Keymap, load_keymap
from convtui.errors import ConvtuiError, UsageError
from convtui.records.codec import exit_code
from convtui.text.boundary import visible
from convtui.tui.attention import Attention
from convtui.tui.drawing import frames, glyphs, theming
from convtui.tui.drawing.palette import DARK, Palette
from convtui.tui.keyboard.typed_keys import TypedKeys, takes_text
from convtui.tui.notice_board import NoticeApp
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.screen_context import AnswersInterrupt
from convtui.tui.textual_compat import can_suspend, read_alt_enter, write_to_terminal
from convtui.tui.theme_choice import choose_theme, theme_name

if TYPE_CHECKING:
    from convtui.client.engine_client import EngineHandle
    from convtui.config.settings import Config
    from convtui.protocol import StartSpec
    from convtui.tui.drawing.theming import ThemeView
    from convtui.tui.screens.debugger.screen import DebuggerScreen
    from convtui.tui.sources.run import LiveRun, Plan, WarmEngine

First = Callable[["ConvtuiApp"], Screen[Any]]
SMALLEST = (40, 10)
INTERRUPT_AGAIN = 3.0
"""Seconds within which a second ctrl+c leaves."""


class TooSmall(ModalScreen[None]):
    """Says that the terminal is too small."""

    DEFAULT_CSS = (
        "TooSmall { align: center middle; } TooSmall Static { width: 1fr; text-align: center; }"
    )

    def compose(self) -> ComposeResult:
        yield Static(f"make the terminal larger\n(at least {SMALLEST[0]}x{SMALLEST[1]})")


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
        self.palette = Palette(monochrome=self.monochrome)
        self.run_in_progress: LiveRun | None = None
        """The current run; screens draw it, the app ends it."""
        self.log_of_last: Callable[[], Path | None] = lambda: None
        """The log of the run or the recording that was opened last."""
        self.warm: WarmEngine | None = None
        """An engine process for the next run."""
        self.failed_with: ConvtuiError | None = None
        """The error that ended the app, for the caller."""
        self.last_failure = ""
        """Why the last run could not start, for the picker."""
        self._state_file = state_file
        if state_file is None and config is not None:
            self._state_file = config.paths.state_file
        self._state_lock = asyncio.Lock()
        self._interrupted = float("-inf")
        setting = config.glyphs if config is not None else "auto"
        self._ascii = glyphs.AsciiGlyphs() if glyphs.wants_ascii(setting, os.environ) else None
        read_alt_enter()
        self.typed = TypedKeys(
            self, deliver=super().on_event, acts=self._acts, dropped=self._keys_dropped
        )
        self.attention = Attention(lambda: self.config, lambda text: write_to_terminal(self, text))
        self.theme_view: ThemeView | None = None
        self._theme_problems: list[str] = []
        self._theme_name = theming.DEFAULT
        self._choosing_theme = False
        self._first_theme()

    # --- settings

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Called by Textual for each line that it draws."""
        filters = super().get_line_filters()
        return [*filters, self._ascii] if self._ascii is not None else filters

    @property
    def monochrome(self) -> bool:
        """Whether `NO_COLOR` turns colours off."""
        return bool(os.environ.get("NO_COLOR"))

    def _load_keymap(self) -> Keymap:
        path = self.config.keymap_file if self.config is not None else None
        try:
            return load_keymap(path)
        except ConvtuiError as error:
            self.keymap_problem = str(error)
            return Keymap()

    @property
    def themes_dir(self) -> Path | None:
        return self.config.paths.themes_dir if self.config is not None else None

    def _load_theme(self) -> tuple[ThemeView | None, list[str]]:
        if self.config is None:
            return None, []
        try:
            theme, problems = theming.load(self._theme_name, self.themes_dir)
        except ConvtuiError as error:
            return None, [str(error)]
        return theme, [str(problem) for problem in problems]

    def _first_theme(self) -> None:
        """Sets the theme of the first frame; the user's themes are loaded later."""
        if self.config is not None:
            self._theme_name = theme_name(self.config, self._state_file)
        theme = theming.builtin_theme(self._theme_name) if self.config is not None else None
        if theme is not None or self.config is None:
            self._apply_theme(theme, [])
        else:
            self._apply_theme(*self._load_theme())

    def _apply_theme(self, theme: ThemeView | None, problems: list[str]) -> None:
        self.theme_view = theme
        self.palette = theming.palette_of(theme, monochrome=self.monochrome)
        textual_theme = theming.textual_theme(
            theme.colors if theme is not None else DARK,
            name=theme.name if theme is not None else theming.DEFAULT,
            dark=theme.dark if theme is not None else True,
            monochrome=self.palette.monochrome,
        )
        self.register_theme(textual_theme)
        if self.theme == textual_theme.name:
            self._invalidate_css()
            self.refresh_css(animate=False)
        else:
            self.theme = textual_theme.name
        self._theme_problems = problems
        if self.is_running:
            self._repaint_lines()

    def _repaint_lines(self) -> None:
        """Gives the palette to all that draws with it, on every screen that is open."""
        from convtui.tui.widgets.line_view import LineView

        for screen in self.screen_stack:
            for view in screen.query(LineView):
                view.palette = self.palette

    def _show_theme(self, theme: ThemeView | None) -> None:
        """Draws every open screen with a theme."""
        self._apply_theme(theme, self._theme_problems)
        for screen in self.screen_stack:
            restyle = getattr(screen, "restyle", None)
            if restyle is not None:
                restyle()

    async def choose_theme(self) -> None:
        self._choosing_theme = True
        try:
            chosen = await choose_theme(self, self.theme_view, self._show_theme)
        finally:
            self._choosing_theme = False
        self._theme_name = chosen or self._theme_name

    def _show_problems(self, problems: list[str], title: str) -> None:
        if problems:
            text = "\n".join(visible(problem) for problem in problems[:4])
            self.notify(text, title=title, severity="warning", markup=False, timeout=8)

    async def _watch_themes(self) -> None:
        from convtui.tui.sources import watch

        folder = self.themes_dir
        if folder is None or not await asyncio.to_thread(folder.is_dir):
            return
        shown = self._theme_problems
        while True:
            before = await asyncio.to_thread(watch.stamp, [folder])
            theme, problems = await asyncio.to_thread(self._load_theme)
            if theme != self.theme_view and not self._choosing_theme:
                self._theme_problems = problems
                self._show_theme(theme)
            if problems != shown:
                self._show_problems(problems, "Theme not loaded")
            shown = []
            await watch.changed([folder], before)

    # --- screens

    def get_default_screen(self) -> Screen[Any]:
        """Makes the first screen the bottom one, so that nothing is drawn twice at the start."""
        return self._first(self)

    def on_mount(self) -> None:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            # Killed from outside, it leaves in order: the terminal is restored, the log is closed.
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGTERM, self.exit, 128 + signal.SIGTERM
            )
        self.call_after_refresh(self._after_first_frame)

    def _after_first_frame(self) -> None:
        if not gc.isenabled():
            # Exclude what exists now from garbage collection: it stays.
            gc.freeze()
            gc.enable()
        self._show_problems(self._theme_problems, "Theme not loaded")
        if self.keymap_problem:
            self._show_problems([self.keymap_problem], "Keys not loaded")
        self.run_worker(self._watch_themes(), group="themes", exit_on_error=False)
        if self.config is not None and self.config.untrusted is not None:
            self.run_worker(self._ask_for_trust(self.config), group="trust", exit_on_error=False)

    async def _ask_for_trust(self, config: Config) -> None:
        """Asks once whether the project's settings may name hosts, commands and code."""
        untrusted = config.untrusted
        assert untrusted is not None
        refused = (await self.recall()).get("untrusted_folders")
        refused = refused if isinstance(refused, dict) else {}
        folder = str(untrusted.folder.resolve())
        if refused.get(folder) == untrusted.digest:
            return
        from convtui.tui.screens.dialogs.consent import Consent

        yes = await self.push_screen_wait(
            Consent(
                "Trust this folder's settings?",
                f"{untrusted.file} has settings that apply only in a trusted folder"
                f" ({untrusted.why}):",
                untrusted.rows,
                yes="Yes, trust this folder",
                no="No, ignore these settings",
            )
        )
        if not yes:
            await self.remember(untrusted_folders={**refused, folder: untrusted.digest})
            return
        from convtui.config.trusted_folders import trust_folder

        try:
            await asyncio.to_thread(
                trust_folder, config.paths, untrusted.folder, untrusted.settings
            )
            self.config = await asyncio.to_thread(config.again)
        except ConvtuiError as error:
            self._show_problems([str(error)], "Not trusted")
        else:
            self.notify("Trusted: the settings apply from the next run.", markup=False)

    def warm_up(self) -> None:
        """Prepares an engine in the background, so that the next run starts at once."""
        if not self.is_running or self._exit:
            return
        from convtui.tui.sources.run import WarmEngine

        if self.warm is None:
            self.warm = WarmEngine(self.config.python if self.config is not None else None)
        self.warm.prepare()

    async def start_run(
        self,
        spec: StartSpec,
        *,
        python: str | None = None,
        again: tuple[str, tuple[int, int]] | None = None,
    ) -> None:
        """Opens the debugger on a new run; `again` is a brief, and the turn to decide again.

        Raises `UsageError` while another run is live: the app ends only one.
        """
        live = self.run_in_progress
        if live is not None and not live.handle.over:
            raise UsageError("A conversation is still live: end it before you start another.")
        warm = await self.warm.take(python) if self.warm is not None else None
        screen = debugger(self, spec, python=python, warm=warm)
        screen.parts.briefs.pending = again
        self.push_screen(screen)

    def replay(self, path: Path, *, at: tuple[int, int] | None = None) -> None:
        try:
            screen = recording(self, path, at=at, speed=self.config.speed if self.config else 1.0)
        except ConvtuiError as error:
            self.notify(visible(str(error)), severity="error", markup=False)
        else:
            self.push_screen(screen)

    def compare(self, path_a: Path, path_b: Path) -> None:
        self.push_screen(_comparing(self, path_a, path_b))

    def leave(self, screen: Screen[Any], *, ended: bool = False) -> None:
        """Returns to the screen below, or leaves the app.

        The exit code is that of a run that had `ended` by itself; leaving a live run is no failure.
        """
        failed_run = self.run_in_progress
        if failed_run is not None and failed_run.handle.state.value == "failed":
            self.last_failure = str((failed_run.handle.error or {}).get("message", ""))
        if screen in self.screen_stack and self.screen_stack.index(screen) > 0:
            while self.screen is not screen:
                self.pop_screen()
            self.pop_screen()
            if getattr(screen, "run", None) is self.run_in_progress:
                # Closing a recording leaves a live run below it alone.
                self.run_in_progress = None
        else:
            run = self.run_in_progress or getattr(screen, "run", None)
            code = 0
            if run is not None and run.handle.state.value == "failed":
                code = 3
            elif run is not None and ended:
                termination = run.handle.transcript.termination
                human = (termination or {}).get("by") == "human"
                code = 0 if human else exit_code(termination)
            self.exit(code)

    def fail(self, error: ConvtuiError) -> None:
        """Leaves the app; the command line reports the error."""
        self.failed_with = error
        self.exit(error.exit_code)

    def _action_screen(self) -> ActionScreen | None:
        return next((s for s in reversed(self.screen_stack) if isinstance(s, ActionScreen)), None)

    def action_leave(self) -> None:
        """Quits as `q` does, from wherever the focus is."""
        screen = self._action_screen()
        if screen is None:
            self.exit(0)
        else:
            while self.screen is not screen:
                self.pop_screen()
            screen.perform("app.quit")

    def action_dialog_help(self) -> None:
        """Help for a dialog; elsewhere the keymap handles F1."""
        from convtui.tui.screens.help import HelpScreen, help_of_dialog

        dialog, below = self.screen, self._action_screen()
        ours = isinstance(dialog, ModalScreen) and not isinstance(
            dialog, (HelpScreen, SystemModalScreen, TooSmall)
        )
        if below is None or not ours:
            raise SkipAction
        self.push_screen(help_of_dialog(dialog, below))

    def action_interrupt(self) -> None:
        """Copies the selection and says what a second press does."""
        if isinstance(self.screen, AnswersInterrupt) and self.screen.interrupted():
            return
        if time.monotonic() - self._interrupted < INTERRUPT_AGAIN:
            self.action_leave()
            return
        self._interrupted = time.monotonic()
        focused = self.focused
        selection = focused.selected_text if takes_text(focused) else None  # type: ignore[union-attr]
        selection = selection or self.screen.get_selected_text()
        if selection:
            self.copy_to_clipboard(selection)
        copied = "Copied. " if selection else ""
        screen = self._action_screen()
        bottom = screen is None or self.screen_stack[0] is screen
        what = (screen.quit_does if screen is not None else "") or (
            "quits" if bottom else "goes back"
        )
        self.notify(f"{copied}Press ctrl+c again: it {what}.", markup=False, timeout=3)

    async def on_unmount(self) -> None:
        """Ends every engine."""
        if self.run_in_progress is not None:
            await self.run_in_progress.close()
        if self.warm is not None:
            await self.warm.close()

    def on_resize(self, event: events.Resize) -> None:
        """Below a minimum size, asks for a larger terminal instead."""
        small = event.size.width < SMALLEST[0] or event.size.height < SMALLEST[1]
        if small and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())
        elif not small and isinstance(self.screen, TooSmall):
            self.pop_screen()

    # --- keys

    async def on_event(self, event: events.Event) -> None:
        """Passes keys and pastes through `TypedKeys` first."""
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

    def _keys_dropped(self) -> None:
        screen = self._action_screen()
        if screen is not None:
            screen.keys_dropped()

    # --- the terminal

    @property
    def can_suspend(self) -> bool:
        return can_suspend(self)

    async def photograph(self) -> None:
        """Saves a picture of the screen as it is once a palette over it is gone."""
        from convtui.config.paths import Paths
        from convtui.tui.drawing.labels import short_path
        from convtui.tui.photograph import save
        from convtui.tui.textual_compat import drawn_lines

        drawn = asyncio.Event()
        self.call_after_refresh(drawn.set)
        await drawn.wait()
        paths = self.config.paths if self.config is not None else Paths.find()
        stem = time.strftime("screen-%Y%m%d-%H%M%S")
        lines, width = drawn_lines(self), self.size.width
        picture = await asyncio.to_thread(save, lines, width, paths.exports_dir, stem)
        screen = self._action_screen()
        if screen is not None:
            where = visible(short_path(picture.with_suffix("")))
            screen.tell(f"Saved the screen: {where}.svg and .txt")

    # --- remembered state

    async def recall(self) -> dict[str, Any]:
        if self._state_file is None:
            return {}
        from convtui.config.paths import read_state

        return await asyncio.to_thread(read_state, self._state_file)

    async def remember(self, **what: Any) -> None:
        """Stores state for next time; errors of the disk are ignored."""
        if self._state_file is None:
            return
        from convtui.config.paths import write_state

        # One after the other: each writes what it has read.
        async with self._state_lock:
            state = {**await self.recall(), **what}
            with contextlib.suppress(ConvtuiError):
                await asyncio.to_thread(write_state, self._state_file, state)


def debugger(
    app: ConvtuiApp,
    spec: StartSpec,
    *,
    python: str | None = None,
    plan: Plan | None = None,
    warm: EngineHandle | None = None,
) -> DebuggerScreen:
    """A debugger on a new run, which becomes the app's run."""
    from convtui.tui.screens.debugger.screen import DebuggerScreen
    from convtui.tui.sources.run import LiveRun
    from convtui.tui.sources.source import LiveSource

    run = app.run_in_progress = LiveRun(spec, python=python, plan=plan, warm=warm)
    app.log_of_last = lambda: run.handle.log_path
    return DebuggerScreen(app.keymap, LiveSource(run.handle), run)


def recording(
    app: ConvtuiApp, path: Path, *, at: tuple[int, int] | None = None, speed: float = 1.0
) -> Screen[Any]:
    """A debugger on a saved log. Raises `LogError` if it cannot be opened."""
    from convtui.tui.screens.debugger.screen import DebuggerScreen
    from convtui.tui.sources.replay import ReplaySource

    screen = DebuggerScreen(app.keymap, ReplaySource(path, speed=speed), at=at)
    app.log_of_last = lambda: path
    return screen


def _picker(app: ConvtuiApp) -> Screen[Any]:
    from convtui.tui.screens.home.picker import PickerScreen

    return PickerScreen(app.keymap)


def _comparing(app: ConvtuiApp, path_a: Path, path_b: Path) -> Screen[Any]:
    from convtui.tui.screens.compare.screen import CompareScreen

    return CompareScreen(app.keymap, path_a, path_b)


def _run(app: ConvtuiApp) -> int:
    mouse = app.config.mouse if app.config is not None else True
    # Almost nothing becomes garbage before the first frame.
    gc.disable()
    try:
        status = app.run(mouse=mouse)
    finally:
        gc.enable()
        log = app.log_of_last()
        if log is not None or app.last_failure:
            from convtui.printing.parting import print_parting

            print_parting(log, _usual_folder(app.config), failure=app.last_failure)
    if app.failed_with is not None:
        raise app.failed_with
    return status if status is not None else app.return_code or 0


def _usual_folder(config: Config | None) -> Path | None:
    """Where commands look for saved runs, unless a flag says otherwise."""
    by_flag = config is None or config.origin("out_dir").layer == "flag"
    return None if config is None or by_flag else config.runs_dir


def run_picker(*, config: Config | None = None) -> int:
    """Opens the picker; returns the exit code."""
    return _run(ConvtuiApp(_picker, config=config))


def run_debug(
    spec: StartSpec,
    *,
    config: Config | None = None,
    python: str | None = None,
    plan: Plan | None = None,
) -> int:
    """Opens the debugger on a new run; returns the exit code (3 if it could not start).

    A `plan` makes the whole spec after the first frame; `spec` is what is known before. Raises what
    the plan raises.
    """
    return _run(
        ConvtuiApp(lambda app: debugger(app, spec, python=python, plan=plan), config=config)
    )


def run_replay(
    path: Path,
    *,
    config: Config | None = None,
    at: tuple[int, int] | None = None,
    speed: float = 1.0,
) -> int:
    """Opens a saved log; returns the exit code. Raises `LogError` if it cannot be opened."""
    return _run(ConvtuiApp(lambda app: recording(app, path, at=at, speed=speed), config=config))


def run_compare(path_a: Path, path_b: Path, *, config: Config | None = None) -> int:
    """Opens two saved logs side by side; returns the exit code."""
    return _run(ConvtuiApp(lambda app: _comparing(app, path_a, path_b), config=config))
