"""The provider's code: loaded at the start, watched, loaded again; a new engine after a crash."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any

from convtui.errors import CommandRefused, ConvtuiError, EngineError
from convtui.text.boundary import visible_line
from convtui.tui.drawing.palette import Palette
from convtui.tui.screens.debugger.context import Attach, DebuggerContext
from convtui.tui.screens.debugger.reloading import ReloadedTurn, reloaded_turn
from convtui.tui.screens.dialogs.consent import agrees, is_question
from convtui.tui.screens.dialogs.provider_error import ErrorPane
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources import watch

if TYPE_CHECKING:
    from convtui.tui.sources.run import LiveRun

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_FILE_LINE = re.compile(r"(?P<file>\S+\.py):(?P<line>\d+)")


def described(error: EngineError) -> dict[str, Any]:
    """An engine's refusal to start as the error that it wrote down."""
    first, *frames = str(error).splitlines() or [""]
    data: dict[str, Any] = {"type": "EngineError", "message": first, "frames": frames}
    if error.error:
        data = dict(error.error)
        frames = [str(frame) for frame in data.get("frames") or ()]
    if data.get("location"):
        return data
    # A crash report begins with what was called last, a traceback ends with it.
    crash = any(line.startswith('  File "') for line in frames)
    for line in (*(frames if crash else reversed(frames)), first):
        named = _FRAME.search(line) or _FILE_LINE.search(line)
        if named is not None:
            data["location"] = [named["file"], int(named["line"])]
            break
    return data


class ProviderReload:
    """Starts the engine, and goes on in another one with the code as it is now."""

    def __init__(
        self,
        context: DebuggerContext,
        *,
        attach: Attach,
        watch_with: Callable[[Coroutine[Any, Any, None]], object],
        palette: Callable[[], Palette],
        leave: Callable[[], None],
        fail: Callable[[ConvtuiError], None],
        declined: Callable[[EngineError], None],
    ) -> None:
        """`watch_with` runs what watches the code, in place of what has watched it before;
        `leave` closes the debugger, `fail` the whole program; `declined` is told that the user did
        not agree to what the log would have run."""
        self._declined = declined
        self._context = context
        self._conversation = context.conversation
        self._attach = attach
        self._watch = watch_with
        self._palette = palette
        self._leave = leave
        self._fail = fail
        self._last_error: dict[str, Any] | None = None

    def handlers(self) -> Iterator[Handler]:
        """The action that reloads."""
        yield Handler("provider.reload", self._reload, self._can_reload, self._label, moves=True)

    def _can_reload(self) -> bool:
        conversation = self._conversation
        return conversation.run is not None and (not conversation.over or conversation.dead)

    def _label(self) -> str | None:
        return "go on from the log" if self._conversation.over else None

    async def start(self) -> None:
        """Starts the run; an engine that cannot start opens the pane that says why."""
        run = self._conversation.run
        assert run is not None
        try:
            await self._started(run)
        except EngineError as error:
            self._last_error = run.handle.error or described(error)
            self._open_error("cannot be set up", run.start, back="back")
        except ConvtuiError as error:
            self._fail(error)
        finally:
            self._attach(run)

    async def _started(self, run: LiveRun) -> None:
        """Starts the run; what a log names and nobody has asked for is asked about before."""
        try:
            await run.start()
        except EngineError as error:
            if not is_question(error):
                raise
            if await agrees(self._context.ask, run, error):
                await self._started(run)
            else:
                self._declined(error)

    def _open_error(
        self,
        what: str,
        again: Callable[[], Awaitable[None]],
        *,
        back: str,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        run = self._conversation.run
        assert run is not None

        async def attempt() -> None:
            try:
                await again()
            except EngineError as error:
                own = run.handle.error if run.handle.state.value == "failed" else None
                self._last_error = own or described(error)
                raise

        def closed(fixed: bool | None) -> None:
            self._attach(run)
            if fixed:
                self._context.notify("It works again.")
                then()
            elif run.handle.state.value == "failed":
                self._leave()

        self._context.open(
            ErrorPane(
                f"{self._conversation.provider_name} {what}",
                error=lambda: self._last_error,
                attempt=attempt,
                files=run.provider_files,
                back=back,
            ),
            closed,
        )

    def watch_code(self) -> None:
        """Tells when a file of the provider's code has changed, until the next engine is up."""
        run = self._conversation.run
        if run is not None and run.provider_files:
            self._watch(self._watch_code())

    async def _watch_code(self) -> None:
        run = self._conversation.run
        if run is None:
            return
        # What it has imported beside its file stands in the header.
        await run.wait_for_header()
        files = run.provider_files
        before = await asyncio.to_thread(watch.stamp, files)
        while self._conversation.run is run and not run.handle.over:
            await watch.changed(files, before)
            now = await asyncio.to_thread(watch.stamp, files)
            different = [path for path in files if now.get(path) != before.get(path)]
            before = now
            if different and not self._conversation.busy_with:
                names = ", ".join(visible_line(path.name, 40) for path in different[:3])
                self._context.notify(
                    f"{names} changed: {self._context.keymap.shown('provider.reload')} reloads it."
                )

    async def _reload(self) -> None:
        """Loads the provider's code again; a held reply goes through the new hooks."""
        run = self._conversation.run
        if run is None:
            return
        if self._conversation.over:
            await self.restart()
            return
        if self._conversation.busy_with:
            return
        self._conversation.busy_with = "reloading the provider"
        self._context.repaint()
        seen: ReloadedTurn | None = None
        try:
            await run.hold()
            if run.handle.over:
                return
            seen = await reloaded_turn(
                self._conversation.source, self._conversation.transcript, self._conversation.hold
            )
            await run.continue_run("reload", held=True)
        except CommandRefused as refused:
            self._context.refused(refused)
        except EngineError as error:
            self._last_error = described(error)
            self._open_error(
                "cannot be loaded",
                self._reload_again,
                back="back to the conversation",
                then=lambda: self._show_reloaded(seen),
            )
        else:
            self._context.notify("Reloaded: the new code has taken over.")
            self._show_reloaded(seen)
        finally:
            self._conversation.busy_with = ""
            self._attach(run)

    def _show_reloaded(self, seen: ReloadedTurn | None) -> None:
        """The held or last turn as the old code made it and as the new code makes it."""
        run = self._conversation.run
        if run is None or seen is None:
            return
        from convtui.tui.screens.debugger.reload_diff import ReloadedScreen

        spec, python = run.spec, run.python
        self._context.open(
            ReloadedScreen(
                seen.place,
                see=lambda: seen.see(spec, python),
                ask=lambda: seen.ask(spec, python),
                palette=self._palette(),
            )
        )

    async def _reload_again(self) -> None:
        run = self._conversation.run
        assert run is not None
        await run.continue_run("reload", held=True)

    async def restart(self) -> None:
        """Goes on from the log after the engine has died."""
        run = self._conversation.run
        if run is None or not self._conversation.dead:
            self._context.notify("The conversation is over.")
            return
        if self._conversation.busy_with:
            return
        self._conversation.busy_with = "starting a new engine"
        self._context.repaint()
        try:
            await run.continue_run("restart", held=True)
        except EngineError as error:
            self._last_error = described(error)
            self._open_error(
                "cannot be started again", self._restart_again, back="back to the conversation"
            )
        finally:
            self._conversation.busy_with = ""
            self._attach(run)

    async def _restart_again(self) -> None:
        run = self._conversation.run
        assert run is not None
        await run.continue_run("restart", held=True)
