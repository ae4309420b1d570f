"""How the transcript shows a responder's decision: a badge, and rows if it ended the session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from convtui.printing.turn_sign import decision_sign, ended_by_decision
from convtui.text.boundary import visible_line
from convtui.tui.drawing.wrap import Wrapped

if TYPE_CHECKING:
    from convtui.records.codec import RecordDict
    from convtui.transcript.fold import Turn
    from convtui.tui.drawing.palette import Span

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
    kind: str, text: str, *, for_record: bool, short: bool, width: int
) -> list[list[Span]]:
    """The rows that say how a decision of this kind ended the session; `text` is its text.

    The number of rows does not depend on whether the text is known; a narrow screen has one more.
    """
    sign, role = decision_sign(kind)
    outcome = _OUTCOMES[kind]
    consequence = _AFTER[kind]
    text = visible_line(text, 400)
    if for_record:
        outcome, consequence = _OUTCOMES["reply"], _AFTER["reply"]
        kind = kind if kind != "error" else "fail"
        text = f"for the record only, it would {kind}" + (f": {text}" if text else "")
    head = f"{sign} {outcome}: "
    lines = Wrapped(head + (text or "by the responder"), max(8, width)).lines()
    row_count = ended_row_count(short=short)
    if len(lines) > row_count:
        lines = [*lines[: row_count - 1], " ".join(lines[row_count - 1 :])]
    elif len(lines) < row_count:
        lines.append(consequence)
    lines += [""] * (row_count - len(lines))
    first = lines[0].removeprefix(head.rstrip())
    rows: list[list[Span]] = [[(lines[0][: len(lines[0]) - len(first)], f"{role} bold"),
                               (first, "text")]]  # fmt: skip
    return rows + [[(line, "muted" if line == consequence else "text")] for line in lines[1:]]


def ended_row_count(*, short: bool) -> int:
    """How many rows `ended_rows` gives."""
    return 3 if short else 2


def decision_badge(decided: Sequence[RecordDict], *, short: bool = False) -> str:
    """`? abstain, responder_abstain, valid`; `! error -> + reply, by hand` after a correction."""
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
    text = ", ".join(part for part in parts if part)
    return f"{_signed(decided[-2])} -> {text}" if len(decided) > 1 else text


def _signed(record: RecordDict) -> str:
    kind = str(record.get("kind", ""))
    return f"{decision_sign(kind)[0]} {kind}"


def says_error(turn: Turn) -> bool:
    """Whether the ending already shows the error."""
    return ended_by_decision(turn) and turn.note == "error"
