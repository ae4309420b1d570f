"""What is typed above a list: words, or an expression of the filter language."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convtui.filters.filter import Filter

_FILTER_CHARS = '~&|!()"'
"""Characters that make a text a filter expression; other texts match words of a row."""


def is_expression(text: str) -> bool:
    return any(char in text for char in _FILTER_CHARS)


def parse_filter(text: str) -> Filter | None:
    """The filter expression of a text; None if it is plain words. Raises `FilterError`."""
    if not is_expression(text):
        return None
    from convtui.filters.filter import parse

    return parse(text)
