"""The providers, settings or session lists of one batch against each other, in pairs.

The runs of cells that differ in nothing else are pairs, as those of two batches are.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

from convtui.batch.manifest import BatchCell
from convtui.batch.results.compare import Change, changes_of, first_attempts, pairs_of
from convtui.batch.results.reading import Results
from convtui.batch.results.summary import NAMES

CONTRASTED: Final = ("provider", "sessions", "settings")
"""What is contrasted: each with the first of its kind in the plan."""
MOST: Final = 8
"""Others that are contrasted with the first at most."""


@dataclass(slots=True, frozen=True)
class Contrast:
    """One provider, say, against the first one of the plan."""

    base: str
    other: str
    pairs: int
    changes: Mapping[str, Change]
    """From `base` to `other`, by `Measure.id`."""


def contrasts(results: Results, dimension: str) -> list[Contrast]:
    """What differs between the groups of one of `CONTRASTED`; none where there is only one."""
    by_group: dict[str, dict[Hashable, list[BatchCell]]] = {}
    for cell in results.batch.cells.values():
        group = by_group.setdefault(NAMES[dimension](cell), {})
        group.setdefault(_rest(cell, dimension), []).append(cell)
    if not by_group:
        return []
    (base, cells), *others = by_group.items()
    runs = first_attempts(results)
    found = []
    for other, others_cells in others[:MOST]:
        pairs = []
        for rest, ours in cells.items():
            theirs = others_cells.get(rest, [])
            # Cells that are not told apart have no counterpart.
            if len(ours) == len(theirs) == 1:
                before, after = runs.get(ours[0].name, {}), runs.get(theirs[0].name, {})
                pairs.append(pairs_of(other, before, after))
        count = sum(map(len, pairs))
        if count:
            found.append(Contrast(base, other, count, changes_of(pairs)))
    return found


def _rest(cell: BatchCell, dimension: str) -> Hashable:
    """Everything in which a cell may differ but the one dimension."""
    return tuple(of(cell) for name, of in NAMES.items() if name not in (dimension, "cell"))
