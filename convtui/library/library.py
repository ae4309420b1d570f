"""The saved runs of a folder: listed, searched, kept up to date; by an index or from the logs.

The index answers when it can be had. Where it cannot (a read-only folder, a full disk, another
process that holds it), the logs are read as they always could be, and `notice` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from convtui.errors import IndexFailure
from convtui.library.families import families, walk
from convtui.library.index import Index, Progress
from convtui.library.index_file import Stat, remove_index
from convtui.library.run_order import NEWEST, sort_runs
from convtui.log.run_summary import RunSummary, log_files, summarise

if TYPE_CHECKING:
    from convtui.filters.filter import Filter
    from convtui.library.indexed_run import RunTurns

T = TypeVar("T")
_NO_SENSE: Final = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What values raise that SQLite reads from a damaged file, and that are none of ours."""


class Library:
    """The runs of one folder. Blocking: call it in a thread from a screen."""

    def __init__(self, folder: Path | str, *, full_text: bool = True) -> None:
        self.folder = Path(folder)
        self.notice = ""
        """Why the logs are read one by one; empty while the index answers."""
        self._full_text = full_text

    # --- listing

    def runs(
        self,
        *,
        turns: bool = False,
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[RunSummary]:
        """Every run, the last written first, as the files are now.

        With `turns` the turns of all runs are indexed, so that `search()` has to open no log.
        `progress` gets how many of how many changed logs were read; `stop` is called before each,
        and ends the update early.
        """
        runs = self._by_index(
            lambda index: index.listing(turns=turns, progress=progress, stop=stop)
        )
        if runs is not None:
            return runs
        logs = log_files(self.folder)
        runs = []
        for count, entry in enumerate(logs, 1):
            if stop():
                break
            runs.append(summarise(Path(entry.path)))
            if progress is not None:
                progress(count, len(logs))
        return runs

    def newest(self) -> list[RunSummary]:
        """Every run in the order of lists: the last that began first."""
        return sort_runs(self.runs(), NEWEST)

    def search(
        self,
        expression: Filter,
        runs: Sequence[RunSummary],
        *,
        open_logs: bool = True,
        progress: Progress | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> list[RunSummary]:
        """The `runs` that a filter matches, by their own facts or by one of their turns.

        Runs whose turns the index does not have are looked up in their logs, unless `open_logs` is
        False: then they are left out.
        """
        # A list that is not searched needs none of this.
        from convtui.library.searching import by_index, matches_log, of_runs

        wanted, open_ = of_runs(expression, runs)
        if open_:
            answer = self._by_index(lambda index: by_index(index, expression, open_))
            rest = list(open_.values())
            if answer is not None:
                matches, rest = answer
                wanted |= matches
            if not open_logs and not self.notice:
                rest = []
            for count, run in enumerate(rest, 1):
                if stop():
                    break
                if matches_log(run, expression):
                    wanted.add(run.file)
                if progress is not None:
                    progress(count, len(rest))
        return [run for run in runs if run.file in wanted]

    def changed(self, paths: Iterable[Path]) -> None:
        """Refreshes runs whose log or notes have just been changed here. Batches need none."""
        names = [path.name for path in paths if path.suffix == ".jsonl"]

        def refresh(index: Index) -> None:
            for name in names:
                index.refresh_run(name)

        self._by_index(refresh)

    def turns(self, run: RunSummary) -> RunTurns:
        """The sessions and turns of a run. Raises `LogError` where its log cannot be opened."""
        from convtui.library.indexed_run import turns_of_index, turns_of_log

        turns = self._by_index(lambda index: turns_of_index(index, run))
        return turns_of_log(run) if turns is None else turns

    def kept_batches(self) -> Mapping[str, tuple[Stat, str]]:
        """What the index keeps of the batches in folders of their own; see `Index.batches()`."""
        return self._by_index(lambda index: index.batches()) or {}

    def keep_batches(self, read: Mapping[str, tuple[Stat, str]], gone: Iterable[str]) -> None:
        """Keeps what was read of batches, where there is an index."""
        self._by_index(lambda index: index.keep_batches(read, gone))

    def _by_index(self, ask: Callable[[Index], T]) -> T | None:
        """What the index answers; None when it cannot. A damaged index is rebuilt once."""
        if self.notice:
            return None
        for again in (True, False):
            try:
                if not self.folder.is_dir():
                    return None
                with Index(self.folder, full_text=self._full_text) as index:
                    return ask(index)
            except IndexFailure as error:
                if not (error.damaged and again):
                    self.notice = f"the logs are read one by one: no index ({error})"
                    return None
            except _NO_SENSE:
                if not again:
                    raise  # What was just made of the logs: a bug.
            try:
                remove_index(self.folder)
            except OSError as error:
                self.notice = f"the logs are read one by one: no index ({error.strerror})"
                return None
        return None


def dependents(runs: Sequence[RunSummary], everything: Sequence[RunSummary]) -> list[str]:
    """One sentence for each other run that continues one of `runs`."""
    going = {run.file for run in runs}
    dependents = []
    for branch in walk(families(everything)):
        left = [child.run.name for child in branch.children if child.run.file not in going]
        if branch.run.file in going and left:
            others = f" and {len(left) - 1} more" if len(left) > 1 else ""
            go_on = "go on" if len(left) > 1 else "goes on"
            dependents.append(
                f"{left[0]}{others} {go_on} from {branch.run.name}: what was said before is kept"
                " there, its raw replies and requests are not"
            )
    return dependents
