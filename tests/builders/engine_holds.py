"""The choices of every hold that the engine can offer, read from its sources."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence

from convtui.engine.core import gate
from convtui.engine.core.gate import Choice
from tests.places import ROOT

ENGINE = ROOT / "convtui" / "engine"

CHOICES = {name: value for name, value in vars(gate).items() if isinstance(value, Choice)}
"""The choices by the name of their constant."""
_SAME = {"_END_HERE": "OVERRIDE", "_GO_ON": "OVERRIDE", "simulate": "SIMULATE"}
"""Names for the same choice with another label."""
_MORE = {"edits.choices": ("UNDO", "REDO"), "undo": ("UNDO",), "ends": ("STOP", "ABSTAIN"),
         "terminate_stage.choices": ("UNDO",)}  # fmt: skip
"""What is offered besides, at the most."""


@functools.cache
def engine_holds() -> Sequence[tuple[str, ...]]:
    """The names of the choices of each hold, in order."""
    holds = {
        hold
        for path in sorted(ENGINE.rglob("*.py"))
        if "core.gate import" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Tuple) and (hold := _hold(node))
    }
    # Where an error asks for a wait, the wait is the second choice.
    holds |= {(hold[0], "WAIT", *hold[1:]) for hold in holds if "FAIL" in hold}
    return sorted(holds)


def _hold(node: ast.Tuple) -> tuple[str, ...]:
    """The choices in a tuple; none if it is not one of choices."""
    names = tuple(dict.fromkeys(name for element in node.elts for name in _names(element)))
    return names if "" not in names else ()


def _names(element: ast.expr) -> Iterator[str]:
    if isinstance(element, ast.Starred):
        text = ast.unparse(element.value)
        more = [names for end, names in _MORE.items() if text.endswith(end)]
        yield from more[0] if more else ("",) if "choices" not in text else ()
    elif isinstance(element, ast.IfExp):
        yield from (*_names(element.body), *_names(element.orelse))
    elif isinstance(element, ast.Name):
        name = _SAME.get(element.id, element.id)
        yield name if name in CHOICES else ""
    else:
        yield ""
