"""What a plan will need at most: turns and model calls; and what that may cost.

Everything follows from the scenario alone. Calls that are made again after a failure, rounds of
tools, and the calls that a provider's own code makes are not known beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from convtui.batch.cells import Cell
from convtui.batch.plan import Plan
from convtui.batch.prices import Price, price_of
from convtui.scenario.scenario import Scenario
from convtui.text.boundary import word_count

TOKENS_PER_WORD: Final = 4 / 3
WORDS_PER_TURN: Final = 60
_IN_PROCESS: Final = ("demo", "recorded")
"""Providers that call no model."""
OWN_CODE: Final = ("file", "module", "entry_point")
"""Providers that are somebody's code."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one conversation, each a bound but for the cost."""

    turns: int
    """Of both sides, in all sessions."""
    provider_calls: int | None
    """Calls of the provider's model; None where its own code decides."""
    persona_calls: int
    """Calls of the model that speaks for the persona."""
    cost: float | None
    """US dollars if every turn has `WORDS_PER_TURN` words; None where a price is not known."""
    unpriced: tuple[str, ...] = ()
    """Models without a known price, and SPECs of code that calls models itself."""

    @property
    def calls(self) -> int:
        """The model calls that are known of."""
        return (self.provider_calls or 0) + self.persona_calls


@dataclass(frozen=True, slots=True)
class Total:
    """Of a whole plan, every attempt counted."""

    conversations: int
    attempts: int
    """Conversations at most, further attempts included."""
    turns: int
    calls: int
    cost: float | None
    """The sum of what is known; None where nothing is."""
    unpriced: tuple[str, ...]
    own_code: bool
    """Whether some providers' own code makes calls that are not counted."""


@dataclass(frozen=True, slots=True)
class _Turns:
    """How many turns each side has at most, over all sessions."""

    provider: int
    persona: int
    sessions: int


def estimate(scenario: Scenario) -> Estimate:
    """What one conversation of a scenario needs at most."""
    turns = _turns(scenario)
    words = _words_per_turn(scenario, turns)
    cost: float | None = 0.0
    unpriced = []
    spec = scenario.provider.spec
    provider_calls: int | None = 0 if spec.kind in _IN_PROCESS else turns.provider
    if spec.kind in OWN_CODE:
        provider_calls = None
        unpriced.append(spec.short)
    elif provider_calls:
        price = price_of(spec.target)
        system = word_count(scenario.provider.system_prompt or "")
        if price is None:
            cost = None
            unpriced.append(spec.target)
        else:
            cost = _cost(turns, turns.provider, system, words, price)
    model, persona_calls = _persona_calls(scenario, turns)
    if persona_calls:
        price = price_of(model) if model is not None else None
        if price is None:
            cost = None
            unpriced.append(model or "the persona's model")
        elif cost is not None:
            system = word_count(scenario.persona.task or "") + _prompt_words(scenario)
            cost += _cost(turns, persona_calls, system, words, price)
    if provider_calls is None and not persona_calls:
        cost = None
    return Estimate(
        turns.provider + turns.persona, provider_calls, persona_calls, cost, tuple(unpriced)
    )


def total_of(plan: Plan, cells: Sequence[Cell], estimates: Sequence[Estimate | None]) -> Total:
    """What all runs of all cells need at most; an estimate is None for a cell with an error."""
    again = plan.attempts.max if plan.attempts is not None else 1
    known = [each for each in estimates if each is not None]
    each_way = plan.runs * again
    reflections = (again - 1) * plan.runs * len(known)
    if plan.attempts is None or not plan.attempts.reflect:
        reflections = 0
    costs = [each.cost for each in known if each.cost is not None]
    names = dict.fromkeys(name for each in known for name in each.unpriced)
    return Total(
        conversations=len(cells) * plan.runs,
        attempts=len(known) * each_way,
        turns=sum(each.turns for each in known) * each_way,
        calls=sum(each.calls for each in known) * each_way + reflections,
        cost=sum(costs) * each_way if costs else None,
        unpriced=tuple(names),
        own_code=any(each.provider_calls is None for each in known),
    )


def _turns(scenario: Scenario) -> _Turns:
    sessions = len(scenario.session_types)
    capped = 1 if scenario.turns_scope == "conversation" else sessions
    most = scenario.limits.max_turns
    first_is_provider = scenario.first_speaker == "provider"
    # The provider has the last turn.
    if (most % 2 == 0) == first_is_provider:
        most += 1
    provider = (most + 1) // 2 if first_is_provider else most // 2
    return _Turns(provider * capped, (most - provider) * capped, sessions)


def _words_per_turn(scenario: Scenario, turns: _Turns) -> float:
    most = scenario.limits.max_total_words
    count = max(1, turns.provider + turns.persona)
    return WORDS_PER_TURN if most is None else min(WORDS_PER_TURN, most * turns.sessions / count)


def _persona_calls(scenario: Scenario, turns: _Turns) -> tuple[str | None, int]:
    """The model that speaks for the persona, and how often it is asked."""
    persona = scenario.persona
    if not persona.kind.model_keys:
        return None, 0
    said = turns.sessions if persona.opening and scenario.first_speaker == "persona" else 0
    return persona.asked_model, max(0, turns.persona - said)


def _prompt_words(scenario: Scenario) -> int:
    written = scenario.persona.model_dump(exclude_unset=True)
    texts = [written.get("prompt"), written.get("template"), written.get("reminder")]
    responder = written.get("responder")
    if isinstance(responder, dict):
        texts.append(responder.get("instructions"))
    return sum(word_count(text) for text in texts if isinstance(text, str))


def _cost(turns: _Turns, calls: int, system: int, words: float, price: Price) -> float:
    """US dollars of one side's calls, each of which has all turns before it in its request."""
    per_session = (turns.provider + turns.persona) / turns.sessions
    history = words * per_session / 2
    into = calls * (system + history) * TOKENS_PER_WORD
    out = calls * words * TOKENS_PER_WORD
    return into * price.input + out * price.output
