"""What the debugger screen shows: a live or a saved conversation behind one interface.

A source holds a transcript and says when it changes. A replay source (`convtui.tui.sources.replay`)
adds a cursor that hides what comes after it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from convtui.client.link import ConversationLink
    from convtui.log.detail import TurnDetail
    from convtui.records.codec import RecordDict
    from convtui.transcript.fold import Transcript, Turn
    from convtui.tui.sources.log_records import Records

Notify = Callable[[], None]


class Source(Protocol):
    """What a screen needs of a conversation."""

    @property
    def live(self) -> bool:
        """Whether an engine is behind it."""

    @property
    def transcript(self) -> Transcript:
        """The fold of the log."""

    @property
    def changed(self) -> set[int]:
        """Indexes of turns that have changed; whoever draws them clears the set."""

    @property
    def path(self) -> Path | None:
        """The log's path, once it is known."""

    @property
    def limit(self) -> int | None:
        """Index of the last shown turn; None shows all."""

    @property
    def limit_turn(self) -> Turn | None:
        """The last shown turn as of the cursor; None shows it whole."""

    def subscribe(self, callback: Notify) -> Callable[[], None]:
        """Calls `callback` on the event loop after changes; returns the unsubscribe function."""

    async def detail(self, turn: Turn) -> TurnDetail:
        """Everything the log records about a turn. Raises `LogError` without a log."""

    async def messages(self, request: RecordDict, log: Path | None = None) -> list[Any]:
        """The exact messages of an `llm.request`; `log` is the log it is in, if not this one.

        Raises ValueError for a broken chain.
        """

    def records(self, turn: Turn) -> TurnDetail:
        """What the log records about a turn, without the wire. Blocking."""

    def raw(self, turn: Turn) -> str | None:
        """The raw reply of a turn. Blocking."""

    def close(self) -> None:
        """Closes the log."""


class LiveSource:
    """The conversation of an engine."""

    live = True

    def __init__(self, handle: ConversationLink) -> None:
        self.handle = handle
        self._made: Records | None = None
        self._making = threading.Lock()

    @property
    def _records(self) -> Records:
        # Nothing is read before there is a turn: by then the first frame is drawn.
        from convtui.tui.sources.log_records import Records

        with self._making:
            if self._made is None:
                self._made = Records()
            return self._made

    @property
    def transcript(self) -> Transcript:
        return self.handle.transcript

    @property
    def changed(self) -> set[int]:
        return self.handle.changed

    @property
    def path(self) -> Path | None:
        return self.handle.log_path

    @property
    def limit(self) -> int | None:
        return None

    @property
    def limit_turn(self) -> Turn | None:
        return None

    def subscribe(self, callback: Notify) -> Callable[[], None]:
        return self.handle.subscribe(callback)

    async def detail(self, turn: Turn) -> TurnDetail:
        return await self._records.detail(self.path, self.transcript, turn)

    async def messages(self, request: RecordDict, log: Path | None = None) -> list[Any]:
        return await self._records.messages(self.path, self.transcript, request, log)

    def records(self, turn: Turn) -> TurnDetail:
        return self._records.read(self.path, self.transcript, turn)

    def raw(self, turn: Turn) -> str | None:
        return self._records.raw(self.path, self.transcript, turn)

    def close(self) -> None:
        """Closes the log; the engine keeps running."""
        self._records.close()
