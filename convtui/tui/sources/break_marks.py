"""Breakpoints as marks on the turns that they name, and where one has stopped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convtui.filters.in_words import turn_named
from convtui.transcript.fold import OPEN, Transcript, Turn
from convtui.tui.drawing import glyphs

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Span
    from convtui.tui.sources.run import Breakpoint

_CODE: Final = "break"
"""The code of a turn at which a breakpoint has stopped."""


@dataclass(frozen=True, slots=True)
class BreakMark:
    """The mark of one turn."""

    number: int | None = None
    """The breakpoint that names the turn; None where another one has stopped there."""
    enabled: bool = True
    once: bool = False
    stopped: bool = False
    passed: bool = False
    """The turn is over: it stops when the conversation comes by again."""

    @property
    def sign(self) -> Span:
        """The glyph in the gutter, with its role."""
        if not self.enabled:
            return glyphs.BREAK_OFF, "muted"
        return (glyphs.BREAK_HIT, "held") if self.stopped else (glyphs.BREAK, "accent")

    def spans(self, *, short: bool) -> list[Span]:
        """The mark in words."""
        if self.number is None:
            return [(f"{self.sign[0]} a breakpoint stopped here", "muted")]
        words = f"{self.sign[0]} breakpoint {self.number}"
        if not self.enabled:
            return [(f"{words}, off", "muted")]
        words += ", once" if self.once else ""
        spans: list[Span] = [(words, "accent")]
        # What is next comes last and must not be cut: it is short.
        stopped = "stopped" if short else "stopped here"
        told = [stopped] if self.stopped else []
        if self.passed:
            told.append("stops again" if self.stopped else "stops next time")
        if told:
            spans.append((f": {', '.join(told)}", "muted"))
        return spans


def marks_of(transcript: Transcript, breakpoints: Iterable[Breakpoint]) -> dict[int, BreakMark]:
    """The marks, by index of turn. The first of several breakpoints on a turn counts."""
    marks: dict[int, BreakMark] = {}
    for item in breakpoints:
        for turn in _turns_named(transcript, item.expression):
            marks.setdefault(
                turn.index,
                BreakMark(
                    item.number, item.enabled, item.once, has_stopped(turn), turn.status != OPEN
                ),
            )
    return marks


def has_stopped(turn: Turn) -> bool:
    """Whether a breakpoint has stopped the conversation at a turn."""
    return _CODE in turn.codes


def _turns_named(transcript: Transcript, expression: str) -> list[Turn]:
    named = turn_named(expression)
    if named is None:
        return []
    number, session = named
    wanted = (session or "").casefold()
    found = (
        transcript.find(holder.index, number)
        for holder in transcript.sessions
        if session is None or wanted in (holder.session_type.casefold(), str(holder.index))
    )
    return [turn for turn in found if turn is not None]
