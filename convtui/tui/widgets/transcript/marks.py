"""How the transcript shows a turn's state: a glyph, badges, and rows. Never by colour alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from convtui.printing.turn_sign import DECIDED, decision_sign, ended_by_decision
from convtui.text.boundary import visible_line
from convtui.transcript.corrections import CORRECTABLE, FLAG_WORDS, Correction
from convtui.transcript.fold import OPEN, Flag, Turn
from convtui.tui.drawing.labels import decision_text
from convtui.tui.drawing.palette import Span
from convtui.tui.widgets.transcript.decision_marks import (
    decision_badge,
    ended_row_count,
    ended_rows,
    says_error,
)

if TYPE_CHECKING:
    from convtui.log.detail import TurnDetail
    from convtui.log.notes import TurnNote
    from convtui.log.tool_uses import ToolUse
    from convtui.tui.sources.break_marks import BreakMark

SEPARATOR: Final = " · "

_NOTICED: Final = sum(int(flag) for flag in CORRECTABLE.values())
BADGES: Final = _NOTICED | int(
    Flag.SIGNAL
    | Flag.CHANGED
    | Flag.EMPTY
    | Flag.RETRY
    | Flag.TOOL
    | Flag.TOOL_ERROR
    | Flag.DECISION
    | Flag.OUTPUT
    | Flag.EDITED
    | Flag.HUMAN
    | Flag.TRUNCATED
    | Flag.WOULD_END
    | Flag.REUSED
    | Flag.SEEDED
    | Flag.HELD
    | Flag.REASONING
    | Flag.WARNING
    | Flag.INCOMPLETE
    | Flag.ERROR_TEXT
)
"""Flags that have a badge."""
ROWS: Final = int(Flag.DISCARDED | Flag.ERROR | Flag.SKIPPED | Flag.CANCELLED | Flag.INACTIVE)
"""Flags that have a row."""


@dataclass(slots=True)
class TurnExtras:
    """Details of a visible turn that are only in the log."""

    correction: Correction | None = None
    """Corrections by hand, which are stored beside the log."""
    breakpoint: BreakMark | None = None
    """Stands in the gutter, and in the row of the notes in words."""
    noted: TurnNote | None = None
    """Marks and notes, which have a row."""

    matches: list[tuple[str, int, int]] = field(default_factory=list)
    """(signal, start, end) in the raw reply, for signals that count."""
    beside_tools: list[tuple[int, int, int]] = field(default_factory=list)
    """(round, start, end) of signals beside tool calls."""
    raw: str | None = None
    uses: list[ToolUse] = field(default_factory=list)
    """Its tool calls, one row each."""
    outputs: int = 0
    retries: int = 0
    decision: str = ""
    """The badge of the last decision: kind, tool, validity."""
    decision_short: str = ""
    decision_text: str = ""
    """The last decision's answer or reason."""
    for_record: bool = False
    """Whether the last decision was only made for the record."""
    draft: str = ""
    """What a human did with a draft: sent, edited or replaced it."""


def extras_of(detail: TurnDetail) -> TurnExtras:
    """The extras from a turn's records."""
    from convtui.log.tool_uses import tool_uses

    extra = TurnExtras(
        raw=detail.raw,
        uses=tool_uses(detail),
        outputs=len(detail.outputs),
        retries=sum(len(call.retries) for call in detail.calls),
    )
    for match in detail.matches:
        if match.get("counts") is False:
            continue
        span = int(match.get("start", 0)), int(match.get("end", 0))
        if match.get("round") is None:
            extra.matches.append((str(match.get("signal", "")), *span))
        else:
            extra.beside_tools.append((int(match["round"]), *span))
    extra.draft = detail.draft
    decided = detail.decided
    if decided:
        extra.decision = decision_badge(decided)
        extra.decision_short = decision_badge(decided, short=True)
        extra.decision_text = decision_text(decided[-1])
        extra.for_record = bool(decided[-1].get("for_record"))
    return extra


def badges(turn: Turn, extra: TurnExtras | None = None, *, short: bool = False) -> list[Span]:
    """The badges for a turn's flags, most urgent first; `short` for narrow screens."""
    flags = turn.flags & BADGES
    if not flags:
        return []
    spans: list[Span] = []
    for flag, badge in _BADGES:
        if flag == _ALWAYS or flags & flag:
            spans += badge(turn, extra, short)
    return spans


_Badge = Callable[[Turn, "TurnExtras | None", bool], list[Span]]
_ALWAYS: Final = 0


def _text(words: str, role: str, short_words: str | None = None) -> _Badge:
    """A badge with a fixed text."""
    long, brief = [(words, role)], [(short_words or words, role)]
    return lambda turn, extra, short: brief if short else long


def _signal(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    if turn.flags & Flag.DISCARDED:
        return []
    positions = "" if extra is None else _spans(extra)
    return [(f"signal {_names(turn)}{positions}", "signal")]


def _thought(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    names = _coded(turn, "thought")
    return [(f"{_list(names)} inside reasoning", "reasoning")] if names else []


def _would_end(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    return [(visible_line(would_have(turn), 40), "warning")]


def would_have(turn: Turn) -> str:
    """What would have become of a turn, had it not been overridden or ignored."""
    return turn.note if turn.note.startswith("would ") else "would have ended here"


def _empty(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    return [("near-empty reply" if turn.text.strip() else "empty reply", "warning")]


def _incomplete(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    return [(f"incomplete: {', '.join(_coded(turn, 'incomplete')) or 'unknown'}", "warning")]


def _text_checks(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    correction = extra.correction if extra is not None else None
    return _noticed(turn.flags, correction) if turn.flags & _NOTICED or correction else []


def _tools(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    if extra is not None and extra.uses:
        return []  # The calls have rows instead.
    calls: list[Span] = [("tool call", "tool")] if turn.flags & Flag.TOOL else []
    return [*calls, ("tool error", "error")] if turn.flags & Flag.TOOL_ERROR else calls


def _human(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    labels = _HUMAN.get(extra.draft if extra else "", ("human", "human"))
    spans: list[Span] = [(labels[1 if short else 0], "human")]
    if turn.status == OPEN and turn.text and turn.stage == "request":
        spans.append(("draft, not sent yet", "warning"))
    return spans


def _retries(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    return [(_count("retry", extra.retries if extra else 0, "retries"), "warning")]


def _warnings(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    codes = [code for code in turn.codes if code.startswith("warning:")]
    drift: list[Span] = [("~ drift", "warning")] if "warning:drift" in codes else []
    return drift if codes == ["warning:drift"] else [*drift, ("warning", "warning")]


def _parent_ends(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    """Said once, at the last turn of the parent log, and not at all of them."""
    return [("the branch begins after this", "muted")] if "branch" in turn.codes else []


def _output(turn: Turn, extra: TurnExtras | None, short: bool) -> list[Span]:
    count = f" {extra.outputs}" if extra and extra.outputs else ""
    return [(f"printed{count}" if short else f"provider printed output{count}", "muted")]


_BADGES: Final[tuple[tuple[int, _Badge], ...]] = (
    (Flag.HELD, lambda turn, extra, short: [(f"held at {turn.stage}", "held")]),
    (Flag.SIGNAL, _signal),
    (_ALWAYS, _thought),
    (Flag.WOULD_END, _would_end),
    (Flag.CHANGED, _text("raw differs from shown", "changed", "raw differs")),
    (Flag.EMPTY, _empty),
    (Flag.ERROR_TEXT, _text("text of an error", "error", "error text")),
    (Flag.INCOMPLETE, _incomplete),
    (_ALWAYS, _text_checks),
    (
        Flag.DECISION,
        lambda turn, extra, short: [("decision " + _decision(turn, extra, short=short), "tool")],
    ),
    (Flag.TOOL | Flag.TOOL_ERROR, _tools),
    (Flag.EDITED, _text("edited", "human")),
    (Flag.HUMAN, _human),
    (Flag.RETRY, _retries),
    (Flag.TRUNCATED, _text("truncated: tool rounds used up", "warning", "truncated")),
    (Flag.WARNING, _warnings),
    (Flag.OUTPUT, _output),
    (Flag.REASONING, _text("reasoning", "reasoning")),
    (Flag.REUSED, _text("reply reused", "muted")),
    (Flag.SEEDED, _parent_ends),
)
"""The badge of each flag, most urgent first."""


def _noticed(flags: int, correction: Correction | None) -> list[Span]:
    """What the heuristics noticed, as corrected by hand."""
    spans: list[Span] = []
    for name, flag in CORRECTABLE.items():
        by_hand = correction.flags.get(name) if correction is not None else None
        if by_hand is None:
            if flags & flag:
                spans.append((FLAG_WORDS[name], "warning"))
        elif by_hand:
            spans.append((f"{FLAG_WORDS[name]} by hand", "warning"))
        elif flags & flag:
            spans.append((f"no {FLAG_WORDS[name]}", "human"))
    return spans


_HUMAN: Final = {
    "sent": ("human, from a draft", "human, from draft"),
    "edited": ("human, from an edited draft", "human, edited draft"),
    "replaced": ("human, in place of a draft", "human, not draft"),
}


def _decision(turn: Turn, extra: TurnExtras | None, *, short: bool) -> str:
    if extra is not None and extra.decision:
        return visible_line(extra.decision_short if short else extra.decision, 70)
    if turn.note in DECIDED:
        return f"{decision_sign(turn.note)[0]} {turn.note}"
    return "made"


def _coded(turn: Turn, kind: str) -> list[str]:
    """The values of the turn's codes of a kind."""
    return [code.removeprefix(f"{kind}:") for code in turn.codes if code.startswith(f"{kind}:")]


def _names(turn: Turn) -> str:
    return _list(turn.signals)


def _list(names: Sequence[str]) -> str:
    shown = " ".join(visible_line(name, 24) for name in names[:3])
    return shown + (f" +{len(names) - 3}" if len(names) > 3 else "")


def _spans(extra: TurnExtras) -> str:
    spans = [f"{start}-{end} in round {number}" for number, start, end in extra.beside_tools]
    spans += [f"{start}-{end}" for _, start, end in extra.matches]
    shown = ", ".join(spans[:3])
    more = f" +{len(spans) - 3}" if len(spans) > 3 else ""
    return f" {shown}{more}" if shown else ""


def _count(word: str, count: int, many: str) -> str:
    return word if not count else f"1 {word}" if count == 1 else f"{count} {many}"


def own_rows(
    turn: Turn,
    extra: TurnExtras | None = None,
    *,
    short: bool = False,
    folded: bool = False,
    width: int = 76,
) -> list[list[Span]]:
    """The rows of a turn; their number depends on the turn alone, never on `extra`.

    `folded` gives the hook that dropped a turn a row of its own.
    """
    rows: list[list[Span]] = []
    flags = int(turn.flags)
    if flags & Flag.DISCARDED:
        spans = _spans(extra) if extra is not None else ""
        why = f"signal {_names(turn)}{spans}" if turn.signals else "without a signal"
        row = [("discarded: ", "discard bold"), (why, "signal" if turn.signals else "muted")]
        hook = f"by {visible_line(turn.note, 60)}"
        if turn.note and not folded:
            row.append((f" {hook}", "muted"))
        rows.append(row)
        if turn.note and folded:
            rows.append([(hook, "muted")])
    if flags & Flag.ERROR and not says_error(turn):
        message = visible_line(turn.error or "the call failed", 400)
        rows.append([("error: ", "error bold"), (message, "error")])
    if flags & Flag.SKIPPED:
        note = visible_line(turn.note, 200)
        if note.startswith("skipped"):
            rows.append([(note, "warning bold")])
        else:
            rows.append([("skipped", "warning bold"), (f": {note}" if note else "", "muted")])
    if flags & Flag.CANCELLED:
        rows.append([("cancelled", "warning bold"), (": the received text is kept", "muted")])
    if flags & Flag.INACTIVE:
        why = visible_line(turn.note, 40) or "no more in the history"
        rows.append([(f"inactive ({why})", "muted bold")])
    if ended_by_decision(turn):
        text, for_record = (extra.decision_text, extra.for_record) if extra else ("", False)
        rows += ended_rows(turn.note, text, for_record=for_record, short=short, width=width)
    elif turn.status == "ended":
        note = f": {visible_line(turn.note, 200)}" if turn.note else ""
        label = "the persona is done" if turn.speaker == "persona" else "ended before this was sent"
        rows.append([(label, "muted bold"), (note, "muted")])
    return rows


def own_row_count(turn: Turn, *, short: bool = False, folded: bool = False) -> int:
    """How many rows `own_rows` gives."""
    flags = int(turn.flags)
    count = (flags & ROWS).bit_count() + (turn.status == "ended")
    count += ended_row_count(short=short) - 1 if ended_by_decision(turn) else 0
    count -= 1 if flags & Flag.ERROR and says_error(turn) else 0
    return count + (1 if folded and flags & Flag.DISCARDED and turn.note else 0)


def pack(items: Sequence[Span], width: int) -> list[list[Span]]:
    """Distributes badges over as few rows as possible; only one wider than a row is cut."""
    rows: list[list[Span]] = []
    used = 0
    for text, role in items:
        size = cell_len(text)
        if rows and used + len(SEPARATOR) + size <= width:
            rows[-1] += [(SEPARATOR, "border"), (text, role)]
            used += len(SEPARATOR) + size
        else:
            rows.append([(text, role)])
            used = size
    return rows
