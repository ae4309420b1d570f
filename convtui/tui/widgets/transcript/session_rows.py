"""The rows that show where a session starts, and where and why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from convtui.text.boundary import visible, visible_line
from convtui.text.counts import counted
from convtui.transcript.ending_words import ending_phrase
from convtui.tui.drawing.fit import fit
from convtui.tui.drawing.labels import ending_role
from convtui.tui.drawing.palette import Span, plain
from convtui.tui.drawing.wrap import Wrapped

if TYPE_CHECKING:
    from convtui.transcript.fold import Session, Transcript, Turn

_MIN_PART = 16
"""Minimum cells for a part of a rule that is cut."""
_RULE_ENDS = 5
"""Cells of a rule before and after its parts."""
_REASON_CHARS = 400
_REFLECTION_LINES = 10
"""Lines of a reflection that are shown; all of it stands in the system prompt of each request."""
_DECIDED = ("stopped", "abstained", "cap_exhausted")
"""Kinds of endings that a responder decides."""


@dataclass(slots=True)
class Frame:
    """Session rows before and after a turn."""

    before: list[Session] = field(default_factory=list)
    after: list[tuple[Session, bool]] = field(default_factory=list)
    """(session, whether this row shows its end)."""

    def rows_after(self, width: int) -> list[list[Span]]:
        """The rows after the turn, where the view is `width` wide."""
        return [row for shown in self.after for row in session_rows(shown, width)]

    def rows_before(self, width: int) -> list[list[Span]]:
        """The rows before the turn, where the view is `width` wide."""
        return [row for session in self.before for row in head_rows(session, width)]

    def height_before(self, width: int) -> int:
        """How many rows stand before the turn."""
        if any(session.reflections for session in self.before):
            return len(self.rows_before(width))
        return len(self.before)

    def height(self, width: int) -> int:
        return self.height_before(width) + (len(self.rows_after(width)) if self.after else 0)


def rule(parts: Sequence[Span], width: int) -> list[Span]:
    """`── words ───────`, filled to `width`."""
    line: list[Span] = [("── ", "border")]
    used = 3
    for number, (text, role) in enumerate(parts):
        room = width - used - 3
        if number and cell_len(text) > room and room < _MIN_PART:
            break
        line += [(" · ", "border")] if number else []
        line.append((text, role))
        used += cell_len(text) + (3 if number else 0)
    line = fit(line, width)
    rest = width - sum(cell_len(text) for text, _ in line) - 1
    line.append((" " + "─" * max(0, rest), "border"))
    return line


def session_head(session: Session, width: int) -> list[Span]:
    """`── session 2 · coaching · provider speaks first ──`."""
    parts: list[Span] = [(f"session {session.index}", "accent bold")]
    if session.session_type:
        parts.append((visible_line(session.session_type, 40), "text bold"))
    if session.warm is not None:
        name, messages = session.warm
        parts.append((f"+ warm {visible_line(name, 48)}, {counted(messages, 'message')}", "accent"))
    if session.first_speaker in ("persona", "provider"):
        parts.append((f"{session.first_speaker} speaks first", "muted"))
    if session.skipped:
        parts.append((f"skipped: {visible_line(session.skipped, 200)}", "warning"))
    return rule(parts, width)


def head_rows(session: Session, width: int) -> list[list[Span]]:
    """The head of a session; below that of the first, what earlier attempts have taught."""
    rows = [session_head(session, width)]
    for of, text in session.reflections:
        lines = Wrapped(visible(text), max(8, width - 5)).lines()
        rows.append([("   ", "text"), (f"after attempt {of}, to do otherwise:", "accent")])
        rows += [[("     ", "text"), (line, "text")] for line in lines[:_REFLECTION_LINES]]
        if len(lines) > _REFLECTION_LINES:
            more = counted(len(lines) - _REFLECTION_LINES, "more line")
            rows.append([("     ", "text"), (f"… {more} in the provider's request", "muted")])
    return rows


def session_end(session: Session, width: int) -> list[list[Span]]:
    """`── ended early by persona · signal <X> · reason ──`; a long reason has rows of its own."""
    ending = session.termination or {}
    role = ending_role(visible_line(str(ending.get("kind", "unknown")), 30))
    parts: list[Span] = [(_end_words(ending), f"{role} bold")]
    reason = visible_line(str(ending.get("reason") or ""), _REASON_CHARS)
    signal = visible_line(str(ending.get("signal") or ""), 40)
    if signal and signal not in reason:
        parts.append((f"signal {signal}", "signal"))
    if not reason:
        return [rule(parts, width)]
    whole = sum(cell_len(text) + 3 for text, _ in parts) + cell_len(reason)
    if whole + _RULE_ENDS <= width:
        return [rule([*parts, (reason, "muted")], width)]
    lines = Wrapped(reason, max(8, width - 3)).lines()
    return [rule(parts, width), *([("   ", "text"), (line, "muted")] for line in lines)]


def _end_words(ending: Mapping[str, Any]) -> str:
    """How a session ended; what its last turn says of a responder's decision is not repeated."""
    kind, by = str(ending.get("kind", "unknown")), str(ending.get("by") or "")
    if by == "responder" and kind in _DECIDED:
        return "ended by responder"
    words = ending_phrase(kind, by)
    return words if words.startswith("ended ") else f"ended: {words}"


def session_rows(shown: tuple[Session, bool], width: int) -> list[list[Span]]:
    """The rows of a session: its end if that is what is `shown`, else its head."""
    session, end = shown
    return session_end(session, width) if end else head_rows(session, width)


def frames(transcript: Transcript, first: int) -> dict[int, Frame]:
    """Session rows by the index of their turn, for the sessions from number `first` on.

    The rows of a session without turns follow the last turn before it; without one they precede the
    first turn, or are at -1 if there are no turns.
    """
    by_turn: dict[int, Frame] = {}
    last = -1
    for session in transcript.sessions[first:]:
        if session.turns:
            by_turn.setdefault(session.turns[0], Frame()).before.append(session)
            last = session.turns[-1]
        else:
            by_turn.setdefault(last, Frame()).after.append((session, False))
        if session.termination is not None and not session.skipped:
            by_turn.setdefault(last, Frame()).after.append((session, True))
    if -1 in by_turn and transcript.turns:
        by_turn[0].before[:0] = [session for session, end in by_turn.pop(-1).after if not end]
    return by_turn


class SessionFrames:
    """The frames of a growing transcript; `update()` applies what is new."""

    def __init__(self, transcript: Transcript) -> None:
        self.by_turn: dict[int, Frame] = {}
        self._transcript = transcript
        self._closed = 0
        self._last_state: list[object] = []

    def update(self) -> set[int]:
        """Updates new and changed sessions; returns the turns whose rows have changed."""
        transcript = self._transcript
        sessions = transcript.sessions
        first = self._closed
        state: list[object] = [
            (
                (s.session_type, s.first_speaker, s.skipped, s.termination, bool(s.turns)),
                (s.warm, s.reflections),
            )
            for s in sessions[first:]
        ]
        if state == self._last_state:
            return set()
        # Sessions without turns belong to the last turn before them: start there.
        first = max(0, first - 1)
        while first > 0 and not sessions[first].turns:
            first -= 1
        changed: set[int] = {-1} if first == 0 else set()
        for session in sessions[first:]:
            if session.turns:
                changed |= {session.turns[0], session.turns[-1]}
        for index in changed:
            self.by_turn.pop(index, None)
        updated = frames(transcript, first)
        self.by_turn.update(updated)
        changed |= updated.keys()
        while self._closed < len(sessions):
            session = sessions[self._closed]
            if session.termination is None and session.skipped is None:
                break
            self._closed += 1
        self._last_state = state[self._closed - len(sessions) + len(state) :]
        return changed - {-1}


def plain_turn(turn: Turn, frame: Frame) -> str:
    """A turn for the clipboard: its stored text, its badges and rows, the sessions around it."""
    parts = [plain(row) + "\n" for row in frame.rows_before(76)]
    parts.append(f"{turn.number} {turn.speaker}: {turn.text}\n")
    from convtui.tui.widgets.transcript.marks import badges, own_rows

    notes = [text for row in own_rows(turn) if (text := plain(row))]
    notes += [text for text, _ in badges(turn)]
    if notes:
        parts.append(f"    [{'; '.join(notes)}]\n")
    parts += [plain(row) + "\n" for row in frame.rows_after(76)]
    return "".join([*parts, "\n"])
