"""How a responder's decision is told in the transcript: a badge, and rows where it ended it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from convtui.records.codec import RecordDict
from convtui.text.boundary import visible_line
from convtui.transcript.fold import Flag, Turn
from convtui.tui.drawing.labels import decision_sign
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.wrap import Wrapped

DECIDED: Final = ("reply", "stop", "abstain", "error")
"""The kinds of decisions, as a turn's summary has them in its note."""
_OUTCOMES: Final = {
    "stop": "stopped",
    "abstain": "abstained",
    "error": "no decision",
    "reply": "follow-ups used up",
}


_AFTER: Final = {
    "stop": "nothing more was sent",
    "abstain": "nothing was sent; the run counts as an error",
    "error": "nothing was sent; the run failed",
    "reply": "it was not sent",
}


def ended_rows(
    kind: str, said: str, *, for_record: bool, short: bool, width: int
) -> list[list[Span]]:
    """How a decision of this kind ended the session, in the words it `said`.

    The rows are as many whether these are known yet or not, and one more on a narrow screen.
    """
    sign, role = decision_sign(kind)
    word = _OUTCOMES[kind]
    after = _AFTER[kind]
    said = visible_line(said, 400)
    if for_record:
        word, after = _OUTCOMES["reply"], _AFTER["reply"]
        kind = kind if kind != "error" else "fail"
        said = f"for the record only, it would {kind}" + (f": {said}" if said else "")
    head = f"{sign} {word}: "
    lines = Wrapped(head + (said or "by the responder"), max(8, width)).lines()
    most = ended_row_count(short=short)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    elif len(lines) < most:
        lines.append(after)
    lines += [""] * (most - len(lines))
    first = lines[0].removeprefix(head.rstrip())
    rows: list[list[Span]] = [[(lines[0][: len(lines[0]) - len(first)], f"{role} bold"),
                               (first, "text")]]  # fmt: skip
    return rows + [[(line, "muted" if line == after else "text")] for line in lines[1:]]


def ended_row_count(*, short: bool) -> int:
    """How many rows `ended_rows` gives."""
    return 3 if short else 2


def in_words(decided: Sequence[RecordDict], *, short: bool = False) -> str:
    """`? abstain, responder_abstain, valid`; `! error -> + reply, by hand` where there are two."""
    last = decided[-1]
    parts = [_signed(last)]
    if last.get("by") == "human":
        parts.append("by hand")
    elif last.get("kind") != "error":
        valid = bool(last.get("valid", True))
        parts.append("" if short else str(last.get("tool") or ""))
        parts.append("invalid" if not valid else "" if short else "valid")
    if last.get("brief_edited"):
        parts.append("brief edited")
    words = ", ".join(part for part in parts if part)
    return f"{_signed(decided[-2])} -> {words}" if len(decided) > 1 else words


def _signed(record: RecordDict) -> str:
    kind = str(record.get("kind", ""))
    return f"{decision_sign(kind)[0]} {kind}"


def ended_by_decision(turn: Turn) -> bool:
    """Whether a session ended in this turn by what a responder decided."""
    return turn.status == "ended" and bool(turn.flags & Flag.DECISION) and turn.note in DECIDED


def says_error(turn: Turn) -> bool:
    """Whether how it ended tells the error, so that no row of its own has to."""
    return ended_by_decision(turn) and turn.note == "error"
