"""Makes providers of classes written for VERA-MH: tells them apart, constructs, checks names."""

from __future__ import annotations

import contextlib
import difflib
import inspect
import sys
from collections.abc import Callable, Sequence
from types import MethodType
from typing import TYPE_CHECKING, Any, Final

from convtui.errors import ProviderLoadError
from convtui.providers import frames, vera_interface
from convtui.providers.base import Provider
from convtui.providers.construct import Accepted
from convtui.providers.vera import HOOKS, VeraProvider, base_of

if TYPE_CHECKING:
    from convtui.providers.loader import ProviderSettings

_TELLTALE: Final = ("bespoke_termination_signals", "_extract_signals", "start_conversation")
_SYSTEM_PROMPT: Final = "You are a helpful AI assistant."
"""What VERA-MH gives to a provider without a prompt of its own."""


def is_vera(cls: type) -> bool:
    """Whether a class was written for VERA-MH: by its base, or by what only such a class has."""
    if issubclass(cls, Provider):
        return False
    return base_of(cls) is not None or any(hasattr(cls, name) for name in _TELLTALE)


def near_names(cls: type) -> list[tuple[str, str]]:
    """Names of a class that are nearly a hook's: `(theirs, hook)`. Nobody would call them."""
    base = base_of(cls) or vera_interface.LLMInterface
    plain = {hook.strip("_"): hook for hook in HOOKS}
    found: list[tuple[str, str]] = []
    for name in dir(cls):
        known = name in HOOKS or hasattr(base, name) or name == "restore"
        if known or name.startswith("__"):
            continue
        close = difflib.get_close_matches(name.strip("_"), plain, n=1, cutoff=0.86)
        if close:
            found.append((name, plain[close[0]]))
    return found


def _share_retries(client: Any) -> None:
    """An installed VERA-MH has a retry loop of its own: ours, which leaves records, replaces it."""
    base = base_of(type(client))
    if base is None or base is vera_interface.LLMInterface:
        return
    if getattr(type(client), "_run_with_retry", None) is not getattr(base, "_run_with_retry", 0):
        return
    failure = getattr(sys.modules.get(base.__module__), "LLMGenerationFailed", None)
    if not (isinstance(failure, type) and hasattr(base, "_set_response_metadata")):
        return

    async def retrying(
        self: Any,
        get_coro: Callable[[], Any],
        *,
        provider: str | None = None,
        no_retry_substrings: Sequence[str] = (),
        on_error: Any = None,
    ) -> Any:
        hopeless = (*self._no_retry_substrings(), *no_retry_substrings)
        return await vera_interface.run_with_retry(
            self,
            get_coro,
            provider=provider or "unknown",
            hopeless=hopeless,
            on_error=on_error,
            failure=failure,
        )

    with contextlib.suppress(AttributeError):
        client._run_with_retry = MethodType(retrying, client)


def adapt(thing: Any, settings: ProviderSettings, where: str) -> VeraProvider:
    """A provider from such a class or a ready instance of one.

    The constructor gets what VERA-MH gives it (`name`, `role`, `system_prompt`), the scenario's
    `first_message`, `start_prompt`, `model` (as `model_name`, too), `params` and `options` as far
    as it takes them. Raises `ProviderLoadError`.
    """
    client = _construct(thing, settings, where) if inspect.isclass(thing) else thing
    _share_retries(client)
    provider = VeraProvider(client, opening_prompt=settings.opening_prompt)
    try:
        _ = provider.termination_signals
    except Exception as error:
        raise ProviderLoadError(
            f"{where}: bespoke_termination_signals failed",
            frames=frames.own_frames(error),
            location=frames.location(error),
        ) from error
    return provider


def _construct(cls: type, settings: ProviderSettings, where: str) -> Any:
    accepted = Accepted(cls)
    given = {**settings.params, **settings.options}
    accepted.refuse_unknown(settings.params, where, "parameter")
    accepted.refuse_unknown(settings.options, where, "option")
    offered: dict[str, Any] = {"name": cls.__name__, "role": _provider_role(cls)}
    offered["system_prompt"] = settings.system_prompt or _SYSTEM_PROMPT
    keywords = {
        name: value
        for name, value in offered.items()
        if name in accepted.names or accepted.any_keyword
    }
    spoken = {"first_message": settings.first_message, "start_prompt": settings.start_prompt}
    if settings.start_prompt == vera_interface.DEFAULT_START_PROMPT:
        spoken["start_prompt"] = None  # a class may have another default
    model = {"model_name": settings.model, "model": settings.model}
    for name, value in {**spoken, **model}.items():
        takes = name in accepted.names or (accepted.any_keyword and name in (*spoken, "model_name"))
        if value is not None and takes:
            keywords[name] = value
    keywords.update(given)
    client = accepted.construct(keywords, where)
    for name, value in spoken.items():
        # A constructor that does not hand them on to its base must not make them silently void.
        if value is not None and name not in given and getattr(client, name, None) != value:
            with contextlib.suppress(AttributeError):
                setattr(client, name, value)
    return client


def _provider_role(cls: type) -> Any:
    """`Role.PROVIDER`, of the enumeration that the class itself knows."""
    base = base_of(cls)
    home = sys.modules.get(base.__module__) if base is not None else None
    role = getattr(home, "Role", vera_interface.Role)
    return getattr(role, "PROVIDER", vera_interface.Role.PROVIDER)
