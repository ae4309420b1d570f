"""Parameters of model calls as they are typed: `temperature=0.2 max_tokens=300`."""

from __future__ import annotations

import json
import shlex
from typing import Any


def parse_params(text: str) -> tuple[dict[str, Any], str | None]:
    """Parses `key=value` pairs as model parameters; returns them with an error, if any.

    Values are JSON, else text.
    """
    try:
        parts = shlex.split(text)
    except ValueError as error:
        return {}, f"cannot be parsed: {error}"
    params: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name.isidentifier():
            return {}, f"{part}: write key=value, for example temperature=0.2"
        try:
            params[name] = json.loads(value)
        except (ValueError, RecursionError):
            params[name] = value
    return params, None if params else "write key=value, for example temperature=0.2"
