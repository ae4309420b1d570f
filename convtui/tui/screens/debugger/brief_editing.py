"""Asks a responder again with an edited brief, for a held decision or one of an earlier turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

from convtui.config.settings import Config
from convtui.errors import CommandRefused, EngineError
from convtui.log.detail import TurnDetail
from convtui.protocol import Commands, ContinueFrom, StartSpec
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Flag, Turn
from convtui.tui.screens.debugger.context import Attach, DebuggerContext
from convtui.tui.screens.debugger.hold_reply import HoldReply
from convtui.tui.screens.dialogs.questions import Edit
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets import status
from convtui.tui.widgets.transcript.transcript_view import TranscriptView

BRIEF = "instructions"
StartRun = Callable[[StartSpec, str, tuple[int, int]], Awaitable[None]]
"""Opens a debugger on a new run that asks for the decision of a turn again, with a brief."""


class BriefEditing:
    """Edits the responder's brief and has decisions made again with it."""

    def __init__(
        self,
        context: DebuggerContext,
        reply: HoldReply,
        view: TranscriptView,
        *,
        attach: Attach,
        show_decision: Callable[[], None],
        config: Callable[[], Config | None],
        start_run: StartRun,
    ) -> None:
        """`show_decision` opens the tab that shows the old and the new decision."""
        self._context = context
        self._conversation = context.conversation
        self._reply = reply
        self._view = view
        self._attach = attach
        self._show_decision = show_decision
        self._config = config
        self._start_run = start_run
        self._brief: str | None = None
        """The brief as last edited."""
        self.pending: tuple[str, tuple[int, int]] | None = None
        """A brief, and the session and turn of the decision to ask for again once the run has
        started."""

    def handlers(self) -> Iterator[Handler]:
        yield Handler(
            "hold.edit_brief", self._edit_brief, self._can_edit, warning=self._warning, moves=True
        )

    def _can_edit(self) -> bool:
        turn = self._context.selected()
        decided = turn is not None and bool(turn.flags & Flag.DECISION)
        return self.decision_held or (bool(self.brief) and decided)

    def _warning(self) -> str | None:
        """None for a held decision: nothing is lost by asking for it again."""
        turn = self._context.selected()
        if self.decision_held or turn is None:
            return None
        return f"Edits the brief and asks again at turn {turn.address}, in a new branch."

    async def ask_pending(self) -> None:
        """Asks again for the decision that the run was started for, if any."""
        pending, self.pending = self.pending, None
        run = self._conversation.run
        if pending is None or run is None or run.handle.over:
            return
        try:
            await self.ask_again_with(*pending)
        except CommandRefused as refused:
            self._context.show_refusal(refused)

    # --- the brief

    @property
    def brief(self) -> str:
        """The responder's current instructions."""
        if self._brief is not None:
            return self._brief
        # The run's own scenario has what a log leaves out.
        run = self._conversation.run
        current = run.spec.scenario if run is not None else {}
        for scenario in (current, self._conversation.scenario):
            text = (status.responder_of(scenario) or {}).get(BRIEF)
            if isinstance(text, str):
                return text
        return ""

    @property
    def decision_held(self) -> bool:
        """Whether a decision is held that can be asked for again."""
        drafts = (self._conversation.hold or {}).get("drafts") or ()
        held = any(isinstance(d, dict) and d.get("field") == "decision" for d in drafts)
        return held and self._reply.offers("again") is not None

    async def _edit_brief(self) -> None:
        """Edits the brief and asks for the decision again: the held one, or one in a branch."""
        hold, turn = self._conversation.hold, self._context.selected()
        if not self.brief:
            self._context.notify("This conversation has no responder, and so no brief.")
            return
        if self.decision_held and hold is not None:
            edited: str | None = None
            while (edited := await self._ask_brief(hold, wrote=edited)) is not None:
                if self._reply.still(hold) and await self._reply.release("again", {BRIEF: edited}):
                    self._brief = edited
                    self._show_decision()
                    return
            return
        if turn is None or self._conversation.busy_with:
            return
        detail = await self._conversation.source.detail(turn)
        call = next((c for c in reversed(detail.calls) if c.side == "responder"), None)
        if call is None:
            self._context.notify("This turn has no decision: select one of the persona's answers.")
            return
        edited = await self._ask_brief()
        if edited is not None:
            await self._branch_at(turn, detail, call.seq, call.response, edited)

    async def _ask_brief(
        self, hold: RecordDict | None = None, *, wrote: str | None = None
    ) -> str | None:
        def check(_: str, text: str) -> str | None:
            gone = self._reply.gone(hold) if hold is not None else None
            return gone or (None if text.strip() else "a brief cannot be empty")

        edited = await self._context.ask(
            Edit(
                "edit the brief and ask again",
                [(BRIEF, "the responder's brief", self.brief)],
                check=check,
                wrote={BRIEF: wrote} if wrote is not None else None,
            )
        )
        return (edited or {}).get(BRIEF)

    # --- in a branch

    async def _branch_at(
        self, turn: Turn, detail: TurnDetail, seq: int, response: RecordDict | None, brief: str
    ) -> None:
        """Goes back to a decision in a new branch that holds there, and asks for it again."""
        log = detail.log or self._conversation.source.path
        if log is None:
            self._context.notify("There is no log to go back to.", "warning")
            return
        # With its reply on record, the old decision is held again without a call.
        until = int(response["seq"]) if response is not None else seq - 1
        self._conversation.busy_with = f"going back to the decision of {turn.address}"
        self._context.repaint()
        address, run = (turn.session, turn.number), self._conversation.run
        try:
            if run is None:
                await self._start_new_run(log, until, brief, address)
                return
            if not run.handle.over:
                await run.hold()
            if response is None:
                run.spec = replace(run.spec, scenario=_scenario_with(run.spec, brief))
            await run.continue_run("rewind", log=log, seq=until, held=True)
            self._attach(run)
            await self.ask_again_with(brief, address)
        except CommandRefused as refused:
            self._context.show_refusal(refused)
        except EngineError as error:
            self._context.notify(str(error), "error")
        finally:
            self._conversation.busy_with = ""
            if run is not None:
                self._attach(run)

    async def ask_again_with(self, brief: str, address: tuple[int, int]) -> None:
        """Waits for the hold at the old decision and asks for it again with `brief`."""
        run = self._conversation.run
        if run is None:
            return
        hold = await run.next_hold()
        self._brief = brief
        if hold is not None and self.decision_held:
            await run.handle.release("again", {BRIEF: brief})
            hold = await run.next_hold(hold)
        if hold is not None and hold.get("stage") == "request":
            # Hold the new decision as the old one was held.
            await run.handle.command(Commands.STEP_STAGE)
        turn = self._conversation.transcript.find(*address)
        self._context.repaint()
        if turn is not None:
            self._view.go_to(turn.index)
        self._show_decision()

    async def _start_new_run(
        self, log: Path, until: int, brief: str, address: tuple[int, int]
    ) -> None:
        """Continues a recording in a debugger of its own."""
        # Importing scenarios takes longer than drawing the screen.
        from convtui.trust.rules import own_scenario

        own = await asyncio.to_thread(own_scenario, self._conversation.transcript.header)
        config = self._config()
        folder = config.runs_dir if config is not None else log.parent
        spec = StartSpec(
            scenario=own.scenario,
            out_dir=str(folder.absolute()),
            watched=True,
            env_file=config.env_file if config is not None else None,
            continue_from=ContinueFrom(log=str(log), seq=until, kind="rewind", held=True),
        )
        await self._start_run(spec, brief, address)


def _scenario_with(spec: StartSpec, brief: str) -> dict[str, object]:
    """The scenario of a run with another brief."""
    persona = dict(spec.scenario.get("persona") or {})
    persona["responder"] = {**(persona.get("responder") or {}), BRIEF: brief}
    return {**spec.scenario, "persona": persona}
