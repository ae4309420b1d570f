"""The program's own source, parsed: for tests of what stands where in it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Mapping

from tests.places import ROOT

PACKAGE = ROOT / "convtui"


@functools.cache
def source_trees() -> Mapping[str, ast.Module]:
    """Every module of the package, by its path below it, in order."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if "_data" not in path.parts
    }
