"""What two runs have in common because one goes back to the other, or both to a third."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.errors import LogError
from convtui.log.parents import find_parent, parent_of
from convtui.records.codec import RecordDict
from convtui.records.fields import read_record
from convtui.transcript.fold import Transcript

_DEPTH: Final = 100
"""Generations that are gone back at most."""


_MOST_KEYS: Final = 4
"""Settings that are named."""
_WHERE_FROM: Final = frozenset({"source", "breakpoints"})
"""Keys of a scenario that change nothing in what is said."""


@dataclass(slots=True)
class Ancestor:
    """A run that a run goes back to, or itself."""

    id: str
    path: Path
    """Where its log is, or was."""
    inherited: int | None
    """How many of the first committed turns came from it or from before it; None for all."""


@dataclass(slots=True)
class Kinship:
    """How two runs are related."""

    kind: str = ""
    """`same` log, `branch` (one goes on from the other), `siblings`, or nothing."""
    of: str = ""
    """Of a branch: which of the two it is, `a` or `b`."""
    shared: int = 0
    """How many committed turns both begin with because they are the same turns."""
    ancestor: str = ""
    """The id of the run that both go back to."""
    change: dict[str, RecordDict] = field(default_factory=dict)
    """What made a side that is a branch: the `change` of its header, by side."""


def kinship(a: Transcript, path_a: Path, b: Transcript, path_b: Path) -> Kinship:
    """How two runs are related, by what their headers say. Reads the logs they go back to.

    A parent that is gone ends the search: its own parents are not known.
    """
    change = {
        side: made
        for side, transcript in (("a", a), ("b", b))
        if isinstance(made := transcript.header.get("change"), dict)
    }
    line_a, line_b = _line(a, path_a), _line(b, path_b)
    by_id = {ancestor.id: place for place, ancestor in reversed(list(enumerate(line_b)))}
    for place_a, ancestor in enumerate(line_a):
        place_b = by_id.get(ancestor.id)
        if place_b is None:
            continue
        if place_a == place_b == 0:
            if not _one_file(path_a, path_b):
                # A copy: it is compared turn by turn.
                return Kinship(change=change)
            kind, of = "same", ""
        elif place_a == 0 or place_b == 0:
            kind, of = "branch", "b" if place_a == 0 else "a"
        else:
            kind, of = "siblings", ""
        counts = [ancestor.inherited, line_b[place_b].inherited]
        known = [count for count in counts if count is not None]
        shared = min(known) if known else len(a.turns)
        return Kinship(kind, of, shared, ancestor.id, change)
    return Kinship(change=change)


def _line(transcript: Transcript, path: Path) -> list[Ancestor]:
    """The run and those it goes back to, the nearest first."""
    found = [Ancestor(transcript.id, path, None)]
    seen = {transcript.id}
    header, beside = transcript.header, path
    seeded = transcript.seed.get("turns")
    for _ in range(_DEPTH):
        parent = parent_of(header)
        if parent is None or not parent.get("id") or parent["id"] in seen:
            break
        before = found[-1].inherited
        count = seeded if isinstance(seeded, int) else 0
        found.append(
            Ancestor(
                str(parent["id"]),
                Path(parent["file"]),
                count if before is None else min(before, count),
            )
        )
        seen.add(str(parent["id"]))
        try:
            beside = found[-1].path = find_parent(parent, beside)
            header, seeded = _beginning(beside)
        except (LogError, OSError, ValueError):
            break
    return found


def setting_changes(parent: Path, child: Path) -> list[str]:
    """What a run was begun with that its parent was not, in words: settings, code, compression.

    Raises `OSError` and ValueError for a log that cannot be read.
    """
    before, after = (_beginning(path)[0] for path in (parent, child))
    old, new = _mapping(before.get("provider")), _mapping(after.get("provider"))
    found = []
    digests = [each.get("sha256") for each in (old, new)]
    if old.get("spec") == new.get("spec") and None not in digests and digests[0] != digests[1]:
        found.append("other code of the provider")
    keys = _different(_mapping(before.get("scenario")), _mapping(after.get("scenario")))
    found += [f"other {key}" for key in keys[:_MOST_KEYS]]
    if len(keys) > _MOST_KEYS:
        found.append(f"{len(keys) - _MOST_KEYS} more settings")
    return found


def _different(before: dict[str, Any], after: dict[str, Any], place: str = "") -> list[str]:
    """Where two scenarios differ, as dotted names; where they were read from does not count."""
    found: list[str] = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        name = f"{place}{key}"
        if name in _WHERE_FROM or old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found += _different(old, new, f"{name}.")
        else:
            found.append(name)
    return found


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _beginning(path: Path) -> tuple[RecordDict, int | None]:
    """A log's header, and how many turns it began with."""
    with path.open("rb") as file:
        header = read_record(file.readline())
        second = read_record(file.readline())
    return header, len(second["turns"]) if second.get("type") == "history.seeded" else None


def _one_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False
