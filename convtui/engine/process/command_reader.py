"""Reads commands from the screen in a thread of its own: the event loop may be blocked."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any, BinaryIO

from convtui.engine.process.pipe import FrameSender
from convtui.engine.process.shutdown import Shutdown
from convtui.errors import CommandRefused
from convtui.protocol import SILENT_AFTER, Commands, Kind, read_frame

if TYPE_CHECKING:
    from convtui.engine.conversation.commands import CommandHandler


class CommandReader:
    """Passes commands to the event loop and answers them.

    `loop` and `handler` are set once they exist. Commands are refused while the loop is silent.
    """

    def __init__(self, commands: BinaryIO, sender: FrameSender, shutdown: Shutdown) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.handler: CommandHandler | None = None
        self._commands = commands
        self._sender = sender
        self._shutdown = shutdown
        self._beat = time.monotonic()

    def beat(self) -> None:
        """Notes that the event loop is alive."""
        self._beat = time.monotonic()

    def listen(self) -> None:
        """Reads frames until the screen is gone, then ends the process."""
        while True:
            try:
                frame = read_frame(self._commands)
            except (OSError, ValueError):
                frame = None
            if frame is None:
                break
            kind, body = frame
            if kind is Kind.COMMAND:
                self._command(json.loads(body))
        self._shutdown.end("the screen was closed")

    def _command(self, command: dict[str, Any]) -> None:
        if command.get("do") == Commands.GIVE_UP:
            self._acknowledge(command.get("id"))
            self._shutdown.give_up(str(command.get("reason")))
            return
        loop = self.loop
        if loop is None or time.monotonic() - self._beat > SILENT_AFTER:
            why = "it is starting" if loop is None else "it is blocked in provider code: K kills"
            self._refuse(command.get("id"), f"the engine does not answer; {why}")
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._carry_out, command)

    def _carry_out(self, command: dict[str, Any]) -> None:
        number = command.pop("id", None)
        do = str(command.pop("do", ""))
        try:
            if self.handler is None:
                raise CommandRefused("the conversation has not begun")
            answer = self.handler.carry_out(do, command)
        except CommandRefused as refusal:
            self._refuse(number, str(refusal))
        except (KeyError, TypeError, ValueError) as error:
            self._refuse(number, f"bad arguments: {error}")
        else:
            self._acknowledge(number, **answer)

    def _acknowledge(self, number: Any, **answer: Any) -> None:
        self._sender.send(Kind.ACK, id=number, ok=True, **answer)

    def _refuse(self, number: Any, reason: str) -> None:
        self._sender.send(Kind.ACK, id=number, ok=False, reason=reason)
