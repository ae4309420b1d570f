"""A filter as a condition in SQL that no matching turn fails.

The condition is only there to leave out most of what does not match: the evaluator of the filter
language has the last word on every turn that passes. So each atom says when it *may* be true and
when it *may* be false, and nothing at all where only the evaluator can tell.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Final, NamedTuple

from convtui.filters.tree import Atom, Node, Not, Or
from convtui.library.index_rows import RAW_AS_SHOWN, RAW_ELSEWHERE, RAW_KEPT
from convtui.transcript.corrections import CORRECTABLE
from convtui.transcript.fault_rules import SIDES
from convtui.transcript.turns import ENDED, FAILED, GONE, Flag

MOST_TRIGRAMS = 24
MATCHES: Final = "pattern_matches"
_FULL_TEXT: Final = "t.id IN (SELECT rowid FROM said WHERE said MATCH ?)"
_RUN_IS: Final = "(t.id >> 24) IN (SELECT id FROM runs WHERE {})"
_PLAIN: Final = re.compile(r"[\w \-\"'#%&,/:;<=>@_`~!]*", re.ASCII)


class Condition(NamedTuple):
    """A piece of SQL over `turns t` and its parameters. An empty one is always true.

    One with `texts` is over `texts x`, too, and may call `MATCHES(pattern, text)`.
    """

    sql: str = ""
    values: tuple[str | float, ...] = ()
    texts: bool = False


ANYTHING: Final = Condition()


def prefilter(node: Node, *, full_text: bool) -> Condition:
    """A condition that every matching turn passes; others may pass it too."""
    return _may(node, True, full_text)


def _may(node: Node, be: bool, full_text: bool) -> Condition:
    if isinstance(node, Not):
        return _may(node.item, not be, full_text)
    if isinstance(node, Atom):
        return _atom(node, be, full_text)
    parts = [_may(item, be, full_text) for item in node.items]
    # An "and" is false where one part is, an "or" is true where one part is.
    if isinstance(node, Or) == be:
        return _either(parts)
    return _all(parts)


def _all(parts: list[Condition]) -> Condition:
    known = [part for part in parts if part.sql]
    return _joined(known, " AND ")


def _either(parts: list[Condition]) -> Condition:
    return ANYTHING if any(not part.sql for part in parts) else _joined(parts, " OR ")


def _joined(parts: list[Condition], word: str) -> Condition:
    if len(parts) < 2:
        return parts[0] if parts else ANYTHING
    # Conditions that read texts come last.
    parts = sorted(parts, key=lambda part: part.texts)
    sql = "(" + word.join(part.sql for part in parts) + ")"
    values = reduce(operator.add, (part.values for part in parts))
    return Condition(sql, values, any(part.texts for part in parts))


_FLAGS: Final[Mapping[str, Flag]] = {
    "changed": Flag.CHANGED,
    "decision": Flag.DECISION,
    "edited": Flag.EDITED,
    "error": Flag.ERROR | Flag.ERROR_TEXT,
    "incomplete": Flag.INCOMPLETE,
    "interim": Flag.INTERIM,
    "human": Flag.HUMAN,
    "output": Flag.OUTPUT,
    "retry": Flag.RETRY,
    "signal": Flag.SIGNAL,
    "tool": Flag.TOOL,
    "toolerror": Flag.TOOL_ERROR,
}
"""Atoms that are a flag, where they have no value."""
_NEEDS: Final[Mapping[str, str]] = {
    "signal": "t.signals IS NOT NULL",
    "decision": "t.codes IS NOT NULL",
    "incomplete": f"t.flags & {int(Flag.INCOMPLETE)}",
    "tool": f"t.flags & {int(Flag.TOOL)}",
    "output": f"t.flags & {int(Flag.OUTPUT)}",
}
"""What the same atoms need to be true of a value."""
_COLUMNS: Final[Mapping[str, str]] = {
    "turn": "t.number",
    "latency": "t.latency",
    "tokens": "t.tokens",
    "cost": "t.cost",
}


def _atom(atom: Atom, be: bool, full_text: bool) -> Condition:
    name, value = atom.name, atom.value
    if name in _FLAGS:
        if value is None:
            return _flag(_FLAGS[name], be)
        return Condition(f"({_NEEDS[name]})") if be else ANYTHING
    if name in _COLUMNS and value is not None:
        # Where the column is NULL neither is true, as for the evaluator.
        sql = f"{_COLUMNS[name]} {atom.op or '='} ?"
        return Condition(sql if be else f"NOT ({sql})", (float(value),))
    if name in CORRECTABLE:
        if value is not None and not be:
            return ANYTHING
        flag = _flag(CORRECTABLE[name], be)
        return _either([flag, Condition(_RUN_IS.format("corrected"))])
    special = _SPECIAL.get(name)
    if special is not None:
        return special(atom, be)
    # Nearly every turn lacks any given text: searching for its absence would exclude nothing.
    if name == "said" and be:
        return _said(value or "", full_text)
    if name == "raw" and be:
        return _raw(value or "", full_text)
    return ANYTHING


def _flag(flag: Flag, be: bool) -> Condition:
    return Condition(f"t.flags & {int(flag)}" if be else f"NOT (t.flags & {int(flag)})")


def _discard(_: Atom, be: bool) -> Condition:
    if not be:
        return Condition(f"t.status <> '{GONE}'")
    return Condition(f"(t.status = '{GONE}' OR t.flags & {int(Flag.DISCARDED)})")


def _empty(_: Atom, be: bool) -> Condition:
    finished = f"t.status NOT IN ('{FAILED}', '{ENDED}')"
    sql = f"(t.flags & {int(Flag.EMPTY)} OR (t.blank AND {finished}))"
    return Condition(sql if be else f"NOT {sql}")


def _end(_: Atom, be: bool) -> Condition:
    return Condition(f"t.flags & {int(Flag.ENDED)}") if be else ANYTHING


def _speaker(atom: Atom, be: bool) -> Condition:
    return Condition(f"t.speaker {'=' if be else '<>'} ?", ((atom.value or "").lower(),))


def _fault(atom: Atom, be: bool) -> Condition:
    if not be:
        return ANYTHING
    mask = sum(
        1 << bit
        for bit, side in enumerate(SIDES)
        if atom.value is None or side == atom.value.lower()
    )
    return Condition(f"(t.faults & {mask} OR {_RUN_IS.format('corrected')})")


def _by_notes(_: Atom, be: bool) -> Condition:
    return Condition(_RUN_IS.format("noted")) if be else ANYTHING


_SPECIAL: Final[Mapping[str, Callable[[Atom, bool], Condition]]] = {
    "discard": _discard,
    "empty": _empty,
    "end": _end,
    "speaker": _speaker,
    "fault": _fault,
    "note": _by_notes,
    "mark": _by_notes,
}


def _said(pattern: str, full_text: bool) -> Condition:
    if full_text and (wanted := _trigrams(pattern)):
        return Condition(_FULL_TEXT, (wanted,))
    return Condition(f"{MATCHES}(?, x.text)", (pattern,), True)


def _raw(pattern: str, full_text: bool) -> Condition:
    elsewhere = Condition(f"t.has_raw = {RAW_ELSEWHERE}")
    shown = _all([Condition(f"t.has_raw = {RAW_AS_SHOWN}"), _said(pattern, full_text)])
    kept = Condition(f"(t.has_raw = {RAW_KEPT} AND {MATCHES}(?, x.raw))", (pattern,), True)
    return _either([elsewhere, shown, kept])


def _trigrams(pattern: str) -> str:
    """The pieces of three letters that a text must have to match a pattern without special signs,
    as the full text wants them; nothing where the pattern is another one."""
    if not _PLAIN.fullmatch("".join(sign for sign in pattern if sign.isascii())):
        return ""
    pieces = [piece.lower() for piece in re.findall(r"[ -~]{3,}", pattern)]
    trigrams = dict.fromkeys(
        piece[start : start + 3] for piece in pieces for start in range(len(piece) - 2)
    )
    return " AND ".join(
        '"' + trigram.replace('"', '""') + '"' for trigram in list(trigrams)[:MOST_TRIGRAMS]
    )
