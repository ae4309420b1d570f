"""The debugger's actions on a recording."""

from __future__ import annotations

from convtui.records import parse_address
from convtui.tui.screens.look import Looking


class Transport(Looking):
    """Play, speed, turns and stages of a recording."""

    def do_replay_toggle(self) -> None:
        """Plays, or pauses."""
        if self.replay is None:
            return
        if self.replay.playing:
            self.replay.pause()
        else:
            self.view.follow = True
            self.replay.play()

    def do_replay_faster(self) -> None:
        """Twice as fast."""
        if self.replay is not None:
            self.replay.change_speed(1)

    def do_replay_slower(self) -> None:
        """Half as fast."""
        if self.replay is not None:
            self.replay.change_speed(-1)

    async def do_replay_next_turn(self) -> None:
        """One turn on; from where the selection is, while everything is shown."""
        await self._step(turn=True)

    async def do_replay_previous_turn(self) -> None:
        """One turn back."""
        if self.replay is None:
            return
        self.replay.pause()
        if self.replay.at_end and self.view.cursor >= 0:
            await self.replay.go_to(max(0, self.view.cursor - 1))
        else:
            await self.replay.previous_turn()
        self.view.follow = True

    async def do_replay_go_to(self) -> None:
        """Goes to a turn by its number."""
        from convtui.tui.screens.dialogs import Ask

        def check(text: str) -> str | None:
            try:
                session, number = parse_address(text, session=self._session())
            except ValueError as error:
                return str(error)
            if self.transcript.find(session, number) is None:
                return f"There is no turn {session}:{number}."
            return None

        ask = Ask("go to turn", hint="a turn's number, as in 7 or 2:7", check=check)
        answer = await self.app.push_screen_wait(ask)
        if answer is not None:
            session, number = parse_address(answer, session=self._session())
            turn = self.transcript.find(session, number)
            if turn is not None:
                await self.jump(turn.index)

    async def jump(self, index: int) -> None:
        """Selects a turn; a cursor that stands before it comes along."""
        replay = self.replay
        if replay is not None and replay.position is not None and index > replay.position:
            await replay.go_to(index)
        self.view.go_to(index)

    def _session(self) -> int:
        turn = self.selected
        return turn.session if turn is not None else 1

    async def replay_step_stage(self) -> None:
        """One recorded stage on."""
        await self._step(turn=False)

    async def _step(self, *, turn: bool) -> None:
        replay = self.replay
        if replay is None:
            return
        replay.pause()
        # Everything is shown: stepping begins at the turn that is looked at.
        index = max(0, self.view.cursor)
        self.view.follow = True
        if replay.at_end:
            await replay.go_to(index + 1 if turn else index, None if turn else 0)
            return
        moved = await (replay.next_turn() if turn else replay.next_stage())
        if not moved:
            await replay.go_to(None)
            self.tell("The end of the recording: everything is shown again.")

    async def replay_continue(self) -> None:
        """To the end: everything is shown."""
        if self.replay is not None:
            self.replay.pause()
            await self.replay.go_to(None)
            self.view.follow = True
