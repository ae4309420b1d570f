"""The filter language: one expression language for search, breakpoints and the list of runs.

    ~signal & ~turn > 3 | !(~said "cancelled ferry")

`parse()` gives a `Filter`. Its answers are three-valued: True, False, or None for "not known yet":
an atom is unknown on a turn in progress until its stage has run, and where the data it asks for
cannot be had. `decide()` makes a plain answer of that: unknown counts as false. The parser library
is imported when the first expression is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from convtui.filters.atoms import ATOMS, compile_atom
from convtui.filters.basics import Lookup, Test
from convtui.filters.runs import Answer, HeaderRun, RunTest
from convtui.filters.tree import Atom, Node, Not, Or
from convtui.transcript.fold import Transcript, Turn


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed expression; `str()` gives it in normal form."""

    expression: str
    node: Node
    _turn: Test
    _run: RunTest

    def __str__(self) -> str:
        return str(self.node)

    def on_turn(self, turn: Turn, transcript: Transcript, lookup: Lookup | None = None) -> Answer:
        """Whether the expression matches a turn; None while that is not known."""
        return self._turn(turn, transcript, lookup)

    def on_run(self, run: Any) -> Answer:
        """Whether the run-level atoms alone match a run; None when that depends on its turns.

        `run` is a row of the library, or anything with `persona`, `provider`, `model`,
        `created_at` and `tags`; what it lacks is unknown.
        """
        return self._run(run)

    def on_header(self, transcript: Transcript) -> Answer:
        """Whether the run-level atoms alone match the run of a transcript."""
        return self._run(HeaderRun(transcript))

    def atoms(self) -> Iterator[Atom]:
        """All atoms, from left to right."""
        return _atoms(self.node)

    @property
    def needs_raw(self) -> bool:
        """Whether a lookup is needed: the fold alone cannot answer some atom."""
        return bool(self.asks)

    @property
    def asks(self) -> frozenset[str]:
        """The names of the atoms that need a lookup."""
        return frozenset(atom.name for atom in self.atoms() if ATOMS[atom.name].needs(atom))

    def highlight(self) -> re.Pattern[str] | None:
        """A pattern for what the expression matches in texts, to highlight; None for nothing.

        Negated atoms are left out.
        """
        wanted = dict.fromkeys(
            atom.value for atom in _wanted(self.node) if atom.name in ("said", "raw") and atom.value
        )
        try:
            either = "|".join(f"(?:{pattern})" for pattern in wanted)
            return re.compile(either, re.I) if wanted else None
        except (re.error, OverflowError, RecursionError):
            # Each is a pattern, but together they are none: groups of one name, for instance.
            return None

    @property
    def about_turns(self) -> bool:
        """Whether any atom asks about turns, so that a row of the library is not enough."""
        return any(ATOMS[atom.name].turn is not None for atom in self.atoms())


def parse(expression: str, *, breakpoint: bool = False) -> Filter:
    """Parses an expression.

    With `breakpoint` the atoms that make no sense there (`~note`, `~mark`) are refused. Raises
    `FilterError`, which says what was expected and where, with a caret line.
    """
    from convtui.filters.grammar import parse_tree

    node = parse_tree(expression, breakpoint=breakpoint)
    return Filter(expression, node, *_compile(node))


def decide(answer: Answer) -> bool:
    """The plain answer: unknown counts as false."""
    return answer is True


def _atoms(node: Node) -> Iterator[Atom]:
    if isinstance(node, Atom):
        yield node
    elif isinstance(node, Not):
        yield from _atoms(node.item)
    else:
        for item in node.items:
            yield from _atoms(item)


def _wanted(node: Node) -> Iterator[Atom]:
    """The atoms that are not negated."""
    if isinstance(node, Atom):
        yield node
    elif not isinstance(node, Not):
        for item in node.items:
            yield from _wanted(item)


def _compile(node: Node) -> tuple[Test, RunTest]:
    """Compiles the tree to two functions: one over a turn, one over a run."""
    if isinstance(node, Atom):
        return compile_atom(node)
    if isinstance(node, Not):
        turn, run = _compile(node.item)
        return _negated(turn), _negated(run)
    turns, runs = zip(*map(_compile, node.items), strict=True)
    # "and" is decided by the first False, "or" by the first True; otherwise unknown wins.
    decisive = isinstance(node, Or)
    return _joined(turns, decisive), _joined(runs, decisive)


def _negated(test: Callable[..., Answer]) -> Callable[..., Answer]:
    def negated(*about: Any) -> Answer:
        answer = test(*about)
        return None if answer is None else not answer

    return negated


def _joined(tests: tuple[Callable[..., Answer], ...], decisive: bool) -> Callable[..., Answer]:
    def joined(*about: Any) -> Answer:
        result: Answer = not decisive
        for test in tests:
            answer = test(*about)
            if answer is decisive:
                return answer
            if answer is None:
                result = None
        return result

    return joined
