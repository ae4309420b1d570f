"""Atoms that ask about a run: answered by a row of the library, or by the header of a log."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from convtui.errors import BadValueError
from convtui.filters.tree import Atom
from convtui.records.times import local_day
from convtui.text.boundary import visible_line

if TYPE_CHECKING:
    from convtui.transcript.fold import Transcript

Answer = bool | None
"""True, False, or None: not known (yet)."""
RunTest = Callable[[Any], Answer]
OPS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}


def day(value: str) -> date:
    today = date.today()
    named = {"today": today, "yesterday": today - timedelta(days=1)}.get(value.lower())
    if named is not None:
        return named
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise BadValueError(
            f"expected a day (2026-01-31, today or yesterday), not {visible_line(value, 40)!r}"
        ) from None


def contains(name: str) -> Callable[[Atom], RunTest]:
    def build(atom: Atom) -> RunTest:
        wanted = (atom.value or "").casefold()

        def test(run: Any) -> Answer:
            value = getattr(run, name, None)
            if value is None:
                return None
            values = [value] if isinstance(value, str) else value
            return any(wanted in str(value).casefold() for value in values)

        return test

    return build


def date_of_run(atom: Atom) -> RunTest:
    wanted = day(atom.value or "")
    compare = OPS[atom.op or "="]

    def test(run: Any) -> Answer:
        created = local_day(getattr(run, "created_at", None))
        return None if created is None else compare(created, wanted)

    return test


class RunFacts:
    """The facts that the atoms about runs need. `provider` is its name and its SPEC."""

    __slots__ = ("created_at", "model", "persona", "provider", "tags")

    def __init__(
        self,
        persona: str,
        provider: Sequence[str],
        model: str,
        created_at: str | datetime | None,
        tags: Sequence[str],
    ) -> None:
        self.persona = persona
        self.provider = provider
        self.model = model
        self.created_at = created_at
        self.tags = tags


class HeaderRun(RunFacts):
    """The run of a transcript, from its header."""

    __slots__ = ()

    def __init__(self, transcript: Transcript) -> None:
        header = transcript.header
        provider = _mapping(header.get("provider"))
        super().__init__(
            str(header.get("persona", "")),
            [str(provider.get(key) or "") for key in ("name", "spec")],
            str(provider.get("model") or ""),
            str(header.get("created_at", "")),
            header_tags(header),
        )


def header_tags(header: Mapping[str, Any]) -> list[str]:
    """The tags that a run's scenario gave it."""
    tags = _mapping(header.get("scenario")).get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
