"""Lists of runs in the width of a terminal: which columns there is room for, a row to a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from typing import Final

from convtui.text.boundary import visible_line
from convtui.text.cells import clipped, columns, filled

_GAP: Final = "  "
_WHO_LEAST: Final = 14
_NOTES: Final = 24
"""The columns of notes for which personas, providers and names of logs make room."""
_TITLES: Final = ("WHEN", "PERSONA → PROVIDER", "TURNS", "ENDING")
_DAY: Final = "%Y-%m-%d %H:%M"
_DAY_SHORT: Final = "%m-%d %H:%M"


@dataclass(frozen=True, slots=True)
class RunLine:
    """What a list says of one run."""

    began: datetime
    who: str
    turns: str
    state: str
    name: str
    """The name of its log."""
    id: str
    """What names it in fewer columns; empty where nothing does."""
    guide: str = ""
    """The tree lines before its name."""
    notes: str = ""
    """What follows its name: branches, origin, tags."""
    figures: Sequence[str] = field(default=())
    """What the list is sorted by, where that is not shown anyway."""


def list_lines(rows: Sequence[RunLine], extra: Sequence[str], width: int) -> list[str]:
    """The titles and one line for each run, none wider than `width`.

    `extra` are the titles of the figures. Where there is no room, long notes are cut, then personas
    and providers; then logs are named by their ids, the numbers of turns go, and the year.
    """
    whole = _widest(f"{row.guide}{row.name}" for row in rows)
    brief = _widest(f"{row.guide}{row.id or row.name}" for row in rows)
    who = _widest(row.who for row in rows)
    notes = min(_NOTES, _widest(row.notes for row in rows))
    lines: list[str] = []
    for day, turns, by_id in product((_DAY, _DAY_SHORT), (True, False), (False, True)):
        fixed = _fixed(rows, extra, day, turns=turns)
        room = width - sum(size + len(_GAP) for _, size in _sized(fixed)) - len(_GAP)
        left = room - notes - (brief if by_id else whole)
        if left >= min(who, _WHO_LEAST) or (day == _DAY_SHORT and not turns and by_id):
            taken = max(0, min(max(who, len(_TITLES[1])), left))
            lines = _lines(rows, fixed, taken, by_id=by_id, width=width)
            break
    return lines


def _lines(
    rows: Sequence[RunLine], fixed: Sequence[Sequence[str]], who: int, *, by_id: bool, width: int
) -> list[str]:
    names = [_TITLES[1], *(visible_line(row.who) for row in rows)]
    logs = ["LOG"]
    logs += [f"{row.guide}{(by_id and row.id) or row.name}{row.notes}" for row in rows]
    first, *others = _sized(fixed)
    lines = []
    for number, (name, log) in enumerate(zip(names, logs, strict=True)):
        cells = [filled(first[0][number], first[1])]
        if who > 0:
            cells.append(filled(clipped(name, who), who))
        cells += [filled(column[number], size) for column, size in others]
        lines.append(clipped(_GAP.join([*cells, visible_line(log)]), width).rstrip())
    return lines


def _fixed(
    rows: Sequence[RunLine], extra: Sequence[str], day: str, *, turns: bool
) -> list[list[str]]:
    """The columns that are as wide as their contents, each with its title."""
    shown = [[_TITLES[0], *(row.began.strftime(day) for row in rows)]]
    if turns:
        shown.append([_TITLES[2], *(row.turns for row in rows)])
    shown.append([_TITLES[3], *(clipped(visible_line(row.state), 20) for row in rows)])
    for number, title in enumerate(extra):
        shown.append([title, *(row.figures[number] for row in rows)])
    return shown


def _sized(fixed: Sequence[Sequence[str]]) -> list[tuple[Sequence[str], int]]:
    return [(column, max(map(columns, column))) for column in fixed]


def _widest(texts: Iterable[str]) -> int:
    return max((columns(visible_line(text)) for text in texts), default=0)
