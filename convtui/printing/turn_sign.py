"""The sign of a turn, wherever turns are listed: a glyph and the role that colours it."""

from __future__ import annotations

from typing import Final

from convtui.text import glyphs
from convtui.transcript.corrections import CORRECTABLE
from convtui.transcript.fold import FAILED, OPEN, Flag, Turn

Sign = tuple[str, str]
"""A glyph and its role, which is a key of themes."""

_DECISIONS: Final = {
    "reply": (glyphs.REPLY, "ok"),
    "stop": (glyphs.STOP, "accent"),
    "abstain": (glyphs.ABSTAIN, "warning"),
    "error": (glyphs.ERROR, "error"),
}


def decision_sign(kind: str) -> Sign:
    """A decision's glyph and colour role."""
    return _DECISIONS.get(kind, (glyphs.ERROR, "error"))


DECIDED: Final = ("reply", "stop", "abstain", "error")
"""The kinds of decisions that a turn's note can name."""


def ended_by_decision(turn: Turn) -> bool:
    """Whether a responder's decision ended the session in this turn."""
    return turn.status == "ended" and bool(turn.flags & Flag.DECISION) and turn.note in DECIDED


_NOTICED: Final = sum(int(flag) for flag in CORRECTABLE.values())
_CALLED: Final = _NOTICED | int(
    Flag.SIGNAL
    | Flag.EMPTY
    | Flag.TOOL_ERROR
    | Flag.WARNING
    | Flag.TRUNCATED
    | Flag.WOULD_END
    | Flag.INCOMPLETE
    | Flag.ERROR_TEXT
)
_SIGNS: Final = (
    # Plain integers: IntFlag's operators are slow, and this runs for every turn.
    (int(Flag.HELD), (glyphs.HELD, "held")),
    (int(Flag.DISCARDED), (glyphs.DISCARDED, "discard")),
    (int(Flag.ERROR), (glyphs.ERROR, "error")),
    (int(Flag.SKIPPED | Flag.CANCELLED), (glyphs.SKIPPED, "muted")),
    # Before what was noticed: an inactive turn needs no attention.
    (int(Flag.INACTIVE), (glyphs.INACTIVE, "muted")),
    (int(Flag.SIGNAL), (glyphs.SIGNAL, "signal")),
    (_CALLED, (glyphs.NOTICED, "warning")),
    (int(Flag.EDITED | Flag.HUMAN), (glyphs.BY_HAND, "human")),
)
_SIGNED: Final = _CALLED | int(
    Flag.HELD
    | Flag.DISCARDED
    | Flag.ERROR
    | Flag.SKIPPED
    | Flag.CANCELLED
    | Flag.INACTIVE
    | Flag.EDITED
    | Flag.HUMAN
)


def turn_sign(turn: Turn) -> Sign:
    """The glyph beside a turn and its role."""
    flags = int(turn.flags)
    if flags & _SIGNED:
        for bits, sign in _SIGNS:
            if flags & bits:
                return sign
    status = turn.status
    if status == OPEN:
        return glyphs.WORKING, "accent"
    if ended_by_decision(turn):
        return decision_sign(turn.note)
    return (glyphs.ERROR, "error") if status == FAILED else (glyphs.NOTHING, "muted")
