"""The logs that a rehook reads: those that are named, and what branches have in their parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.errors import LogError
from convtui.files.regular import real_path
from convtui.log.parents import MAX_GENERATIONS, ParentFinder, parent_of
from convtui.log.run_summary import header_of


@dataclass(slots=True, eq=False)
class Source:
    """A log, or as much of a parent log as counts for the branches that continue it."""

    path: Path
    child: Source | None = None
    """The first branch that it is read for; None for a log that was named."""
    until: int | None = None
    """The last record that counts; None for a log that was named."""
    parent: Source | None = None
    cut: int = -1
    """The last record of the parent that counts here."""
    missing: str = ""
    """Why the parent cannot be read."""

    @property
    def named(self) -> bool:
        return self.child is None


def sources_of(logs: Sequence[Path], *, own: bool = False) -> list[Source]:
    """The named logs in their order, the parents of each before it; a log is there only once.

    `own` leaves the parents out. Blocking: reads the beginning of every log, and parents up to the
    record that is continued.
    """
    known: dict[Path, Source] = {}
    for path in logs:
        known.setdefault(real_path(path), Source(path))
    named = list(known.values())
    if own:
        return named
    finder = ParentFinder()
    sources: list[Source] = []
    for source in named:
        line = [source]
        while len(line) <= MAX_GENERATIONS and (parent := _parent(line[-1], known, finder)):
            line.append(parent)
        sources += reversed(line)
    return sources


def _parent(source: Source, known: dict[Path, Source], finder: ParentFinder) -> Source | None:
    """Finds the source's parent; returns it where it is another log to read."""
    try:
        parent = parent_of(header_of(source.path))
        if parent is None:
            return None
        path = finder.find(parent, source.path)
        source.cut = int(parent["seq"])
    except LogError as error:
        source.missing = str(error)
        return None
    except (OSError, ValueError):
        # The rehook itself says why the log cannot be read.
        return None
    source.parent = known.get(real_path(path))
    if source.parent is not None:
        if source.parent.until is not None:
            source.parent.until = max(source.parent.until, source.cut)
        return None
    source.parent = known[real_path(path)] = Source(path, child=source, until=source.cut)
    return source.parent


def carry_over(sources: Sequence[Source], outcomes: Sequence[dict[str, Any]]) -> None:
    """Marks what is counterfactual for a change in a parent, in the outcomes of the branches."""
    by_source = {id(sources[outcome["log"]]): outcome for outcome in outcomes}
    for outcome in outcomes:
        inherited = _diverged_before(sources[outcome["log"]], by_source)
        own = {session: count for session, _, count in outcome.get("diverged", ())}
        for session in inherited if "error" not in outcome else ():
            turns = sum(turn[0] == session for turn in outcome["turns"])
            outcome["counterfactual"] += turns - own.get(session, 0)
            for change in outcome["changed"]:
                change["counterfactual"] |= change["session"] == session


def _diverged_before(source: Source, outcomes: dict[int, dict[str, Any]]) -> set[int]:
    """The sessions of which an outcome has changed in the parents, before they were continued."""
    sessions: set[int] = set()
    seen: set[int] = set()
    while source.parent is not None and id(source) not in seen:
        seen.add(id(source))
        changes = outcomes.get(id(source.parent), {}).get("diverged", ())
        sessions |= {session for session, seq, _ in changes if seq <= source.cut}
        source = source.parent
    return sessions
