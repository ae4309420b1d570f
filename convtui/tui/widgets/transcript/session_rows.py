"""The rows that tell where a session begins, and where and why it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len

from convtui.printing.wording import count
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Session, Transcript, Turn
from convtui.tui.drawing.palette import Span, plain
from convtui.tui.widgets.transcript.marks import badges, fit, own_rows

_LEAST = 16
"""Cells that a part of a rule needs to be worth cutting."""


@dataclass(slots=True)
class Frame:
    """Rows of sessions around a turn: what stands before it and after it."""

    before: list[Session] = field(default_factory=list)
    after: list[tuple[Session, bool]] = field(default_factory=list)
    """With whether it is the row that tells the session's end."""

    @property
    def height(self) -> int:
        """Rows together."""
        return len(self.before) + len(self.after)


def rule(words: Sequence[Span], width: int) -> list[Span]:
    """`── words ───────`, filled to `width`."""
    line: list[Span] = [("── ", "border")]
    used = 3
    for number, (text, role) in enumerate(words):
        room = width - used - 3
        if number and cell_len(text) > room and room < _LEAST:
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
    words: list[Span] = [(f"session {session.index}", "accent bold")]
    if session.session_type:
        words.append((visible_line(session.session_type, 40), "text bold"))
    if session.warm is not None:
        name, messages = session.warm
        words.append((f"+ warm {visible_line(name, 48)}, {count(messages, 'message')}", "accent"))
    if session.first_speaker in ("persona", "provider"):
        words.append((f"{session.first_speaker} speaks first", "muted"))
    if session.skipped:
        words.append((f"skipped: {visible_line(session.skipped, 200)}", "warning"))
    return rule(words, width)


def session_end(session: Session, width: int) -> list[Span]:
    """`── ended: early_termination by persona · reason · signal <X> ──`."""
    ending = session.termination or {}
    kind = visible_line(str(ending.get("kind", "unknown")), 30)
    role = "error" if kind in ("failed", "discarded", "interrupted", "abstained") else "ok"
    words: list[Span] = [(f"ended: {kind}", f"{role} bold")]
    if ending.get("by"):
        words[0] = (f"ended: {kind} by {visible_line(str(ending['by']), 20)}", f"{role} bold")
    if ending.get("signal"):
        words.append((f"signal {visible_line(str(ending['signal']), 40)}", "signal"))
    reason = visible_line(str(ending.get("reason") or ""), 200)
    if reason and reason != f"signal {ending.get('signal')}":
        words.append((reason, "muted"))
    return rule(words, width)


def frames(transcript: Transcript, first: int) -> dict[int, Frame]:
    """Session rows by the turn they stand at, for the sessions from place `first` on.

    A session without turns stands after the last turn before it; before the first turn, or at -1
    when there is none, if it comes before all of them.
    """
    found: dict[int, Frame] = {}
    last = -1
    for session in transcript.sessions[first:]:
        if session.turns:
            found.setdefault(session.turns[0], Frame()).before.append(session)
            last = session.turns[-1]
        else:
            found.setdefault(last, Frame()).after.append((session, False))
        if session.termination is not None and not session.skipped:
            found.setdefault(last, Frame()).after.append((session, True))
    if -1 in found and transcript.turns:
        found[0].before[:0] = [session for session, end in found.pop(-1).after if not end]
    return found


class SessionFrames:
    """The frames of a transcript that grows; `take()` finds what is new."""

    def __init__(self, transcript: Transcript) -> None:
        self.by_turn: dict[int, Frame] = {}
        self._transcript = transcript
        self._closed = 0
        self._seen: list[object] = []

    def take(self) -> set[int]:
        """Takes in new and changed sessions; returns the turns at which rows are different now."""
        transcript = self._transcript
        sessions = transcript.sessions
        first = self._closed
        seen: list[object] = [
            (s.session_type, s.first_speaker, s.skipped, s.termination, bool(s.turns), s.warm)
            for s in sessions[first:]
        ]
        if seen == self._seen:
            return set()
        # Sessions without turns stand with the last turn before them: begin there.
        first = max(0, first - 1)
        while first > 0 and not sessions[first].turns:
            first -= 1
        touched: set[int] = {-1} if first == 0 else set()
        for session in sessions[first:]:
            if session.turns:
                touched |= {session.turns[0], session.turns[-1]}
        for index in touched:
            self.by_turn.pop(index, None)
        fresh = frames(transcript, first)
        self.by_turn.update(fresh)
        touched |= fresh.keys()
        while self._closed < len(sessions):
            session = sessions[self._closed]
            if session.termination is None and session.skipped is None:
                break
            self._closed += 1
        self._seen = seen[self._closed - len(sessions) + len(seen) :]
        return touched - {-1}


def plain_turn(turn: Turn, frame: Frame) -> str:
    """A turn for the clipboard: its stored text, what happened to it, the sessions around it."""
    parts = [plain(session_head(session, 76)) + "\n" for session in frame.before]
    parts.append(f"{turn.number} {turn.speaker}: {turn.text}\n")
    notes = [text for row in own_rows(turn) if (text := plain(row))]
    notes += [text for text, _ in badges(turn)]
    if notes:
        parts.append(f"    [{'; '.join(notes)}]\n")
    for session, end in frame.after:
        parts.append(plain((session_end if end else session_head)(session, 76)) + "\n")
    return "".join([*parts, "\n"])
