"""Marks and notes that parent logs have on the turns that a log began with.

They are read from the notes files of those logs and are never written there.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from convtui.errors import LogError
from convtui.files.regular import open_regular
from convtui.log.lines import MAX_LINE
from convtui.log.notes import Address, Inherited, Notes
from convtui.log.parents import MAX_GENERATIONS, find_parent, parent_of
from convtui.records.codec import RecordDict
from convtui.records.fields import read_record


def inherited_notes(path: Path) -> dict[Address, tuple[Inherited, ...]]:
    """Marks and notes of the parents of the log at `path`, the nearest parent first.

    Only those on turns that both logs share: a turn with the same address from before a rewind is
    another one. A parent that is missing or altered ends the search. Blocking.
    """
    notes: dict[Address, tuple[Inherited, ...]] = {}
    # The notes of nearer parents are kept when a farther one is missing.
    with contextlib.suppress(LogError, OSError, ValueError):
        header, shared = _read_beginning(path)
        for _ in range(MAX_GENERATIONS):
            parent = parent_of(header)
            if parent is None or not shared:
                break
            path = find_parent(parent, path)
            header, seeded = _read_beginning(path)
            run = str(header.get("id") or path.stem)
            for address, note in Notes(path).all().items():
                if address in shared and (note.mark or note.note):
                    inherited = Inherited(run, note.mark, note.note)
                    notes[address] = (*notes.get(address, ()), inherited)
            shared &= seeded
    return dict(sorted(notes.items()))


def _read_beginning(path: Path) -> tuple[RecordDict, set[Address]]:
    """A log's header, and the addresses of the turns that it began with."""
    with open_regular(path) as file:
        header = read_record(file.readline(MAX_LINE))
        if parent_of(header) is None:
            return header, set()
        second = read_record(file.readline(MAX_LINE))
    if second.get("type") != "history.seeded":
        return header, set()
    seen = (second.get("past") or {}).get("turns") or ()
    return header, {(turn["session"], turn["turn"]) for turn in (*second["turns"], *seen)}
