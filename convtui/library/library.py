"""The saved runs of a folder: listed, searched, kept up to date; by an index or from the logs.

The index answers when it can be had. Where it cannot (a read-only folder, a full disk, another
process that holds it), the logs are read as they always could be, and `notice` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from convtui.errors import ConvtuiError, IndexFailure
from convtui.filters.atoms import ATOMS
from convtui.filters.filter import Filter, decide
from convtui.library.families import families, walk
from convtui.library.index import Index, Progress
from convtui.library.index_file import Stat, remove_index
from convtui.library.indexed_run import IndexedRun, header_of
from convtui.library.prefilter import prefilter
from convtui.library.run_order import NEWEST, sort_runs
from convtui.log.filter_lookup import LogLookup, log_matches
from convtui.log.notes import Notes, TurnNote
from convtui.log.reader import Log, open_log
from convtui.log.run_summary import RunSummary, log_files, summarise
from convtui.transcript.fold import Session, Turn

T = TypeVar("T")
_NEED_TEXTS = frozenset({"said", "raw", "empty", "tool", "output"})
_NEED_SESSIONS = frozenset({"session", "end"})


@dataclass(slots=True, frozen=True)
class RunTurns:
    sessions: Sequence[Session]
    turns: Sequence[Turn]
    notes: Sequence[tuple[tuple[int, int], TurnNote]]


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
        wanted: set[str] = set()
        open_: dict[str, RunSummary] = {}
        about_runs = _about_runs(expression)
        for run in runs:
            answer = expression.on_run(run.facts()) if about_runs else None
            if answer:
                wanted.add(run.file)
            elif answer is None and expression.about_turns and not run.damaged:
                open_[run.name] = run
        if open_:
            rest = self._by_index(lambda index: _in_index(index, expression, open_, wanted))
            rest = list(open_.values()) if rest is None else rest
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
        turns = self._by_index(lambda index: _turns(index, run))
        if turns is not None:
            return turns
        with open_log(run.path) as log:
            transcript = log.transcript
            notes = sorted(Notes(run.path).all().items())
            return RunTurns(transcript.sessions, transcript.turns, notes)

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
            try:
                remove_index(self.folder)
            except OSError as error:
                self.notice = f"the logs are read one by one: no index ({error.strerror})"
                return None
        return None


def _in_index(
    index: Index, expression: Filter, open_: dict[str, RunSummary], wanted: set[str]
) -> list[RunSummary]:
    with index.snapshot():
        return _search(index, expression, open_, wanted)


def _search(
    index: Index, expression: Filter, open_: dict[str, RunSummary], wanted: set[str]
) -> list[RunSummary]:
    """Adds the matches of the index to `wanted`; returns the runs whose turns it lacks."""
    names = {atom.name for atom in expression.atoms()}
    texts, about_runs = bool(names & _NEED_TEXTS), _about_runs(expression)
    here: dict[int, tuple[RunSummary, str, str]] = {}
    missing = dict(open_)
    everything = index.with_turns(sessions=bool(names & _NEED_SESSIONS))
    for name, (number, sessions, notes) in everything.items():
        if name in missing:
            here[number] = (missing.pop(name), sessions, notes)
    every = len(here) == len(everything)
    condition = prefilter(expression.node, full_text=index.full_text)
    indexed = IndexedRun()
    # First one turn of each run, which is enough where the condition is exact.
    for first in (True, False):
        entered, matched = 0, False
        asked_of = None if first and every else here
        rows = index.candidates(condition, asked_of, texts=texts, first=first)
        unread: dict[int, tuple[RunSummary, str, str]] = {}
        for number, row, text in rows:
            if number != entered:
                run, sessions, notes = here[number]
                header = header_of(run) if about_runs else {}
                indexed.enter(header, sessions, notes, _seeded(run))
                entered, matched = number, False
                unread[number] = here[number]
            if matched:
                continue
            turn = indexed.turn(row, text)
            if decide(expression.on_turn(turn, indexed.transcript, indexed)):
                matched = True
                del unread[number]
                wanted.add(run.file)
        # One of which nothing passed the condition has nothing that would.
        here = unread
        if not here:
            break
    return list(missing.values())


def _about_runs(expression: Filter) -> bool:
    return any(ATOMS[atom.name].run is not None for atom in expression.atoms())


def _seeded(run: RunSummary) -> Callable[[], Mapping[int, str | None]]:
    """Reads the raw replies of turns that a log was seeded with."""

    def read() -> Mapping[int, str | None]:
        try:
            with open_log(run.path) as log:
                return LogLookup(log).seeded()
        except ConvtuiError:
            return {}

    return read


def _turns(index: Index, run: RunSummary) -> RunTurns | None:
    with index.snapshot():
        sessions, notes, rows = index.turns_of(run.name)
    if not rows:
        return None
    indexed = IndexedRun()
    indexed.enter(header_of(run), sessions, notes, _seeded(run))
    turns = [indexed.turn(row, text) for row, text in rows]
    return RunTurns(indexed.transcript.sessions, turns, sorted(indexed.notes.items()))


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


def matches_log(run: RunSummary, expression: Filter) -> bool:
    """Whether a filter matches a log; False for one that cannot be opened."""
    answer = expression.on_run(run.facts())
    if answer is not None:
        return answer
    try:
        with open_log(run.path) as log:
            return _matches(log, run, expression)
    except ConvtuiError:
        return False


def _matches(log: Log, run: RunSummary, expression: Filter) -> bool:
    transcript = log.transcript
    # The tags are those that the run has now, which its header cannot know.
    transcript.header = {**transcript.header, **header_of(run)}
    return log_matches(log, expression)
