"""Going on in another branch of the conversation, and the branches that there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from convtui.errors import CommandRefused, EngineError
from convtui.log.reader import is_being_written
from convtui.log.run_summary import RunSummary, header_of
from convtui.text.boundary import visible_line
from convtui.transcript.fold import OPEN
from convtui.tui.screens.debugger.context import Attach, DebuggerContext
from convtui.tui.screens.dialogs.branch_tree import BranchesScreen
from convtui.tui.screens.dialogs.consent import agrees, is_question
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources.run import LiveRun
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


def _code(scenario: dict[str, Any], key: str) -> object:
    """What a scenario names that is code, or a program to start."""
    named = scenario.get(key)
    return named.get("use") if isinstance(named, dict) else named


class Branches:
    """Rewinds, forks, lists the branches and goes on with one."""

    def __init__(
        self,
        context: DebuggerContext,
        view: TranscriptView,
        *,
        attach: Attach,
        look: Callable[[Path], None],
        compare: Callable[[Path, Path], None],
    ) -> None:
        """`look` opens a saved log, `compare` two of them side by side."""
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._attach = attach
        self._look = look
        self._compare = compare

    def handlers(self) -> Iterator[Handler]:
        """The actions on branches."""
        yield Handler(
            "branch.rewind",
            partial(self._branch, "rewind"),
            self._can_rewind,
            warning=self._rewind_warning,
            moves=True,
        )
        yield Handler("branch.fork", partial(self._branch, "fork"), moves=True)
        yield Handler("branch.list", self._list, moves=True)

    def _can_rewind(self) -> bool:
        turn = self._context.selected()
        return self._conversation.run is not None and turn is not None and turn.first > 0

    def _rewind_warning(self) -> str:
        turn = self._context.selected()
        where = f"turn {turn.address}" if turn is not None else "the selected turn"
        return f"Goes back to before {where}, in a new branch."

    async def _branch(self, kind: str) -> None:
        """Goes on from before the selected turn (`rewind`) or after it (`fork`)."""
        run, turn = self._conversation.run, self._context.selected()
        if run is None:
            self._context.notify(
                "Going back needs a live conversation: `convtui debug --resume LOG`."
            )
            return
        if turn is None:
            return
        if self._conversation.busy_with:
            return
        fork = kind == "fork"
        if fork and turn.status == OPEN:
            self._context.notify("This turn is not over: fork after one that is.", "warning")
            return
        log, seq = None, turn.last if fork else turn.first - 1
        if turn.first <= 0:
            # It was said before this log began: the branch grows from the log that has it.
            detail = await self._conversation.source.detail(turn)
            if detail.log is None or not detail.records:
                missing = detail.missing or "its records are in a log that is not known"
                self._context.notify(f"Cannot go back there: {missing}.", "warning")
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
        self._conversation.busy_with = what
        self._context.repaint()
        try:
            if not run.handle.over:
                await run.hold()
            try:
                await run.continue_run(kind, log=log, seq=seq, held=True, scenario=scenario)
            except EngineError as error:
                if not is_question(error):
                    raise
                if not await agrees(self._context.ask, run, error):
                    return
                await run.continue_run(kind, log=log, seq=seq, held=True, scenario=scenario)
        except CommandRefused as refused:
            self._context.refused(refused)
        except EngineError as error:
            self._context.notify(str(error), "error")
        else:
            # The branch ends where it goes on: nothing of it lies after the turn looked at.
            self._view.follow = True
        finally:
            self._conversation.busy_with = ""
            self._attach(run)

    # --- the branches there are

    async def _list(self) -> None:
        """Lists the branches of the conversation, to look at one or to go on with it."""
        path = self._conversation.source.path
        if path is None:
            self._context.notify("There is no log yet that could have branches.")
            return
        fork, rewind = (self._context.keymap.shown(f"branch.{kind}") for kind in ("fork", "rewind"))
        hint = f"{fork} goes on after the selected turn in a new branch, {rewind} before it."
        if self._conversation.run is None:
            hint = f"`convtui debug --resume LOG` goes on with this one; there, {hint}"
        live = self._conversation.run is not None
        chosen = await self._context.ask(BranchesScreen(path, live=live, hint=hint))
        if chosen is None:
            return
        what: str | None
        what, branch = chosen
        if what == "open" and live:
            what = await self._what_to_do(branch)
        if what == "compare":
            self._compare(path, branch.path)
        elif what in ("open", "look"):
            self._look(branch.path)
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
            stays = "" if self._conversation.over else "; the one that is open is closed and stays"
            text = f"Going on with it opens a branch of it{stays}."
            answers = [("switch", "Go on with it, live"), look, compare]
        name = visible_line(branch.id, 40)[:4]
        return await self._context.ask(Choose(f"Branch {name}", answers, text))

    async def _switch(self, branch: RunSummary) -> None:
        """Goes on with another branch; the one that is open is closed."""
        run = self._conversation.run
        if run is None or self._conversation.busy_with:
            return
        if await asyncio.to_thread(is_being_written, branch.path):
            self._context.notify(
                "It is still written by a process: it cannot be gone on with.", "warning"
            )
            return
        scenario, problem = await asyncio.to_thread(self._scenario_of, branch.path)
        if problem:
            self._context.notify(problem, "warning")
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
        recorded, own = header.get("scenario"), self._conversation.transcript.header.get("scenario")
        if not isinstance(recorded, dict) or recorded == own:
            return None, ""
        if not isinstance(own, dict) or any(_code(recorded, key) != _code(own, key) for key in
                                            ("provider", "tools")):  # fmt: skip
            return None, (
                "This branch has another provider or other tools: `convtui debug --resume"
                f" {visible_line(str(log), 200)}` goes on with it."
            )
        from convtui.trust.rules import own_scenario

        return own_scenario(header).scenario, ""
