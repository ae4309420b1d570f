"""The values that a provider's class declares, which may be anything: read, checked and set."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Collection, Mapping
from types import NoneType
from typing import Any, Final

from convtui.errors import HookError
from convtui.models.base import ModelClients
from convtui.providers.base import Provider
from convtui.scenario.parts import check_signals
from convtui.scenario.provider_hooks import FIRST_SPEAKER, SYSTEM_PROMPT, TERMINATION_SIGNALS
from convtui.text.causes import describe
from convtui.text.tracebacks import own_frames

_SPEAKERS: Final = ("persona", "provider", None)


def check_declared(provider: Provider) -> None:
    """Raises `HookError` for a declared value of a wrong type, or one whose property fails.

    Whatever reads such a value later would fail in the middle of a conversation, or take the
    letters of a text for a list.
    """
    for name in ("name", SYSTEM_PROMPT.name):
        value = _read(provider, name)
        if not isinstance(value, (str, type(None))):
            raise _refused(name, value, "text")
    signals = _read(provider, TERMINATION_SIGNALS.name)
    _check_signals(signals)
    stateful = _read(provider, "stateful")
    if not isinstance(stateful, (bool, type(None))):
        raise _refused("stateful", stateful, "True, False or None")
    params = _read(provider, "params")
    if not isinstance(params, Mapping):
        raise _refused("params", params, "a dictionary")
    tools = _read(provider, "tools")
    if not isinstance(tools, (list, tuple)):
        raise _refused("tools", tools, "a list of functions")
    # A property may depend on the session, so it is read when there is one.
    speaker = inspect.getattr_static(provider, FIRST_SPEAKER.name)
    if callable(speaker) or (isinstance(speaker, str) and speaker not in _SPEAKERS):
        raise _refused(FIRST_SPEAKER.name, speaker, "'persona', 'provider' or None")


def _check_signals(declared: Any) -> None:
    name = TERMINATION_SIGNALS.name
    if isinstance(declared, str):
        raise HookError(
            f"{name} must be a list of text, not one text: write [{declared!r}]", hook=name
        )
    if not isinstance(declared, Collection):
        raise _refused(name, declared, "a list of text")
    signals: list[str] = []
    for signal in declared:
        if not isinstance(signal, str):
            raise HookError(
                f"{name} has {type(signal).__name__} in it; signals are text", hook=name
            )
        signals.append(signal)
    try:
        check_signals(signals)
    except ValueError as error:
        raise HookError(f"{name}: {error}", hook=name) from error


def _read(provider: Provider, name: str) -> Any:
    try:
        return getattr(provider, name)
    except Exception as error:
        raise HookError(
            f"{name} failed: {describe(error)}", hook=name, frames=own_frames(error)
        ) from error


def _refused(name: str, value: Any, wanted: str) -> HookError:
    if inspect.isroutine(value):
        return HookError(
            f"{name} must be {wanted}, not a method: is `@property` missing?", hook=name
        )
    shown = f"{value!r:.60}" if isinstance(value, (str, int)) else type(value).__name__
    return HookError(f"{name} must be {wanted}, not {shown}", hook=name)


def model_of(provider: Provider) -> str | None:
    """The model that a provider says it calls.

    `model` is no part of `Provider`: what else a class has under that name is its own business.
    """
    with contextlib.suppress(Exception):
        model = getattr(provider, "model", None)
        return model if isinstance(model, str) else None
    return None


def defines(provider: Provider, name: str) -> bool:
    """Whether a class or its object has an attribute itself, and not for every name there is."""
    return inspect.getattr_static(provider, name, None) is not None


def give_models(provider: Provider, models: ModelClients | None) -> None:
    """Sets `models`, unless the class has something of its own under that name."""
    own = inspect.getattr_static(provider, "models", None)
    if own is None or isinstance(own, ModelClients):
        put(provider, "models", models)


def accepts(provider: Provider, name: str, value: object) -> bool:
    """Whether an attribute is unset or of the type of `value`: another has another meaning."""
    with contextlib.suppress(Exception):
        return isinstance(getattr(provider, name, None), (type(value), NoneType))
    return False


def put(provider: Provider, name: str, value: Any) -> bool:
    """Sets an attribute of `Provider`, also on an object that is frozen; whether that worked."""
    for setting in (setattr, object.__setattr__):
        with contextlib.suppress(Exception):
            setting(provider, name, value)
            return True
    return False
