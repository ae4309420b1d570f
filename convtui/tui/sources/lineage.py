"""Where a log comes from, and whether the log it continues is still there unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from convtui.errors import LogError
from convtui.log.parents import find_parent, named_parent
from convtui.records.codec import REFLEXION, RecordDict
from convtui.text.boundary import visible_line

ParentState = Literal["looking", "found", "moved", "altered", "gone"]
_LABELS: Final = {"go_on": "continued from", "resume": "resumed from", "restart": "restart of"}
_ID: Final = 4
"""Characters of a run's id, enough to tell it from related runs."""


def origin_of(header: RecordDict) -> str:
    """A log's origin, such as `rewind of 1f3a at 2:7`; empty for an independent run."""
    parent = named_parent(header)
    if parent is None:
        return ""
    change = header.get("change")
    change = change if isinstance(change, dict) else {}
    kind = str(change.get("kind") or header.get("origin") or "continued")
    if kind == REFLEXION and isinstance(change.get("attempt"), int):
        kind = f"attempt_{change['attempt']}_instead"
    label = _LABELS.get(kind, f"{visible_line(kind, 20)} of".replace("_", " "))
    name = str(parent.get("id") or "")[:_ID] or Path(parent["file"]).stem
    at = ""
    if isinstance(change.get("turn"), int):
        at = f" at {change.get('session') or 1}:{change['turn']}"
    return f"{label} {visible_line(name, 24)}{at}"


@dataclass(slots=True, frozen=True)
class Parent:
    """What became of the parent log, with a `message` about it."""

    state: ParentState = "looking"
    message: str = ""
    path: Path | None = None

    @property
    def missing(self) -> bool:
        """Whether the parent's content cannot be shown."""
        return self.state in ("altered", "gone")

    @property
    def role(self) -> str:
        """The colour role of its state."""
        return "warning" if self.missing else "muted"


def look_for_parent(header: RecordDict, beside: Path | None) -> Parent | None:
    """Finds and verifies the parent of a log; None if it has none. Blocking."""
    parent = named_parent(header)
    if parent is None:
        return None
    try:
        path = find_parent(parent, beside)
    except LogError as error:
        altered = str(error).endswith("altered since")
        return Parent("altered" if altered else "gone", str(error))
    if path != Path(parent["file"]):
        return Parent("moved", f"it has moved to {visible_line(str(path))}", path)
    return Parent("found", "", path)
