"""Shows where the log comes from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from convtui.log.parents import parent_of
from convtui.transcript.fold import Transcript
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.sources.branches import branches_beside
from convtui.tui.sources.lineage import (
    Parent,
    look_for_parent,
    origin_of,
)
from convtui.tui.widgets.transcript.outline import Outline


class Lineage:
    """Finds the parent of the log, and shows its state in the outline and the Meta tab."""

    def __init__(
        self,
        context: DebuggerContext,
        outline: Outline,
        refresh_inspector: Callable[[], None],
        *,
        open_log: Callable[[Path], Coroutine[Any, Any, None]],
    ) -> None:
        """`open_log` opens another log of the family."""
        outline.open_log = lambda path: context.spawn(open_log(path))
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
        self._context.spawn(self._find_branches(transcript), group="branches")

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
            origin_of(transcript.header), _state_words(parent), parent.role, parent.path
        )
        if parent.missing and parent_of(transcript.header) is not None:
            lost = "" if transcript.past_known else " What it dropped is not in this log."
            self._context.notify(
                f"{parent.message[:1].upper()}{parent.message[1:]}. What was said is all here; raw"
                f" texts, stages and requests from before cannot be shown.{lost}",
                "warning",
            )
        self._refresh_inspector()

    async def _find_branches(self, transcript: Transcript) -> None:
        """Shows the branches of the family in the outline."""
        path = self._context.conversation.source.path
        if path is None:
            return
        branches = await asyncio.to_thread(branches_beside, path)
        if self._checked is transcript and self._context.mounted():
            self._outline.set_branches(branches)
            self._context.repaint()

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


def _state_words(parent: Parent) -> str:
    """What is wrong with the parent log; nothing where it is as it was."""
    return "" if parent.state in ("found", "looking") else f"parent log {parent.state}"
