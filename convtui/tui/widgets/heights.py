"""The heights of many items in lines, with prefix sums: where an item starts, what is at a line."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

_BLOCK = 512


class Heights:
    """Heights by item, summed in blocks: changes are O(1), look-ups cheap.

    A height is exact or an estimate; `next_estimate` finds what is left to measure.
    """

    __slots__ = ("_blocks", "_exact", "_heights", "total")

    def __init__(self, count: int = 0, estimate: int = 1) -> None:
        self._heights = array("l", [estimate]) * count
        self._exact = bytearray(count)
        self._blocks: list[int] = []
        self.total = 0
        self._update_blocks()

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, item: int) -> int:
        return self._heights[item]

    def _update_blocks(self) -> None:
        heights = self._heights
        self._blocks = [
            sum(heights[first : first + _BLOCK]) for first in range(0, len(heights), _BLOCK)
        ]
        self.total = sum(self._blocks)

    def add_estimates(self, count: int, height: int) -> None:
        """Appends items whose heights are not known."""
        first = len(self._heights) // _BLOCK
        self._heights.extend(array("l", [height]) * count)
        self._exact.extend(bytes(count))
        del self._blocks[first:]
        for begin in range(first * _BLOCK, len(self._heights), _BLOCK):
            self._blocks.append(sum(self._heights[begin : begin + _BLOCK]))
        self.total += height * count

    def put(self, item: int, height: int) -> int:
        """Sets an exact height; returns the difference to the old one."""
        delta = height - self._heights[item]
        self._exact[item] = 1
        if delta:
            self._heights[item] = height
            self._blocks[item // _BLOCK] += delta
            self.total += delta
        return delta

    def put_many(self, first: int, heights: Sequence[int]) -> None:
        """Sets exact heights of consecutive items."""
        last = first + len(heights)
        self._heights[first:last] = array("l", heights)
        self._exact[first:last] = b"\x01" * len(heights)
        for block in range(first // _BLOCK, (last - 1) // _BLOCK + 1):
            block_sum = sum(self._heights[block * _BLOCK : (block + 1) * _BLOCK])
            self.total += block_sum - self._blocks[block]
            self._blocks[block] = block_sum

    def invalidate(self) -> None:
        """Turns every height into an estimate."""
        self._exact = bytearray(len(self._heights))

    def is_exact(self, item: int) -> bool:
        return bool(self._exact[item])

    def next_estimate(self, start: int = 0) -> int:
        """The first estimated item from `start` on; -1 if there is none."""
        return self._exact.find(0, start)

    def start(self, item: int) -> int:
        """The number of lines before an item."""
        block = item // _BLOCK
        return sum(self._blocks[:block]) + sum(self._heights[block * _BLOCK : item])

    def find(self, line: int) -> tuple[int, int]:
        """The item at a line and the line within it; past the end, the last line."""
        if not self._heights:
            return 0, 0
        rest = max(0, line)
        block = 0
        for block, size in enumerate(self._blocks):  # noqa: B007
            if rest < size:
                break
            rest -= size
        else:
            last = len(self._heights) - 1
            return last, max(0, self._heights[last] - 1)
        item = block * _BLOCK
        for height in self._heights[item : item + _BLOCK]:
            if rest < height:
                break
            rest -= height
            item += 1
        return item, rest


def row_to_show(start: int, size: int, top: int, height: int) -> int | None:
    """The row of the view where an item is shown after scrolling as little as needed.

    The item has `size` lines from line `start` on; the view shows `height` lines from line `top`
    on. None if all of it is visible; a distant item goes to the upper third.
    """
    if start >= top and start + size <= top + height:
        return None
    if size >= height or top - height < start < top:
        return 0
    if start < top or start > top + height + height // 2:
        return min(height // 3, height - size)
    return height - size
