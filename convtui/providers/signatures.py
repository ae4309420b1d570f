"""Whether a provider's methods can be called as they will be: found out before the first call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, NoReturn

from convtui.errors import ProviderLoadError
from convtui.providers.base import Provider
from convtui.providers.frames import definition

_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "setup": (),
    "cleanup": (),
    "prepare_sessions": ("session_types",),
    "enter_session": ("session_type",),
    "finish_and_reset_session": ("next_session_type",),
    "generate_response": ("messages",),
    "respond": ("request",),
    "extract_signals": ("raw",),
    "post_process_response": ("text",),
    "should_discard_response": ("signals",),
    "restore": ("state",),
}


_VERA_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "setup": (),
    "cleanup": (),
    "prepare_sessions": ("session_types",),
    "enter_session": ("session_type",),
    "finish_and_reset_session": ("session_type",),
    "start_conversation": (),
    "_extract_signals": ("raw_response",),
    "_post_process_response": ("response",),
    "_should_discard_response": ("signals",),
    "restore": ("state",),
}
_PLAIN: Final = frozenset(
    {"_extract_signals", "_post_process_response", "_should_discard_response"}
)
"""Those that VERA-MH calls without awaiting."""


def check_signatures(provider: Provider, where: str) -> None:
    """Refuses a provider with a method that cannot take what it is called with.

    Raises `ProviderLoadError` that names the method, its file and line.
    """
    for name, arguments in _ARGUMENTS.items():
        defined = getattr(type(provider), name, None)
        if defined is None or defined is getattr(Provider, name, None):
            continue
        _check(getattr(provider, name), name, arguments, where)


def check_vera_signatures(client: object, base: type | None, where: str) -> None:
    """The same for an object of a class that was written for VERA-MH.

    `base` is the interface that it is derived from. How `generate_response` is called is not
    checked here: it may take two things.
    """
    for name, arguments in _VERA_ARGUMENTS.items():
        defined = getattr(type(client), name, None)
        if not callable(defined) or defined is getattr(base, name, None):
            continue
        if name == "finish_and_reset_session" and hasattr(type(client), "enter_session"):
            entering = getattr(type(client), "enter_session", None)
            if entering is not getattr(base, "enter_session", None):
                continue  # is not called then
        method = getattr(client, name)
        _check(method, name, arguments, where)
        if name in _PLAIN and inspect.iscoroutinefunction(method):
            _refuse(method, name, f"{name}() must be a plain `def`, not `async def`", where)


def _check(method: Callable[..., Any], name: str, arguments: tuple[str, ...], where: str) -> None:
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        wanted = ", ".join(("self", *arguments))
        what = f"the {arguments[0]}" if arguments else "no argument"
        says = (
            f"{name}{signature} cannot be called with {what} ({error}); write"
            f" `def {name}({wanted})`"
        )
        _refuse(method, name, says, where, error)


def _refuse(
    method: Callable[..., Any], name: str, says: str, where: str, cause: Exception | None = None
) -> NoReturn:
    place = definition(method)
    raise ProviderLoadError(
        f"{where}: {says}",
        frames=() if place is None else (place.frame(name),),
        location=None if place is None else (place.file, place.line),
    ) from cause
