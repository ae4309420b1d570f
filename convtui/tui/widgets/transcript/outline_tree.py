"""The tree of an outline: its rows, and what stands in them. The widget draws and selects."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from convtui.printing.turn_sign import turn_sign
from convtui.text.boundary import visible_line
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.palette import Span, plain
from convtui.tui.widgets.transcript.calls import call_spans, is_noteworthy
from convtui.tui.widgets.transcript.outline_rows import SessionRows
from convtui.tui.widgets.transcript.session_state import session_state

if TYPE_CHECKING:
    from convtui.transcript.fold import Session, Transcript, Turn
    from convtui.tui.sources.branches import Branch

INDENT: Final = 2
_WIDTHS: Final = (14, 34)
_COUNTED: Final = (
    (glyphs.DISCARDED, "discard"),
    (glyphs.ERROR, "error"),
    (glyphs.SIGNAL, "signal"),
    (glyphs.NOTICED, "warning"),
)
"""The glyphs that a session's heading counts, and their roles."""


class OutlineTree:
    """Sessions with their turns as small cells, hooks between them, branches below turns.

    Item 0 is what comes before the first session, item N the Nth session.
    """

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.width = 0
        self.limit: int | None = None
        self.limit_turn: Turn | None = None
        self.signs = array("L", _glyphs_of(transcript.turns))
        self.seen = set(map(chr, set(self.signs)))
        """The glyphs that turns have, or had."""
        self._origin: list[Span] = []
        self.branches: Sequence[Branch] = ()
        self.folded: set[int] = set()
        self.all_hooks = False
        self._calls: dict[int, list[dict[str, Any]]] = {}
        self._calls_taken = 0
        self._last_session = 0
        self._update_calls()

    @property
    def empty(self) -> bool:
        return not self.transcript.sessions and not self._calls

    def set_origin(self, origin: str, state: str, role: str) -> None:
        self._origin = [*[(word, "text") for word in origin.split()]]
        self._origin += [(word, role) for word in state.split()]

    @property
    def origin(self) -> list[list[Span]]:
        """Where the log comes from, wrapped at words."""
        rows: list[list[Span]] = []
        used = 0
        for word, role in self._origin:
            cells = cell_len(word) + 1
            if not rows or used + cells > self.width:
                rows.append([("  " if rows else "^ ", "accent bold")])
                used = 1
            else:
                rows[-1].append((" ", "text"))
            rows[-1].append((word, role))
            used += cells
        return rows

    def refresh(self, changed: Iterable[int]) -> set[int]:
        """Takes in changed and new turns; returns the items that may have another height."""
        turns = self.transcript.turns
        touched = self._update_calls()
        for index in changed:
            if 0 <= index < len(self.signs):
                self.signs[index] = ord(turn_sign(turns[index])[0])
                self.seen.add(chr(self.signs[index]))
        if len(turns) > len(self.signs):
            added = turns[len(self.signs) :]
            self.signs.extend(_glyphs_of(added))
            self.seen.update(map(chr, set(self.signs[-len(added) :])))
            touched |= {turn.session for turn in added}
        last = len(self.transcript.sessions)
        # The last session has those to come below it, which the one before it had.
        return {0, max(0, last - 1), last} | {self.item_of_session(s) for s in touched}

    @property
    def has_more_than_turns(self) -> bool:
        """Whether it says what the transcript does not: several sessions, a parent, branches."""
        several = max(len(self.transcript.sessions), len(self.transcript.prepared)) > 1
        return bool(self.origin) or bool(self.branches) or several

    @property
    def natural_width(self) -> int:
        """The cells that its headings and branches need, within bounds."""
        needed = [cell_len(plain(self._heading(session))) for session in self.transcript.sessions]
        needed += [cell_len(plain(spans)) for spans in self.origin]
        needed += [cell_len(branch.name) + 4 + INDENT for branch in self.branches]
        return max(_WIDTHS[0], min(_WIDTHS[1], max(needed, default=0) + 1))

    # --- sessions and their rows

    def item_of_session(self, session: int) -> int:
        sessions = self.transcript.sessions
        if 0 < session <= len(sessions) and sessions[session - 1].index == session:
            return session
        return next((n for n, s in enumerate(sessions, 1) if s.index == session), 0)

    def item_of_turn(self, index: int) -> int:
        turns = self.transcript.turns
        return self.item_of_session(turns[index].session) if 0 <= index < len(turns) else 0

    def _update_calls(self) -> set[int]:
        touched: set[int] = set()
        calls = self.transcript.lifecycle
        for record in calls[self._calls_taken :]:
            session = record.get("session")
            if isinstance(session, int):
                self._last_session = session
            self._calls.setdefault(self._last_session, []).append(record)
            touched.add(self._last_session)
        self._calls_taken = len(calls)
        return touched

    def calls_of(self, session: int) -> list[dict[str, Any]]:
        """The hooks that are listed: the slow, the failed, and where asked for all."""
        calls = self._calls.get(session, [])
        return calls if self.all_hooks else [call for call in calls if is_noteworthy(call)]

    def cell(self, session: Session) -> tuple[int, int]:
        """The width of a cell, and the number of cells per row."""
        last = self.transcript.turns[session.turns[-1]].number if session.turns else 1
        width = len(str(last)) + 3
        return width, max(1, (self.width - INDENT + 1) // width)

    def turns_of(self, session: Session) -> int:
        if self.limit is None:
            return len(session.turns)
        return bisect_right(session.turns, self.limit)

    def branches_of(self, session: Session) -> list[tuple[int, Branch]]:
        """Its branches, each with the position of the turn where it leaves."""
        count = self.turns_of(session)
        if not count:
            return []
        turns = self.transcript.turns
        found: list[tuple[int, Branch]] = []
        for branch in self.branches:
            if branch.session == session.index:
                position = bisect_left(
                    session.turns, branch.turn, key=lambda index: turns[index].number
                )
                if self.limit is None or position < count:
                    found.append((min(position, count - 1), branch))
        return sorted(found, key=lambda item: item[0])

    def rows(self, item: int) -> SessionRows:
        session = self.transcript.sessions[item - 1]
        calls = self.calls_of(session.index)
        before = bool(calls) and calls[0].get("type") == "session.entered"
        return SessionRows(
            turns=self.turns_of(session),
            per_row=self.cell(session)[1],
            calls_before=int(before),
            calls_after=len(calls) - before,
            branches=[position for position, _ in self.branches_of(session)],
            skipped=bool(session.skipped),
            coming=len(self._coming()) if item == len(self.transcript.sessions) else 0,
            folded=session.index in self.folded,
        )

    def _coming(self) -> list[str]:
        """The types of the sessions that have not begun."""
        transcript = self.transcript
        over = transcript.termination is not None or self.limit is not None
        begun = max((session.index for session in transcript.sessions), default=0)
        return [] if over else list(transcript.prepared[begun:])

    def height(self, item: int) -> int:
        if item == 0:
            return len(self.origin) + len(self.calls_of(0))
        return self.rows(item).height

    def spans(self, item: int, row: int, cursor: int = -1) -> list[Span]:
        """A row; the turn at `cursor` is marked."""
        if item == 0:
            if row < len(self.origin):
                return self.origin[row]
            calls = self.calls_of(0)
            row -= len(self.origin)
            return call_spans(calls[row]) if row < len(calls) else []
        session = self.transcript.sessions[item - 1]
        what = self.rows(item).at(row)
        if what is None:
            return []
        if what.kind == "heading":
            return self._heading(session)
        if what.kind == "turns":
            return self._cells(session, what.number, cursor)
        if what.kind == "skipped":
            why = visible_line(session.skipped or "", 80)
            return [("  skipped", "warning"), (f": {why}", "muted")]
        if what.kind == "branch":
            branch = self.branches_of(session)[what.number][1]
            more = [(f" {word}", role) for word, role in branch.words]
            name = (visible_line(branch.name, 12), "accent")
            return _fitting([("  └ ", "muted"), name], more, self.width)
        if what.kind == "coming":
            number = session.index + 1 + what.number
            return [(f"  {number} {visible_line(self._coming()[what.number], 24)}", "muted")]
        return [("  ", "muted"), *call_spans(self.calls_of(session.index)[what.number])]

    def _cells(self, session: Session, first: int, cursor: int) -> list[Span]:
        width, per_row = self.cell(session)
        spans: list[Span] = [(" " * INDENT, "muted")]
        for index in session.turns[first : min(self.turns_of(session), first + per_row)]:
            turn = self._turn(index)
            sign, role = turn_sign(turn)
            text = f"{sign} {turn.number:>{width - 3}}"
            number = "text" if sign != glyphs.NOTHING else "muted"
            if index == cursor:
                spans += [(text, "mark:accent"), (" ", "muted")]
            else:
                spans += [(text[0], f"{role} bold"), (text[1:] + " ", number)]
        # The space after the last would not fit where the row just does.
        spans[-1] = (spans[-1][0].rstrip(), spans[-1][1])
        return spans

    def _turn(self, index: int) -> Turn:
        if index == self.limit and self.limit_turn is not None:
            return self.limit_turn
        return self.transcript.turns[index]

    def _heading(self, session: Session) -> list[Span]:
        name = visible_line(session.session_type, 24)
        fold = glyphs.FOLDED if session.index in self.folded else glyphs.UNFOLDED
        spans: list[Span] = [
            (f"{fold} ", "muted"),
            (f"{session.index} ", "accent bold"),
            (name, "text bold"),
        ]
        more: list[Span] = []
        count = self.turns_of(session)
        if count:
            signs = self.signs[session.turns[0] : session.turns[count - 1] + 1]
            for sign, role in _COUNTED:
                marked = signs.count(ord(sign))
                if marked:
                    more.append((f"  {sign} {marked}", role))
        state = session_state(session) if self.limit is None else None
        if state is not None:
            more.append((f"  {state[0]}", state[1]))
        # Left out rather than cut: the transcript has it in full.
        return _fitting(spans, more, self.width or _WIDTHS[1])


def _glyphs_of(turns: Iterable[Turn]) -> list[int]:
    """The code points of the turns' glyphs."""
    known: dict[tuple[int, str, str], int] = {}
    glyphs_of = []
    # Most turns are alike: what decides the sign is looked up, which is twice as fast.
    for turn in turns:
        alike = (turn.flags, turn.status, turn.note)
        glyph = known.get(alike)
        if glyph is None:
            glyph = known[alike] = ord(turn_sign(turn)[0])
        glyphs_of.append(glyph)
    return glyphs_of


def _fitting(spans: list[Span], more: list[Span], width: int) -> list[Span]:
    """`spans`, and those of `more` that there is room for."""
    room = width - cell_len(plain(spans))
    for text, role in more:
        if cell_len(text) <= room:
            spans.append((text, role))
            room -= cell_len(text)
    return spans
