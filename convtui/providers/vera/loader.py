"""Makes providers of classes written for VERA-MH: recognises, constructs and checks them."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from types import MethodType
from typing import Any, Final

from convtui.errors import ProviderLoadError, misspelled
from convtui.providers.base import Provider
from convtui.providers.call_shape import CallShape, read_call_shape
from convtui.providers.construct import Accepted, Construction
from convtui.providers.frames import definition
from convtui.providers.settings import ProviderSettings
from convtui.providers.vera import interface
from convtui.providers.vera.adapter import SIGNALS, VeraProvider, base_of, signals_name
from convtui.providers.vera.hooks import NAMES, RESTORE, check_vera_signatures
from convtui.text.tracebacks import location, own_frames

_TELLTALE: Final = (*SIGNALS, "_extract_signals", "start_conversation")
_ANSWER: Final = "generate_response"
_SYSTEM_PROMPT: Final = "You are a helpful AI assistant."
"""VERA-MH's default for a provider without a prompt of its own."""


def is_vera(cls: type) -> bool:
    """Whether a class was written for VERA-MH: by its base, or by members that only such have."""
    if issubclass(cls, Provider):
        return False
    if base_of(cls) is not None or any(hasattr(cls, name) for name in _TELLTALE):
        return True
    return hasattr(cls, "get_last_response_metadata") and _takes_text(cls)


def _takes_text(cls: type) -> bool:
    """Whether `generate_response` takes one message, as in VERA-MH 1.0."""
    answer = inspect.getattr_static(cls, _ANSWER, None)
    method = MethodType(answer, cls) if inspect.isfunction(answer) else getattr(cls, _ANSWER, None)
    return callable(method) and read_call_shape(method).takes_text


def near_names(cls: type) -> list[tuple[str, str]]:
    """Names of a class that are almost a hook's, and never called: `(theirs, hook)`."""
    base = base_of(cls) or interface.LLMInterface
    near: list[tuple[str, str]] = []
    for name in dir(cls):
        known = name in (*NAMES, *SIGNALS, RESTORE.name) or hasattr(base, name)
        if known or name.startswith("__"):
            continue
        hook = misspelled(name, NAMES)
        if hook is not None:
            near.append((name, hook))
    return near


def _share_retries(client: Any) -> None:
    """Replaces the retry loop of an installed VERA-MH with ours, which records attempts."""
    base = base_of(type(client))
    if base is None or base is interface.LLMInterface:
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
        return await interface.run_with_retry(
            self,
            get_coro,
            provider=provider or "unknown",
            hopeless=hopeless,
            on_error=on_error,
            failure=failure,
        )

    with contextlib.suppress(AttributeError):
        client._run_with_retry = MethodType(retrying, client)


def adapt(
    thing: Any, settings: ProviderSettings, where: str
) -> tuple[VeraProvider, Construction | None]:
    """A provider from such a class or an instance of one, with the construction of the class.

    The constructor gets what VERA-MH passes (`name`, `role`, `system_prompt`) and the scenario's
    `first_message`, `start_prompt` and `model` (also as `model_name`) if it names them. `params`
    and `options` are passed to `**kwargs` as well, because the scenario sets them explicitly.
    Prompts and messages without a parameter are set on the instance afterwards, if possible.
    Raises `ProviderLoadError`.
    """
    made: Construction | None = None
    client = thing
    if inspect.isclass(thing):
        client, made = _construct(thing, settings, where)
    check_vera_signatures(client, base_of(type(client)), where)
    _share_retries(client)
    provider = VeraProvider(client, opening_prompt=settings.opening_prompt)
    refuse_unusable(provider.shape, client, where, near_names(type(client)))
    try:
        _ = provider.termination_signals
    except Exception as error:
        raise ProviderLoadError(
            f"{where}: {signals_name(type(client))} failed",
            frames=own_frames(error),
            location=location(error),
        ) from error
    return provider, made


def refuse_unusable(
    shape: CallShape, client: Any, where: str, near: Sequence[tuple[str, str]]
) -> None:
    """Raises `ProviderLoadError` if the object's `generate_response` cannot be called."""
    answer = getattr(client, "generate_response", None)
    unusable = shape.unusable
    function = inspect.unwrap(answer) if callable(answer) else answer
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        unusable = "yields its reply in pieces: VERA-MH awaits a text, so `return` it"
    if not unusable:
        return
    close = [f"{theirs} (did you mean {hook}?)" for theirs, hook in near if hook == _ANSWER]
    defined = definition(answer) if callable(answer) else None
    raise ProviderLoadError(
        f"{where}: generate_response() {unusable}; write"
        " `async def generate_response(self, conversation_history)`, or `(self, message)` as in"
        f" VERA-MH 1.0{'; there is ' + ', '.join(close) if close else ''}",
        frames=() if defined is None else (defined.frame(_ANSWER),),
        location=None if defined is None else (defined.file, defined.line),
    )


def _construct(cls: type, settings: ProviderSettings, where: str) -> tuple[Any, Construction]:
    accepted = Accepted(cls)
    requested = {**settings.params, **settings.options}
    accepted.refuse_unknown(settings.params, where, "parameter")
    accepted.refuse_unknown(settings.options, where, "option")
    system_prompt = settings.system_prompt or _SYSTEM_PROMPT
    spoken = {"first_message": settings.first_message, "start_prompt": settings.start_prompt}
    if settings.start_prompt == interface.DEFAULT_START_PROMPT:
        spoken["start_prompt"] = None  # a class may have another default
    offered: dict[str, Any] = {
        "name": cls.__name__,
        "role": _provider_role(cls, accepted.names.get("role")),
        "system_prompt": system_prompt,
        **spoken,
        "model_name": settings.model,
        "model": settings.model,
    }
    offered = {name: value for name, value in offered.items() if value is not None}
    keywords = {name: value for name, value in offered.items() if accepted.takes(name)}
    keywords.update(requested)
    client = accepted.construct(keywords, where)
    # A constructor that does not take them must not make them silently ineffective.
    if "system_prompt" not in keywords and not getattr(client, "system_prompt", None):
        _set_system_prompt(client, system_prompt)
    for name, value in spoken.items():
        if value is not None and name not in requested and getattr(client, name, None) != value:
            with contextlib.suppress(AttributeError):
                setattr(client, name, value)
    left_out = [name for name in offered if name not in keywords]
    if "model_name" in keywords or "model" in keywords:
        left_out = [name for name in left_out if name not in ("model_name", "model")]
    return client, Construction(tuple(keywords), tuple(left_out))


def _set_system_prompt(client: Any, text: str) -> None:
    setter = getattr(type(client), "set_system_prompt", None)
    with contextlib.suppress(AttributeError):
        if setter is not None:
            client.set_system_prompt(text)
        else:
            client.system_prompt = text


def _provider_role(cls: type, parameter: inspect.Parameter | None) -> Any:
    """`Role.PROVIDER` of the enumeration that the class itself uses.

    A text parameter means something else, such as a role in chat messages: then None if it has a
    default, else the role's value.
    """
    base = base_of(cls)
    home = sys.modules.get(base.__module__) if base is not None else None
    role = getattr(home, "Role", interface.Role)
    provider = getattr(role, "PROVIDER", interface.Role.PROVIDER)
    if parameter is None:
        return provider
    if isinstance(parameter.default, str) and not isinstance(parameter.default, Enum):
        return None
    if parameter.annotation in (str, "str"):
        return provider.value if parameter.default is parameter.empty else None
    return provider
