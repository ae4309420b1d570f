"""The lines of one turn in the transcript: header, text, rows, badges, session rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip

from convtui.printing.turn_sign import turn_sign
from convtui.text.counts import counted
from convtui.transcript.fold import OPEN, Flag, Turn
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.drawing.strips import strip_of
from convtui.tui.drawing.wrap import MAX_CHARS, MAX_LINES, Wrapped, count_capped, paint
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.transcript.geometry import Geometry
from convtui.tui.widgets.transcript.marks import (
    BADGES,
    ROWS,
    TurnExtras,
    badges,
    own_row_count,
    own_rows,
    pack,
)
from convtui.tui.widgets.transcript.note_marks import note_rows, note_sign
from convtui.tui.widgets.transcript.tool_marks import tool_rows

if TYPE_CHECKING:
    from convtui.log.notes import TurnNote
    from convtui.tui.sources.break_marks import BreakMark
    from convtui.tui.widgets.transcript.session_rows import Frame

OPEN_CHARS = 2_000_000
_MAX_MARKS = 200
_MOST_STRIPS = 200
"""Lines that are kept as they are drawn: a text that grows scrolls away."""

Content = str | Sequence[Span]
"""A turn's text, or its pieces with roles."""


def badge_rows(turn: Turn, extra: TurnExtras | None, geometry: Geometry) -> list[list[Span]]:
    """The rows of badges; details never add rows, except for turns with tool calls."""
    plain = pack(badges(turn, short=geometry.short), geometry.text_width)
    if extra is None:
        return plain
    rich = pack(badges(turn, extra, short=geometry.short), geometry.text_width)
    # Turns with tool calls are measured with their details.
    return rich if len(rich) == len(plain) or extra.uses else plain


_VARIABLE = int(Flag.HELD | Flag.WOULD_END | Flag.EMPTY | Flag.DECISION | Flag.HUMAN)


def measure_turn(turn: Turn, geometry: Geometry) -> int:
    """The height of a turn as shown, without its frame."""
    text = turn.text
    if turn.interim:
        text = "".join(piece for piece, _ in with_interim(turn, text))
    height = count_capped(text, geometry.text_width) if text else 1
    # Plain integers: IntFlag's operators are some twenty times slower.
    flags = int(turn.flags)
    if flags & ROWS or turn.status == "ended":
        height += own_row_count(turn, short=geometry.short, folded=geometry.folded)
    if flags & BADGES:
        if flags & _VARIABLE:
            height += len(badge_rows(turn, None, geometry))
        else:
            key = (flags, turn.signals, turn.codes)
            count = geometry.badge_counts.get(key)
            if count is None:
                count = geometry.badge_counts[key] = len(badge_rows(turn, None, geometry))
            height += count
    return height + geometry.gap + geometry.stacked


class TurnLines:
    """One turn, wrapped at once and drawn line by line on demand."""

    def __init__(self, geometry: Geometry, palette: Palette) -> None:
        self.geometry = geometry
        self.palette = palette
        self.key: tuple[object, ...] = ()
        self.height = 0
        self._strips: dict[tuple[int, bool], Strip] = {}
        self._wrapped: Wrapped | None = None
        self._marks: list[tuple[int, int, str]] = []
        self._hidden = 0
        self._tail: list[list[Span]] = []
        self._before: list[list[Span]] = []
        self._after: list[list[Span]] = []
        self._turn: Turn | None = None
        self._role = "text"
        self._head: list[Span] = []
        self._placeholder: Span | None = None
        self._noted: TurnNote | None = None
        self._stop: BreakMark | None = None

    def update(
        self,
        turn: Turn,
        frame: Frame,
        extra: TurnExtras | None,
        content: Content | None,
        search: re.Pattern[str] | None,
    ) -> None:
        """Applies the turn's current state. Only the tail of a growing text is wrapped again."""
        geometry = self.geometry
        streaming = turn.status == OPEN
        if content is None and turn.interim:
            content = with_interim(turn, turn.text)
        text, roles = _flatten(turn.text if content is None else content)
        limit, lines = (OPEN_CHARS, 0) if streaming else (MAX_CHARS, MAX_LINES)
        source = text if len(text) <= limit else text[:limit]
        grown = 0
        if self._wrapped is not None and self._wrapped.max_lines == lines:
            grown = self._wrapped.grow(source)
        else:
            self._wrapped = Wrapped(source, geometry.text_width, lines)
        wrapped = self._wrapped
        self._hidden = len(text) - len(source) + wrapped.cut
        self._placeholder = None if text else (_placeholder(turn), "muted")
        marks = [(*wrapped.span(start, end), role) for start, end, role in roles]
        marks += _signal_marks(wrapped, turn, extra)
        if search is not None:
            for number, match in enumerate(search.finditer(wrapped.text)):
                if number > _MAX_MARKS:
                    break
                marks.append((match.start(), match.end(), "mark:accent"))
        own = own_rows(
            turn,
            extra,
            short=geometry.short,
            folded=geometry.folded,
            width=geometry.text_width,
        )
        if extra is not None and extra.uses:
            running = turn.status == OPEN and not turn.flags & Flag.HELD
            own += tool_rows(extra.uses, geometry.text_width, running=running)
        self._noted = extra.noted if extra is not None else None
        self._stop = extra.breakpoint if extra is not None else None
        told = note_rows(self._noted, turn)
        if self._stop is not None:
            words = self._stop.spans(short=geometry.short)
            # In the row of the notes, which the height of the turn counts with.
            told = [[*words, (" · ", "border"), *row] for row in told] or [words]
        # Rows that only keep the height, whatever is known of the turn, are nowhere inside it.
        tail = sorted([*own, *told, *badge_rows(turn, extra, geometry)], key=_is_empty)
        role, before = _text_role(turn), (self._head, self._role)
        self._head, self._role = self._header(turn), role
        same = (
            streaming
            and self._turn is turn
            and marks == self._marks
            and frame.rows_before(geometry.width - 2) == self._before
            and grown > 0
            and before == (self._head, role)
        )
        if same:
            keep = len(self._before) + geometry.stacked + grown
            self._strips = {key: strip for key, strip in self._strips.items() if key[0] < keep}
        else:
            self._strips.clear()
        self._turn, self._marks, self._tail = turn, marks, tail
        width = geometry.width - 2
        self._before, self._after = frame.rows_before(width), frame.rows_after(width)
        self.height = (
            len(self._before)
            + geometry.stacked
            + max(1, len(wrapped))
            + bool(self._hidden)
            + len(tail)
            + len(self._after)
            + geometry.gap
        )

    def strip(self, row: int, *, selected: bool = False) -> Strip:
        """One line; its first cell has the mark of the selection."""
        strip = self._strips.get((row, selected))
        if strip is None:
            style = self.palette.style("accent")
            mark = Segment(glyphs.BAR, style) if selected else Segment(" ")
            strip = Strip([mark, *strip_of(self._spans(row), self.palette)])
            if len(self._strips) >= _MOST_STRIPS:
                self._strips = dict(islice(self._strips.items(), _MOST_STRIPS // 2, None))
            self._strips[row, selected] = strip
        return strip

    def is_own(self, row: int, height: int) -> bool:
        """Whether a line is the turn's, not of the sessions around it or the gap below it."""
        return len(self._before) <= row < height - len(self._after) - self.geometry.gap

    def copy_row(self, row: int) -> CopyRow:
        """One line for the clipboard; its indent includes the selection's cell."""
        text = " " + "".join(piece for piece, _ in self._spans(row))
        number = row - len(self._before) - self.geometry.stacked
        wrapped = self._wrapped
        if wrapped is None or not 0 <= number < len(wrapped):
            return CopyRow(text.rstrip(), min(self.geometry.indent, len(text)))
        glue = "\n"
        if wrapped.is_soft(number):
            glue = " " if wrapped.ends[number] < wrapped.starts[number + 1] else ""
        return CopyRow(text.rstrip() if glue != "" else text, self.geometry.indent, glue)

    def _spans(self, row: int) -> list[Span]:
        before = self._before
        if row < len(before):
            return before[row]
        row -= len(before)
        pad = " " * (self.geometry.indent - 1)
        if self.geometry.stacked:
            if row == 0:
                return list(self._head)
            row -= 1
        wrapped = self._wrapped
        lines = max(1, len(wrapped) if wrapped else 0)
        if row < lines:
            first = row == 0 and not self.geometry.stacked
            lead: list[Span] = [*self._head] if first else [(pad, "text")]
            if self._placeholder is not None:
                return [*lead, self._placeholder]
            return lead + self._text(row)
        row -= lines
        if self._hidden:
            if row == 0:
                more = f"… {counted(self._hidden, 'more character')} in the inspector"
                return [(pad, "text"), *fit([(more, "muted")], self.geometry.text_width)]
            row -= 1
        if row < len(self._tail):
            return [(pad, "text"), *fit(self._tail[row], self.geometry.text_width)]
        row -= len(self._tail)
        return self._after[row] if row < len(self._after) else []

    def _header(self, turn: Turn) -> list[Span]:
        sign, role = turn_sign(turn)
        if sign == glyphs.NOTHING:
            sign, role = note_sign(self._noted) or (sign, role)
        number = str(turn.number).rjust(self.geometry.digits)
        speaker = "provider" if turn.speaker == "provider" else "persona"
        return [
            (" " if sign == glyphs.NOTHING else sign, f"{role} bold"),
            self._stop.sign if self._stop is not None else (" ", "muted"),
            (number + " ", "muted"),
            (f"{speaker:<8} ", f"{speaker} bold"),
        ]

    def _text(self, number: int) -> list[Span]:
        wrapped = self._wrapped
        if wrapped is None:
            return []
        start, end = wrapped.starts[number], wrapped.ends[number]
        pieces = paint(start, end, self._marks, self._role) if self._marks else None
        spans: list[Span] = (
            [(wrapped.text[start:end], self._role)]
            if pieces is None
            else [(wrapped.text[low:high], role) for low, high, role in pieces]
        )
        if self._turn is not None and self._turn.status == OPEN and number == len(wrapped) - 1:
            spans.append((glyphs.BAR, "accent"))
        return spans


def _is_empty(row: list[Span]) -> bool:
    return not any(text for text, _ in row)


def with_interim(turn: Turn, text: str) -> list[Span]:
    """A turn's text, after the text that was written beside tool calls."""
    pieces: list[Span] = []
    for part in turn.interim:
        pieces += [
            (f"round {part.round}, beside a tool call, not said:", "tool"),
            (f" {part.text.strip()}\n", "muted"),
        ]
    return [*pieces, (text, "text")]


def _flatten(content: Content) -> tuple[str, list[tuple[int, int, str]]]:
    if isinstance(content, str):
        return content, []
    roles: list[tuple[int, int, str]] = []
    position = 0
    for text, role in content:
        if role != "text":
            roles.append((position, position + len(text), role))
        position += len(text)
    return "".join(text for text, _ in content), roles


def _text_role(turn: Turn) -> str:
    if turn.flags & Flag.DISCARDED:
        return "discard struck"
    grey = Flag.SKIPPED | Flag.CANCELLED | Flag.INACTIVE
    if turn.flags & grey or turn.status == "ended":
        return "muted"
    if turn.flags & Flag.HUMAN and turn.status == OPEN and turn.stage == "request":
        # A draft that was not sent.
        return "muted"
    return "text"


def _placeholder(turn: Turn) -> str:
    """What stands in the place of a text that is empty."""
    if turn.status != OPEN:
        return "(nothing)"
    early = turn.stage in ("request", "response")
    my_turn = turn.flags & Flag.HUMAN and turn.flags & Flag.HELD and early
    if my_turn:
        return f"waiting for your text {glyphs.BAR}"
    if turn.flags & Flag.HELD and turn.stage == "request":
        return "(not asked yet)"
    if turn.flags & Flag.HELD and turn.stage == "response":
        return "(no text yet)"  # The reply has arrived, or the call has failed.
    if turn.stage == "terminate":
        return "(held before the session ends)" if turn.flags & Flag.HELD else "(nothing)"
    if turn.flags & Flag.HELD:
        return "(nothing)"
    what = "reply" if early else turn.stage
    return f"waiting for the {what} {glyphs.BAR}"


def _signal_marks(
    wrapped: Wrapped, turn: Turn, extra: TurnExtras | None
) -> list[tuple[int, int, str]]:
    """The spans of the signals: as recorded for the raw reply, else where their names occur."""
    if not turn.flags & Flag.SIGNAL:
        return []
    if extra is not None and extra.raw is not None and extra.raw.startswith(wrapped.source):
        return [(*wrapped.span(s, e), "mark:signal") for _, s, e in extra.matches[:_MAX_MARKS]]
    names = [re.escape(name) for name in turn.signals if name]
    if not names:
        return []
    marks: list[tuple[int, int, str]] = []
    for match in re.finditer("|".join(names), wrapped.source, re.IGNORECASE):
        marks.append((*wrapped.span(*match.span()), "mark:signal"))
        if len(marks) >= _MAX_MARKS:
            break
    return marks
