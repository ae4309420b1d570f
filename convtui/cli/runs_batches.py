"""The batches among what `convtui runs` lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convtui.library.library import Library

if TYPE_CHECKING:
    from convtui.cli.progress import Bar
    from convtui.filters.filter import Filter
    from convtui.log.run_summary import RunSummary


@dataclass(frozen=True, slots=True)
class FoundBatch:
    """A batch that is listed, with those of its conversations that are."""

    row: RunSummary
    conversations: Sequence[RunSummary] = ()
    selected: bool = False
    """Whether it is listed for its conversations, not for itself."""


def find_batches(
    library: Library,
    *,
    wanted: Callable[[RunSummary], bool],
    filter_: Filter | None,
    everything: bool,
    deep: bool,
    progress: Bar,
) -> list[FoundBatch]:
    """The batches of a folder that are wanted themselves, or for some of their conversations.

    With `everything` all are; with `deep` their conversations are read in any case. A filter asks
    about conversations only.
    """
    from convtui.batch.listing import list_batches

    batches: list[FoundBatch] = []
    rows = list_batches(library)
    for count, row in enumerate(rows, 1):
        itself = everything or (filter_ is None and wanted(row))
        conversations: list[RunSummary] = []
        if not row.damaged and (deep or not itself):
            inside = Library(row.path)
            turns = filter_ is not None and filter_.about_turns
            conversations = inside.newest() if not turns else inside.runs(turns=True)
            if not itself:
                conversations = [run for run in conversations if wanted(run)]
                if filter_ is not None:
                    conversations = inside.search(filter_, conversations)
            progress(count, len(rows))
        if itself or conversations:
            batches.append(FoundBatch(row, conversations, selected=not itself))
    return batches
