"""Asking a responder again with another brief: where it is held, or from a turn gone by."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from convtui.errors import CommandRefused, EngineError
from convtui.log.detail import TurnDetail
from convtui.protocol import Commands, ContinueFrom, StartSpec
from convtui.records import RecordDict
from convtui.transcript import Turn
from convtui.tui import status
from convtui.tui.screens.compressing import Compressing
from convtui.tui.screens.dialogs import Edit
from convtui.tui.widgets.inspector_tabs import DECISION, RESPONDER

BRIEF = "instructions"


class Briefs(Compressing):
    """Decisions: looking at them, and having them made again with an edited brief."""

    _brief: str | None = None
    """The brief as it was edited last."""
    again: tuple[str, tuple[int, int]] | None = None
    """A brief, and the session and turn whose decision is asked for again as soon as it runs."""

    async def start(self) -> None:
        """Starts the run; one that goes back to a decision asks for it again."""
        await super().start()
        again, self.again = self.again, None
        if again is None or self.run is None or self.run.handle.over:
            return
        try:
            await self.ask_again_with(*again)
        except CommandRefused as refused:
            self.refused(refused)

    def do_inspector_decision(self) -> None:
        """The decisions of the selected turn; a second time, the responder's own conversation."""
        self.show_inspector(True)
        inspector = self.inspector
        if DECISION not in inspector.tabs:
            self.tell("No responder decides in this conversation.")
        elif inspector.tab == DECISION:
            inspector.tab = RESPONDER
        else:
            inspector.tab = DECISION

    @property
    def deciding(self) -> bool:
        """Whether a responder decides in this conversation."""
        known = status.responder_of(self.transcript.header.get("scenario")) is not None
        return known or "user.decided" in self.transcript.counts

    # --- the brief

    @property
    def brief(self) -> str:
        """What the responder is told."""
        if self._brief is not None:
            return self._brief
        # What was asked for still holds what is taken out of a log.
        asked = self.run.spec.scenario if self.run is not None else {}
        for scenario in (asked, self.transcript.header.get("scenario")):
            text = (status.responder_of(scenario) or {}).get(BRIEF)
            if isinstance(text, str):
                return text
        return ""

    @property
    def decision_held(self) -> bool:
        """Whether a decision is held that can be asked for again."""
        drafts = (self.hold or {}).get("drafts") or ()
        held = any(isinstance(d, dict) and d.get("field") == "decision" for d in drafts)
        return held and self.offers("again") is not None

    async def do_hold_edit_brief(self) -> None:
        """Edits the brief, and has the decision made again: held here, or in a branch."""
        hold, turn = self.hold, self.selected
        if not self.brief:
            self.tell("No responder decides in this conversation: there is no brief.")
            return
        if self.decision_held and hold is not None:
            edited: str | None = None
            while (edited := await self._edited(hold, wrote=edited)) is not None:
                if self.still(hold) and await self.release("again", {BRIEF: edited}):
                    self._brief = edited
                    self.show_decision()
                    return
            return
        if turn is None or self.busy_with:
            return
        detail = await self.source.detail(turn)
        asked = next((c for c in reversed(detail.calls) if c.side == "responder"), None)
        if asked is None:
            self.tell("Nothing was decided in this turn: select one of the user's answers.")
            return
        edited = await self._edited()
        if edited is not None:
            await self._again(turn, detail, asked.seq, asked.response, edited)

    async def _edited(
        self, hold: RecordDict | None = None, *, wrote: str | None = None
    ) -> str | None:
        def check(_: str, text: str) -> str | None:
            gone = self.gone(hold) if hold is not None else None
            return gone or (None if text.strip() else "a brief cannot be empty")

        edited = await self.app.push_screen_wait(
            Edit(
                "edit the brief and ask again",
                [(BRIEF, "what the responder is told", self.brief)],
                check=check,
                wrote={BRIEF: wrote} if wrote is not None else None,
            )
        )
        return (edited or {}).get(BRIEF)

    def show_decision(self) -> None:
        """Opens the tab in which old and new stand side by side."""
        if not self.narrow:
            self.show_inspector(True)
        self.refresh_inspector()
        self.inspector.tab = DECISION

    # --- in a branch

    async def _again(
        self, turn: Turn, detail: TurnDetail, seq: int, response: RecordDict | None, brief: str
    ) -> None:
        """Goes back to a decision in a branch, where it is held, and asks again from there."""
        log = detail.log or self.source.path
        if log is None:
            self.tell("There is no log to go back in.", "warning")
            return
        # With its reply the old decision is held again, without a call; else it is asked at once.
        until = int(response["seq"]) if response is not None else seq - 1
        self.busy_with = f"going back to the decision of {turn.address}"
        self.repaint()
        address = (turn.session, turn.number)
        try:
            if self.run is None:
                await self._in_a_new_run(log, until, brief, address)
                return
            if not self.run.handle.over:
                await self.run.hold()
            if response is None:
                self.run.spec = replace(self.run.spec, scenario=_with(self.run.spec, brief))
            await self.run.go_on("rewind", log=log, seq=until, held=True)
            self.attach(self.run)
            await self.ask_again_with(brief, address)
        except CommandRefused as refused:
            self.refused(refused)
        except EngineError as error:
            self.tell(str(error), "error")
        finally:
            self.busy_with = ""
            if self.run is not None:
                self.attach(self.run)

    async def ask_again_with(self, brief: str, address: tuple[int, int]) -> None:
        """Waits for the hold at the old decision and asks again with `brief`."""
        run = self.run
        if run is None:
            return
        hold = await run.next_hold()
        self._brief = brief
        if hold is not None and self.decision_held:
            await run.handle.release("again", {BRIEF: brief})
            hold = await run.next_hold(hold)
        if hold is not None and hold.get("stage") == "request":
            # The new decision is held as the old one was.
            await run.handle.command(Commands.STEP_STAGE)
        turn = self.transcript.find(*address)
        self.repaint()
        if turn is not None:
            self.view.go_to(turn.index)
        self.show_decision()

    async def _in_a_new_run(
        self, log: Path, until: int, brief: str, address: tuple[int, int]
    ) -> None:
        """From a recording: the conversation goes on in a debugger of its own."""
        # Scenarios take longer to import than the screen to draw.
        from convtui.trust import own_scenario

        own = await asyncio.to_thread(own_scenario, self.transcript.header)
        config = self.capp.config
        folder = config.runs_dir if config is not None else log.parent
        spec = StartSpec(
            scenario=own.scenario,
            out_dir=str(folder.absolute()),
            watched=True,
            env_file=config.env_file if config is not None else None,
            continue_from=ContinueFrom(log=str(log), seq=until, kind="rewind", held=True),
        )
        await self.capp.start_run(spec, again=(brief, address))


def _with(spec: StartSpec, brief: str) -> dict[str, object]:
    """The scenario of a run with another brief."""
    persona = dict(spec.scenario.get("persona") or {})
    persona["responder"] = {**(persona.get("responder") or {}), BRIEF: brief}
    return {**spec.scenario, "persona": persona}
