"""Settings that can never act: whoever wrote one believes that it does something.

Only what is certain is refused. A limit that is not reached, or a retry where nothing fails, does
what it says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convtui.errors import Problem
from convtui.files.validation import Lines, line_of
from convtui.scenario.model_names import model_problem
from convtui.scenario.provider_spec import ProviderSpec, absolute, defines
from convtui.scenario.simulators.registry import kind_of, kinds

if TYPE_CHECKING:
    from pathlib import Path

    from convtui.scenario.persona import Persona
    from convtui.scenario.scenario import Scenario

_FOR_CODE: Final = ("model", "params", "options")
"""Keys of a provider that are handed to its code."""


@dataclass(frozen=True, slots=True)
class Useless:
    """A setting that cannot act, and what to do about it."""

    key: tuple[str, ...]
    message: str

    def is_within(self, keys: Iterable[tuple[str, ...]]) -> bool:
        """Whether it is one of these keys, or holds one of them."""
        return any(key[: len(self.key)] == self.key for key in keys)


def useless_problems(
    scenario: Scenario,
    lines: Lines,
    path: Path | None,
    *,
    within: Collection[tuple[str, ...]] | None = None,
    persona: bool = True,
) -> list[Problem]:
    """The settings of a scenario that cannot act, as mistakes in the order of their lines.

    Only those `within` these keys where they are given, and without the `persona` when a file of
    its own was checked.
    """
    settings = useless_settings(scenario)
    if path is not None or within is not None:
        # Scripts may bring clients of their own, which know other names.
        settings += unknown_models(scenario)
    problems = [
        Problem(each.message, path=path, line=line_of(lines, each.key), key=".".join(each.key))
        for each in settings
        if (within is None or each.is_within(within)) and (persona or each.key[0] != "persona")
    ]
    return sorted(problems, key=lambda problem: problem.line or 0)


def useless_settings(scenario: Scenario) -> list[Useless]:
    """The settings of a scenario that cannot act, and models that nobody serves."""
    found = [*_unused_keys(scenario), *_of_budget(scenario)]
    if not (scenario.follow_up_prompts and scenario.persona.simulator == "scripted"):
        # Follow-up prompts make a persona scripted, whatever it was written for.
        found += [
            Useless(("persona", *each.key), each.message)
            for each in useless_in_persona(scenario.persona)
        ]
    return found


def useless_in_persona(persona: Persona) -> list[Useless]:
    """The same of a persona by itself; the keys are its own."""
    written = persona.model_dump(exclude_unset=True)
    return [*_other_kinds(persona, written), *_without_place(written)]


def unknown_models(scenario: Scenario) -> list[Useless]:
    """The models of a scenario that litellm cannot call, by their names."""
    provider, persona = scenario.provider, unknown_model(scenario.persona)
    spec = provider.spec
    problem = model_problem(spec.target, provider.params) if spec.kind == "litellm" else None
    return [
        *([Useless(("provider", "use"), problem)] if problem is not None else []),
        *([Useless(("persona", *persona.key), persona.message)] if persona is not None else []),
    ]


def unknown_model(persona: Persona) -> Useless | None:
    """The same of a persona by itself."""
    written = persona.model_dump(exclude_unset=True)
    name = persona.asked_model
    problem = model_problem(name, persona.params) if name else None
    key = tuple(persona.kind.model_key(written).split("."))
    return Useless(key, problem) if problem is not None else None


def takes_params(spec: ProviderSpec, base: Path) -> bool:
    """Whether a provider may have a use for `provider.params`: all but those that surely do not."""
    return "params" not in _unused_by(spec, base)


def _unused_keys(scenario: Scenario) -> Iterator[Useless]:
    provider = scenario.provider.model_dump(exclude_unset=True)
    for key, why in _unused_by(scenario.provider.spec, scenario.base).items():
        if provider.get(key):
            yield Useless(("provider", key), why)


def _unused_by(spec: ProviderSpec, base: Path) -> Mapping[str, str]:
    """The keys that a provider has no use for, and why."""
    if spec.kind == "litellm":
        return {
            "options": "options are keyword arguments of a provider's class; what a model takes"
            " (temperature, api_base, ...) stands in provider.params",
            "model": f"the SPEC names the model already: {spec.target}",
        }
    if spec.kind in ("demo", "recorded"):
        what = "the built-in demo" if spec.kind == "demo" else "a recorded provider"
        return {key: f"{what} takes no {key}" for key in _FOR_CODE}
    if spec.kind == "file" and defines(absolute(spec.target, base), spec.name or "") == "function":
        return {
            key: f"{spec.name} is a function, which gets the messages alone; a class gets"
            f" {'its options as keyword arguments' if key == 'options' else key}"
            for key in _FOR_CODE
        }
    return {}


def _of_budget(scenario: Scenario) -> Iterator[Useless]:
    budget = scenario.budget
    sides = (budget, budget.provider, budget.persona)
    limited = any(side and (side.tokens or side.cost) for side in sides)
    if "on_exceeded" in budget.model_fields_set and not limited:
        message = "there is no budget to exceed: give budget.tokens or budget.cost"
        yield Useless(("budget", "on_exceeded"), message)


def _other_kinds(persona: Persona, written: Mapping[str, Any]) -> Iterator[Useless]:
    """Keys that only another kind of simulator reads."""
    own = kind_of(persona.simulator)
    if own is None:
        return
    for kind in kinds():
        for key in kind.own_keys:
            if kind is not own and key in written and key not in own.own_keys:
                yield Useless((key,), f"{_article(own.name)} persona never reads it: it is for"
                              f" simulator: {kind.name}")  # fmt: skip
    if not own.model_keys:
        for key in ("model", "params"):
            if written.get(key):
                yield Useless((key,), f"{_article(own.name)} persona calls no model; take it out")
    for key in own.ignores:
        if written.get(key):
            yield Useless((key,), f"{_article(own.name)} persona never says it; take it out")


def _without_place(written: Mapping[str, Any]) -> Iterator[Useless]:
    template = written.get("template")
    if template and written.get("prompt") and "{persona}" not in str(template):
        yield Useless(("prompt",), "the template has no {persona}, where it would go")
    responder = written.get("responder")
    if written.get("model") and isinstance(responder, dict) and responder.get("model"):
        yield Useless(("model",), "responder.model is the one that is asked; take one of them out")


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeioul' else 'a'} {word}"
