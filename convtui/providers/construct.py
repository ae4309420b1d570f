"""Instantiates a developer's class, with errors that name what is missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convtui.errors import ProviderLoadError, did_you_mean
from convtui.providers.frames import definition
from convtui.text.causes import repr_of
from convtui.text.tracebacks import location, own_frames


@dataclass(slots=True, frozen=True)
class Construction:
    """The names of the arguments that a constructor got, and of those that it does not take."""

    given: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


class Accepted:
    """The parameters of a class's constructor."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.names: Mapping[str, inspect.Parameter] = _parameters(cls)
        self.any_keyword = any(p.kind is p.VAR_KEYWORD for p in self.names.values())
        if self.any_keyword and not any(map(_is_named, self.names.values())):
            # A constructor without named parameters passes everything to the one it overrides.
            self.names = {**_overridden(cls), **self.names}

    def takes(self, name: str) -> bool:
        """Whether there is a parameter of this name; `**kwargs` does not count."""
        return name in self.names and _is_named(self.names[name])

    def refuse_unknown(self, given: Mapping[str, Any], where: str, what: str) -> None:
        """Raises `ProviderLoadError` for the first name that the constructor does not take."""
        for name in given:
            if not self.takes(name) and not self.any_keyword:
                raise ProviderLoadError(
                    f"{where}: {self.cls.__name__}() takes no {what} {name!r}"
                    f"{did_you_mean(name, self.names)} ({what}s of the scenario's provider)"
                )

    def missing(self, keywords: Mapping[str, Any]) -> list[str]:
        """Required parameters that are not in `keywords`."""
        return [
            name
            for name, parameter in self.names.items()
            if parameter.default is parameter.empty
            and _is_named(parameter)
            and name not in keywords
        ]

    def construct(
        self, keywords: Mapping[str, Any], where: str, make: Callable[..., Any] | None = None
    ) -> Any:
        """A new instance. Raises `ProviderLoadError` with the developer's own frames."""
        name = self.cls.__name__
        missing = self.missing(keywords)
        if missing:
            defined = definition(inspect.getattr_static(self.cls, "__init__"))
            raise ProviderLoadError(
                f"{where}: {name}() needs {', '.join(missing)}: give them as `options` of the"
                " scenario's provider, or a default",
                frames=() if defined is None else (defined.frame("__init__"),),
                location=None if defined is None else (defined.file, defined.line),
            )
        before = [n for n, p in self.names.items() if p.kind is p.POSITIONAL_ONLY and n in keywords]
        named = {name: value for name, value in keywords.items() if name not in before}
        try:
            return (make or self.cls)(*(keywords[name] for name in before), **named)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            what = "failed"
            if isinstance(error, SystemExit):
                what = f"calls sys.exit({repr_of(error.code)})"
            raise ProviderLoadError(
                f"{where}: {name}() {what}",
                frames=own_frames(error),
                location=location(error),
            ) from error


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)


def _parameters(cls: type) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(cls).parameters
    except (TypeError, ValueError):
        return {}


def _overridden(cls: type) -> dict[str, inspect.Parameter]:
    """The named parameters of the nearest overridden constructor that has any."""
    own = inspect.getattr_static(cls, "__init__")
    for ancestor in cls.__mro__[1:]:
        theirs = vars(ancestor).get("__init__")
        if theirs is None or theirs is own or ancestor is object:
            continue
        try:
            parameters = list(inspect.signature(theirs).parameters.values())[1:]
        except (TypeError, ValueError):
            continue
        named = {p.name: p for p in parameters if _is_named(p)}
        if named:
            return named
    return {}
