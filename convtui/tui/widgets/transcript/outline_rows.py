"""Which row of a session in the outline shows what: computed, so that a session may have any
number of turns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["heading", "skipped", "call", "turns", "branch", "coming"]


class Row(NamedTuple):
    """What a row shows: `number` is that of the call, the first turn of the row, the branch, or the
    session to come."""

    kind: Kind
    number: int = 0


class SessionRows(NamedTuple):
    """The rows of one session."""

    turns: int
    per_row: int
    calls_before: int = 0
    calls_after: int = 0
    branches: Sequence[int] = ()
    """The position of each branch's turn in the session, in order."""
    skipped: bool = False
    coming: int = 0
    """Sessions that have not begun."""
    folded: bool = False

    @property
    def height(self) -> int:
        if self.folded:
            return 1 + self.coming
        return self._first_turn + self._block + self.calls_after + self.coming

    @property
    def _first_turn(self) -> int:
        return 1 + self.skipped + self.calls_before

    @property
    def _turn_rows(self) -> int:
        return -(-self.turns // self.per_row)

    @property
    def _block(self) -> int:
        """Rows of turns with their branches between them."""
        return self._turn_rows + len(self.branches)

    def at(self, row: int) -> Row | None:
        """What a row shows; None for one that there is not."""
        if row == 0:
            return Row("heading")
        first_coming = self.height - self.coming
        if row >= first_coming:
            return Row("coming", row - first_coming) if row < self.height else None
        row -= 1
        if self.skipped:
            if row == 0:
                return Row("skipped")
            row -= 1
        if row < self.calls_before:
            return Row("call", row)
        row -= self.calls_before
        if row >= self._block:
            return Row("call", self.calls_before + row - self._block)
        rows = self._branch_rows
        number = bisect_left(rows, row)
        if number < len(rows) and rows[number] == row:
            return Row("branch", number)
        return Row("turns", (row - number) * self.per_row)

    @property
    def _branch_rows(self) -> list[int]:
        return [cell // self.per_row + 1 + n for n, cell in enumerate(self.branches)]

    def row_of_turn(self, position: int) -> int:
        """The row of a turn, by its position in the session."""
        if self.folded:
            return 0
        row = position // self.per_row
        before = sum(cell // self.per_row < row for cell in self.branches)
        return self._first_turn + row + before

    def row_of_branch(self, number: int) -> int:
        return 0 if self.folded else self._first_turn + self._branch_rows[number]
