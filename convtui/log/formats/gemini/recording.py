"""Sessions that Gemini CLI writes line by line: what it says first may be changed by later lines.

A line is a message, which replaces the one with its id, or an order: `$set` changes what holds for
the session, or all of its messages, `$rewindTo` takes back a message and all after it. What is in
the history no more stays, marked as such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.formats.json_files import Item
from convtui.records.values import as_object, as_text

REWOUND: Final = "$rewound"
REPLACED: Final = "$replaced"
"""Marks of ours on a message that is in the history no more, and why."""


def is_first_line(value: Any) -> bool:
    """Whether a value is what such a file begins with: it names the session, without messages."""
    row = as_object(value)
    return {"sessionId", "projectHash"} <= set(row) and not isinstance(row.get("messages"), list)


@dataclass(slots=True)
class Recording:
    """A session as far as the lines have told it."""

    about: dict[str, Any] = field(default_factory=dict)
    """What holds for the session: `sessionId`, `startTime`, ..."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    _places: dict[str, int] = field(default_factory=dict)
    """Where the message with an id stands."""

    def read(self, value: Any) -> None:
        """The next line."""
        row = as_object(value)
        if "$rewindTo" in row:
            self._rewind(row["$rewindTo"])
        elif isinstance(row.get("$set"), Mapping):
            changes = dict(row["$set"])
            if isinstance(changes.get("messages"), list):
                self._replace(changes.pop("messages"))
            self.about |= changes
        elif isinstance(row.get("id"), str) and "sessionId" not in row:
            self._take(row)
        else:
            # Where a session is taken up again, it begins anew.
            self.about = {**self.about, **row, **_began(self.about)}

    def _take(self, row: dict[str, Any]) -> None:
        place = self._places.setdefault(row["id"], len(self.messages))
        self.messages[place : place + 1] = [row]

    def _rewind(self, id_: Any) -> None:
        """Takes back a message and all after it; where it is not known, everything."""
        at = self._places.get(id_, 0) if isinstance(id_, str) else 0
        self.messages[at:] = [{**one, REWOUND: True} for one in self.messages[at:]]

    def _replace(self, given: list[Any]) -> None:
        """Makes these all messages; those that are not among them stay before the next that is.

        Of one that is there already all stays that is not said anew: where a session is taken up
        again, its messages are written without what was noted when they were new.
        """
        left = {as_text(as_object(one).get("id")): as_object(one) for one in given}
        before = {as_text(one.get("id")): one for one in self.messages}
        now = set(left)
        merged: list[dict[str, Any]] = []
        for one in self.messages:
            id_ = as_text(one.get("id"))
            if id_ not in now:
                merged.append(one if REWOUND in one else {**one, REPLACED: True})
            while id_ in left:
                # Those before it are new: a summary of what was left out, say.
                first = next(iter(left))
                merged.append(_again(before.get(first, {}), left.pop(first)))
        self.messages = [*merged, *left.values()]
        self._places = {as_text(one.get("id")): n for n, one in enumerate(self.messages)}


def _began(about: dict[str, Any]) -> dict[str, Any]:
    return {"startTime": about["startTime"]} if "startTime" in about else {}


def _again(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in before.items() if name not in (REWOUND, REPLACED)}
    return {**kept, **now, **({"timestamp": kept["timestamp"]} if "timestamp" in kept else {})}


def recording_of(rows: Iterable[Item]) -> Recording:
    """The session of a file."""
    recording = Recording()
    for row in rows:
        recording.read(row.value)
    return recording
