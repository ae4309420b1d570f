"""How a session stands, in a word or two for narrow places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convtui.text.boundary import visible_line

if TYPE_CHECKING:
    from convtui.transcript.fold import Session
    from convtui.tui.drawing.palette import Span

_ENDINGS: Final[dict[str, Span]] = {
    "completed": ("done", "ok"),
    "stopped": ("stopped", "ok"),
    "cap_exhausted": ("follow-ups used", "ok"),
    "max_turns": ("turn limit", "ok"),
    "word_limit": ("word limit", "ok"),
    "early_termination": ("ended early", "ok"),
    "budget": ("budget", "warning"),
    "interrupted": ("interrupted", "warning"),
    "discarded": ("dropped", "warning"),
    "abstained": ("abstained", "error"),
    "failed": ("failed", "error"),
}


def session_state(session: Session) -> Span | None:
    """How a session ended, with its role; None while it goes on."""
    if session.skipped:
        return "skipped", "warning"
    if session.termination is None:
        return None
    kind = str(session.termination.get("kind") or "")
    return _ENDINGS.get(kind, (visible_line(kind.replace("_", " "), 20) or "ended", "muted"))
