"""The debugger's actions that go on in another engine: reload, restart, rewind; and leaving."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from convtui.errors import CommandRefused, ConvtuiError, EngineError
from convtui.log.library import RunSummary, header_of
from convtui.log.reader import is_being_written
from convtui.text import visible_line
from convtui.transcript import OPEN
from convtui.tui import watch
from convtui.tui.reloading import ReloadedTurn, reloaded_turn
from convtui.tui.run import LiveRun
from convtui.tui.screens.branches import BranchesScreen
from convtui.tui.screens.dialogs import Choose
from convtui.tui.screens.error import ErrorPane
from convtui.tui.screens.taking_over import TakingOver

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_PLACE = re.compile(r"(?P<file>\S+\.py):(?P<line>\d+)")


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
        found = _FRAME.search(line) or _PLACE.search(line)
        if found is not None:
            data["location"] = [found["file"], int(found["line"])]
            break
    return data


def _code(scenario: dict[str, Any], key: str) -> object:
    """What a scenario names that is code, or a program to start."""
    named = scenario.get(key)
    return named.get("use") if isinstance(named, dict) else named


class Branching(TakingOver):
    """Reload, restart, rewind, leave."""

    async def start(self) -> None:
        """Starts the run; an engine that cannot start opens the pane that says why."""
        assert self.run is not None
        try:
            await self.run.start()
        except EngineError as error:
            run = self.run
            self._last_error = run.handle.error or described(error)
            self._open_error("cannot be set up", run.start, back="back")
        except ConvtuiError as error:
            self.capp.fail(error)
        finally:
            self.attach(self.run)

    _last_error: dict[str, Any] | None = None

    def _open_error(
        self,
        what: str,
        again: Callable[[], Awaitable[None]],
        *,
        back: str,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        run = self.run
        assert run is not None

        async def attempt() -> None:
            try:
                await again()
            except EngineError as error:
                own = run.handle.error if run.handle.state.value == "failed" else None
                self._last_error = own or described(error)
                raise

        def closed(fixed: bool | None) -> None:
            self.attach(run)
            if fixed:
                self.tell("It works again.")
                then()
            elif run.handle.state.value == "failed":
                self.capp.leave(self)

        self.app.push_screen(
            ErrorPane(
                f"{self.provider_name} {what}",
                error=lambda: self._last_error,
                attempt=attempt,
                files=run.provider_files,
                back=back,
            ),
            closed,
        )

    @property
    def provider_name(self) -> str:
        """The provider's name for titles."""
        raise NotImplementedError

    def watch_code(self) -> None:
        """Tells when a file of the provider's code has changed, until the next engine is up."""
        if self.run is not None and self.run.provider_files:
            self.run_worker(self._watch_code(), group="code", exclusive=True)

    async def _watch_code(self) -> None:
        run = self.run
        if run is None:
            return
        # What it has imported beside its file stands in the header.
        await run.began()
        files = run.provider_files
        before = await asyncio.to_thread(watch.stamp, files)
        while self.run is run and not run.handle.over:
            await watch.changed(files, before)
            now = await asyncio.to_thread(watch.stamp, files)
            different = [path for path in files if now.get(path) != before.get(path)]
            before = now
            if different and not self.busy_with:
                names = ", ".join(visible_line(path.name, 40) for path in different[:3])
                self.tell(f"{names} changed: {self.keymap.shown('provider.reload')} reloads it.")

    async def do_provider_reload(self) -> None:
        """Loads the provider's code again; a held reply goes through the new hooks."""
        run = self.run
        if run is None:
            return
        if self.over:
            await self.restart()
            return
        if self.busy_with:
            return
        self.busy_with = "reloading the provider"
        self.repaint()
        seen: ReloadedTurn | None = None
        try:
            await run.hold()
            if run.handle.over:
                return
            seen = await reloaded_turn(self.source, self.transcript, self.hold)
            await run.go_on("reload", held=True)
        except CommandRefused as refused:
            self.refused(refused)
        except EngineError as error:
            self._last_error = described(error)
            self._open_error(
                "cannot be loaded",
                self._reload_again,
                back="back to the conversation",
                then=lambda: self._show_reloaded(seen),
            )
        else:
            self.tell("Reloaded: the new code has taken over.")
            self._show_reloaded(seen)
        finally:
            self.busy_with = ""
            self.attach(run)

    def _show_reloaded(self, seen: ReloadedTurn | None) -> None:
        """The held or last turn as the old code made it and as the new code makes it."""
        run = self.run
        if run is None or seen is None:
            return
        from convtui.tui.screens.reloaded import ReloadedScreen

        spec, python = run.spec, run.python
        self.app.push_screen(
            ReloadedScreen(
                seen.place,
                see=lambda: seen.see(spec, python),
                ask=lambda: seen.ask(spec, python),
                palette=self.capp.palette,
            )
        )

    async def _reload_again(self) -> None:
        assert self.run is not None
        await self.run.go_on("reload", held=True)

    async def restart(self) -> None:
        """Goes on from the log after the engine has died."""
        run = self.run
        if run is None or not self.dead:
            self.tell("The conversation is over.")
            return
        if self.busy_with:
            return
        self.busy_with = "starting a new engine"
        self.repaint()
        try:
            await run.go_on("restart", held=True)
        except EngineError as error:
            self._last_error = described(error)
            self._open_error(
                "cannot be started again", self._restart_again, back="back to the conversation"
            )
        finally:
            self.busy_with = ""
            self.attach(run)

    async def _restart_again(self) -> None:
        assert self.run is not None
        await self.run.go_on("restart", held=True)

    async def do_branch_rewind(self) -> None:
        """Goes back to before the selected turn, in a branch of its own."""
        await self._branch("rewind")

    async def do_branch_fork(self) -> None:
        """Goes on after the selected turn, in a branch of its own."""
        await self._branch("fork")

    async def _branch(self, kind: str) -> None:
        """Goes on from before the selected turn (`rewind`) or after it (`fork`)."""
        run, turn = self.run, self.selected
        if run is None:
            self.tell("Going back needs a live conversation: `convtui debug --resume LOG`.")
            return
        if turn is None:
            return
        if self.busy_with:
            return
        fork = kind == "fork"
        if fork and turn.status == OPEN:
            self.tell("This turn is not over: fork after one that is.", "warning")
            return
        log, seq = None, turn.last if fork else turn.first - 1
        if turn.first <= 0:
            # It was said before this log began: the branch grows from the log that has it.
            detail = await self.source.detail(turn)
            if detail.log is None or not detail.records:
                missing = detail.missing or "its records are in a log that is not known"
                self.tell(f"Cannot go back there: {missing}.", "warning")
                return
            first, last = detail.records[0], detail.records[-1]
            log, seq = detail.log, int(last["seq"]) if fork else int(first["seq"]) - 1
        what = f"{'forking after' if fork else 'going back to'} {turn.address}"
        await self._move(run, what, kind, log=log, seq=seq)

    async def _move(
        self,
        run: LiveRun,
        what: str,
        kind: str,
        *,
        log: Path | None,
        seq: int | None = None,
        scenario: dict[str, Any] | None = None,
    ) -> None:
        """Holds, and goes on in another engine; `what` is said meanwhile."""
        self.busy_with = what
        self.repaint()
        try:
            if not run.handle.over:
                await run.hold()
            await run.go_on(kind, log=log, seq=seq, held=True, scenario=scenario)
        except CommandRefused as refused:
            self.refused(refused)
        except EngineError as error:
            self.tell(str(error), "error")
        else:
            # The branch ends where it goes on: nothing of it lies after the turn looked at.
            self.view.follow = True
        finally:
            self.busy_with = ""
            self.attach(run)

    # --- the branches there are

    async def do_branch_list(self) -> None:
        """Lists the branches of the conversation, to look at one or to go on with it."""
        path = self.source.path
        if path is None:
            self.tell("There is no log yet that could have branches.")
            return
        fork, rewind = (self.keymap.shown(f"branch.{kind}") for kind in ("fork", "rewind"))
        hint = f"{fork} goes on after the selected turn in a new branch, {rewind} before it."
        if self.run is None:
            hint = f"`convtui debug --resume LOG` goes on with this one; there, {hint}"
        live = self.run is not None
        chosen = await self.app.push_screen_wait(BranchesScreen(path, live=live, hint=hint))
        if chosen is None:
            return
        what: str | None
        what, branch = chosen
        if what == "open" and self.run is not None:
            what = await self._what_to_do(branch)
        if what == "compare":
            self.capp.compare(path, branch.path)
        elif what in ("open", "look"):
            self.capp.replay(branch.path)
        elif what == "switch":
            await self._switch(branch)

    async def _what_to_do(self, branch: RunSummary) -> str | None:
        """Asks whether to look at a branch or to go on with it, while a conversation is live."""
        look = ("look", "Follow it" if branch.running else "Look at it")
        compare = ("compare", "Compare it with the one that is open")
        if branch.running:
            text = "It is still written by a process: it can be followed, not gone on with."
            answers = [look, compare]
        else:
            stays = "" if self.over else "; the one that is open is closed and stays"
            text = f"Going on with it opens a branch of it{stays}."
            answers = [("switch", "Go on with it, live"), look, compare]
        name = visible_line(branch.id, 40)[:4]
        return await self.app.push_screen_wait(Choose(f"Branch {name}", answers, text))

    async def _switch(self, branch: RunSummary) -> None:
        """Goes on with another branch; the one that is open is closed."""
        run = self.run
        if run is None or self.busy_with:
            return
        if await asyncio.to_thread(is_being_written, branch.path):
            self.tell("It is still written by a process: it cannot be gone on with.", "warning")
            return
        scenario, problem = await asyncio.to_thread(self._scenario_of, branch.path)
        if problem:
            self.tell(problem, "warning")
            return
        what = f"going on with {visible_line(branch.id, 40)[:4]}"
        await self._move(run, what, "go_on", log=branch.path, scenario=scenario)

    def _scenario_of(self, log: Path) -> tuple[dict[str, Any] | None, str]:
        """The scenario to go on with a branch, None for the one in force; or what is wrong.

        A log must not start code that was not named in this session.
        """
        try:
            header = header_of(log)
        except (OSError, ValueError) as error:
            return None, f"This branch cannot be read: {error}."
        recorded, own = header.get("scenario"), self.transcript.header.get("scenario")
        if not isinstance(recorded, dict) or recorded == own:
            return None, ""
        if not isinstance(own, dict) or any(_code(recorded, key) != _code(own, key) for key in
                                            ("provider", "tools")):  # fmt: skip
            return None, (
                "This branch has another provider or other tools: `convtui debug --resume"
                f" {visible_line(str(log), 200)}` goes on with it."
            )
        return recorded, ""

    # --- leaving

    async def quit(self) -> None:
        """Leaves; asks while a run is live."""
        await self.leave()

    async def leave(self) -> None:
        """Ends the run when it is live, with the user's word, and goes back."""
        handle = self.handle
        config = self.capp.config
        ended = handle is not None and handle.over
        if handle is not None and not handle.over:
            if config is None or config.confirm_quit:
                answer = await self.app.push_screen_wait(
                    Choose(
                        "The conversation is still going on",
                        [("end", "End it and save"), ("stay", "Stay")],
                        "What was said is in the log; it can go on later with --resume.",
                    )
                )
                if answer != "end":
                    return
            self.busy_with = "closing the log"
            self.repaint()
            assert self.run is not None
            await self.run.close()
        self.capp.leave(self, ended=ended)
