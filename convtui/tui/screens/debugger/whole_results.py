"""Shows tool results in full that the log has cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

from convtui.log.tool_results import whole_result
from convtui.log.tool_uses import tool_uses
from convtui.transcript.fold import Flag, Turn
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.inspector.inspector import Inspector

TOOLS = "Tools"


class WholeResults:
    """Reads full results on request, and keeps them while the log is shown."""

    def __init__(
        self,
        context: DebuggerContext,
        inspector: Inspector,
        *,
        show_inspector: Callable[[], None],
        refresh: Callable[[], None],
    ) -> None:
        self._context = context
        self._inspector = inspector
        self._show_inspector = show_inspector
        self._refresh = refresh
        self.reset()

    def handlers(self) -> Iterator[Handler]:
        yield Handler("inspector.whole", self._toggle, self._uses_tools)

    def reset(self) -> None:
        """Starts over with another log."""
        self._results: dict[tuple[Path, int], tuple[str, str]] = {}
        """(problem, text) by log and number."""
        self._shown: set[tuple[int, int]] = set()
        """The turns whose results are shown in full."""

    def key_hint(self, turn: Turn | None) -> str:
        """What the key does for a turn now."""
        key = self._context.keymap.shown("inspector.whole")
        if not key or turn is None:
            return ""
        shown = (turn.session, turn.number) in self._shown
        return f"{key} shows cut results {'cut again' if shown else 'in full'}"

    def _uses_tools(self) -> bool:
        turn = self._context.selected()
        return turn is not None and bool(turn.flags & Flag.TOOL)

    async def _toggle(self) -> None:
        turn = self._context.selected()
        if turn is None:
            return
        self._show_inspector()
        address = (turn.session, turn.number)
        if address in self._shown:
            self._shown.discard(address)
            self._refresh()
            return
        source = self._context.conversation.source
        detail = await source.detail(turn)
        cut = [use.seq for use in tool_uses(detail) if use.cut is not None and use.seq is not None]
        log = detail.log or source.path
        if not cut or log is None:
            self._context.notify("No tool result of this turn was cut.")
            return
        for seq in cut:
            if (log, seq) not in self._results:
                text = await asyncio.to_thread(whole_result, log, seq)
                problem = "" if text is not None else "truncated; the full result was not kept"
                self._results[log, seq] = (problem, text or "")
        self._shown.add(address)
        self._inspector.tab = TOOLS
        self._refresh()

    def of(self, turn: Turn, log: Path | None) -> dict[int, tuple[str, str]]:
        """The results of a turn to show in full, by number, as (problem, text)."""
        if (turn.session, turn.number) not in self._shown:
            return {}
        log = log or self._context.conversation.source.path
        return {seq: result for (path, seq), result in self._results.items() if path == log}
