"""The columns of a batch's conversations: which fit, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from convtui.printing.wording import wait_words
from convtui.text.boundary import visible_line
from convtui.transcript.ending_words import ending_phrase, short_ending
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.labels import ending_role, hold_reason
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.tables import end_of
from convtui.tui.screens.fleet.view import FleetRow
from convtui.tui.widgets.run_columns import GAP, GUTTER, Column, in_column

_STATE = Column("state", "state", "state", 15)
_CELL = Column("cell", "conversation", "cell", 14)
_AT = Column("at", "at", "-turns", 6)
_WORDS = Column("words", "last words", "", 20)
_MARK: Final = 3
"""Cells of a count; one less on a narrow screen."""
_OPTIONAL: Final = (
    Column("signals", glyphs.SIGNAL, "-signals", _MARK, right=True),
    Column("discards", glyphs.DISCARDED, "-discards", _MARK, right=True),
    Column("flags", glyphs.NOTICED, "-flags", _MARK, right=True),
    Column("time", "time", "time", 7, right=True),
    Column("tokens", "tokens", "-tokens", 6, right=True),
    Column("cost", "cost", "-cost", 7, right=True),
)
"""Columns after the words, those first that are left out last."""
_SORTED_BY: Final = {
    "persona": Column("persona", "persona", "persona", 16),
    "provider": Column("provider", "provider", "provider", 20),
}
"""Columns that are there while the list is sorted by them."""
_LEAST_WORDS: Final = 18
_MOST_NAME: Final = 34
_TREE: Final = "└ attempt "


def columns_for(width: int, order: str, *, name: int) -> list[Column]:
    """The columns that fit into `width` cells, with that of `order` among them.

    `name` is the cells that the longest name takes.
    """
    by = order.removeprefix("-")
    state = replace(_STATE, width=15 if width >= 130 else 13 if width >= 70 else 11)
    columns = [state, _CELL, _AT]
    left = width - GUTTER - sum(column.width + GAP for column in columns) - GAP
    if by in _SORTED_BY:
        extra = _SORTED_BY[by]
        columns.insert(2, extra if width >= 70 else replace(extra, width=12))
        left -= columns[2].width + GAP
    kept = []
    least = _LEAST_WORDS if width < 110 else _LEAST_WORDS + 8
    for column in _OPTIONAL:
        if column.name == by:
            # Its title has an arrow.
            kept.append(replace(column, width=max(column.width, len(column.title) + 2)))
        elif left - column.width - GAP >= least:
            narrow = width < 110 and column.width == _MARK
            kept.append(replace(column, width=_MARK - 1) if narrow else column)
        else:
            continue
        left -= kept[-1].width + GAP
    more = max(0, min(min(name, _MOST_NAME) - _CELL.width, left - _LEAST_WORDS - 4))
    columns[1] = replace(_CELL, width=_CELL.width + more)
    left -= more
    if left >= 8:
        columns.append(replace(_WORDS, width=left))
    return columns + kept


def state_span(row: FleetRow, now: float) -> Span:
    """A glyph and a word for the state of a conversation."""
    match row.state:
        case "held":
            word = "your turn" if (row.hold or {}).get("reason") == "human" else "held"
            return f"{glyphs.HELD} {word}", "held bold"
        case "running" if row.retry_at is not None and row.retry_at > now:
            return f"{glyphs.WORKING} retry", "warning"
        case "running" if row.delayed:
            return f"{glyphs.WORKING} delayed", "warning"
        case "running":
            return f"{glyphs.WORKING} running", "accent"
        case "starting":
            return f"{glyphs.WORKING} starting", "muted"
        case "waiting":
            return f"{glyphs.NOTHING} waiting", "muted"
    kind = row.kind
    return f"{_ending_glyph(kind)} {short_ending(kind) or 'over'}", ending_role(kind)


def _ending_glyph(kind: str) -> str:
    if kind in ("failed", "crashed", "damaged"):
        return glyphs.ERROR
    if kind == "abstained":
        return glyphs.ABSTAIN
    return glyphs.STOP if kind in ("interrupted", "discarded") else glyphs.DONE


def words_span(row: FleetRow, now: float) -> list[Span]:
    """What is to be known first: why it is held or ended, else what was said last."""
    if row.state == "held":
        return [(hold_reason(row.hold or {}), "held")]
    if row.retry_at is not None and row.retry_at > now and not row.over:
        return [(visible_line(wait_words(row.retry_at - now, None, None, row.why), 200), "warning")]
    if row.over:
        return _ending_spans(row)
    words = visible_line(row.words, 200)
    if words:
        return [(words, "text")]
    if row.reruns:
        return [(f"run again: {visible_line(row.because, 160)}", "warning")]
    return []


def _ending_spans(row: FleetRow) -> list[Span]:
    termination = row.termination or {}
    reason = visible_line(str(termination.get("reason") or ""), 200)
    if row.kind in ("failed", "crashed", "abstained", "interrupted"):
        return [(reason or visible_line(row.because, 160), "text")]
    by = str(termination.get("by") or "")
    phrase = ending_phrase(row.kind, by)
    text = reason or (phrase if phrase != short_ending(row.kind) else "")
    return [(text or visible_line(row.words, 200), "muted")]


def row_spans(
    row: FleetRow, columns: Sequence[Column], now: float, *, below: bool = False
) -> list[Span]:
    """A conversation on one line; `below` if the attempt before it is on the line above."""
    spans: list[Span] = [(" " * GUTTER, "text")]
    for column in columns:
        spans += in_column(_cell(row, column, now, below), column)
        spans.append((" " * GAP, "text"))
    return spans


def _cell(row: FleetRow, column: Column, now: float, below: bool) -> list[Span]:
    match column.name:
        case "state":
            return [state_span(row, now)]
        case "cell" if below:
            return [(f"{_TREE}{row.attempt}", "muted")]
        case "cell" if row.reruns:
            again = " again"
            return [(end_of(row.key, column.width - len(again)), "text"), (again, "warning")]
        case "cell":
            return [(end_of(row.key, column.width), "text")]
        case "words":
            return words_span(row, now)
        case "time":
            return [(_clock(row.seconds(now)), "muted")]
    text, role = _FIGURES[column.name](row)
    return [(text, role)]


def _at(row: FleetRow) -> Span:
    if row.turn is None:
        return "", "muted"
    role = row.side if row.side in ("persona", "provider") and not row.over else "muted"
    return f"{row.session or 1}:{row.turn}", role


def _count(count: int, role: str) -> Span:
    return (str(count) if count < 100 else "99+", role) if count else ("", role)


_FIGURES: Final[dict[str, Callable[[FleetRow], Span]]] = {
    "at": _at,
    "signals": lambda row: _count(row.signals, "signal"),
    "discards": lambda row: _count(row.discards, "discard"),
    "flags": lambda row: _count(row.flags, "warning"),
    "tokens": lambda row: (short_count(row.tokens), "muted"),
    "cost": lambda row: (dollars(row.cost or None), "muted"),
    "persona": lambda row: (visible_line(row.persona, 40), "persona"),
    "provider": lambda row: (visible_line(row.provider, 40), "provider"),
}


def short_count(count: float | None) -> str:
    """`1,234`, `56.7k`, `8.9M`: in at most 6 cells."""
    if count is None:
        return ""
    if count < 10_000:
        return f"{count:,.0f}"
    if count < 999_500:
        return f"{count / 1000:.3g}k"
    return f"{count / 1_000_000:.3g}M"


def dollars(cost: float | None) -> str:
    """US dollars, the small ones with more digits."""
    if not cost:
        return "" if cost is None else "$0"
    return f"${cost:.4f}" if cost < 1 else f"${cost:,.2f}"


def _clock(seconds: float | None) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"
