"""How two runs are related: one continues the other, or both continue a third."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.errors import LogError
from convtui.files.regular import open_regular
from convtui.log.lines import MAX_LINE
from convtui.log.parents import find_parent, named_parent
from convtui.records.codec import RecordDict
from convtui.records.fields import read_record
from convtui.records.values import as_object
from convtui.transcript.fold import Transcript

_DEPTH: Final = 100
"""Generations that are followed back at most."""


_MOST_KEYS: Final = 4
"""Changed settings that are named at most."""
_WITHOUT_EFFECT: Final = frozenset({"source", "breakpoints"})
"""Keys of a scenario that do not affect the conversation."""


@dataclass(slots=True)
class Ancestor:
    """A run in the lineage of a run, which begins with the run itself."""

    id: str
    path: Path
    """Of its log, which may no longer exist."""
    inherited: int | None
    """How many of the first committed turns come from it or its own ancestors; None for all."""


@dataclass(slots=True)
class Kinship:
    """How two runs are related."""

    kind: str = ""
    """`same` log, `branch` (one continues the other), `siblings`, or empty."""
    of: str = ""
    """The side that is the branch, `a` or `b`; empty for other kinds."""
    shared: int = 0
    """How many of the first committed turns are the same turns in both."""
    ancestor: str = ""
    """The id of the nearest run in both lineages."""
    change: dict[str, RecordDict] = field(default_factory=dict)
    """The `change` in the header of each side that continues another run, by side."""


def kinship(a: Transcript, path_a: Path, b: Transcript, path_b: Path) -> Kinship:
    """How two runs are related, according to their headers. Reads the logs that they continue.

    A parent that is missing ends the search, as its own parents are unknown.
    """
    changes = {
        side: change
        for side, transcript in (("a", a), ("b", b))
        if isinstance(change := transcript.header.get("change"), dict)
    }
    line_a, line_b = _line(a, path_a), _line(b, path_b)
    by_id = {ancestor.id: index for index, ancestor in reversed(list(enumerate(line_b)))}
    for index_a, ancestor in enumerate(line_a):
        index_b = by_id.get(ancestor.id)
        if index_b is None:
            continue
        if index_a == index_b == 0:
            if not _one_file(path_a, path_b):
                # A copy is compared turn by turn.
                return Kinship(change=changes)
            kind, of = "same", ""
        elif index_a == 0 or index_b == 0:
            kind, of = "branch", "b" if index_a == 0 else "a"
        else:
            kind, of = "siblings", ""
        counts = [ancestor.inherited, line_b[index_b].inherited]
        known = [count for count in counts if count is not None]
        shared = min(known) if known else len(a.turns)
        return Kinship(kind, of, shared, ancestor.id, changes)
    return Kinship(change=changes)


def _line(transcript: Transcript, path: Path) -> list[Ancestor]:
    """The run itself, its parent, the parent's parent and so on."""
    line = [Ancestor(transcript.id, path, None)]
    seen = {transcript.id}
    header, beside = transcript.header, path
    seeded = transcript.seed.get("turns")
    for _ in range(_DEPTH):
        parent = named_parent(header)
        if parent is None or not parent.get("id") or parent["id"] in seen:
            break
        before = line[-1].inherited
        count = seeded if isinstance(seeded, int) else 0
        line.append(
            Ancestor(
                str(parent["id"]),
                Path(parent["file"]),
                count if before is None else min(before, count),
            )
        )
        seen.add(str(parent["id"]))
        try:
            beside = line[-1].path = find_parent(parent, beside)
            header, seeded = _beginning(beside)
        except (LogError, OSError, ValueError):
            break
    return line


def setting_changes(parent: Path, child: Path) -> list[str]:
    """In words, which settings a run began with that differ from its parent's, its code included.

    Raises `OSError` or `ValueError` for a log that cannot be read.
    """
    before, after = (_beginning(path)[0] for path in (parent, child))
    old, new = as_object(before.get("provider")), as_object(after.get("provider"))
    changes = []
    digests = [provider.get("sha256") for provider in (old, new)]
    if old.get("spec") == new.get("spec") and None not in digests and digests[0] != digests[1]:
        changes.append("other code of the provider")
    keys = _different(as_object(before.get("scenario")), as_object(after.get("scenario")))
    changes += [f"other {key}" for key in keys[:_MOST_KEYS]]
    if len(keys) > _MOST_KEYS:
        changes.append(f"{len(keys) - _MOST_KEYS} more settings")
    return changes


def _different(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted names of the keys in which two scenarios differ, but for `_WITHOUT_EFFECT`."""
    names: list[str] = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        name = f"{prefix}{key}"
        if name in _WITHOUT_EFFECT or old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            names += _different(old, new, f"{name}.")
        else:
            names.append(name)
    return names


def _beginning(path: Path) -> tuple[RecordDict, int | None]:
    """A log's header, and the number of turns it inherits; None where it inherits none."""
    with open_regular(path) as file:
        header = read_record(file.readline(MAX_LINE))
        second = read_record(file.readline(MAX_LINE))
    return header, len(second["turns"]) if second.get("type") == "history.seeded" else None


def _one_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False
