"""Marks and notes that were made in the logs that a log goes back to, on turns it began with.

They are read where they stand, beside those logs, and never written from here.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from convtui.errors import LogError
from convtui.log.notes import Address, Inherited, Notes
from convtui.log.parents import find_parent, parent_of
from convtui.records.codec import RecordDict
from convtui.records.fields import read_record

_DEPTH: Final = 100
"""Generations that are gone back at most."""


def inherited_notes(path: Path) -> dict[Address, tuple[Inherited, ...]]:
    """What was marked and noted in the parents of the log at `path`, the nearest parent first.

    Only on turns that both logs have in common: what was said at the same place before a rewind is
    another turn. A parent that is gone or altered ends the search. Blocking.
    """
    notes: dict[Address, tuple[Inherited, ...]] = {}
    # What was found until a parent is missing is as true as before.
    with contextlib.suppress(LogError, OSError, ValueError):
        header, shared = _beginning(path)
        for _ in range(_DEPTH):
            parent = parent_of(header)
            if parent is None or not shared:
                break
            path = find_parent(parent, path)
            header, before = _beginning(path)
            run = str(header.get("id") or path.stem)
            for address, note in Notes(path).all().items():
                if address in shared and (note.mark or note.note):
                    mine = Inherited(run, note.mark, note.note)
                    notes[address] = (*notes.get(address, ()), mine)
            shared &= before
    return dict(sorted(notes.items()))


def _beginning(path: Path) -> tuple[RecordDict, set[Address]]:
    """A log's header, and the addresses of the turns that it began with."""
    with path.open("rb") as file:
        header = read_record(file.readline())
        if parent_of(header) is None:
            return header, set()
        second = read_record(file.readline())
    turns = second["turns"] if second.get("type") == "history.seeded" else ()
    return header, {(turn["session"], turn["turn"]) for turn in turns}
