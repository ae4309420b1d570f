"""Everything that a fold knows, to compare one with another; and the steps to it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from enum import IntFlag
from pathlib import Path
from typing import Any

from convtui.log.folding.steps import StepMaker
from convtui.log.reader import LogReader
from convtui.transcript.fold import Transcript, Turn


def state(transcript: Transcript) -> str:
    """All that a transcript holds, private parts included."""
    fields = dict(vars(transcript))
    del fields["ended_turns"]
    latest: Turn | None = fields.pop("latest")
    return repr((_plain(fields), None if latest is None else latest.index))


def state_read(reader: LogReader) -> str:
    """That of a reader's transcript, and what the reader itself found."""
    found = (sorted(reader.incomplete), reader.findings, reader.position)
    return f"{state(reader.transcript)} {found!r}"


def steps_of(path: Path) -> list[bytes]:
    """A step for each piece of the file that could be read."""
    steps = []
    with LogReader(path) as reader:
        maker = StepMaker(reader)
        more = True
        while more:
            more = reader.advance(0)
            step = maker.make()
            if step is not None:
                steps.append(step)
    return steps


def _plain(value: Any) -> Any:
    if isinstance(value, IntFlag):
        return int(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, array | list | tuple):
        return [type(value).__name__, *map(_plain, value)]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    names = getattr(value, "__slots__", None) or vars(value)
    return [type(value).__name__, {name: _plain(getattr(value, name)) for name in names}]
