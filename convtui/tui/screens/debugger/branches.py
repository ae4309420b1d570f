"""Rewinding, forking, and switching between branches of the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from convtui.errors import CommandRefused, EngineError
from convtui.library.families import oldest_first
from convtui.log.lock import is_being_written
from convtui.log.run_summary import RunSummary, header_of, summarise
from convtui.text.boundary import visible_line
from convtui.transcript.fold import OPEN, Flag
from convtui.tui.screens.debugger.context import Attach, DebuggerContext
from convtui.tui.screens.dialogs.branch_tree import BranchesScreen
from convtui.tui.screens.dialogs.consent import agrees, is_question
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources.run import LiveRun
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


def _code(scenario: dict[str, Any], key: str) -> object:
    """The code or program that a scenario names under `key`."""
    named = scenario.get(key)
    return named.get("use") if isinstance(named, dict) else named


class Branches:
    """Rewinds and forks the conversation, lists its branches and switches to one."""

    def __init__(
        self,
        context: DebuggerContext,
        view: TranscriptView,
        *,
        attach: Attach,
        view_log: Callable[[Path], None],
        compare: Callable[[Path, Path], None],
    ) -> None:
        """`view_log` opens a saved log, `compare` opens two side by side."""
        self._context = context
        self._conversation = context.conversation
        self._view = view
        self._attach = attach
        self._view_log = view_log
        self._compare = compare

    def handlers(self) -> Iterator[Handler]:
        yield Handler(
            "branch.rewind",
            partial(self._branch, "rewind"),
            self._can_rewind,
            warning=self._rewind_warning,
            moves=True,
        )
        yield Handler(
            "branch.fork", partial(self._branch, "fork"), warning=self._fork_warning, moves=True
        )
        yield Handler("branch.list", self._list, moves=True)

    def _can_rewind(self) -> bool:
        turn = self._context.selected()
        known = turn is not None and (turn.first > 0 or turn.flags & Flag.SEEDED)
        return self._conversation.run is not None and bool(known)

    def _rewind_warning(self) -> str:
        turn = self._context.selected()
        target = f"turn {turn.address}" if turn is not None else "the selected turn"
        return f"Goes back to before {target}, in a new branch."

    def _fork_warning(self) -> str:
        turn = self._context.selected()
        target = f"turn {turn.address}" if turn is not None else "the selected turn"
        return f"Continues after {target}, in a new branch."

    async def _branch(self, kind: str) -> None:
        """Continues from before the selected turn (`rewind`) or after it (`fork`)."""
        run, turn = self._conversation.run, self._context.selected()
        if run is None:
            self._context.notify(
                "Going back needs a live conversation: run `convtui debug --resume LOG`."
            )
            return
        if turn is None:
            return
        if self._conversation.busy_with:
            return
        fork = kind == "fork"
        if fork and turn.status == OPEN:
            self._context.notify("This turn is not finished: fork after one that is.", "warning")
            return
        log, seq = None, turn.last if fork else turn.first - 1
        if turn.first <= 0:
            # The turn is older than this log: branch off the parent log that has it.
            detail = await self._conversation.source.detail(turn)
            if detail.log is None or not detail.records:
                missing = detail.missing or "its records are in an unknown log"
                self._context.notify(f"Cannot go back to this turn: {missing}.", "warning")
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
        """Holds, then continues in another engine; the status line shows `what` meanwhile."""
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
            self._context.show_refusal(refused)
        except EngineError as error:
            self._context.notify(str(error), "error")
        else:
            # The new branch ends here: there is nothing after the selected turn.
            self._view.follow = True
        finally:
            self._conversation.busy_with = ""
            self._attach(run)

    # --- listing and switching

    async def _list(self) -> None:
        path = self._conversation.source.path
        if path is None:
            self._context.notify("There are no branches before there is a log.")
            return
        fork, rewind = (self._context.keymap.shown(f"branch.{kind}") for kind in ("fork", "rewind"))
        hint = f"{fork} continues after the selected turn in a new branch, {rewind} before it."
        if self._conversation.run is None:
            hint = f"`convtui debug --resume LOG` continues this one; there, {hint}"
        live = self._conversation.run is not None
        chosen = await self._context.ask(BranchesScreen(path, live=live, hint=hint))
        if chosen is None:
            return
        await self._do(*chosen, path)

    async def open(self, log: Path) -> None:
        """Opens another log of the family, as the list of branches does."""
        path = self._conversation.source.path
        if path is not None and not self._context.blocked():
            await self._do("open", await asyncio.to_thread(summarise, log), path)

    async def _do(self, what: str | None, branch: RunSummary, path: Path) -> None:
        if what == "open" and self._conversation.run is not None:
            what = await self._ask_what_to_do(branch)
        if what == "compare":
            self._compare(*await asyncio.to_thread(oldest_first, path, branch.path))
        elif what in ("open", "look"):
            self._view_log(branch.path)
        elif what == "switch":
            await self._switch(branch)

    async def _ask_what_to_do(self, branch: RunSummary) -> str | None:
        """Asks whether to view a branch, compare it or continue it, in a live conversation."""
        view = ("look", "Follow it" if branch.running else "View it")
        compare = ("compare", "Compare it with the open one")
        if branch.running:
            text = "Another process is still writing it: it can be followed, not continued."
            answers = [view, compare]
        else:
            kept = "" if self._conversation.over else "; the open one is closed and kept"
            text = f"Continuing opens a new branch of it{kept}."
            answers = [("switch", "Continue it, live"), view, compare]
        name = visible_line(branch.id, 40)[:4]
        return await self._context.ask(Choose(f"Branch {name}", answers, text))

    async def _switch(self, branch: RunSummary) -> None:
        """Continues another branch; the open one is closed."""
        run = self._conversation.run
        if run is None or self._conversation.busy_with:
            return
        if await asyncio.to_thread(is_being_written, branch.path):
            self._context.notify(
                "Another process is still writing it: it cannot be continued.", "warning"
            )
            return
        scenario, problem = await asyncio.to_thread(self._scenario_of, branch.path)
        if problem:
            self._context.notify(problem, "warning")
            return
        what = f"continuing {visible_line(branch.id, 40)[:4]}"
        await self._move(run, what, "go_on", log=branch.path, scenario=scenario)

    def _scenario_of(self, log: Path) -> tuple[dict[str, Any] | None, str]:
        """The scenario to continue a branch with (None: the current one), or a problem.

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
                f" {visible_line(str(log), 200)}` continues it."
            )
        from convtui.trust.rules import own_scenario

        return own_scenario(header).scenario, ""
