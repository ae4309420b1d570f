"""How a turn's state is told: a glyph, words, and rows below the text. Never colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.cells import cell_len

from convtui.log.detail import TurnDetail
from convtui.log.notes import TurnNote
from convtui.log.tool_uses import ToolUse, tool_uses
from convtui.text.boundary import visible_line
from convtui.transcript.corrections import CORRECTABLE, FLAG_WORDS, Correction
from convtui.transcript.fold import FAILED, OPEN, Flag, Turn
from convtui.tui.drawing.labels import decision_sign, decision_text
from convtui.tui.drawing.palette import Span
from convtui.tui.widgets.transcript.decision_marks import (
    DECIDED,
    ended_by_decision,
    ended_row_count,
    ended_rows,
    in_words,
    says_error,
)

SEPARATOR: Final = " · "

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
"""Flags that are told in the badge rows."""
ROWS: Final = int(Flag.DISCARDED | Flag.ERROR | Flag.SKIPPED | Flag.CANCELLED | Flag.INACTIVE)
"""Flags with a row of their own."""


@dataclass(slots=True)
class TurnExtras:
    """What the log says about a turn beyond its summary, for turns that are on the screen."""

    correction: Correction | None = None
    """What was corrected by hand, which does not stand in the log."""
    noted: TurnNote | None = None
    """What was marked and noted, in a row of its own."""

    matches: list[tuple[str, int, int]] = field(default_factory=list)
    """Signal, start and end in the raw reply, of those from which something follows."""
    beside_tools: list[tuple[int, int, int]] = field(default_factory=list)
    """Round, start and end of those that stand beside tool calls."""
    raw: str | None = None
    uses: list[ToolUse] = field(default_factory=list)
    """Its tool calls, which have a row each."""
    outputs: int = 0
    retries: int = 0
    decision: str = ""
    """The last decision in words: kind, tool, validity."""
    decision_short: str = ""
    said: str = ""
    """The answer of the last decision, or its reason."""
    for_record: bool = False
    """Whether the last decision was asked for only for the record."""
    draft: str = ""
    """What a human did with the draft of the turn: sent, edited, replaced."""
    signal_of: str = ""
    """Which hook dropped the turn."""


def extra_of(detail: TurnDetail) -> TurnExtras:
    """The summary's details from the turn's records."""
    extra = TurnExtras(
        raw=detail.raw,
        uses=tool_uses(detail),
        outputs=len(detail.outputs),
        retries=sum(len(call.retries) for call in detail.calls),
    )
    for match in detail.matches:
        if match.get("counts") is False:
            continue
        place = int(match.get("start", 0)), int(match.get("end", 0))
        if match.get("round") is None:
            extra.matches.append((str(match.get("signal", "")), *place))
        else:
            extra.beside_tools.append((int(match["round"]), *place))
    extra.draft = detail.draft
    decided = detail.decided
    if decided:
        extra.decision = in_words(decided)
        extra.decision_short = in_words(decided, short=True)
        extra.said = decision_text(decided[-1])
        extra.for_record = bool(decided[-1].get("for_record"))
    return extra


_SIGNS: Final = (
    # Plain integers: the operators of IntFlag are slow, and every turn is asked.
    (int(Flag.HELD), (">", "held")),
    (int(Flag.DISCARDED), ("x", "discard")),
    (int(Flag.ERROR), ("!", "error")),
    (int(Flag.SKIPPED | Flag.CANCELLED), ("-", "muted")),
    # Before what was noticed in it: nobody is to act upon that any more.
    (int(Flag.INACTIVE), ("o", "muted")),
    (int(Flag.SIGNAL), ("!", "signal")),
    (_CALLED, ("!", "warning")),
    (int(Flag.EDITED | Flag.HUMAN), ("*", "human")),
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


def glyph(turn: Turn) -> Span:
    """The sign beside a turn and its role: `.` stands for nothing special."""
    flags = int(turn.flags)
    if flags & _SIGNED:
        for bits, sign in _SIGNS:
            if flags & bits:
                return sign
    status = turn.status
    if status == OPEN:
        return "~", "accent"
    if ended_by_decision(turn):
        return decision_sign(turn.note)
    return ("!", "error") if status == FAILED else (".", "muted")


def badges(turn: Turn, extra: TurnExtras | None = None, *, short: bool = False) -> list[Span]:
    """The words for a turn's flags, most urgent first. `short` for narrow screens."""
    flags = turn.flags & BADGES
    if not flags:
        return []
    found: list[Span] = []
    add = found.append
    if flags & Flag.HELD:
        add((f"held at {turn.stage}", "held"))
    if flags & Flag.SIGNAL and not turn.flags & Flag.DISCARDED:
        spans = "" if extra is None else _spans(extra)
        add((f"signal {_names(turn)}{spans}", "signal"))
    thought = _coded(turn, "thought")
    if thought:
        add((f"{_list(thought)} inside reasoning", "reasoning"))
    if flags & Flag.WOULD_END:
        note = turn.note if turn.note.startswith("would ") else "would have ended here"
        add((visible_line(note, 40), "warning"))
    if flags & Flag.CHANGED:
        add(("raw differs" if short else "raw differs from shown", "changed"))
    if flags & Flag.EMPTY:
        blank = not turn.text.strip()
        add(("empty reply" if blank else "near-empty reply", "warning"))
    if flags & Flag.ERROR_TEXT:
        add(("error text" if short else "the text of an error", "error"))
    if flags & Flag.INCOMPLETE:
        add((f"incomplete: {', '.join(_coded(turn, 'incomplete')) or 'unknown'}", "warning"))
    if flags & _NOTICED or (extra is not None and extra.correction is not None):
        found += _noticed(flags, extra.correction if extra is not None else None)
    if flags & Flag.DECISION:
        add(("decision " + _decision(turn, extra, short=short), "tool"))
    if extra is None or not extra.uses:
        # With their details they have rows of their own.
        if flags & Flag.TOOL:
            add(("tool call", "tool"))
        if flags & Flag.TOOL_ERROR:
            add(("tool error", "error"))
    if flags & Flag.EDITED:
        add(("edited", "human"))
    if flags & Flag.HUMAN:
        words = _HUMAN.get(extra.draft if extra else "", ("human", "human"))
        add((words[1 if short else 0], "human"))
        if turn.status == OPEN and turn.text:
            add(("draft, not said yet", "warning"))
    if flags & Flag.RETRY:
        add((_count("retry", extra.retries if extra else 0, "retries"), "warning"))
    if flags & Flag.TRUNCATED:
        add(("truncated" if short else "truncated: tool rounds used up", "warning"))
    if flags & Flag.WARNING:
        codes = [code for code in turn.codes if code.startswith("warning:")]
        if "warning:drift" in codes:
            add(("~ drift", "warning"))
        if codes != ["warning:drift"]:
            add(("warning", "warning"))
    if flags & Flag.OUTPUT:
        count = f" {extra.outputs}" if extra and extra.outputs else ""
        add((f"printed{count}" if short else f"provider printed output{count}", "muted"))
    if flags & Flag.REASONING:
        add(("reasoning", "reasoning"))
    if flags & Flag.REUSED:
        add(("reply reused", "muted"))
    if flags & Flag.SEEDED:
        add(("parent log" if short else "from the parent log", "muted"))
    return found


def _noticed(flags: int, correction: Correction | None) -> list[Span]:
    """What the heuristics noticed, as it was corrected by hand."""
    found: list[Span] = []
    for name, flag in CORRECTABLE.items():
        by_hand = correction.flags.get(name) if correction is not None else None
        if by_hand is None:
            if flags & flag:
                found.append((FLAG_WORDS[name], "warning"))
        elif by_hand:
            found.append((f"{FLAG_WORDS[name]} by hand", "warning"))
        elif flags & flag:
            found.append((f"no {FLAG_WORDS[name]}", "human"))
    return found


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
    """What the turn's codes of a kind say."""
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
    turn: Turn, extra: TurnExtras | None = None, *, short: bool = False, width: int = 76
) -> list[list[Span]]:
    """Rows of their own: how many depends on the summary alone, never on `extra`."""
    rows: list[list[Span]] = []
    flags = int(turn.flags)
    if flags & Flag.DISCARDED:
        spans = _spans(extra) if extra is not None else ""
        why = f"signal {_names(turn)}{spans}" if turn.signals else "by its hook"
        row = [("discarded: ", "discard bold"), (why, "signal" if turn.signals else "muted")]
        hook = f"by {visible_line(turn.note, 60)}"
        if turn.note and not short:
            row.append((f" {hook}", "muted"))
        rows.append(row)
        if turn.note and short:
            rows.append([(hook, "muted")])
    if flags & Flag.ERROR and not says_error(turn):
        message = visible_line(turn.error or "the call failed", 400)
        rows.append([("error: ", "error bold"), (message, "error")])
    if flags & Flag.SKIPPED:
        note = f": {visible_line(turn.note, 200)}" if turn.note else ""
        rows.append([("skipped", "warning bold"), (note, "muted")])
    if flags & Flag.CANCELLED:
        rows.append([("cancelled", "warning bold"), (": what had arrived is kept", "muted")])
    if flags & Flag.INACTIVE:
        why = visible_line(turn.note, 40) or "no more in the history"
        rows.append([(f"inactive ({why})", "muted bold")])
    if ended_by_decision(turn):
        said, for_record = (extra.said, extra.for_record) if extra else ("", False)
        rows += ended_rows(turn.note, said, for_record=for_record, short=short, width=width)
    elif turn.status == "ended":
        note = f": {visible_line(turn.note, 200)}" if turn.note else ""
        done = "the user is done" if turn.speaker == "persona" else "ended before this was said"
        rows.append([(done, "muted bold"), (note, "muted")])
    return rows


def own_row_count(turn: Turn, *, short: bool = False) -> int:
    """How many rows `own_rows` gives."""
    flags = int(turn.flags)
    count = (flags & ROWS).bit_count() + (turn.status == "ended")
    count += ended_row_count(short=short) - 1 if ended_by_decision(turn) else 0
    count -= 1 if flags & Flag.ERROR and says_error(turn) else 0
    return count + (1 if short and flags & Flag.DISCARDED and turn.note else 0)


def pack(words: Sequence[Span], width: int) -> list[list[Span]]:
    """Badges in as few rows as they need, none of them cut unless it is wider than a row."""
    rows: list[list[Span]] = []
    used = 0
    for text, role in words:
        size = cell_len(text)
        if rows and used + len(SEPARATOR) + size <= width:
            rows[-1] += [(SEPARATOR, "border"), (text, role)]
            used += len(SEPARATOR) + size
        else:
            rows.append([(text, role)])
            used = size
    return rows


def fit(spans: Sequence[Span], width: int) -> list[Span]:
    """A row cut to `width` cells, with an ellipsis where it was cut."""
    left = width
    fitted: list[Span] = []
    for text, role in spans:
        size = cell_len(text)
        if size <= left:
            fitted.append((text, role))
            left -= size
            continue
        while text and cell_len(text) > left - 1:
            text = text[: min(len(text) - 1, max(0, left - 1))]  # noqa: PLW2901
        fitted.append((text + "…" if left > 0 else "", role))
        break
    return fitted
