"""The budget of a conversation, tokens and cost, checked after every completion.

Each limit fires once, on the completion that crosses it; raised by hand it can fire again. What a
call said nothing about is unknown and not counted as zero.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from convtui.engine.turn.context import TurnContext
from convtui.models.base import Message, Usage
from convtui.providers.declared import model_of
from convtui.providers.loader import Loaded
from convtui.records.models import BudgetCrossed, BudgetRaised, HoldReason, Termination
from convtui.scenario.scenario import Budget
from convtui.transcript.usage import Used, inherited_usage, used_by_side

Scope = Literal["conversation", "provider", "persona"]
What = Literal["tokens", "cost"]

_SIDES: Final[Mapping[Scope, tuple[str, ...]]] = {
    "conversation": ("persona", "provider", "responder", "reflection"),
    "provider": ("provider",),
    # A responder's decisions are the persona's, though their usage is counted apart.
    "persona": ("persona", "responder"),
}
_CHARS_PER_TOKEN: Final = 4.0
_PER_MESSAGE: Final = 16
"""Characters added for the framing of a message."""


@dataclass(slots=True)
class Limit:
    """One limit. `fired` is None until it is known whether earlier logs had crossed it."""

    scope: Scope
    what: What
    limit: float
    fired: bool | None = None

    def over(self, used: Mapping[str, Mapping[str, Any]]) -> float | None:
        """The amount used, if it is over the limit."""
        total = used_of(self.what, (used[side] for side in _SIDES[self.scope] if side in used))
        return total if total > self.limit else None

    def in_words(self, used: float) -> str:
        """The amount used and the limit, as text."""
        whose = "" if self.scope == "conversation" else f" of the {self.scope}"
        if self.what == "tokens":
            return f"{used:,.0f} tokens{whose}, the budget is {self.limit:,.0f}"
        return f"${used:.4f}{whose}, the budget is ${self.limit:.4f}"


def limits_of(budget: Budget) -> list[Limit]:
    """The limits that a scenario sets."""
    limits: list[Limit] = []
    scopes: tuple[tuple[Scope, Any], ...] = (
        ("conversation", budget),
        ("provider", budget.provider),
        ("persona", budget.persona),
    )
    for scope, part in scopes:
        if part is not None and part.tokens is not None:
            limits.append(Limit(scope, "tokens", part.tokens))
        if part is not None and part.cost is not None:
            limits.append(Limit(scope, "cost", part.cost))
    return limits


def used_of(what: What, sides: Iterable[Mapping[str, Any]]) -> float:
    """The sum of tokens or US dollars."""
    if what == "cost":
        return sum(side.get("cost") or 0.0 for side in sides)
    return sum(
        (side.get("prompt_tokens") or 0) + (side.get("completion_tokens") or 0) for side in sides
    )


def still_over(
    budget: Budget, used: Mapping[str, Mapping[str, Any]], raised: Sequence[Mapping[str, Any]]
) -> Limit | None:
    """The first limit that is exceeded; `raised` are the limits that were raised by hand."""
    limits = limits_of(budget)
    apply_raised(limits, raised)
    return next((limit for limit in limits if limit.over(used) is not None), None)


def apply_raised(limits: Sequence[Limit], raised: Sequence[Mapping[str, Any]]) -> None:
    """Applies limits that were raised by hand, unless the scenario's own is higher."""
    for item in raised:
        for limit in limits:
            same = (limit.scope, limit.what) == (item.get("scope"), item.get("what"))
            if same and isinstance(item.get("limit"), (int, float)):
                limit.limit = max(limit.limit, float(item["limit"]))


class _Learned:
    """Usage of one side's calls so far, from which the next one is estimated."""

    __slots__ = ("calls", "chars", "completion", "cost", "priced", "prompt")

    def __init__(self) -> None:
        self.calls = self.chars = self.prompt = self.completion = self.priced = 0
        self.cost = 0.0


class BudgetGuard:
    """Detects the completion that crosses a limit; `out` is the termination that follows."""

    def __init__(self, context: TurnContext) -> None:
        self._context = context
        self.limits = limits_of(context.scenario.budget)
        self.out: Termination | None = None
        self.crossed: Limit | None = None
        """The limit crossed last."""
        self._learned: dict[str, _Learned] = {}
        self._seeded = False

    # --- before a call

    def estimate(self, side: str, messages: Sequence[Message]) -> dict[str, Any] | None:
        """The expected usage of a side's next call; None without a budget.

        Tokens are characters divided by what a token of this side's calls has been so far (4
        before there was one), answers and prices the mean of its calls. A price that no call has
        named is unknown and left out.
        """
        if not self.limits:
            return None
        known = self._learned.get(side)
        chars = size_of(messages)
        ratio = known.chars / known.prompt if known and known.prompt else _CHARS_PER_TOKEN
        estimate: dict[str, Any] = {"prompt_tokens": round(chars / ratio)}
        if known is not None and known.calls and known.prompt:
            estimate["completion_tokens"] = round(known.completion / known.calls)
            if known.priced:
                tokens = estimate["prompt_tokens"] + estimate["completion_tokens"]
                estimate["cost"] = round(tokens * known.cost / known.priced, 6)
        return estimate

    def in_words(self, estimate: Mapping[str, Any]) -> str:
        """An estimate and the usage so far, as text for a hold before the call."""
        tokens = estimate["prompt_tokens"] + estimate.get("completion_tokens", 0)
        cost = f", ${estimate['cost']:.4f}" if "cost" in estimate else ", price unknown"
        used = self._used()
        left = "; ".join(
            limit.in_words(used_of(limit.what, (used.get(s, {}) for s in _SIDES[limit.scope])))
            for limit in self.limits
        )
        return f"about {tokens:,} tokens{cost} for this call; used so far: {left}"

    # --- after a call

    def learn(self, side: str, messages: Sequence[Message], usage: Usage | None) -> None:
        """Takes a call's usage into account for the next estimate."""
        if not self.limits or usage is None or not usage.prompt_tokens:
            return
        known = self._learned.setdefault(side, _Learned())
        known.calls += 1
        known.chars += size_of(messages)
        known.prompt += usage.prompt_tokens
        known.completion += usage.completion_tokens or 0
        if usage.cost is not None:
            known.cost += usage.cost
            known.priced += usage.prompt_tokens + (usage.completion_tokens or 0)

    def _used(self) -> dict[str, Used]:
        """The usage of each side, earlier logs included."""
        return used_by_side(self._context.journal.transcript)

    def _look_back(self) -> None:
        """Takes over from earlier logs which limits had been crossed or raised."""
        self._seeded = True
        transcript = self._context.journal.transcript
        counters = transcript.seed.get("counters") or {}
        apply_raised(self.limits, counters.get("budget") or ())
        before = inherited_usage(transcript)
        for limit in self.limits:
            limit.fired = limit.over(before) is not None

    def check(self) -> tuple[HoldReason | None, str]:
        """Checks the limits after a reply; returns reason and detail of the hold that is due."""
        if not self.limits:
            return None, ""
        if not self._seeded:
            self._look_back()
        if all(limit.fired for limit in self.limits):
            return None, ""
        used = self._used()
        self.crossed = None
        details: list[str] = []
        for limit in self.limits:
            total = None if limit.fired else limit.over(used)
            if total is None:
                continue
            limit.fired = True
            self.crossed = self.crossed or limit
            details.append(limit.in_words(total))
            self._context.journal.emit_here(
                BudgetCrossed,
                scope=limit.scope,
                what=limit.what,
                limit=limit.limit,
                used=round(total, 6),
            )
        if self.crossed is None:
            return None, ""
        detail = "; ".join(details)
        action = self._context.scenario.budget.on_exceeded
        holds = self._context.holds
        if action == "pause" and (holds.watched or not holds.goes_on_unwatched):
            return "budget", detail
        if action == "stop":
            self.end(detail)
        return None, ""

    def raise_to(self, value: Any) -> str | None:
        """Raises the limit crossed last; returns what is wrong with the value, or None.

        Without a value it is doubled, and again until it is above what was used.
        """
        limit = self.crossed
        if limit is None:
            return "no budget was crossed"
        before = limit.limit
        used = used_of(limit.what, (self._used().get(side, {}) for side in _SIDES[limit.scope]))
        if value in (None, ""):
            while limit.limit <= used:
                limit.limit *= 2
        else:
            try:
                wanted = float(str(value).replace(",", "").removeprefix("$"))
            except ValueError:
                return f"{value!r} is no number"
            if not used < wanted < float("inf"):
                return f"{wanted:g} is not above what was used ({used:,.6g})"
            limit.limit = wanted
        limit.fired = False
        self._context.journal.emit_here(
            BudgetRaised, scope=limit.scope, what=limit.what, limit=limit.limit, before=before
        )
        return None

    def end(self, detail: str) -> None:
        """Ends the session after the turn in progress."""
        self.out = Termination(
            kind="budget", by="harness", reason=detail, at_turn=self._context.number
        )


async def unknown_usage(
    budget: Budget,
    *,
    provider: Loaded,
    user: tuple[str, str] | None,
    priced: Callable[[str], Awaitable[bool]],
) -> list[str]:
    """Warnings about usage that the budget cannot count, for before the first call.

    `user` is the persona's simulator and the model that it calls, if it calls one; `priced` tells
    whether the price of a model is known.
    """
    sentences: list[str] = []
    limits = limits_of(budget)
    if any(limit.scope != "persona" for limit in limits):
        model = model_of(provider.provider)
        if provider.kind == "litellm" and model is not None:
            sentences += await _unpriced(limits, "provider", model, priced)
        elif provider.kind != "demo":
            sentences.append(
                f"what {provider.provider.name} uses is unknown unless its code says it (a Reply"
                " with usage): until then it does not count towards the budget"
            )
    if user is not None and any(limit.scope != "provider" for limit in limits):
        sentences += await _unpriced(limits, user[0], user[1], priced)
    return sentences


async def _unpriced(
    limits: Sequence[Limit], who: str, model: str, priced: Callable[[str], Awaitable[bool]]
) -> list[str]:
    if not any(limit.what == "cost" for limit in limits) or await priced(model):
        return []
    return [
        f"the price of {model} ({who}) is not known: its calls count towards the budget over cost"
        " only where the endpoint names what they cost"
    ]


def size_of(messages: Sequence[Message]) -> int:
    """Characters of a message list, with an allowance for the framing of each message."""
    total = 0
    for message in messages:
        content = message.get("content")
        total += _PER_MESSAGE + (len(content) if isinstance(content, str) else 0)
        for call in message.get("tool_calls") or ():
            total += len(str(call.get("function", {}).get("arguments", "")))
    return total
