"""Arguments of tool calls as models write them: JSON text, not always valid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def decoded(text: str) -> dict[str, Any] | None:
    """The arguments in a text; `{}` for an empty one, None for what is no JSON object."""
    if not text.strip():
        return {}
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return arguments if isinstance(arguments, dict) else None


def distinct_ids(ids: Sequence[str]) -> list[str]:
    """The ids of a reply's calls, made unique; endpoints may omit or repeat them."""
    taken: set[str] = set()
    distinct: list[str] = []
    for number, call_id in enumerate(ids, 1):
        name = call_id or f"call_{number}"
        while name in taken:
            name += f"_{number}"
        taken.add(name)
        distinct.append(name)
    return distinct


def pretty_arguments(text: str) -> str:
    """The text indented for reading and editing; unchanged when it is no JSON object."""
    arguments = decoded(text)
    if arguments is None:
        return text
    return json.dumps(arguments, ensure_ascii=False, indent=2)


def arguments_problem(text: str) -> str | None:
    """Why a text cannot be the arguments of a tool; None when it can."""
    if decoded(text) is not None:
        return None
    try:
        json.loads(text)
    except ValueError as error:
        return f"this is no JSON: {error}"
    except RecursionError:
        return "this nests too deep"
    return 'the arguments of a tool are a JSON object, as in {"order": 17}'
