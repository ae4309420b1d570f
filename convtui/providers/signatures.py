"""Checks provider methods against the arguments that they will be called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

from convtui.errors import ProviderLoadError
from convtui.providers.base import Provider
from convtui.providers.frames import definition
from convtui.scenario.provider_hooks import METHODS, REPLY_HOOKS


def check_signatures(provider: Provider, where: str) -> None:
    """Raises `ProviderLoadError` if a method cannot take the arguments that it is called with.

    The error names the method, its file and line.
    """
    for hook in METHODS:
        defined = getattr(type(provider), hook.name, None)
        if defined is None or defined is getattr(Provider, hook.name, None):
            continue
        method = getattr(provider, hook.name)
        check_call(method, hook.name, hook.arguments or (), where)
        if hook in REPLY_HOOKS.values():
            check_plain(method, hook.name, where)


def check_call(
    method: Callable[..., Any], name: str, arguments: tuple[str, ...], where: str
) -> None:
    """Raises `ProviderLoadError` if a method cannot take these arguments."""
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
        refuse(method, name, says, where, error)


def check_plain(method: Callable[..., Any], name: str, where: str) -> None:
    """Raises `ProviderLoadError` for a method that gives its result later, or in pieces."""
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        refuse(method, name, f"{name}() must be a plain `def`, not `async def`", where)
    if inspect.isgeneratorfunction(method):
        refuse(method, name, f"{name}() must `return` its result, not `yield` it", where)


def refuse(
    method: Callable[..., Any], name: str, says: str, where: str, cause: Exception | None = None
) -> NoReturn:
    """Raises a `ProviderLoadError` that points at a method."""
    defined = definition(method)
    raise ProviderLoadError(
        f"{where}: {says}",
        frames=() if defined is None else (defined.frame(name),),
        location=None if defined is None else (defined.file, defined.line),
    ) from cause
