"""What is left of a conversation whose process has died: its log says how it can go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from convtui.batch.spending import Used
from convtui.errors import LogError
from convtui.files.regular import open_regular
from convtui.log.lines import pieces_of
from convtui.log.reader import open_log
from convtui.log.run_summary import trailer_of
from convtui.records.codec import RecordDict, decode
from convtui.records.values import as_object

_OPENING: Final = 64
"""Records at the beginning of a log among which `provider.setup` is."""


@dataclass(frozen=True, slots=True)
class Ended:
    """It had ended before its process died."""

    termination: dict[str, Any] | None
    totals: dict[str, Any]

    @property
    def cut_short(self) -> bool:
        """Whether it ended because the batch did: a worker that loses its driver ends so."""
        ending = self.termination or {}
        return ending.get("kind") == "interrupted" and ending.get("by") == "human"


@dataclass(frozen=True, slots=True)
class Broken:
    """It had not."""

    continuable: bool
    """Whether it can go on from its log: its provider keeps no state, or can restore it."""


def look_at(log: Path) -> Ended | Broken:
    """How a conversation can go on whose process has died. Blocking."""
    try:
        trailer = trailer_of(log)
        if trailer is not None:
            ended = as_object(trailer.get("termination")) or None
            return Ended(ended, as_object(trailer.get("totals")))
        return Broken(is_continuable(log))
    except OSError:
        return Broken(continuable=False)


def is_continuable(log: Path) -> bool:
    """Whether the provider of a conversation lets it go on from its log. Blocking."""
    setup, said = None, False
    for record in _records(log):
        kind = record.get("type")
        if kind == "provider.setup":
            setup = record
        elif kind in ("turn.committed", "history.seeded"):
            said = True
        if setup is not None and said:
            break
    if setup is None or setup.get("outcome") != "ok" or not said:
        # Nothing is lost with one in which nothing was said.
        return False
    return setup.get("stateful") is False or as_object(setup.get("hooks")).get("restore") == "yours"


def used_in(log: Path) -> Used:
    """What a conversation has used in this log, without those that it goes on from. Blocking."""
    try:
        with open_log(log) as opened:
            transcript = opened.transcript
    except LogError:
        return Used()
    used = Used(turns=transcript.counts.get("turn.committed", 0))
    for side in transcript.totals.values():
        used.add(Used(side.tokens or 0, side.cost or 0.0))
    return used


def _records(log: Path) -> Iterator[RecordDict]:
    with contextlib.suppress(OSError, ValueError), open_regular(log) as file:
        for line, whole in islice(pieces_of(file), _OPENING):
            if whole:
                yield decode(line)
