"""Plays a recording and steps through it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from convtui.records.codec import parse_address
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.dialogs.questions import Ask
from convtui.tui.screens.handlers import Handler
from convtui.tui.sources.replay import ReplaySource
from convtui.tui.widgets.transcript.transcript_view import TranscriptView


class Transport:
    """The transport controls of a recording."""

    def __init__(
        self,
        context: DebuggerContext,
        replay: ReplaySource,
        view: TranscriptView,
        jump: Callable[[int], Awaitable[None]],
    ) -> None:
        self._context = context
        self._conversation = context.conversation
        self._replay = replay
        self._view = view
        self._jump = jump

    def handlers(self) -> Iterator[Handler]:
        enabled = self._has_turns
        yield Handler("replay.toggle", self._toggle, enabled, self._toggle_label)
        yield Handler("replay.faster", partial(self._change_speed, 1), enabled)
        yield Handler("replay.slower", partial(self._change_speed, -1), enabled)
        yield Handler("replay.next_turn", partial(self._step, turn=True), enabled)
        yield Handler("replay.previous_turn", self._previous_turn, enabled)
        yield Handler("replay.go_to", self._go_to, enabled)
        yield Handler("run.step_turn", partial(self._step, turn=True), enabled, moves=True)
        yield Handler("run.step_stage", partial(self._step, turn=False), enabled, moves=True)
        yield Handler("run.continue", self._go_to_end, enabled, moves=True)

    def _has_turns(self) -> bool:
        return self._conversation.has_turns

    def _toggle_label(self) -> str:
        return "pause" if self._replay.playing else "play"

    def _toggle(self) -> None:
        if self._replay.playing:
            self._replay.pause()
        else:
            self._view.follow = True
            self._replay.play()

    def _change_speed(self, direction: int) -> None:
        self._replay.change_speed(direction)

    async def _previous_turn(self) -> None:
        self._replay.pause()
        if self._replay.at_end and self._view.cursor >= 0:
            await self._replay.go_to(max(0, self._view.cursor - 1))
        else:
            await self._replay.previous_turn()
        self._view.follow = True

    async def _go_to(self) -> None:
        """Asks for a turn's number and goes there."""

        def check(text: str) -> str | None:
            try:
                session, number = parse_address(text, session=self._session())
            except ValueError as error:
                return str(error)
            if self._conversation.transcript.find(session, number) is None:
                return f"There is no turn {session}:{number}."
            return None

        ask = Ask("go to turn", hint="a turn such as 7 or 2:7", check=check, moves_view=True)
        answer = await self._context.ask(ask)
        if answer is not None:
            session, number = parse_address(answer, session=self._session())
            turn = self._conversation.transcript.find(session, number)
            if turn is not None:
                await self._jump(turn.index)

    def _session(self) -> int:
        turn = self._context.selected()
        return turn.session if turn is not None else 1

    async def _step(self, *, turn: bool) -> None:
        replay = self._replay
        replay.pause()
        # If everything is shown, stepping starts at the selected turn.
        index = max(0, self._view.cursor)
        self._view.follow = True
        if replay.at_end:
            await replay.go_to(index + 1 if turn else index, None if turn else 0)
            return
        moved = await (replay.next_turn() if turn else replay.next_stage())
        if not moved:
            await replay.go_to(None)
            self._context.notify("End of the recording: showing everything again.")

    async def _go_to_end(self) -> None:
        self._replay.pause()
        await self._replay.go_to(None)
        self._view.follow = True
