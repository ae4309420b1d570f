"""The name of one conversation of a batch: `<cell>.<run>`, for a later attempt `<cell>.<run>.a2`.

It names the conversation's row, and its log in the batch's folder.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_KEY: Final = re.compile(r"(?P<cell>.+)\.(?P<run>[1-9]\d*)(?:\.a(?P<attempt>[2-9]|[1-9]\d+))?")


class Key(NamedTuple):
    """The parts of a conversation's name; runs and attempts count from 1."""

    cell: str
    run: int
    attempt: int = 1

    def __str__(self) -> str:
        again = f".a{self.attempt}" if self.attempt > 1 else ""
        return f"{self.cell}.{self.run}{again}"

    @property
    def first(self) -> str:
        """The key of its first attempt."""
        return str(self._replace(attempt=1))

    @classmethod
    def parse(cls, text: str) -> Key | None:
        """The parts of a key; None for a text that is none."""
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        return cls(match["cell"], int(match["run"]), int(match["attempt"] or 1))
