"""Making an instance of a developer's class, with errors that name what is missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from convtui.errors import ProviderLoadError, did_you_mean
from convtui.providers import frames


class Accepted:
    """What a class's constructor takes."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        try:
            self.names: Mapping[str, inspect.Parameter] = inspect.signature(cls).parameters
        except (TypeError, ValueError):
            self.names = {}
        self.any_keyword = any(p.kind is p.VAR_KEYWORD for p in self.names.values())

    def refuse_unknown(self, given: Mapping[str, Any], where: str, what: str) -> None:
        """Raises `ProviderLoadError` for the first name that the constructor does not take."""
        for name in given:
            if name not in self.names and not self.any_keyword:
                raise ProviderLoadError(
                    f"{where}: {self.cls.__name__}() takes no {what} {name!r}"
                    f"{did_you_mean(name, self.names)} ({what}s of the scenario's provider)"
                )

    def missing(self, keywords: Mapping[str, Any]) -> list[str]:
        """Required names that `keywords` does not have."""
        return [
            name
            for name, parameter in self.names.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and name not in keywords
        ]

    def construct(
        self, keywords: Mapping[str, Any], where: str, make: Callable[..., Any] | None = None
    ) -> Any:
        """A new instance. Raises `ProviderLoadError` with the developer's own frames."""
        name = self.cls.__name__
        missing = self.missing(keywords)
        if missing:
            place = frames.definition(inspect.getattr_static(self.cls, "__init__"))
            raise ProviderLoadError(
                f"{where}: {name}() needs {', '.join(missing)}: give them as `options` of the"
                " scenario's provider, or a default",
                frames=() if place is None else (place.frame("__init__"),),
                location=None if place is None else (place.file, place.line),
            )
        try:
            return (make or self.cls)(**keywords)
        except (Exception, SystemExit) as error:
            exited = isinstance(error, SystemExit)
            what = f"calls sys.exit({error.code!r})" if exited else "failed"  # type: ignore[union-attr]
            raise ProviderLoadError(
                f"{where}: {name}() {what}",
                frames=frames.own_frames(error),
                location=frames.location(error),
            ) from error
