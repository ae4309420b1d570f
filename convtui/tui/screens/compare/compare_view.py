"""Two conversations side by side, a turn beside its counterpart; narrow, one below the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from convtui.analysis.compare.comparison import Comparison, Facts, Pair, SessionPair
from convtui.analysis.compare.report import ending
from convtui.text.boundary import visible_line
from convtui.text.word_diff import Op
from convtui.transcript.fold import COMMITTED, Turn
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.drawing.strips import strip_of
from convtui.tui.drawing.word_diff import changed_spans, drawn_spans
from convtui.tui.drawing.wrap import Wrapped, paint
from convtui.tui.widgets.copy_rows import CopyRow
from convtui.tui.widgets.cursor_view import CursorView

SIDE_BY_SIDE: Final = 90
"""Columns from which there is room for two."""
_MIDDLE: Final = " │ "
_MAX_CHARS: Final = 8_000
_MAX_LINES: Final = 120
_KEPT: Final = 400

Diff = Sequence[tuple[Op, str]]


@dataclass(slots=True)
class Item:
    """What the view lists: the head of a session, two turns, or how a session ended."""

    kind: str
    """`session`, `turn` or `end`."""
    session: SessionPair
    pair: Pair | None = None

    @property
    def differs(self) -> bool:
        """Whether there is something to jump to."""
        if self.pair is not None:
            return bool(self.pair.differences)
        if self.kind == "end":
            return "ending" in self.session.differences
        return bool(self.session.differences) and self.session.differences != ("ending",)


def items_of(comparison: Comparison) -> list[Item]:
    """Everything that is listed, in order."""
    found: list[Item] = []
    for session in comparison.sessions:
        found.append(Item("session", session))
        found += [Item("turn", session, pair) for pair in session.pairs]
        found.append(Item("end", session))
    return found


class CompareView(CursorView):
    """Draws the pairs on the screen, selects one, goes from difference to difference."""

    # A pair can take a millisecond.
    CHUNK: ClassVar[int] = 4

    def __init__(self, *, palette: Palette | None = None, id: str | None = None) -> None:
        super().__init__(palette=palette, id=id)
        self.items: list[Item] = []
        self.first = -1
        """Index of the first divergence, -1 where there is none."""
        self._diffs: dict[int, Diff] = {}
        self._rows: OrderedDict[int, list[list[Span]]] = OrderedDict()

    def show(self, comparison: Comparison) -> None:
        """Shows a comparison from its first divergence on."""
        self.items = items_of(comparison)
        self.first = next((i for i, item in enumerate(self.items) if item.differs), -1)
        self._diffs.clear()
        self._rows.clear()
        self.load(len(self.items), 3)
        self.go_to(self.first if self.first >= 0 else 0)

    def take_diffs(self, diffs: dict[int, Diff]) -> None:
        """Word diffs that were made meanwhile, by item."""
        with self.holding():
            for index, diff in diffs.items():
                self._diffs[index] = diff
                self._rows.pop(index, None)
                if self.view_width:
                    self.heights.put(index, self.measure(index))
        self.refresh()

    @property
    def side_by_side(self) -> bool:
        """Whether there is room for two columns."""
        return self.view_width >= SIDE_BY_SIDE

    @property
    def selected(self) -> Item | None:
        """The selected item."""
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    # --- moving

    def next_difference(self, direction: int = 1) -> bool:
        """Selects the next (or previous) difference; whether there is one."""
        index = self.cursor + direction
        while 0 <= index < len(self.items):
            if self.items[index].differs:
                self.go_to(index)
                return True
            index += direction
        return False

    def difference_number(self) -> tuple[int | None, int]:
        """Which difference is selected, from 1, and how many there are."""
        places = [index for index, item in enumerate(self.items) if item.differs]
        return (places.index(self.cursor) + 1 if self.cursor in places else None), len(places)

    # --- for the base

    def restyle(self) -> None:
        """Draws everything again in the palette that is set now."""
        self.refresh()

    def rewrap(self) -> None:
        """The width has changed."""
        self._rows.clear()

    def measure(self, item: int) -> int:
        """The height of an item."""
        return len(self._of(item))

    def row(self, item: int, row: int) -> Strip:
        """One line, with the selection's mark."""
        rows = self._of(item)
        lit = item == self.cursor and row < len(rows) - 1
        mark = Segment(glyphs.BAR if lit else " ", self.palette.style("accent"))
        return Strip([mark, *strip_of(rows[row] if row < len(rows) else [], self.palette)])

    def row_style(self, item: int, row: int) -> Style | None:
        """The light of the selected pair."""
        lit = item == self.cursor and row < len(self._of(item)) - 1
        return self.palette.background("selection") if lit else None

    def copy_row(self, item: int, row: int) -> CopyRow:
        """One line for the clipboard."""
        spans = self._of(item)[row]
        return CopyRow((" " + "".join(text for text, _ in spans)).rstrip(), 1)

    # --- drawing

    def _of(self, index: int) -> list[list[Span]]:
        found = self._rows.get(index)
        if found is None:
            found = self._rows[index] = self._make(index)
            if len(self._rows) > _KEPT:
                self._rows.popitem(last=False)
        return found

    def _make(self, index: int) -> list[list[Span]]:
        item = self.items[index]
        width = max(20, self.view_width - 2)
        if item.kind == "session":
            return [*self._session(item.session, width), []]
        if item.kind == "end":
            return [*self._end(item.session, width), []]
        pair = item.pair
        assert pair is not None
        head = [self._head(pair, width, first=index == self.first)]
        body = self._body(pair, self._diffs.get(index), width)
        return [*head, *body, *self._notes(pair, width), []]

    @staticmethod
    def _session(session: SessionPair, width: int) -> list[list[Span]]:
        one = session.a.session_type if session.a is not None else "(none)"
        other = session.b.session_type if session.b is not None else "(none)"
        name = visible_line(one if one == other else f"{one} | {other}", 80)
        differs = bool(session.differences) and session.differences != ("ending",)
        words: list[Span] = [(f"session {session.index} ", "accent bold"), (f"{name} ", "text")]
        if differs:
            words.append((f"! {', '.join(session.differences)} ", "warning bold"))
        line = width - sum(cell_len(text) for text, _ in words)
        return [fit([*words, ("─" * max(0, line), "border")], width)]

    @staticmethod
    def _end(session: SessionPair, width: int) -> list[list[Span]]:
        ends = [
            "not held" if side is None else ending(side.termination)
            for side in (session.a, session.b)
        ]
        if "ending" not in session.differences:
            return [fit([("ends    = ", "muted"), (visible_line(ends[0], 300), "muted")], width)]
        rows: list[list[Span]] = [[("ends    ! the endings differ", "warning bold")]]
        for letter, words in zip("AB", ends, strict=True):
            rows.append(
                fit([(f"  {letter} ", "accent"), (visible_line(words, 300), "text")], width)
            )
        return rows

    @staticmethod
    def _head(pair: Pair, width: int, *, first: bool) -> list[Span]:
        turn = pair.any
        speaker = "provider" if turn.speaker == "provider" else "persona"
        words: list[Span] = [
            (f"{pair.where} ", "muted"),
            (f"{speaker} ", f"{speaker} bold"),
        ]
        if pair.differences:
            words.append(("! ", "warning bold"))
            if first:
                words += [(" first difference ", "mark:warning"), (" ", "text")]
            words.append((", ".join(pair.differences), "warning"))
        else:
            words.append(("= the same turn" if pair.shared else "=", "muted"))
        return fit(words, width)

    def _body(self, pair: Pair, diff: Diff | None, width: int) -> list[list[Span]]:
        if pair.a is not None and pair.b is not None and not pair.differences:
            # Said once where both say the same; in two columns it stands in both.
            if not self.side_by_side:
                return _column([(pair.a.text, "text")], width)
            one = other = [(pair.a.text, "text")]
        else:
            one, other = (drawn_spans(said, self.palette) for said in _texts(pair, diff))
            if not self.side_by_side:
                return _stacked(one, other, width)
        column = (width - cell_len(_MIDDLE)) // 2
        left, right = _column(one, column), _column(other, column)
        rows: list[list[Span]] = []
        for number in range(max(len(left), len(right))):
            before = left[number] if number < len(left) else []
            after = right[number] if number < len(right) else []
            used = sum(cell_len(text) for text, _ in before)
            pad = " " * max(0, column - used)
            rows.append([*before, (pad, "text"), (_MIDDLE, "border"), *after])
        return rows

    @staticmethod
    def _notes(pair: Pair, width: int) -> list[list[Span]]:
        return [
            fit(
                [
                    (f"{name}: ", "muted"),
                    (visible_line(one, 200), "error"),
                    (" -> ", "muted"),
                    (visible_line(other, 200), "ok"),
                ],
                width,
            )
            for name, one, other in pair.notes()
        ]


def _texts(pair: Pair, diff: Diff | None) -> tuple[list[Span], list[Span]]:
    """What either says, with what differs marked; empty for the one that says nothing."""
    if pair.a is None or pair.b is None:
        alone = _said(pair.any)
        return ([], alone) if pair.a is None else (alone, [])
    raw = "text" not in pair.differences and "raw" in pair.differences
    if diff is None:
        return _plain(pair.a, pair.facts_a, raw), _plain(pair.b, pair.facts_b, raw)
    one: list[Span] = [("raw: ", "muted")] if raw else []
    other = list(one)
    for op, text in diff:
        if op == "=":
            one.append((text, "text"))
            other.append((text, "text"))
        else:
            (one if op == "-" else other).extend(changed_spans(op, text))
    return one, other


def _plain(turn: Turn, facts: Facts, raw: bool) -> list[Span]:
    return [("raw: ", "muted"), (facts.raw or "", "text")] if raw else _said(turn)


def _said(turn: Turn) -> list[Span]:
    if turn.status == COMMITTED:
        return [(turn.text, "text")]
    return [(f"({turn.status}) ", "discard bold"), (turn.text, "discard struck")]


def _stacked(one: list[Span], other: list[Span], width: int) -> list[list[Span]]:
    rows: list[list[Span]] = []
    for letter, spans in (("A", one), ("B", other)):
        lines = _column(spans or [("(no such turn)", "muted")], width - 2)
        for number, line in enumerate(lines):
            rows.append([(f"{letter} " if number == 0 else "  ", "accent"), *line])
    return rows


def _column(spans: Iterable[Span], width: int) -> list[list[Span]]:
    """Pieces of text wrapped to a column; what is too long is said to be."""
    marks: list[tuple[int, int, str]] = []
    text = ""
    left = 0
    for piece, role in spans:
        kept = piece[: max(0, _MAX_CHARS - len(text))]
        left += len(piece) - len(kept)
        if role != "text" and kept:
            marks.append((len(text), len(text) + len(kept), role))
        text += kept
    wrapped = Wrapped(text, width, _MAX_LINES)
    placed = [(*wrapped.span(start, end), role) for start, end, role in marks]
    rows: list[list[Span]] = []
    for number in range(len(wrapped)):
        start, end = wrapped.starts[number], wrapped.ends[number]
        pieces = paint(start, end, placed, "text")
        rows.append([(wrapped.text[low:high], role) for low, high, role in pieces if low < high])
    if left or wrapped.cut:
        rows.append([(f"… {left + wrapped.cut:,} more characters"[:width], "muted")])
    return rows
