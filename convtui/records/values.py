"""What a value of JSON that nobody has checked is good for: the right kind, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def as_object(value: Any) -> dict[str, Any]:
    """An object; empty for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A list, as a new one; empty for anything else."""
    return list(value) if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """Text; empty for anything else."""
    return value if isinstance(value, str) else ""


def drop_none(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of an object: the values that are not None."""
    return {name: value for name, value in data.items() if value is not None}
