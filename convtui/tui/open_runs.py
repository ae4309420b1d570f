"""Opens runs, recordings and comparisons, and leaves them again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from textual.app import App
from textual.screen import Screen

from convtui.actions.registry import Keymap
from convtui.errors import ConvtuiError, UsageError
from convtui.records.codec import exit_code
from convtui.text.boundary import visible
from convtui.tui.textual_compat import goes_on

if TYPE_CHECKING:
    from convtui.client.engine_client import EngineHandle
    from convtui.client.link import ConversationLink
    from convtui.config.settings import Config
    from convtui.log.folding.process import FoldProcess
    from convtui.protocol import StartSpec
    from convtui.tui.screens.compare.screen import CompareScreen
    from convtui.tui.screens.debugger.screen import DebuggerScreen
    from convtui.tui.sources.hosted_run import Adopt
    from convtui.tui.sources.run import LiveRun, Plan, WarmEngine


class EndsWithApp(Protocol):
    async def end(self) -> None:
        """Ends at once what still runs."""


class OpenRuns:
    """The run that the app has to end, of which there is at most one, and its debugger."""

    def __init__(self, app: App[int], keymap: Keymap, config: Callable[[], Config | None]) -> None:
        self._app = app
        self._keymap = keymap
        self._config = config
        self.current: LiveRun | None = None
        """The current run; screens draw it, `close()` ends it."""
        self.log_of_last: Callable[[], Path | None] = lambda: None
        """The log of the run or the recording that was opened last."""
        self.last_failure = ""
        """Why the last run could not start, for the picker."""
        self.batch: EndsWithApp | None = None
        """The batch that runs here; `close()` ends it."""
        self._warm: WarmEngine | None = None
        """An engine process for the next run."""

    # --- screens, which the caller opens

    def debugger(
        self,
        spec: StartSpec,
        *,
        python: str | None = None,
        plan: Plan | None = None,
        warm: EngineHandle | None = None,
    ) -> DebuggerScreen:
        """A debugger on a new run, which becomes the current one."""
        from convtui.tui.screens.debugger.screen import DebuggerScreen
        from convtui.tui.sources.run import LiveRun
        from convtui.tui.sources.source import LiveSource

        run = self.current = LiveRun(spec, python=python, plan=plan, warm=warm)
        self.log_of_last = lambda: run.handle.log_path
        return DebuggerScreen(self._keymap, LiveSource(run.handle), run)

    def recording(
        self,
        path: Path,
        *,
        at: tuple[int, int] | None = None,
        speed: float = 1.0,
        folding: FoldProcess | None = None,
    ) -> DebuggerScreen:
        """A debugger on a saved log, which `folding` reads already.

        Raises `LogError` if it cannot be opened.
        """
        from convtui.tui.screens.debugger.screen import DebuggerScreen
        from convtui.tui.sources.replay import ReplaySource

        config = self._config()
        folds = config.paths.folds_dir if config is not None else None
        source = ReplaySource(path, speed=speed, folds=folds, folding=folding)
        screen = DebuggerScreen(self._keymap, source, at=at)
        self.log_of_last = lambda: path
        return screen

    def hosted(
        self, link: ConversationLink, *, adopt: Adopt, at: tuple[int, int] | None = None
    ) -> DebuggerScreen:
        """A debugger on a conversation that runs among others, and goes on when it is left."""
        from convtui.tui.screens.debugger.screen import DebuggerScreen
        from convtui.tui.sources.hosted_run import HostedRun
        from convtui.tui.sources.source import LiveSource

        run = HostedRun(link, adopt=adopt, kept=self._keep)
        self.log_of_last = lambda: run.handle.log_path
        return DebuggerScreen(self._keymap, LiveSource(link), run, at=at)

    def _keep(self, run: LiveRun) -> None:
        """Ends a run that was one of many, and is not any more, with the app."""
        self._app.notify("From here on it is a run of its own: the batch does not follow it.")
        if self.current is None or self.current.handle.over:
            self.current = run

    def comparison(self, path_a: Path, path_b: Path) -> CompareScreen:
        from convtui.tui.screens.compare.screen import CompareScreen

        return CompareScreen(self._keymap, path_a, path_b)

    # --- opening

    def warm_up(self) -> None:
        """Prepares an engine in the background, so that the next run starts at once."""
        if not goes_on(self._app):
            return
        from convtui.tui.sources.run import WarmEngine

        if self._warm is None:
            config = self._config()
            self._warm = WarmEngine(config.python if config is not None else None)
        self._warm.prepare()

    async def start(
        self,
        spec: StartSpec,
        *,
        python: str | None = None,
        again: tuple[str, tuple[int, int]] | None = None,
    ) -> None:
        """Opens the debugger on a new run; `again` is a brief, and the turn to decide again.

        Raises `UsageError` while another run is live: there is only one to end.
        """
        if self.current is not None and not self.current.handle.over:
            raise UsageError("A conversation is still live: end it before you start another.")
        warm = await self._warm.take(python) if self._warm is not None else None
        screen = self.debugger(spec, python=python, warm=warm)
        if again is not None:
            screen.parts.briefs.pending = again
        self._app.push_screen(screen)

    def replay(self, path: Path, *, at: tuple[int, int] | None = None) -> None:
        """Opens a saved log, or says why it cannot be opened."""
        config = self._config()
        try:
            screen = self.recording(path, at=at, speed=config.speed if config is not None else 1.0)
        except ConvtuiError as error:
            self._app.notify(visible(str(error)), severity="error", markup=False)
        else:
            self._app.push_screen(screen)

    def open_hosted(
        self, link: ConversationLink, *, adopt: Adopt, at: tuple[int, int] | None = None
    ) -> bool:
        """Opens the debugger on one conversation of many, or its log if it is over.

        `adopt` gets the engine that it goes on in when its code is reloaded, or it is gone back in:
        it says whether it is still one of the many. Returns False where there is nothing to open:
        it is over, and has no log.
        """
        if not link.over:
            self._app.push_screen(self.hosted(link, adopt=adopt, at=at))
        elif link.log_path is not None:
            self.replay(link.log_path, at=at)
        else:
            return False
        return True

    def compare(self, path_a: Path, path_b: Path) -> None:
        self._app.push_screen(self.comparison(path_a, path_b))

    def compare_batches(self, before: Path, after: Path) -> None:
        """Opens two batches side by side."""
        from convtui.tui.screens.compare.batches import BatchesScreen

        self._app.push_screen(BatchesScreen(self._keymap, before, after))

    # --- leaving

    def leave(self, screen: Screen[Any], *, ended: bool = False) -> None:
        """Returns to the screen below, or leaves the app with the exit code of the run."""
        app, current = self._app, self.current
        self.last_failure = failure_of(current) or self.last_failure
        own = getattr(screen, "run", None)
        if screen in app.screen_stack and app.screen_stack.index(screen) > 0:
            while app.screen is not screen:
                app.pop_screen()
            app.pop_screen()
            if own is current:
                # Closing a recording leaves a live run below it alone.
                self.current = None
        else:
            app.exit(exit_code_of(current or own, ended=ended))

    async def close(self) -> None:
        """Ends every engine."""
        if self.current is not None:
            await self.current.close()
        if self.batch is not None:
            await self.batch.end()
        if self._warm is not None:
            await self._warm.close()


def failure_of(run: LiveRun | None) -> str:
    """Why a run could not start; empty if it could."""
    if run is None or run.handle.state.value != "failed":
        return ""
    return str((run.handle.error or {}).get("message", ""))


def exit_code_of(run: LiveRun | None, *, ended: bool) -> int:
    """The exit code of a run that is left; `ended` if it had ended by itself.

    Leaving a live run is no failure, nor is a run that a human has ended.
    """
    if run is None:
        return 0
    if run.handle.state.value == "failed":
        return 3
    termination = run.handle.transcript.termination
    if not ended or (termination or {}).get("by") == "human":
        return 0
    return exit_code(termination)
