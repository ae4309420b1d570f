"""Reads frames from the screen in a thread of its own: the event loop may be blocked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from convtui.engine.process.pipe import Channel
from convtui.engine.process.pulse import Pulse
from convtui.errors import CommandRefused
from convtui.protocol import Commands, Kind, read_frame

if TYPE_CHECKING:
    from convtui.engine.conversation.commands import CommandHandler


class CommandReader:
    """Hands frames to `receive` until the screen is gone, then calls `gone`.

    Both are called in the thread that listens.
    """

    def __init__(
        self, commands: BinaryIO, receive: Callable[[Kind, bytes], None], gone: Callable[[], None]
    ) -> None:
        self._commands = commands
        self._receive = receive
        self._gone = gone

    def listen(self) -> None:
        """Reads frames until the screen is gone."""
        while True:
            try:
                frame = read_frame(self._commands)
                if frame is None:
                    break
                self._receive(*frame)
            except (OSError, ValueError):
                # What is sent there is not ours, or nothing is any more.
                break
        self._gone()


class CommandDesk:
    """Passes the commands for one conversation to the event loop, and answers them.

    `handler` is set once the conversation exists. Commands are refused while the loop is silent,
    except for `give_up`, which is called with the reason in the thread that reads.
    """

    def __init__(self, channel: Channel, pulse: Pulse, give_up: Callable[[str], None]) -> None:
        self.handler: CommandHandler | None = None
        self._channel = channel
        self._pulse = pulse
        self._give_up = give_up

    def take(self, command: dict[str, Any]) -> None:
        """Takes a command, in any thread but the event loop's."""
        if command.get("do") == Commands.GIVE_UP:
            self._acknowledge(command.get("id"))
            self._give_up(str(command.get("reason")))
            return
        loop = self._pulse.loop
        if loop is None or self._pulse.silent:
            why = "it is starting" if loop is None else "it is blocked in provider code: K kills"
            self.refuse(command.get("id"), f"the engine does not answer; {why}")
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
            self.refuse(number, str(refusal))
        except (KeyError, TypeError, ValueError) as error:
            self.refuse(number, f"bad arguments: {error}")
        else:
            self._acknowledge(number, **answer)

    def _acknowledge(self, number: Any, **answer: Any) -> None:
        self._channel.send(Kind.ACK, id=number, ok=True, **answer)

    def refuse(self, number: Any, reason: str) -> None:
        """Answers a command that is not carried out."""
        self._channel.send(Kind.ACK, id=number, ok=False, reason=reason)
