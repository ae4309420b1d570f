"""Heights by item are what a plain list of them would say."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from convtui.tui.widgets.heights import Heights, row_to_show

SIZES = st.lists(st.integers(0, 9), max_size=1500)


@given(SIZES, st.lists(st.tuples(st.integers(0, 1499), st.integers(0, 9)), max_size=20))
def test_sums_and_places(sizes: list[int], changes: list[tuple[int, int]]) -> None:
    heights = Heights()
    for size, run in groupby(sizes):
        heights.add_estimates(len([*run]), size)
    assert not any(map(heights.is_exact, range(len(sizes))))
    for item, size in changes:
        if item < len(sizes):
            heights.put(item, size)
            sizes[item] = size
            assert heights.is_exact(item)
    assert heights.total == sum(sizes)
    line = 0
    for item, size in enumerate(sizes[:50]):
        assert heights.start(item) == line
        for row in range(size):
            assert heights.find(line + row) == (item, row)
        line += size


def test_many_at_once() -> None:
    heights = Heights(2000, 3)
    heights.put_many(500, list(range(100)))
    assert heights.total == 1900 * 3 + sum(range(100))
    assert heights.next_estimate() == 0
    assert heights.next_estimate(500) == 600
    heights.invalidate()
    assert heights.next_estimate(500) == 500


def test_beyond_the_end_is_the_last_line() -> None:
    heights = Heights(3, 2)
    assert heights.find(100) == (2, 1)
    assert Heights().find(5) == (0, 0)


@given(*(st.integers(0, n) for n in (60, 12, 60)), st.integers(1, 20))
def test_an_item_is_seen_after_scrolling_and_what_is_seen_stays(
    start: int, size: int, top: int, height: int
) -> None:
    row = row_to_show(start, size, top, height)
    if row is None:
        assert top <= start <= start + size <= top + height
        return
    assert row == 0 or 0 <= row <= row + size <= height, "no line of it is cut off"
    moved = abs(start - row - top)
    nearest = min(abs(start - top), abs(start + size - top - height))
    assert moved == nearest or size >= height or moved > height // 2


def test_a_distant_item_goes_to_the_upper_third() -> None:
    assert row_to_show(100, 2, top=0, height=12) == 4
    assert row_to_show(0, 2, top=100, height=12) == 4
    assert row_to_show(13, 2, top=0, height=12) == 10, "a near one comes in at the end"
    assert row_to_show(95, 2, top=100, height=12) == 0
