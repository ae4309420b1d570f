"""Searches runs for what a filter matches: in the index, or in their logs."""

from __future__ import annotations

from collections.abc import Sequence

from convtui.errors import ConvtuiError
from convtui.files.collecting import uncollected
from convtui.filters.atoms import ATOMS
from convtui.filters.filter import Filter, decide
from convtui.library.index import Index
from convtui.library.indexed_run import IndexedRun, header_of
from convtui.library.prefilter import prefilter
from convtui.log.filter_lookup import log_matches
from convtui.log.reader import open_log
from convtui.log.run_summary import RunSummary

_NEED_TEXTS = frozenset({"said", "raw", "empty", "tool", "output"})
_NEED_SESSIONS = frozenset({"session", "end"})


def of_runs(
    expression: Filter, runs: Sequence[RunSummary]
) -> tuple[set[str], dict[str, RunSummary]]:
    """The files of those that a filter matches by their own facts, and by name those whose turns
    decide."""
    if not _about_runs(expression):
        return set(), {run.name: run for run in runs if not run.damaged}
    matches: set[str] = set()
    undecided: dict[str, RunSummary] = {}
    about_turns = expression.about_turns
    for run in runs:
        answer = expression.on_run(run.facts())
        if answer:
            matches.add(run.file)
        elif answer is None and about_turns and not run.damaged:
            undecided[run.name] = run
    return matches, undecided


def by_index(
    index: Index, expression: Filter, runs: dict[str, RunSummary]
) -> tuple[set[str], list[RunSummary]]:
    """The files of those that one of their turns matches, and the runs whose turns the index
    lacks."""
    with uncollected(), index.snapshot():
        return _by_index(index, expression, runs)


def _by_index(
    index: Index, expression: Filter, runs: dict[str, RunSummary]
) -> tuple[set[str], list[RunSummary]]:
    matches: set[str] = set()
    names = {atom.name for atom in expression.atoms()}
    texts, about_runs = bool(names & _NEED_TEXTS), _about_runs(expression)
    here: dict[int, tuple[RunSummary, str, str]] = {}
    missing = dict(runs)
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
                indexed.enter(run, header_of(run) if about_runs else {}, sessions, notes)
                entered, matched = number, False
                unread[number] = here[number]
            if matched:
                continue
            turn = indexed.turn(row, text)
            if decide(expression.on_turn(turn, indexed.transcript, indexed)):
                matched = True
                del unread[number]
                matches.add(run.file)
        # One of which nothing passed the condition has nothing that would.
        here = unread
        if not here:
            break
    return matches, list(missing.values())


def matches_log(run: RunSummary, expression: Filter) -> bool:
    """Whether a filter matches a log; False for one that cannot be opened."""
    answer = expression.on_run(run.facts())
    if answer is not None:
        return answer
    try:
        with open_log(run.path) as log:
            # The tags are those that the run has now, which its header cannot know.
            log.transcript.header = {**log.transcript.header, **header_of(run)}
            return log_matches(log, expression)
    except ConvtuiError:
        return False


def _about_runs(expression: Filter) -> bool:
    return any(ATOMS[atom.name].run is not None for atom in expression.atoms())
