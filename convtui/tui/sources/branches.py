"""The logs of a family that leave the open one, each at a turn that is on the screen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convtui.library.families import RunNode, family_of, same_log, walk
from convtui.log.run_summary import log_files
from convtui.text.boundary import visible_line
from convtui.tui.drawing import glyphs

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Span

_ID: Final = 4
"""Characters of a run's id, enough to tell it from related runs."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Another log of the family, at the turn where it leaves this one."""

    path: Path
    session: int
    turn: int
    name: str
    """The beginning of its id. Foreign text."""
    words: tuple[Span, ...] = ()
    """How it came about and how it stands, the more important first."""


_MOST_LOGS: Final = 2_000
"""Logs in a folder whose beginnings are read to find branches; the list of branches reads all."""


def branches_beside(path: Path) -> list[Branch]:
    """The logs that leave this one, or leave its parents within what they share. Blocking."""
    try:
        if len(log_files(path.absolute().parent)) > _MOST_LOGS:
            return []
        root = family_of(path)
    except OSError:
        return []
    return [] if root is None else branches_of(root, path)


def branches_of(root: RunNode, path: Path) -> list[Branch]:
    """As `branches_beside()`, of a family that is known."""
    above = {id(child): node for node in walk([root]) for child in node.children}
    node = next((node for node in walk([root]) if same_log(node.run.path, path)), None)
    branches: list[Branch] = []
    shared: tuple[int, int] | None = None
    came_from: RunNode | None = None
    while node is not None:
        for child in node.children:
            at = child.run.at
            if child is not came_from and at is not None and (shared is None or at <= shared):
                branches.append(_branch(child, at))
        at = node.run.at
        shared = at if shared is None or (at is not None and at < shared) else shared
        came_from, node = node, above.get(id(node))
    return sorted(branches, key=lambda branch: (branch.session, branch.turn))


def _branch(node: RunNode, at: tuple[int, int]) -> Branch:
    run = node.run
    kind = visible_line(_SHORT.get(run.change, run.change) or "branch", 12)
    words: list[Span] = [(kind, "text")]
    if run.running:
        words.append((glyphs.WORKING, "accent"))
    elif run.damaged or run.state in ("failed", "crashed"):
        words.append((glyphs.ERROR, "error"))
    return Branch(run.path, *at, run.id[:_ID], tuple(words))


_SHORT: Final = {"go_on": "continued", "compress": "compressed"}
