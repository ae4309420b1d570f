"""The drawing of the exception tree is the tree, and there are no others."""

from __future__ import annotations

import ast
import builtins
import re

from convtui import errors
from convtui.errors import ConvtuiError
from tests.builders.source_trees import source_trees


def test_the_drawing_shows_every_error_below_its_base() -> None:
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─ ]*)([A-Z]\w+)(?:\s|$)", line)
        if match is None:
            continue
        depth, name = len(match[1]), match[2]
        while above and above[-1][0] >= depth:
            above.pop()
        if above:
            drawn[name] = above[-1][1]
        elif name != ConvtuiError.__name__:
            continue
        above.append((depth, name))
    known = {
        kind.__name__: kind.__bases__[0].__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ConvtuiError) and kind is not ConvtuiError
    }
    assert drawn == known


ELSEWHERE = {
    "LLMGenerationFailed",  # the name that classes written for VERA-MH import
    "_StoppedError",
    "_UnfitError",
}
"""Exceptions that are declared in the one module that raises and catches them."""


def test_every_exception_is_declared_there() -> None:
    exceptions = {
        name
        for namespace in (vars(builtins), vars(errors))
        for name, kind in namespace.items()
        if isinstance(kind, type) and issubclass(kind, BaseException)
    }
    declared = {
        node.name
        for path, tree in source_trees().items()
        if path.rpartition("/")[2] != "errors.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in exceptions for base in node.bases)
    }
    assert declared == ELSEWHERE
