"""Records of which a log has many, with their fields as attributes.

A view is either of a record as plain data (`view_of()`), or a record of `convtui.records.typed`,
which was never plain data. Fields that a record need not have are there in any case: None, or the
default that readers give them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from convtui.records.codec import RecordDict
from convtui.records.types import ENVELOPE_FIELDS, FIELDS

FREQUENT: Final = frozenset(
    {
        "turn.started",
        "llm.request",
        "llm.partial",
        "llm.response",
        "human.wrote",
        "tool.called",
        "tool.returned",
        "signals.extracted",
        "response.processed",
        "turn.discarded",
        "turn.committed",
        "user.decided",
        "provider.output",
    }
)
"""Types of records of which the fold keeps none."""
DEFAULTS: Final[dict[str, Any]] = {
    "session": 1, "valid": True, "ok": True, "kind": "", "hook": None,
}  # fmt: skip
"""What a field means that is not there: None if it is not named here and need not be there."""
View = Any
"""A record whose fields are attributes; one that it must have and lacks is an AttributeError."""


def view_of(record: RecordDict, kind: str) -> View:
    """The view of a record of type `kind`, of any type: of an infrequent one only the envelope."""
    return _view_type(kind if kind in FREQUENT else "")(record)


class _View:
    def __init__(self, record: RecordDict) -> None:
        self.__dict__ = record


@lru_cache(maxsize=len(FREQUENT) + 1)
def _view_type(kind: str) -> type[_View]:
    fields = (word.split(":") for word in f"{ENVELOPE_FIELDS} {FIELDS.get(kind, '')}".split())
    missing = {
        name: DEFAULTS.get(name)
        for name, kind in fields
        if name in DEFAULTS or not kind.endswith("!")
    }
    return type("View", (_View,), missing)
