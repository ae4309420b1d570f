"""Numbers of things, for people."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """`1 turn`, `2 turns`, `1,000 branches`; `many` is the plural where it is not `one` and s."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
