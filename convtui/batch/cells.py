"""The cells of a plan: one for each combination of what varies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any, Final

from convtui.batch import names
from convtui.batch.attempts import unreflecting
from convtui.batch.drafts import Choice, Draft, Drafts
from convtui.batch.keys import Key
from convtui.batch.personas import persona_choices
from convtui.batch.plan import Plan
from convtui.errors import DataFileError, Problem, UsageError
from convtui.files.validation import KeyPath
from convtui.scenario.provider_spec import ProviderSpec
from convtui.scenario.scenario import Scenario
from convtui.secrets.names import is_secret_name

MOST_CONVERSATIONS: Final = 100_000
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of a plan: a scenario, or why there is none."""

    number: int
    """Counted from 1 in the plan's order."""
    name: str
    """Unique in the plan, and fit for a file's name."""
    persona: str
    """Its name, with a number behind it where another entry of the plan has the same."""
    provider: str
    """The SPEC for people, without directories; numbered likewise."""
    sessions: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The dotted keys that the plan sets in this cell, and their values without secrets."""
    scenario: Scenario | None = None
    error: str | None = None
    """Why it cannot run: its conversations fail, those of other cells do not."""
    digest: str = ""
    """Of everything in the scenario but secrets; the same for cells that are the same."""

    def key(self, run: int, attempt: int = 1) -> str:
        """The name of one of its conversations; runs and attempts are counted from 1."""
        return str(Key(self.name, run, attempt))


def cells_of(plan: Plan, *, ready: bool = True) -> list[Cell]:
    """The cells of a plan, in its order: personas first, then providers, sessions and settings.

    A cell that cannot be loaded has an `error`; with `ready`, also one that is valid and would not
    run as it is. Raises `DataFileError` for what is wrong with the
    plan itself: no cell can run, an entry is wrong wherever it is used, two cells are the same;
    and `UsageError` for too many conversations.
    """
    vary = plan.vary
    personas = persona_choices(plan)
    providers = list(enumerate(vary.provider or [None]))
    sessions = list(enumerate(vary.sessions or [None]))
    settings = list(enumerate(vary.set or [{}]))
    sizes = [len(personas), len(providers), len(sessions), len(settings)]
    count = prod(sizes) * plan.runs
    if count > MOST_CONVERSATIONS:
        sides = " x ".join(map(str, sizes))
        raise UsageError(
            f"{count:,} conversations ({sides} cells, {plan.runs:,} runs each) are more than a"
            f" batch may have: {MOST_CONVERSATIONS:,}"
        )
    drafts = Drafts(plan, ready=ready)
    made = [drafts.of(Choice(*each)) for each in product(personas, providers, sessions, settings)]
    problems = [*_wrong_everywhere(made)] or ([] if any(_usable(made)) else _all(made))
    problems = problems or drafts.problems
    unable = unreflecting(plan, [draft.provider for draft in _usable(made)])
    if unable is not None:
        problems = [*problems, unable]
    if problems:
        raise DataFileError(problems)
    labels = names.unique(_labels(plan, made))
    # Results are counted by what personas and providers are called.
    persona_names = names.told_apart((id(d.choice.persona), d.choice.persona.name) for d in made)
    provider_names = names.told_apart((d.choice.provider[0], _provider_name(d)) for d in made)
    result = [
        _cell(
            number,
            label,
            draft,
            persona=persona_names[id(draft.choice.persona)],
            provider=provider_names[draft.choice.provider[0]],
        )
        for number, (label, draft) in enumerate(zip(labels, made, strict=True), 1)
    ]
    _refuse_twins(plan, result)
    return result


def plan_digest(plan: Plan, cells: Sequence[Cell]) -> str:
    """Of what a batch is to do: the same for plans with the same conversations."""
    return _hash({"cells": [[cell.name, cell.digest] for cell in cells], "runs": plan.runs})


def _provider_name(draft: Draft) -> str:
    return draft.provider.short if draft.provider is not None else draft.written_provider


def _cell(number: int, label: str, draft: Draft, *, persona: str, provider: str) -> Cell:
    error = "\n".join(map(str, draft.problems)) or None
    scenario = draft.scenario if error is None else None
    return Cell(
        number=number,
        name=label,
        persona=persona,
        provider=provider,
        sessions=tuple(draft.sessions),
        settings=draft.settings,
        scenario=scenario,
        error=error,
        digest=_hash({"error": error}) if scenario is None else _digest(scenario, draft),
    )


def _usable(drafts: Sequence[Draft]) -> Iterator[Draft]:
    return (draft for draft in drafts if not draft.problems)


def _all(drafts: Sequence[Draft]) -> list[Problem]:
    """What is wrong with any of them, each mistake once."""
    found = {str(problem): problem for draft in drafts for problem in draft.problems}
    return list(found.values())


def _wrong_everywhere(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Mistakes of an entry that is wrong in every cell that has it.

    A persona or provider that cannot be loaded is none: its cells fail, and the others run.
    """
    by_entry: dict[KeyPath, list[Draft]] = {}
    for draft in drafts:
        for where in draft.choice.entries:
            by_entry.setdefault(where, []).append(draft)
    for where, used_by in by_entry.items():
        shared = [
            {str(problem): problem for entry, problem in draft.at_entries if entry == where}
            for draft in used_by
        ]
        if all(shared):
            yield from {key: each for found in shared for key, each in found.items()}.values()


def _refuse_twins(plan: Plan, cells: Sequence[Cell]) -> None:
    """Raises `DataFileError` for two cells that would be the same conversation."""
    first: dict[str, Cell] = {}
    problems = []
    for cell in cells:
        if cell.scenario is None:
            continue
        twin = first.setdefault(cell.digest, cell)
        if twin is not cell:
            message = (
                f"cells {twin.number} ({twin.name}) and {cell.number} ({cell.name}) are the same;"
                " take one out (`runs` says how often a cell runs)"
            )
            problems.append(plan.places.problem(("vary",), message))
    if problems:
        raise DataFileError(problems)


def _labels(plan: Plan, drafts: Sequence[Draft]) -> Iterator[str]:
    """Names for the cells: the persona, and whatever else varies."""
    vary = plan.vary
    providers = _provider_labels([draft.provider for draft in drafts])
    sessions = names.session_labels(vary.sessions or [])
    shown = {draft.choice.settings[0]: draft.settings for draft in drafts}
    settings = names.setting_labels(vary.set or [], [shown[n] for n in range(len(vary.set or ()))])
    for draft, provider in zip(drafts, providers, strict=True):
        parts = [names.part(draft.choice.persona.name)]
        if len(vary.provider or ()) > 1:
            parts.append(provider or f"provider{draft.choice.provider[0] + 1}")
        if len(sessions) > 1:
            parts.append(sessions[draft.choice.sessions[0]])
        if len(settings) > 1:
            parts.append(settings[draft.choice.settings[0]])
        yield "-".join(parts)


def _provider_labels(specs: Sequence[ProviderSpec | None]) -> list[str | None]:
    """The shortest labels that tell the providers apart."""
    by_label: dict[str, set[str]] = {}
    for spec in specs:
        if spec is not None:
            by_label.setdefault(names.provider_label(spec), set()).add(str(spec))
    labels: list[str | None] = []
    for spec in specs:
        label = None if spec is None else names.provider_label(spec)
        if spec is not None and label is not None and len(by_label[label]) > 1:
            label = names.longer_provider_label(spec)
        labels.append(label)
    return labels


def _digest(scenario: Scenario, draft: Draft) -> str:
    data = scenario.for_engine()
    del data["source"]
    if draft.choice.persona.task is None:
        # Tasks that say the same differ in what is checked of them.
        data.pop("name", None)
    return _hash(_without_secrets(data))


def _without_secrets(value: Any) -> Any:
    """Without what is a secret by its name: a renewed key changes no plan."""
    if isinstance(value, dict):
        return {
            key: _without_secrets(item)
            for key, item in value.items()
            if not (isinstance(item, str) and is_secret_name(str(key)))
        }
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _hash(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
