"""Tracebacks of other people's code: only their own lines."""

from __future__ import annotations

import inspect
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any, NamedTuple

_OURS = str(Path(__file__).resolve().parent.parent)


def _foreign_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    roots = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], _OURS}
    return tuple(str(Path(root)) for root in roots)


def is_own(filename: str) -> bool:
    """Whether a file is the developer's: not ours, not the library, no installed package."""
    if filename.startswith("<") or "site-packages" in filename:
        return False
    return not filename.startswith(_foreign_roots())


def own_frames(error: BaseException) -> tuple[str, ...]:
    """The developer's own traceback lines and the error itself, ready to be shown.

    Each frame is `file:line in function: source line`. Syntax errors show the line with a caret.
    """
    lines: list[str] = []
    if isinstance(error, SyntaxError) and error.filename:
        lines.append(f"{error.filename}:{error.lineno or 1}")
        if error.text:
            lines.append(f"    {error.text.rstrip()}")
            lines.append("    " + " " * max(0, (error.offset or 1) - 1) + "^")
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if is_own(frame.filename):
                source = f": {frame.line}" if frame.line else ""
                lines.append(f"{frame.filename}:{frame.lineno} in {frame.name}{source}")
    lines.append(describe(error))
    return tuple(lines)


def location(error: BaseException) -> tuple[str, int] | None:
    """The file and line to look at first."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno or 1
    own = [f for f in traceback.extract_tb(error.__traceback__) if is_own(f.filename)]
    return (own[-1].filename, own[-1].lineno or 1) if own else None


class Definition(NamedTuple):
    """Where a function is defined."""

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


def describe(error: BaseException) -> str:
    """`ErrorType: message`, on one line as far as the message is."""
    text = str(error) if not isinstance(error, SyntaxError) else (error.msg or "invalid syntax")
    name = type(error).__name__
    if isinstance(error, ModuleNotFoundError) and error.name:
        text += (
            f" (looked for by {sys.executable}; install it there, or name the interpreter that has"
            " it with --python PATH)"
        )
    return f"{name}: {text}" if text else name
