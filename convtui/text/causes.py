"""Exceptions of other people's code in words: what they say, and what is behind them.

Whatever such an exception does when it is looked at (its `__str__` may raise, return no text, or
return a megabyte) it becomes a line that can be shown and logged.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from convtui.errors import ConvtuiError
from convtui.text.aliases import own_names
from convtui.text.boundary import one_line, visible

_LIMIT = 4000
"""Characters of one exception's text, unless more is asked for."""
_MOST = 10_000
"""Exceptions of one chain that are looked at; a chain may be a circle, or made by a loop."""
_NAMED = 3
"""How many causes a message names; the log has the others."""
_LAST = 300
"""Characters of what a chain ended as, where a message names where it began."""
_CONTROL_FLOW = ("CancelledError", "GeneratorExit", "StopIteration", "StopAsyncIteration")
"""Exceptions that end a wait or a loop: never the reason why something else failed."""


def text_of(error: BaseException, limit: int = _LIMIT) -> str:
    """The message of an exception with its notes; its type's name when that is unusable."""
    name = type(error).__name__
    try:
        message: object = error.msg if isinstance(error, SyntaxError) else str(error)
        # A subclass of str may do anything when it is cut or joined.
        text = str.__str__(message if isinstance(message, str) else "")
        text = "\n".join([text, *map(str.__str__, getattr(error, "__notes__", ()))])
    except BaseException:  # noqa: BLE001 - whatever somebody's __str__ does
        return name
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text):,} characters)"
    return visible(own_names(text)).strip() or name


def repr_of(value: object) -> str:
    """`repr()` of anything, cut; its type where that fails."""
    try:
        text = str.__str__(repr(value))
    except BaseException:  # noqa: BLE001 - whatever somebody's __repr__ does
        return f"<{type(value).__name__}>"
    return visible(one_line(text, 500))


def describe_one(error: BaseException, limit: int = _LIMIT) -> str:
    """`ErrorType: message` of one exception, without its causes."""
    name = type(error).__name__
    text = text_of(error, limit)
    if isinstance(error, ModuleNotFoundError) and error.name:
        text += (
            f" (looked for by {sys.executable}; install it there, or name the interpreter that has"
            " it with --python PATH)"
        )
    return name if text == name else f"{name}: {text}"


def chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all of its causes, each once, the exception itself first.

    Its causes are its `__cause__`, or else its `__context__` unless that is suppressed (as in
    tracebacks), and the members of a group.
    """
    seen: set[int] = set()
    waiting = [error]
    while waiting and len(seen) < _MOST:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += reversed(_behind(item))


def roots(error: BaseException) -> list[BaseException]:
    """The root causes: the exceptions of the chain that have no cause, in order.

    Those that only end a wait or a loop do not count. Of a circle the last one is the beginning.
    """
    items = [item for item in chain(error) if item is error or not _is_control_flow(item)]
    ends = [item for item in items if all(map(_is_control_flow, _behind(item)))]
    return ends or items[-1:]


def _behind(error: BaseException) -> list[BaseException]:
    members: list[BaseException] = []
    if isinstance(error, BaseExceptionGroup):
        members += error.exceptions
    reason = error.__cause__
    if reason is None and not error.__suppress_context__:
        reason = error.__context__
    return members if reason is None else [*members, reason]


def _is_control_flow(error: BaseException) -> bool:
    return any(kind.__name__ in _CONTROL_FLOW for kind in type(error).__mro__)


def describe(error: BaseException, limit: int = _LIMIT) -> str:
    """An exception in a sentence: its root cause first, then the exception itself.

    `KeyError: 'gate' (then RuntimeError: lookup failed)`. Of more than three beginnings, which a
    group may have, the others are counted.
    """
    first = roots(error)
    if first[0] is error:
        return describe_one(error, limit)
    named = [describe_one(item) for item in first[:_NAMED]]
    if named == [describe_one(error)]:
        return describe_one(error, limit)
    more = f"; and {len(first) - _NAMED} more" if len(first) > _NAMED else ""
    return f"{'; '.join(dict.fromkeys(named))}{more} (then {one_line(describe_one(error), _LAST)})"


def causes(error: BaseException) -> list[BaseException]:
    """What is behind an error of ours, or with it: the exceptions of other people's code.

    The first to have happened comes first; empty where there is but one, which the error's own
    message tells of.
    """
    foreign = [item for item in chain(error) if not isinstance(item, ConvtuiError)]
    return foreign[::-1] if len(foreign) > 1 else []


def frames_behind(error: BaseException) -> tuple[str, ...]:
    """The developer's own traceback lines that one of our errors, or a cause of it, carries."""
    for item in chain(error):
        frames: Any = getattr(item, "frames", ()) if isinstance(item, ConvtuiError) else ()
        if frames:
            return tuple(frames)
    return ()
