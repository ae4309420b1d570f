"""Whether a provider's methods can be called as they will be: found out before the first call."""

from __future__ import annotations

import inspect
from typing import Final

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


def check_signatures(provider: Provider, where: str) -> None:
    """Refuses a provider with a method that cannot take what it is called with.

    Raises `ProviderLoadError` that names the method, its file and line.
    """
    for name, arguments in _ARGUMENTS.items():
        defined = getattr(type(provider), name, None)
        if defined is None or defined is getattr(Provider, name, None):
            continue
        method = getattr(provider, name)
        try:
            signature = inspect.signature(method)
        except (TypeError, ValueError):
            continue
        try:
            signature.bind(*arguments)
        except TypeError as error:
            wanted = ", ".join(("self", *arguments))
            place = definition(method)
            what = f"the {arguments[0]}" if arguments else "no argument"
            raise ProviderLoadError(
                f"{where}: {name}{signature} cannot be called with {what} ({error}); write"
                f" `def {name}({wanted})`",
                frames=() if place is None else (place.frame(name),),
                location=None if place is None else (place.file, place.line),
            ) from error
