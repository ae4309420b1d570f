"""One conversation of an engine process: what it prints, its frames, its commands, its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

from convtui.engine.calls.permits import Permits
from convtui.engine.core.output import OutputCapture, StreamName
from convtui.engine.process.command_reader import CommandDesk
from convtui.engine.process.pipe import Channel
from convtui.engine.process.pulse import Pulse
from convtui.protocol import Kind, StartSpec
from convtui.records.models import ProviderOutput, RecordDict, Termination
from convtui.secrets.redactor import Redactor
from convtui.text.causes import describe

if TYPE_CHECKING:
    from convtui.engine.conversation.runner import Conversation
    from convtui.engine.conversation.wiring import EngineModels
    from convtui.engine.process.matching import Matching

_TURN_ENDS = frozenset({"turn.discarded", "turn.skipped", "llm.failed"})
"""Where it is not committed: a committed turn says so by itself."""


class Hosted:
    """Connects a conversation with the process that runs it.

    `capture` gets what it prints; `early` is what was printed before this was made. `give_up` is
    called in the thread that reads commands, as `CommandDesk` says.
    """

    def __init__(
        self,
        channel: Channel,
        capture: OutputCapture,
        *,
        redactor: Redactor,
        pulse: Pulse,
        give_up: Callable[[str], None],
        explain_failure: Callable[[BaseException], str],
        early: list[tuple[StreamName, str, int]] | None = None,
        permits: Permits | None = None,
    ) -> None:
        self.channel = channel
        self.capture = capture
        self.redactor = redactor
        self.conversation: Conversation | None = None
        self.desk = CommandDesk(channel, pulse, give_up)
        self._pulse = pulse
        self._explain_failure = explain_failure
        self._early = [] if early is None else early
        self._permits = permits or Permits()
        self._stop_reason = ""
        self.on_change: Callable[[], None] = lambda: None
        """Called when a list of conversations would show it otherwise, in any thread."""
        self.matching: Matching | None = None
        self.over = False
        """Whether nothing more comes of it."""
        capture.emit = self._output

    # --- output

    def _output(self, stream: StreamName, text: str, dropped: int) -> None:
        conversation = self.conversation
        if conversation is None:
            self._early.append((stream, text, dropped))
            self.channel.send(Kind.OUTPUT, stream=stream, text=text)
            return
        journal = conversation.journal
        if journal.writer.closed:
            return
        with contextlib.suppress(Exception):
            journal.emit(
                ProviderOutput(
                    **journal.current.fields(),
                    call=journal.current.call,
                    stream=stream,
                    text=text,
                    dropped=dropped or None,
                )
            )

    def _log_early_output(self) -> None:
        """Records what was printed while the provider was imported."""
        early, self._early = self._early, []
        for stream, text, dropped in early:
            self._output(stream, text, dropped)

    def on_breakpoint(self, location: str) -> None:
        """Warns of a `breakpoint()` in its code, which has no terminal here."""
        message = (
            f"breakpoint() at {location} was passed over: the engine has no terminal;"
            " `convtui run --in-process` leaves it to pdb"
        )
        if self.conversation is None:
            self.capture.take("stderr", message + "\n")
            return
        from convtui.records.models import Warned

        self.conversation.journal.emit_here(Warned, code="breakpoint", message=message)

    def on_background_failure(self, context: dict[str, Any]) -> None:
        """Shows the error of a provider's task that nothing awaited as output."""
        self.capture.take("stderr", background_failure(context))

    # --- frames

    @property
    def in_flight(self) -> dict[str, Any]:
        """What a HEARTBEAT says of its current call."""
        if self.conversation is None:
            return {"busy": None, "wait": None}
        caller = self.conversation.caller
        wait = caller.waiting
        return {"busy": caller.busy, "wait": None if wait is None else wait.as_dict()}

    def watch(self, on: bool) -> None:
        """Sends its records from now on, or no more."""
        self.channel.watched = on
        if self.conversation is None:
            return
        self.hold_endings(on)
        gate = self.conversation.gate
        if on:
            written = self.conversation.journal.writer.count
            self._publish_gate(gate.state, gate.hold.record if gate.hold else None)
            self.channel.send(Kind.CATCH_UP, from_seq=written)

    def hold_endings(self, seen: bool) -> None:
        """Whether somebody sees it, and may have a say in how it ends."""
        if self.conversation is not None:
            self.conversation.gate.holds_endings = seen or self.conversation.holds_endings

    @property
    def matches(self) -> bool | None:
        """Whether the filter finds a turn; None without one."""
        if self.matching is None:
            return None
        return self.conversation is not None and self.matching.matches(self.conversation)

    def fail(self, error: dict[str, Any]) -> None:
        """Says why the conversation cannot begin or go on; not after its log was closed."""
        conversation = self.conversation
        if conversation is None or conversation.journal.transcript.trailer is None:
            self.capture.flush()
            self.channel.send(Kind.FAILED, error=error)

    # --- the run

    def begin(self, spec: StartSpec, models: EngineModels) -> Conversation:
        """Builds the conversation, opens its log and tells the screen of it.

        Raises what `build()` raises.
        """
        from convtui.engine.conversation.build import build
        from convtui.engine.conversation.commands import CommandHandler
        from convtui.engine.conversation.wiring import Wiring

        conversation = build(
            spec,
            Wiring(
                models=models,
                publish_gate=self._publish_gate,
                publish_delta=self.channel.delta,
                seen=lambda: self.channel.watched,
                redactor=self.redactor,
                permits=self._permits,
                explain_failure=self._explain_failure,
            ),
        )
        self.conversation = conversation
        conversation.journal.listen(self._on_record)
        # The records of that may wait for others.
        conversation.journal.on_committed = self.capture.settle
        conversation.journal.current.on_leave = self.capture.flush
        conversation.journal.current.on_new = self.capture.begin_turn
        conversation.on_begin = self._log_early_output
        self.desk.handler = CommandHandler(conversation)
        log = conversation.journal.writer.path
        models.capture(log, spec.wire, everywhere=self.channel.number is None)
        self.channel.send(Kind.READY, log=str(log), id=conversation.id, pid=os.getpid())
        if self.channel.number is not None and self.channel.watched:
            self.watch(True)  # asked for before there was anything to watch
        if self._stop_reason:
            conversation.stop("human", self._stop_reason)
        return conversation

    async def run(self, conversation: Conversation, models: EngineModels) -> Termination:
        """Runs the conversation to its end. Raises what `Conversation.run()` raises."""
        try:
            return await conversation.run()
        finally:
            self.capture.flush()
            await models.close()

    @property
    def begun(self) -> bool:
        """Whether there is a conversation yet."""
        return self.conversation is not None

    def interrupt(self, reason: str) -> None:
        """Ends the conversation, on the event loop; one that is yet to begin ends at once."""
        self._stop_reason = self._stop_reason or reason
        if self.conversation is not None:
            self.conversation.stop("human", reason)

    def force_close(
        self,
        reason: str,
        *,
        kind: Literal["interrupted", "failed"] = "interrupted",
        by: Literal["human", "provider"] = "human",
    ) -> None:
        """Closes the log when the event loop cannot; any thread may call it."""
        conversation = self.conversation
        if conversation is not None and not conversation.journal.writer.closed:
            with contextlib.suppress(Exception):
                conversation.endings.force_close(reason, kind=kind, by=by)

    def _on_record(self, data: RecordDict, offset: int, line: bytes) -> None:
        self.channel.record(data, offset, line)
        if self.matching is not None and self.conversation is not None:
            self.matching.on_record(self.conversation, data)
        if data.get("type") in _TURN_ENDS:
            self.capture.settle()
        self.on_change()

    def _publish_gate(self, state: str, hold: RecordDict | None) -> None:
        # A process whose gates move is alive, also before the first heartbeat after an import.
        self._pulse.beat()
        after = self.conversation.journal.writer.count - 1 if self.conversation else -1
        self.channel.send(Kind.GATE, after=after, state=state, hold=hold)
        self.on_change()


current_hosted: ContextVar[Hosted | None] = ContextVar("convtui_current_hosted", default=None)
"""The conversation of this context, where the process hosts many."""


def background_failure(context: dict[str, Any]) -> str:
    """What an event loop's exception handler was told, as a line of output."""
    error = context.get("exception")
    cause = describe(error) if isinstance(error, BaseException) else "no exception"
    return f"{context.get('message')}: {cause}\n"
