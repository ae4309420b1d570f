"""The conversations of the batches in a list of runs, read when they are shown or searched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from convtui.filters.filter import Filter
from convtui.library.families import RunNode, walk, with_conversations
from convtui.library.library import Library
from convtui.log.run_summary import RunSummary


class BatchConversations:
    """Puts conversations below the rows of their batches. Blocking; for one thread at a time.

    A batch is read again when its manifest has changed.
    """

    def __init__(self) -> None:
        self._read: dict[str, tuple[tuple[object, ...], list[RunSummary]]] = {}

    def place(self, roots: Iterable[RunNode], wanted: Callable[[RunNode], bool]) -> None:
        """Puts them below those batches among `roots` that are wanted; others have none below."""
        for root in roots:
            if root.run.batch is not None:
                runs = self._runs(root.run) if wanted(root) else []
                with_conversations([root], {root.run.file: runs})

    def matches(
        self, roots: Iterable[RunNode], expression: Filter, stop: Callable[[], bool]
    ) -> list[RunSummary]:
        """The placed conversations that match an expression."""
        matches: list[RunSummary] = []
        for root in roots:
            if root.run.batch is None or stop():
                continue
            inside = Library(root.run.path)
            if expression.about_turns:
                inside.runs(turns=True, stop=stop)
            runs = [node.run for node in walk(root.children)]
            matches += inside.search(expression, runs, stop=stop)
        return matches

    def _runs(self, batch: RunSummary) -> list[RunSummary]:
        state = (batch.modified, batch.size, batch.running)
        known = self._read.get(batch.file)
        if known is None or known[0] != state:
            known = self._read[batch.file] = state, Library(batch.path).newest()
        return known[1]

    def forget(self, folders: Iterable[str]) -> None:
        """Reads the batches in these folders again when they are next shown."""
        for folder in folders:
            self._read.pop(folder, None)


def batch_of(roots: Sequence[RunNode], branch: RunNode) -> RunSummary | None:
    """The batch that a conversation belongs to; None for a single run, and for a batch itself."""
    if branch.run.batch is not None:
        return None
    file = branch.run.file
    return next(
        (
            root.run
            for root in roots
            if root.run.batch is not None and any(node.run.file == file for node in walk([root]))
        ),
        None,
    )
