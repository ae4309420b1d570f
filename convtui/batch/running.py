"""The conversations of a batch that run, and who is told that something about them has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from convtui.batch.manifest import Entry
from convtui.batch.manifest_writer import ManifestWriter
from convtui.batch.pool import Slot
from convtui.batch.work import Work
from convtui.client.link import ConversationLink, EngineState
from convtui.protocol import StartSpec

_TEXTS_OF_A_HOLD = ("hold", "reason", "stage", "detail", "session", "turn")
"""What the manifest keeps of a hold: its drafts are in the log."""


@dataclass(slots=True, eq=False)
class Running:
    """A conversation that has begun and is not over."""

    work: Work
    spec: StartSpec
    link: ConversationLink
    slot: Slot | None
    """Its worker; None for one that goes on in an engine of its own."""
    started: bool = False
    """Whether it has a log."""
    held: bool = False
    hold: Any = None
    """The link and the number of the hold that was written down last."""
    moving: asyncio.Event | None = None
    """Set when the engine is named in which it goes on; None while it does not move."""
    given_up: str = ""
    """Why the batch ends it."""
    stop_reason: str = ""
    """Why it is to end after its turn."""
    told_to_stop: bool = False
    told_to_pause: bool = False
    by_batch: bool = False
    """Whether it ends because the whole batch does; a resume goes on with it."""
    set_breaks: set[str] = field(default_factory=set)
    """Breakpoints for all that it has, or is being told of."""
    breaks: dict[str, int] = field(default_factory=dict)
    """Breakpoints that were set while it ran, and their numbers in its engine."""
    turns: int = 0
    """As its last row has it."""

    def __post_init__(self) -> None:
        self.set_breaks.update(self.spec.breakpoints or ())

    @property
    def key(self) -> str:
        return self.work.key

    @property
    def is_held(self) -> bool:
        """Whether it waits for an answer now."""
        return self.link.state is EngineState.HELD and self.link.hold is not None


class Board:
    """What is known of a batch: its manifest, and the conversations that run.

    `changed` has the keys of what changed since somebody last looked, who then puts an empty set in
    its place. Subscribers are called on the event loop, once for many changes.
    """

    def __init__(self, writer: ManifestWriter) -> None:
        self.writer = writer
        self.file = writer.batch
        self.running: dict[str, Running] = {}
        self.held = 0
        """How many of them wait for an answer."""
        self.changed: set[str] = set()
        self._subscribers: list[Callable[[], None]] = []
        self._scheduled = False

    @property
    def active(self) -> int:
        """Conversations that run and are not held."""
        return len(self.running) - self.held

    def forget(self, running: Running) -> None:
        """A conversation runs no more."""
        if self.running.pop(running.key, None) is running and running.held:
            self.held -= 1
        self.detach(running)
        self.touch(running.key)

    def detach(self, running: Running) -> None:
        """A conversation is in its worker no more."""
        if running.slot is not None and running.held:
            running.slot.held -= 1
        running.slot = None

    @property
    def held_by_errors(self) -> int:
        """Conversations that wait for an answer because something has failed."""
        if not self.held:
            return 0
        holds = [running.link.hold or {} for running in self.running.values() if running.held]
        return sum(1 for hold in holds if hold.get("reason") == "error")

    def entry(self, key: str) -> Entry:
        """The entry of a conversation of this batch."""
        entry = self.file.entry_for(key)
        assert entry is not None, key
        return entry

    def add(self, kind: str, **fields: Any) -> None:
        """Writes a line of the manifest."""
        self.writer.add(kind, **fields)
        self.touch(fields.get("key"))

    def touch(self, key: str | None = None) -> None:
        """Something has changed, of one conversation or of all."""
        if key is not None:
            self.changed.add(key)
        if not self._scheduled and self._subscribers:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._notify)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back after changes; call the result to unsubscribe."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def _notify(self) -> None:
        self._scheduled = False
        for callback in list(self._subscribers):
            callback()

    # --- one conversation

    def look(self, running: Running) -> None:
        """Writes down that a conversation has got its log, is held, or goes on."""
        link, key = running.link, running.key
        if not running.started and link.log_path is not None:
            running.started = True
            self.add(
                "started",
                key=key,
                log=link.log_path.name,
                worker=None if running.slot is None else running.slot.number,
                attempt=self.entry(key).attempt,
                continues=running.work.parent,
            )
        # One that has ended by itself was let go before, though nobody may have seen it run on.
        if running.started and (not link.over or link.state is EngineState.CLOSED):
            self._look_at_hold(running)
        self.touch(key)

    def _look_at_hold(self, running: Running) -> None:
        if running.is_held != running.held:
            running.held = running.is_held
            self.held += 1 if running.held else -1
            if running.slot is not None:
                running.slot.held += 1 if running.held else -1
            if not running.held:
                running.hold = None
                self.add("released", key=running.key)
        hold = running.link.hold or {}
        # One hold may follow another before anybody looks.
        if running.held and (running.link, hold.get("hold")) != running.hold:
            running.hold = (running.link, hold.get("hold"))
            kept = {name: hold[name] for name in _TEXTS_OF_A_HOLD if name in hold}
            self.add("held", key=running.key, reason=hold.get("reason"), hold=kept)
