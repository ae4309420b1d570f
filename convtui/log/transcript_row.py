"""A conversation in one row: what a list of many shows of its transcript."""

from __future__ import annotations

from typing import Final

from convtui.log.run_summary import total
from convtui.protocol import ROW_WORDS, Row, RowState
from convtui.transcript.corrections import CORRECTABLE
from convtui.transcript.fold import COMMITTED, Flag, Transcript, Turn

_FLAGS: Final = sum(int(flag) for flag in CORRECTABLE.values()) | int(
    Flag.EMPTY
    | Flag.ERROR
    | Flag.ERROR_TEXT
    | Flag.INCOMPLETE
    | Flag.TOOL_ERROR
    | Flag.TRUNCATED
    | Flag.WARNING
    | Flag.WOULD_END
)
"""What is amiss with a turn. Signals and discards are counted apart; an ending is no flaw."""


def transcript_row(
    transcript: Transcript,
    state: RowState,
    *,
    wait: float | None = None,
    why: str = "",
    match: bool | None = None,
) -> Row:
    """The row of a conversation as it is now."""
    turns = transcript.turns
    last = turns[-1] if turns else None
    said = _last_said(turns)
    signalled = [turn for turn in turns if turn.signals]
    used = transcript.totals.values()
    tokens = total(side.tokens for side in used)
    return {
        "state": state,
        "session": None if last is None else last.session,
        "turn": None if last is None else last.number,
        "side": None if last is None else last.speaker,
        "words": "" if said is None else said.text[:ROW_WORDS],
        # Those of the logs that it goes on from, too.
        "turns": sum(turn.status == COMMITTED for turn in turns),
        "signals": sum(len(turn.signals) for turn in signalled),
        "last_signal": signalled[-1].signals[-1] if signalled else None,
        "discards": transcript.counts.get("turn.discarded", 0),
        "flags": sum(1 for turn in turns if turn.flags & _FLAGS),
        "tokens": None if tokens is None else int(tokens),
        "cost": total(side.cost for side in used),
        "hold": transcript.hold,
        "wait": wait,
        "why": why,
        "termination": transcript.termination,
        "match": match,
    }


def _last_said(turns: list[Turn]) -> Turn | None:
    for turn in reversed(turns):
        if turn.text and turn.status == COMMITTED:
            return turn
    return None
