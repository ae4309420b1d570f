"""Numbers with their nouns."""

from __future__ import annotations


def counted(number: int, noun: str, many: str = "") -> str:
    """`1 turn`, `2 turns`, `1,200 turns`; `many` is a plural that is not made with an s."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"
