"""Where the log that is shown comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from convtui.transcript.fold import Transcript
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.sources.lineage import Parent, look_for_parent, origin_of
from convtui.tui.widgets.transcript.outline import Outline


class Lineage:
    """Looks for the parent of the log, and says of it in the outline what there is."""

    def __init__(
        self, context: DebuggerContext, outline: Outline, refresh: Callable[[], None]
    ) -> None:
        self._context = context
        self._outline = outline
        self._refresh = refresh
        self._parent: Parent | None = None
        """The parent of the log that is shown; None for a run of its own."""
        self._looked_for: Transcript | None = None

    def look(self) -> None:
        """Says where the log comes from and, in a thread, looks whether its parent is there."""
        transcript = self._context.conversation.transcript
        if self._looked_for is transcript or not transcript.header:
            return
        self._looked_for = transcript
        words = origin_of(transcript.header)
        self._parent = Parent() if words else None
        self._outline.set_origin(words, "", "muted")
        if words:
            self._context.spawn(self._find_parent(transcript), group="lineage")

    async def _find_parent(self, transcript: Transcript) -> None:
        try:
            parent = await asyncio.to_thread(
                look_for_parent, transcript.header, self._context.conversation.source.path
            )
        except OSError as error:
            parent = Parent("gone", f"the parent log cannot be read: {error.strerror or error}")
        if parent is None or self._looked_for is not transcript or not self._context.mounted():
            return
        self._parent = parent
        self._outline.set_origin(
            origin_of(transcript.header), f"parent log {parent.state}", parent.role
        )
        if parent.missing:
            self._context.notify(
                f"{parent.message[:1].upper()}{parent.message[1:]}. Its turns are all here; their"
                " raw text, stages and requests cannot be shown.",
                "warning",
            )
        self._refresh()

    def fields(self) -> list[tuple[str, str, str]]:
        """What the Meta tab says of it, as name, value and role."""
        words = origin_of(self._context.conversation.transcript.header)
        parent = self._parent
        if not words or parent is None:
            return []
        state = parent.state + (f": {parent.message}" if parent.message else "")
        fields = [("comes from", words, "text"), ("parent log", state, parent.role)]
        if parent.state == "found":
            fields.append(("parent file", str(parent.path), "text"))
        return fields
