"""Locates functions in the developer's code."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple


class Definition(NamedTuple):
    """File, line and text of a function's definition."""

    file: str
    line: int
    text: str

    def frame(self, name: str) -> str:
        """As a line of a traceback, like those of `own_frames()`."""
        return f"{self.file}:{self.line} in {name}: {self.text}"


def definition(function: Any) -> Definition | None:
    """The `def` line of a function or method; None where there is no source."""
    try:
        function = inspect.unwrap(function)
        file = inspect.getsourcefile(function)
        lines, first = inspect.getsourcelines(function)
    except (TypeError, OSError, ValueError):
        return None
    if file is None:
        return None
    for number, line in enumerate(lines):
        if line.lstrip().startswith(("def ", "async def ")):
            return Definition(file, first + number, line.strip())
    return Definition(file, first, lines[0].strip())
