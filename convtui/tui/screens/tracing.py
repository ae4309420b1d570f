"""What stands beside the log that is shown: its parent, and tool results that it has cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

from convtui.log.tool_results import whole_result
from convtui.log.tool_uses import tool_uses
from convtui.transcript import Transcript, Turn
from convtui.tui.lineage import Parent, look_for_parent, origin_of
from convtui.tui.screens.offering import Offering

TOOLS = "Tools"


class Tracing(Offering):
    """Lineage on the screen, and whole tool results."""

    parent_log: Parent | None = None
    """The parent of the log that is shown; None for a run of its own."""
    _traced: Transcript | None = None
    _whole: dict[tuple[Path, int], tuple[str, str]]
    """Cut results that were read in full, by log and number: why there is none, and the text."""
    _whole_turns: set[tuple[int, int]]
    """The turns of which they are shown."""

    def forget_results(self) -> None:
        """Another log is shown."""
        self._whole = {}
        self._whole_turns = set()

    # --- lineage

    def trace(self) -> None:
        """Says where the log comes from and, in a thread, looks whether its parent is there."""
        transcript = self.transcript
        if self._traced is transcript or not transcript.header:
            return
        self._traced = transcript
        words = origin_of(transcript.header)
        self.parent_log = Parent() if words else None
        self.outline.set_origin(words, "", "muted")
        if words:
            self.spawn(self._find_parent(transcript), group="lineage")

    async def _find_parent(self, transcript: Transcript) -> None:
        try:
            found = await asyncio.to_thread(look_for_parent, transcript.header, self.source.path)
        except OSError as error:
            found = Parent("gone", f"the parent log cannot be read: {error.strerror or error}")
        if found is None or self._traced is not transcript or not self.is_mounted:
            return
        self.parent_log = found
        self.outline.set_origin(
            origin_of(transcript.header), f"parent log {found.state}", found.role
        )
        if found.missing:
            self.tell(
                f"{found.told[:1].upper()}{found.told[1:]}. What was said before is all here;"
                " its raw text, its stages and its requests cannot be shown.",
                "warning",
            )
        self.refresh_inspector()

    def refresh_inspector(self) -> None:
        """Brings the inspector up to date."""
        raise NotImplementedError

    @property
    def lineage(self) -> list[tuple[str, str, str]]:
        """What the Meta tab says of it, as name, value and role."""
        words = origin_of(self.transcript.header)
        found = self.parent_log
        if not words or found is None:
            return []
        told = found.state + (f": {found.told}" if found.told else "")
        fields = [("comes from", words, "text"), ("parent log", told, found.role)]
        if found.state == "found":
            fields.append(("parent file", str(found.path), "text"))
        return fields

    # --- tool results

    async def do_inspector_whole(self) -> None:
        """Shows the cut tool results of the selected turn in full, or cut again."""
        turn = self.selected
        if turn is None:
            return
        self.show_inspector(True)
        place = (turn.session, turn.number)
        if place in self._whole_turns:
            self._whole_turns.discard(place)
            self.refresh_inspector()
            return
        detail = await self.source.detail(turn)
        cut = [use.seq for use in tool_uses(detail) if use.cut is not None and use.seq is not None]
        log = detail.log or self.source.path
        if not cut or log is None:
            self.tell("No tool result of this turn was cut.")
            return
        for seq in cut:
            if (log, seq) not in self._whole:
                text = await asyncio.to_thread(whole_result, log, seq)
                problem = "" if text is not None else "truncated; the whole result was not kept"
                self._whole[log, seq] = (problem, text or "")
        self._whole_turns.add(place)
        self.inspector.tab = TOOLS
        self.refresh_inspector()

    def whole_results(self, turn: Turn, log: Path | None) -> dict[int, tuple[str, str]]:
        """Results that are to be shown in full, by number."""
        if (turn.session, turn.number) not in self._whole_turns:
            return {}
        log = log or self.source.path
        return {seq: found for (path, seq), found in self._whole.items() if path == log}
