"""Shows where the log comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from convtui.transcript.fold import Transcript
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.sources.lineage import Parent, look_for_parent, origin_of
from convtui.tui.widgets.transcript.outline import Outline


class Lineage:
    """Finds the parent of the log, and shows its state in the outline and the Meta tab."""

    def __init__(
        self, context: DebuggerContext, outline: Outline, refresh_inspector: Callable[[], None]
    ) -> None:
        self._context = context
        self._outline = outline
        self._refresh_inspector = refresh_inspector
        self._parent: Parent | None = None
        """The parent of the shown log; None for an independent run."""
        self._checked: Transcript | None = None

    def refresh(self) -> None:
        """Shows the origin of the log and, in a thread, checks whether its parent is there."""
        transcript = self._context.conversation.transcript
        if self._checked is transcript or not transcript.header:
            return
        self._checked = transcript
        origin = origin_of(transcript.header)
        self._parent = Parent() if origin else None
        self._outline.set_origin(origin, "", "muted")
        if origin:
            self._context.spawn(self._find_parent(transcript), group="lineage")

    async def _find_parent(self, transcript: Transcript) -> None:
        try:
            parent = await asyncio.to_thread(
                look_for_parent, transcript.header, self._context.conversation.source.path
            )
        except OSError as error:
            parent = Parent("gone", f"the parent log cannot be read: {error.strerror or error}")
        if parent is None or self._checked is not transcript or not self._context.mounted():
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
        self._refresh_inspector()

    def fields(self) -> list[tuple[str, str, str]]:
        """The Meta tab's rows on the origin, as (name, value, role)."""
        origin = origin_of(self._context.conversation.transcript.header)
        parent = self._parent
        if not origin or parent is None:
            return []
        state = parent.state + (f": {parent.message}" if parent.message else "")
        fields = [("comes from", origin, "text"), ("parent log", state, parent.role)]
        if parent.state == "found":
            fields.append(("parent file", str(parent.path), "text"))
        return fields
