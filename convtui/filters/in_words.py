"""What a filter asks, as a phrase: `at turn 7 in session refund`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from convtui.filters.atoms import ATOMS
from convtui.filters.tree import Atom, Node, Not, Or
from convtui.text.boundary import visible_line

_TURN: Final = re.compile(r"\s*~turn\s*=\s*(\d{1,9})\s*(?:&\s*~session\s+([\w-]+)\s*)?")
_MAX_VALUE: Final = 40
_NUMBERS: Final = {
    "<": "less than {}",
    "<=": "at most {}",
    "=": "exactly {}",
    ">=": "at least {}",
    ">": "more than {}",
}
_TURNS: Final = {
    "<": "before turn {}",
    "<=": "up to turn {}",
    "=": "at turn {}",
    ">=": "from turn {} on",
    ">": "after turn {}",
}


def turn_named(expression: str) -> tuple[int, str | None] | None:
    """The turn, and the session, of a filter that names nothing else; None for any other."""
    match = _TURN.fullmatch(expression)
    return None if match is None else (int(match[1]), match[2])


def in_words(node: Node, *, inside: bool = False) -> str:
    """A filter as a phrase, to follow `it stops`. `inside` puts a choice in brackets."""
    if isinstance(node, Atom):
        return _atom(node)
    if isinstance(node, Not):
        return f"unless ({in_words(node.item)})"
    joined = ""
    for item in node.items:
        at_session = isinstance(item, Atom) and item.name == "session"
        joint = " or " if isinstance(node, Or) else " " if at_session else " and "
        joined += (joint if joined else "") + in_words(item, inside=True)
    return f"({joined})" if inside else joined


def _atom(atom: Atom) -> str:
    value = visible_line(atom.value or "", _MAX_VALUE)
    words = _WORDS.get(atom.name)
    if words is not None:
        return words(value, atom.op or "=")
    meaning = ATOMS[atom.name].help.partition(":")[0].partition(";")[0]
    return f"when {meaning}{f' ({value})' if value else ''}"


def _measure(words: str, unit: str) -> Callable[[str, str], str]:
    return lambda value, op: f"when {words} {_NUMBERS[op].format(value)}{unit}"


_WORDS: Final[dict[str, Callable[[str, str], str]]] = {
    "turn": lambda value, op: _TURNS[op].format(value),
    "session": lambda value, _: f"in session {value}",
    "speaker": lambda value, _: f"when the {value} speaks",
    "signal": lambda value, _: f"when the signal {value} is found" if value else "at a signal",
    "discard": lambda *_: "when a turn is discarded",
    "said": lambda value, _: f"when the text has “{value}”",
    "raw": lambda value, _: f"when the raw reply has “{value}”",
    "stage": lambda value, _: f"at stage {value}",
    "tool": lambda value, _: f"when the tool {value} is called" if value else "at a tool call",
    "decision": lambda value, _: f"when the responder decides: {value or 'anything'}",
    "end": lambda value, _: f"when the session ends{f': {value}' if value else ''}",
    "error": lambda *_: "at an error",
    "latency": _measure("the reply takes", " s"),
    "tokens": _measure("the turn uses", " tokens"),
    "cost": _measure("the turn costs $", ""),
}
