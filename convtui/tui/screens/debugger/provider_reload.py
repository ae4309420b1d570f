"""Loads, watches and reloads the provider's code; restarts a dead engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from convtui.errors import CommandRefused, ConvtuiError, EngineError
from convtui.text.boundary import visible_line
from convtui.tui.drawing.palette import Palette
from convtui.tui.screens.debugger.context import Attach, DebuggerContext
from convtui.tui.screens.debugger.reloaded_turn import ReloadedTurn, previewed, reloaded_turn
from convtui.tui.screens.debugger.setup_retry import SetupRetry
from convtui.tui.screens.dialogs.consent import agrees, is_question
from convtui.tui.screens.dialogs.provider_error import ErrorPane, OpenAt, error_data, what_failed
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources import watch

if TYPE_CHECKING:
    from convtui.tui.sources.run import LiveRun

_FROM_LOG = "continue from the log"


class ProviderReload:
    """Starts the engine, and replaces it by one with the current code."""

    def __init__(
        self,
        context: DebuggerContext,
        *,
        attach: Attach,
        watch_with: Callable[[Coroutine[Any, Any, None]], object],
        palette: Callable[[], Palette],
        edit: Callable[[], OpenAt | None],
        in_view: Callable[[], bool],
        acts: Callable[[str], bool],
        press: Callable[[str], None],
        leave: Callable[[], None],
        fail: Callable[[ConvtuiError], None],
        declined: Callable[[EngineError], None],
    ) -> None:
        """`watch_with` runs the watcher of the code, replacing an earlier one.

        `edit` opens a file in the user's editor, None without one; `in_view` says whether keys are
        actions on the conversation, `acts` whether a key is one, and `press` does it.
        `leave` closes the debugger, `fail` the app; `declined` is called when the user does not
        agree to what the log would run.
        """
        self._declined = declined
        self._context = context
        self._conversation = context.conversation
        self._attach = attach
        self._watch = watch_with
        self._palette = palette
        self._edit = edit
        self._in_view = in_view
        self._acts = acts
        self._press = press
        self._reloads = 0
        self.retry = SetupRetry(context, self._reload)
        self._failing = False
        """Whether the pane is open that says why, and that watches the code itself."""
        self._leave = leave
        self._fail = fail
        self._last_error: dict[str, Any] | None = None

    def handlers(self) -> Iterator[Handler]:
        yield Handler("provider.reload", self._reload, self._can_reload, self._label, moves=True)
        yield Handler(
            "provider.restart",
            self.restart,
            lambda: self._conversation.dead,
            lambda: _FROM_LOG,
            moves=True,
        )

    def _can_reload(self) -> bool:
        conversation = self._conversation
        return conversation.run is not None and (not conversation.over or conversation.dead)

    def _label(self) -> str | None:
        return _FROM_LOG if self._conversation.over else None

    async def start(self) -> None:
        """Starts the run; if the engine cannot start, opens the pane that says why."""
        run = self._conversation.run
        assert run is not None
        try:
            await self._start_run(run)
        except EngineError as error:
            self._last_error = run.handle.error or error_data(error)
            self._open_error("cannot be set up", run.start, back="back")
        except ConvtuiError as error:
            self._fail(error)
        finally:
            self._attach(run)

    async def _start_run(self, run: LiveRun) -> None:
        """Starts the run, after asking about code that a log names and the user has not."""
        try:
            await run.start()
        except EngineError as error:
            if not is_question(error):
                raise
            if await agrees(self._context.ask, run, error):
                await self._start_run(run)
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
                self._last_error = own or error_data(error)
                raise

        def closed(fixed: bool | None) -> None:
            self._failing = False
            self._attach(run)
            if fixed:
                self._context.notify("The provider works again.")
                then()
            elif run.handle.state.value == "failed":
                self._leave()

        self._failing = True
        self._context.open(
            ErrorPane(
                lambda: f"{self._conversation.provider_name} {what_failed(self._last_error, what)}",
                error=lambda: self._last_error,
                attempt=attempt,
                files=run.provider_files,
                edit=self._edit(),
                back=back,
            ),
            closed,
        )

    def watch_code(self) -> None:
        """Says when the provider's code changes, until the engine is replaced."""
        run = self._conversation.run
        if run is not None and run.provider_files:
            self._watch(self._watch_code())

    async def _watch_code(self) -> None:
        run = self._conversation.run
        if run is None:
            return
        # The header has the modules that the provider imported.
        await run.wait_for_header()
        files = run.provider_files
        before = self.retry.loaded = await asyncio.to_thread(watch.stamp, files)
        while self._conversation.run is run and not run.handle.over:
            await watch.changed(files, before)
            after = await asyncio.to_thread(watch.stamp, files)
            modified = [path for path in files if after.get(path) != before.get(path)]
            before = after
            if not modified or self._conversation.busy_with or self._failing:
                continue
            if self.retry.waits:
                # Nothing was said yet, so nothing can be lost.
                self._context.spawn(self._reload())
            else:
                names = ", ".join(visible_line(path.name, 40) for path in modified[:3])
                self._context.notify(
                    f"{names} changed: {self._context.keymap.shown('provider.reload')} reloads it."
                )

    async def _reload(self) -> None:
        """Reloads the provider's code; a held reply goes through the new hooks."""
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
        reloaded: ReloadedTurn | None = None
        try:
            await run.hold()
            if run.handle.over:
                return
            reloaded = await reloaded_turn(
                self._conversation.source, self._conversation.transcript, self._conversation.hold
            )
            await run.continue_run("reload", held=True)
        except CommandRefused as refused:
            self._context.show_refusal(refused)
        except EngineError as error:
            self._last_error = error_data(error)
            self._open_error(
                "cannot take over",
                partial(self._again, "reload"),
                back="back to the conversation",
                then=lambda: self._show_reloaded(reloaded),
            )
        else:
            self._show_reloaded(reloaded)
        finally:
            self._conversation.busy_with = ""
            self._attach(run)

    def _show_reloaded(self, reloaded: ReloadedTurn | None) -> None:
        """Says what the new code makes of the held or last turn."""
        if reloaded is None:
            self._context.notify("Reloaded: the new code is in use.")
            return
        self._reloads += 1
        self._context.spawn(self._compare(reloaded, self._reloads))

    async def _compare(self, reloaded: ReloadedTurn, number: int) -> None:
        """Shows that turn through the old and the new code, where there is a difference."""
        from convtui.tui.screens.debugger.reload_diff import ReloadDiff, summary

        run = self._conversation.run
        assert run is not None
        await run.wait_until_restored()
        if number != self._reloads or run.handle.over or not self._context.mounted():
            return
        self._context.notify(f"Reloaded: trying the new code on turn {reloaded.address} ...")
        preview, problem = await previewed(reloaded, run.spec, run.python)
        if number != self._reloads or not self._context.mounted():
            return
        differs = bool(problem) or (preview is not None and bool(preview.changed))
        if not differs or not self._in_view():
            words = summary(preview, problem)
            self._context.notify(f"Reloaded. Turn {reloaded.address}: {words}")
            return
        spec, python = run.spec, run.python
        hold = self._conversation.hold

        def press(key: str | None) -> None:
            # What the key answers must be what was held when the page was opened.
            if key and self._conversation.hold == hold:
                self._press(key)

        self._context.open(
            ReloadDiff(
                reloaded.title,
                preview,
                problem,
                ask_again=lambda: reloaded.ask_again(spec, python),
                reload_keys=self._context.keymap.shown_keys("provider.reload"),
                acts=self._acts,
                palette=self._palette(),
            ),
            press,
        )

    async def _again(self, kind: str) -> None:
        run = self._conversation.run
        assert run is not None
        await run.continue_run(kind, held=True)

    async def restart(self) -> None:
        """Continues from the log after the engine has died."""
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
            self._last_error = error_data(error)
            self._open_error(
                "cannot be started again",
                partial(self._again, "restart"),
                back="back to the conversation",
            )
        finally:
            self._conversation.busy_with = ""
            self._attach(run)
