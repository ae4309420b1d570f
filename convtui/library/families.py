"""Runs that go back to one another: which run continues which, as trees."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convtui.files.collecting import uncollected
from convtui.files.regular import real_path
from convtui.library.run_order import sort_runs
from convtui.log.run_summary import RunSummary, list_runs, summarise

_FOLDERS = 8
"""Folders that the logs of one family are looked for in at most."""
_DRAWN = 12
"""Generations that are drawn by indenting; deeper ones say their number."""


@dataclass(slots=True)
class RunNode:
    """A run and the runs that continue it, the oldest first."""

    run: RunSummary
    children: list[RunNode] = field(default_factory=list)
    depth: int = 0
    """Generations between it and its root; 0 for a root."""
    size: int = 0
    """How many runs go back to it."""
    newest: RunSummary | None = None
    """The run of its family that began last; itself, where nothing continues it."""

    @property
    def orphan(self) -> bool:
        """Whether the run names a parent that is not among the runs."""
        return self.depth == 0 and self.continues

    @property
    def continues(self) -> bool:
        """Whether the run names a parent."""
        return bool(self.run.parent or self.run.parent_file)

    def origin(self) -> str:
        """How the run was made, as in `rewind at 2:7`; empty for one that continues no other."""
        run = self.run
        if not self.continues:
            return ""
        at = f" at {run.at[0]}:{run.at[1]}" if run.at is not None else ""
        lost = "" if not self.orphan else "; its parent is not here"
        own = run.origin not in ("run", "continue")
        change = "continued" if run.change == "go_on" else run.change
        return f"{change or (run.origin if own else 'continued')}{at}{lost}"


def families(runs: Iterable[RunSummary]) -> list[RunNode]:
    """The roots with everything below them, in the order in which `runs` first names a family.

    A run whose parent is not among `runs` is a root. Logs that name each other in a circle are cut
    at the oldest of them. Linear in the number of runs, however deep they go.
    """
    everything = [RunNode(run) for run in runs]
    parents = _parents(everything)
    roots = set(range(len(everything))) - parents.keys()
    _cut_circles(everything, parents, roots)
    for index, parent in parents.items():
        everything[parent].children.append(everything[index])
    rank: dict[int, int] = {}
    order = {id(branch): index for index, branch in enumerate(everything)}
    for root in roots:
        if not everything[root].children:
            # Nearly every run of a large folder.
            everything[root].newest = everything[root].run
            rank[root] = root
            continue
        whole = list(walk([everything[root]]))
        for branch in whole:
            branch.children.sort(key=_age)
        rank[root] = min(order[id(branch)] for branch in whole)
        for branch in reversed(whole):
            for child in branch.children:
                branch.size += child.size + 1
            candidates = [branch.run, *(child.newest or child.run for child in branch.children)]
            branch.newest = max(candidates, key=lambda run: (run.when, run.modified))
        for branch in walk([everything[root]]):
            for child in branch.children:
                child.depth = branch.depth + 1
    return [everything[index] for index in sorted(roots, key=rank.__getitem__)]


def sorted_families(
    runs: Iterable[RunSummary], order: str, *, of_newest: Container[str] = ("when",)
) -> list[RunNode]:
    """The families of runs in an order of `run_order`, by what the one row of a family shows.

    Of what `of_newest` names that is the value of its newest run, of anything else the root's.
    """
    newest = order.removeprefix("-") in of_newest
    with uncollected():
        roots = families(sort_runs(list(runs), order))
        rows = [(root.newest or root.run) if newest else root.run for root in roots]
        shown = {id(run): root for run, root in zip(rows, roots, strict=True)}
        return [shown[id(run)] for run in sort_runs(rows, order)]


def with_conversations(
    roots: Sequence[RunNode], conversations: Mapping[str, Sequence[RunSummary]]
) -> None:
    """Puts the conversations of batches below their rows; by the file of the batch."""
    for root in roots:
        below = conversations.get(root.run.file)
        if below is None:
            continue
        root.children = families(below)
        root.size = sum(child.size + 1 for child in root.children)
        for branch in walk(root.children):
            branch.depth += 1


def family_of(path: Path) -> RunNode | None:
    """The root of the family that the log at `path` belongs to, with everything below it.

    Looks beside the log, and in the folders of the parents that are named. None where the log is
    not there. Blocking: reads the beginning and the end of every log of those folders.
    """
    folders = [path.absolute().parent]
    runs: list[RunSummary] = []
    for folder in folders:
        runs += list_runs(folder)
        family = _with(families(runs), path)
        if family is None:
            return None
        if family.orphan and family.run.parent_file and len(folders) < _FOLDERS:
            beside = Path(family.run.parent_file).absolute().parent
            if beside not in folders:
                folders.append(beside)
    return family


def _with(roots: Sequence[RunNode], path: Path) -> RunNode | None:
    return next((r for r in roots if any(same_log(b.run.path, path) for b in walk([r]))), None)


def same_log(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same log."""
    return one == other or one.absolute() == other.absolute() or real_path(one) == real_path(other)


def oldest_first(one: Path, other: Path) -> tuple[Path, Path]:
    """Two logs in the order in which they came about: a parent before what continues it. Blocking.

    Logs of the same moment, or that cannot be read, keep their order.
    """
    first, second = summarise(one), summarise(other)
    if second.parent and second.parent == first.id:
        return one, other
    younger = bool(first.parent) and first.parent == second.id
    return (other, one) if younger or second.when < first.when else (one, other)


def walk(
    branches: Sequence[RunNode], into: Callable[[RunNode], bool] | None = None
) -> Iterator[RunNode]:
    """Every run, parents before their children; `into` decides which children to visit."""
    waiting = list(reversed(branches))
    while waiting:
        branch = waiting.pop()
        yield branch
        if into is None or into(branch):
            waiting.extend(reversed(branch.children))


def guides(
    branches: Sequence[RunNode], into: Callable[[RunNode], bool] | None = None
) -> Iterator[tuple[str, RunNode]]:
    """As `walk()`, with the tree lines to draw before each run."""
    waiting: list[tuple[str, str, RunNode]] = [("", "", branch) for branch in reversed(branches)]
    while waiting:
        before, own, branch = waiting.pop()
        yield before + own, branch
        if into is not None and not into(branch):
            continue
        if branch.depth == 0:
            below = ""
        elif branch.depth < _DRAWN:
            below = before + ("   " if own.startswith("└") else "│  ")
        else:
            below = before
        last = len(branch.children) - 1
        for position in range(last, -1, -1):
            mark = "└─ " if position == last else "├─ "
            if branch.depth + 1 > _DRAWN:
                mark += f"({branch.depth + 1}) "
            waiting.append((below, mark, branch.children[position]))


def only(branches: Iterable[RunNode], wanted: Callable[[RunSummary], bool]) -> list[RunNode]:
    """The trees reduced to the wanted runs and their ancestors."""
    roots = list(branches)
    kept: dict[int, RunNode] = {}
    for branch in reversed(list(walk(roots))):
        below = [kept[id(child)] for child in branch.children if id(child) in kept]
        if below or wanted(branch.run):
            kept[id(branch)] = RunNode(
                branch.run, below, branch.depth, sum(b.size + 1 for b in below), branch.newest
            )
    return [kept[id(root)] for root in roots if id(root) in kept]


def _age(branch: RunNode) -> tuple[float, str]:
    created = branch.run.created_at
    when = branch.run.modified if created is None else created.timestamp()
    return (when if math.isfinite(when) else 0.0, branch.run.name)


def _parents(branches: Sequence[RunNode]) -> dict[int, int]:
    """The index of each run's parent: by its id, and by its file where several have that id."""
    files = {
        index: _file_name(branch.run.parent_file)
        for index, branch in enumerate(branches)
        if branch.continues
    }
    # Of a large folder few runs are named as parents.
    ids, names = {branches[index].run.parent for index in files}, set(files.values())
    by_id: dict[str, list[int]] = {}
    by_name: dict[str, int] = {}
    for index, branch in enumerate(branches):
        if branch.run.id and branch.run.id in ids:
            by_id.setdefault(branch.run.id, []).append(index)
        if branch.run.name in names:
            by_name.setdefault(branch.run.name, index)
    parents: dict[int, int] = {}
    for index, name in files.items():
        run = branches[index].run
        candidates = by_id.get(run.parent, []) if run.parent else []
        if not run.parent and name in by_name:
            candidates = [by_name[name]]
        named = [candidate for candidate in candidates if branches[candidate].run.name == name]
        for candidate in named or candidates:
            if candidate != index:
                parents[index] = candidate
                break
    return parents


def _file_name(path: str) -> str:
    """The last part of a path."""
    name = path.rpartition(os.sep)[2]
    # What needs no second look, at a tenth of the cost.
    return name if name.endswith(".jsonl") and os.altsep is None else Path(path).name


def _cut_circles(branches: Sequence[RunNode], parents: dict[int, int], roots: set[int]) -> None:
    """Makes the oldest run of every circle a root."""
    safe = set(roots)
    for start in list(parents):
        path: list[int] = []
        on_path: set[int] = set()
        current = start
        while current not in safe and current not in on_path:
            path.append(current)
            on_path.add(current)
            current = parents[current]
        if current not in safe:
            circle = path[path.index(current) :]
            oldest = min(circle, key=lambda index: _age(branches[index]))
            del parents[oldest]
            roots.add(oldest)
        safe.update(path)
