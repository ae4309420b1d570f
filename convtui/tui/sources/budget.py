"""The budget of a conversation as its log records it: current limits and what was used."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from convtui.transcript.usage import FIGURES, used_by_side

if TYPE_CHECKING:
    from convtui.transcript.fold import Transcript, Turn

_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "conversation": ("persona", "provider", "responder", "reflection"),
    "provider": ("provider",),
    # A responder's decisions are the persona's, though their usage is counted apart.
    "persona": ("persona", "responder"),
}


def used_of(what: str, used: Mapping[str, Mapping[str, Any]], scope: str) -> float | None:
    """Tokens or US dollars of a scope; None if nothing was reported."""
    names = ("cost",) if what == "cost" else FIGURES[:2]
    known = [
        float(value)
        for side in _SCOPES.get(scope, ())
        for name in names
        if isinstance(value := used.get(side, {}).get(name), (int, float))
    ]
    return sum(known) if known else None


class UsedUpTo:
    """What a conversation had used by each of its turns."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self._sums = {name: array("d") for name in ("tokens", "cost")}
        """What the turns up to each have used."""

    def at(self, what: str, index: int, partial: Turn | None = None) -> float | None:
        """Tokens or US dollars up to a turn, or as far into it as `partial` is; None if unknown.

        What was used later is taken off the whole: the whole has what parent logs used, too.
        """
        turns = self.transcript.turns
        whole = used_of(what, used_by_side(self.transcript), "conversation")
        if whole is None or not 0 <= index < len(turns):
            return None
        sums = self._sums[what]
        # Only the last turn can still change.
        while len(sums) < len(turns) - 1:
            sums.append((sums[-1] if sums else 0.0) + (_used(what, turns[len(sums)]) or 0.0))
        last = (sums[-1] if sums else 0.0) + (_used(what, turns[-1]) or 0.0)
        if not last:
            return None  # Only the whole was reported.
        upto = last if index >= len(sums) else sums[index]
        if partial is not None:
            upto -= (_used(what, turns[index]) or 0.0) - (_used(what, partial) or 0.0)
        return max(0.0, whole - (last - upto))


def _used(what: str, turn: Turn) -> float | None:
    if what == "cost":
        return turn.cost
    if turn.prompt_tokens is None and turn.completion_tokens is None:
        return None
    return (turn.prompt_tokens or 0) + (turn.completion_tokens or 0)


class Limit(NamedTuple):
    """A limit and what was used of it; None means unknown."""

    scope: str
    what: str
    limit: float
    used: float | None


def current_limits(transcript: Transcript, scenario: Mapping[str, Any]) -> list[Limit]:
    """The limits in force: the scenario's, or the raised ones."""
    budget = scenario.get("budget")
    if not isinstance(budget, dict):
        return []
    raised = _raised(transcript)
    used = used_by_side(transcript)
    limits: list[Limit] = []
    for scope in _SCOPES:
        part = budget if scope == "conversation" else budget.get(scope)
        if not isinstance(part, dict):
            continue
        for what in ("tokens", "cost"):
            limit = part.get(what)
            if isinstance(limit, (int, float)) and not isinstance(limit, bool):
                most = max(float(limit), raised.get((scope, what), 0.0))
                limits.append(Limit(scope, what, most, used_of(what, used, scope)))
    return limits


def _raised(transcript: Transcript) -> dict[tuple[str, str], float]:
    before = (transcript.seed.get("counters") or {}).get("budget")
    records = [r for r in transcript.lifecycle if r.get("type") == "budget.raised"]
    limits: dict[tuple[str, str], float] = {}
    for item in [*(before if isinstance(before, list) else ()), *records]:
        limit = item.get("limit") if isinstance(item, dict) else None
        if isinstance(limit, (int, float)):
            limits[str(item.get("scope", "conversation")), str(item.get("what"))] = float(limit)
    return limits


class Crossed(NamedTuple):
    """A limit that was exceeded."""

    scope: str
    what: str
    limit: float
    used: float

    @property
    def title(self) -> str:
        """`tokens`, or `cost of the provider` for one side's limit."""
        return self.what + ("" if self.scope == "conversation" else f" of the {self.scope}")

    def doubled(self) -> str:
        """A proposed new limit as input text: doubled until it exceeds what was used."""
        limit = self.limit if self.limit > 0 else 1.0
        while limit <= self.used:
            limit *= 2
        return f"{limit:.0f}" if self.what == "tokens" else f"{limit:.10g}"

    def summary(self) -> str:
        """`used 12 of 10 tokens`."""
        if self.what == "tokens":
            return f"used {self.used:,.0f} of {self.limit:,.0f} tokens"
        return f"used ${self.used:.4f} of ${self.limit:.4f}"


def last_crossed(transcript: Transcript) -> Crossed | None:
    """The first of the limits that the last reply exceeded."""
    crossed: Crossed | None = None
    reply: object = None
    for record in reversed(transcript.lifecycle):
        if record.get("type") == "budget.raised" and crossed is not None:
            break
        if record.get("type") != "budget.crossed":
            continue
        key = (record.get("session"), record.get("turn"), record.get("side"))
        if crossed is not None and key != reply:
            break
        reply = key
        try:
            crossed = Crossed(
                str(record.get("scope", "conversation")),
                str(record["what"]),
                float(record["limit"]),
                float(record["used"]),
            )
        except (LookupError, TypeError, ValueError):
            break
    return crossed


def parse_limit(text: str, crossed: Crossed) -> tuple[float, str | None]:
    """Parses a limit that the user typed; returns it with an error message, if any."""
    try:
        limit = float(text.strip().replace(",", "").removeprefix("$"))
    except ValueError:
        return 0.0, f"{text.strip()!r} is not a number."
    if not math.isfinite(limit) or limit <= crossed.used:
        return limit, f"{limit:g} is not above what was used ({crossed.used:,.6g})."
    return limit, None
