"""Text as it can be sent: valid UTF-8, whatever a conversation is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

REPLACED: Final = "lone_surrogates"
"""The code of the warning that something was replaced."""


def replace_surrogates(value: Any) -> Any:
    """`value` with no lone surrogate in any of its strings, at any depth; each becomes U+FFFD.

    No UTF-8 has them, so a request with one cannot be written. Two that make a character together
    become that character. What needs no change is returned as it is, not copied.
    """
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        items = {replace_surrogates(key): replace_surrogates(item) for key, item in value.items()}
        same = len(items) == len(value) and all(
            key is new and item is old
            for (key, item), (new, old) in zip(items.items(), value.items(), strict=True)
        )
        return value if same else items
    if isinstance(value, (list, tuple)):
        made = [replace_surrogates(item) for item in value]
        if all(new is old for new, old in zip(made, value, strict=True)):
            return value
        return made
    return value


def _text(text: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
