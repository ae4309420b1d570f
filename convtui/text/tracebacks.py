"""Tracebacks of other people's code: only their own lines."""

from __future__ import annotations

import traceback
from functools import lru_cache
from pathlib import Path

from convtui.text.causes import describe_one, roots
from convtui.text.relocation import path_at_home

_CAUSES = 3
"""Of how many causes the lines are shown; a log has more."""
_FIRST, _LAST = 5, 15
"""Lines of a long traceback that are kept: a recursion has a thousand."""
_OURS = str(Path(__file__).resolve().parents[1])


@lru_cache(maxsize=1)
def _foreign_roots() -> tuple[str, ...]:
    import sysconfig

    paths = sysconfig.get_paths()
    folders = {paths["stdlib"], paths["platstdlib"], paths["purelib"], paths["platlib"], _OURS}
    return tuple(str(Path(folder)) for folder in folders)


def is_own(filename: str) -> bool:
    """Whether a file is the developer's: not ours, not the library, no installed package."""
    if filename.startswith("<") or "site-packages" in filename:
        return False
    return not filename.startswith(_foreign_roots())


def own_frames(error: BaseException) -> tuple[str, ...]:
    """The developer's own traceback lines and the error itself, ready to be shown.

    Each frame is `file:line in function: source line`. Syntax errors show the line with a caret.
    Where the error has causes, those that began it follow with their own lines; the first of them
    comes last.
    """
    lines = frames_of(error)
    lines.append(describe_one(error))
    for cause in reversed(roots(error)[:_CAUSES]):
        if cause is not error:
            lines[-1] += ", after:"
            lines += [*frames_of(cause), describe_one(cause)]
    return tuple(lines)


def frames_of(error: BaseException) -> list[str]:
    """The traceback lines of one exception, without its message and causes."""
    if isinstance(error, SyntaxError) and error.filename:
        lines = [f"{path_at_home(error.filename)}:{error.lineno or 1}"]
        if error.text:
            lines.append(f"    {error.text.rstrip()}")
            lines.append("    " + " " * max(0, (error.offset or 1) - 1) + "^")
        return lines
    lines = []
    for frame in _own(error):
        source = f": {frame.line}" if frame.line else ""
        name = path_at_home(frame.filename)
        lines.append(f"{name}:{frame.lineno} in {frame.name}{source}")
    if len(lines) > _FIRST + _LAST:
        lines[_FIRST:-_LAST] = [f"({len(lines) - _FIRST - _LAST:,} more)"]
    return lines


def _own(error: BaseException) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if is_own(frame.filename)]


def location(error: BaseException) -> tuple[str, int] | None:
    """The file and line to look at first: the developer's innermost frame, root causes first."""
    for item in (*roots(error), error):
        if isinstance(item, SyntaxError) and item.filename:
            return path_at_home(item.filename), item.lineno or 1
        own = _own(item)
        if own:
            return path_at_home(own[-1].filename), own[-1].lineno or 1
    return None
