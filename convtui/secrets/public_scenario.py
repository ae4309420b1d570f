"""A scenario as a log's header has it: without secrets, and without what may be one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from convtui.secrets.masking import public_arguments, public_header, public_params, public_url
from convtui.secrets.names import LogValues
from convtui.secrets.redactor import Redactor
from convtui.secrets.values import all_of, argument_secrets, secrets_of

_SIDES: Final = ("provider", "persona")
_GIVEN: Final = ("params", "options")


def public_scenario(data: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The public form of `data`, which is as `Scenario.for_engine()` returns it."""
    public: dict[str, Any] = {}
    for key, value in data.items():
        if key in _SIDES and isinstance(value, Mapping):
            public[key] = _side(key, value, redactor)
        elif key == "tools":
            public[key] = [_tool(tool, redactor) for tool in value]
        else:
            public[key] = redactor.data({key: value})[key]
    return public


def _side(name: str, side: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    given = {key: side[key] for key in _GIVEN if isinstance(side.get(key), Mapping)}
    rest: dict[str, Any] = redactor.data(
        {key: value for key, value in side.items() if key not in given}
    )
    public = {key: public_params(value, redactor, at=(name, key)) for key, value in given.items()}
    # In the order in which they were.
    return {key: public[key] if key in public else rest[key] for key in side}


def _tool(tool: Any, redactor: Redactor) -> Any:
    server = tool.get("mcp") if isinstance(tool, Mapping) else None
    if not isinstance(server, Mapping):
        return redactor.data(tool)
    return {**redactor.data({**tool, "mcp": None}), "mcp": public_server(server, redactor)}


def public_server(server: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """A tool server as it may be written."""
    public: dict[str, Any] = {}
    for key, value in server.items():
        if key in ("env", "headers") and isinstance(value, Mapping):
            public[key] = {
                str(name): public_header(str(name), str(item), redactor, key)
                for name, item in value.items()
            }
        elif key == "command" and isinstance(value, list):
            public[key] = public_arguments([str(word) for word in value], redactor)
        elif key == "url" and isinstance(value, str):
            public[key] = public_url(value, redactor)
        else:
            public[key] = redactor.data(value)
    return public


def scenario_secrets(data: Mapping[str, Any], allowed: LogValues) -> Iterator[str]:
    """The secrets that a scenario names: in parameters and options, and for its tool servers."""
    for key in _SIDES:
        side = data.get(key)
        for given in _GIVEN if isinstance(side, Mapping) else ():
            yield from secrets_of(side.get(given) or {}, allowed, at=(key, given))  # type: ignore[union-attr]
    for tool in data.get("tools") or ():
        server = tool.get("mcp") if isinstance(tool, Mapping) else None
        if not isinstance(server, Mapping):
            continue
        yield from secrets_of({"url": server.get("url")})
        for given in ("env", "headers"):
            yield from all_of(server.get(given) or {}, allowed, at=given)
        yield from argument_secrets(server.get("command") or ())
