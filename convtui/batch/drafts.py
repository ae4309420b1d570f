"""Makes the scenario of each combination of a plan, or says what is wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.batch.personas import PersonaChoice
from convtui.batch.plan import CellFlags, Plan
from convtui.batch.plan_parts import key_path
from convtui.errors import DataFileError, FilterError, Problem, UsageError
from convtui.files.near import no_file
from convtui.files.regular import is_dir, is_file
from convtui.files.validation import KeyPath, dotted
from convtui.filters.breaks import parse_breakpoint
from convtui.library.recorded_provider import with_recorded
from convtui.scenario.flags import FlaggedScenario, apply_flags, put_key, put_provider
from convtui.scenario.merge import settable_keys
from convtui.scenario.provider_spec import ProviderSpec, absolute, parse_provider_spec
from convtui.scenario.scenario import Scenario
from convtui.scenario.unused_settings import takes_params
from convtui.secrets.redactor import Redactor
from convtui.warm.names import is_path
from convtui.warm.store import chosen_context

_HIDDEN: Final = "[not shown]"
_OF_MODELS: Final = ("user_model", "user_api_base")
"""Flags for personas that a model speaks for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What varies in one cell; entries of a plan stand with their positions."""

    persona: PersonaChoice
    provider: tuple[int, Any]
    sessions: tuple[int, list[str] | None]
    settings: tuple[int, Mapping[str, Any]]

    @property
    def entries(self) -> list[KeyPath]:
        """The entries that are wrong themselves where every cell that has them is.

        A persona, or a provider by its SPEC, is not: it may be right tomorrow.
        """
        keys: list[KeyPath] = []
        if isinstance(self.provider[1], dict):
            keys.append(("vary", "provider", self.provider[0]))
        if self.sessions[1] is not None:
            keys.append(("vary", "sessions", self.sessions[0]))
        if self.settings[1]:
            keys.append(("vary", "set", self.settings[0]))
        return keys


@dataclass(slots=True)
class Draft:
    """A cell in the making."""

    choice: Choice
    scenario: Scenario | None = None
    provider: ProviderSpec | None = None
    written_provider: str = ""
    sessions: Sequence[str] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """What the plan sets, without secrets."""
    problems: list[Problem] = field(default_factory=list)
    at_entries: list[tuple[KeyPath, Problem]] = field(default_factory=list)
    """Those of the problems that an entry of the plan has, with that entry."""


class Drafts:
    """Makes the drafts of a plan."""

    def __init__(self, plan: Plan, *, ready: bool = True) -> None:
        self._plan = plan
        self._ready = ready
        self._keys = settable_keys()
        self._data: dict[int, dict[str, Any]] = {}
        """By the identity of a scenario: its data."""
        self._redactor = Redactor.of_process()
        self._settings: dict[int, dict[str, Any]] = {}
        """By the number of an entry: the values that it sets, without secrets."""
        self._unused = {*plan.cell_flags.given} & {*_OF_MODELS} if plan.cell_flags else set()

    @property
    def problems(self) -> list[Problem]:
        """Flags that no cell has a use for."""
        return [
            Problem("no persona of this plan calls a model", path=f"--{name.replace('_', '-')}")
            for name in sorted(self._unused)
        ]

    def of(self, choice: Choice) -> Draft:
        """The draft of one combination."""
        draft = Draft(choice)
        written = choice.provider[1]
        use = written.get("use") if isinstance(written, dict) else written
        base = self._common(choice)
        draft.written_provider = str(use or (base.provider.use if base is not None else "demo"))
        draft.settings = {
            key: value if isinstance(value, (int, float)) else _HIDDEN
            for key, value in choice.settings[1].items()
        }
        with contextlib.suppress(UsageError):
            spec = parse_provider_spec(draft.written_provider, self._plan.base)
            draft.provider = spec.located(self._plan.base)
        if choice.persona.persona is None:
            draft.problems += choice.persona.problems
            return draft
        origin: dict[KeyPath, KeyPath] = {}
        data = self._filled(draft, origin)
        if data is None:
            return draft
        flags = self._plan.cell_flags
        flagged = self._flagged(draft, data, flags)
        if flagged is None:
            return draft
        within = [*_names(origin), *flagged.origin]
        try:
            scenario = Scenario.from_data(flagged.data, base=self._base(choice), within=within)
        except DataFileError as error:
            for problem in map(flagged.at_flag, error.problems):
                self._attribute(draft, problem, origin)
            return draft
        file = base.path if base is not None else None
        scenario = scenario.at(file, self._base(choice), choice.persona.persona.source)
        try:
            scenario = with_recorded(scenario, flags.runs if flags is not None else ())
        except UsageError as error:
            self._attribute(draft, Problem(str(error), key="provider.use"), origin)
        draft.scenario = scenario
        draft.provider = scenario.provider.spec
        draft.sessions = scenario.session_types
        draft.settings = self._public(scenario, *choice.settings)
        for problem in _unready(scenario) if self._ready else ():
            self._attribute(draft, problem, origin)
        return draft

    def _common(self, choice: Choice) -> Scenario | None:
        """What the plan says of the scenario of a combination; None for the demo."""
        return choice.persona.task or self._plan.base_scenario

    def _base(self, choice: Choice) -> Path:
        scenario = self._common(choice)
        return self._plan.base if scenario is None else scenario.base

    def _data_of(self, choice: Choice) -> dict[str, Any]:
        scenario = self._common(choice)
        if scenario is None:
            return {}
        if id(scenario) not in self._data:
            self._data[id(scenario)] = scenario.model_dump(exclude_unset=True)
        return dict(self._data[id(scenario)])

    def _filled(self, draft: Draft, origin: dict[KeyPath, KeyPath]) -> dict[str, Any] | None:
        """The data of the scenario; `origin` gets the entry of the plan for each key."""
        choice, data = draft.choice, self._data_of(draft.choice)
        persona = choice.persona.persona
        assert persona is not None
        data["persona"] = persona.model_dump(exclude_unset=True)
        if choice.persona.where[0] == "vary":
            origin["persona",] = choice.persona.where
        if self._plan.name is not None or "name" not in data:
            data["name"] = self._plan.title
        number, provider = choice.provider
        try:
            where: KeyPath = ("vary", "provider", number)
            if provider is not None:
                self._put_provider(data, provider)
                origin["provider",] = where
            number, sessions = choice.sessions
            if sessions is not None:
                where = ("vary", "sessions", number)
                data["sessions"] = sessions
                origin["sessions",] = where
            number, settings = choice.settings
            for key, value in settings.items():
                where = ("vary", "set", number, key)
                origin[self._set(data, key_path(key), value)] = where
        except UsageError as error:
            self._add(draft, where, str(error))
            return None
        # The demo fails once to show a discarded turn; it is asked again, or it would end there.
        use = data.get("provider", {}).get("use")
        if not self._plan.names_provider and use in (None, "demo"):
            data.setdefault("on_discard", "retry 2")
        return data

    def _flagged(
        self, draft: Draft, data: dict[str, Any], flags: CellFlags | None
    ) -> FlaggedScenario | None:
        """The data with the flags that hold for every cell, those that have no use here left out;
        None when one is wrong."""
        if flags is None:
            return FlaggedScenario(data)
        persona = draft.choice.persona.persona
        assert persona is not None
        given = dict(flags.given)
        if not persona.kind.model_keys:
            # Beside personas that a model speaks for there may be others.
            for key in _OF_MODELS:
                given.pop(key, None)
        else:
            self._unused.clear()
        if persona.needs_model:
            given.setdefault("user_model", flags.defaults.get("user_model"))
        try:
            provider = data.get("provider") or {}
            base = self._base(draft.choice)
            spec = parse_provider_spec(str(provider.get("use", "demo")), base)
            params = provider.get("params") or {}
            if not takes_params(spec, base):
                if len(self._plan.vary.provider or ()) > 1:
                    given.pop("api_base", None)
            elif isinstance(params, dict) and "api_base" not in params:
                given.setdefault("api_base", flags.defaults.get("api_base"))
            if persona.kind.model_keys:
                given.setdefault("user_api_base", flags.defaults.get("user_api_base"))
            return apply_flags(data, given, flags.cwd, self._keys)
        except UsageError as error:
            draft.problems.append(Problem(str(error)))
            return None

    def _put_provider(self, data: dict[str, Any], entry: str | dict[str, Any]) -> None:
        given: dict[str, Any] = {"use": entry} if isinstance(entry, str) else dict(entry)
        if isinstance(given.get("use"), str):
            put_provider(data, given.pop("use"), self._plan.base)
        written = dict(data.get("provider") or {})
        for key in ("params", "options"):
            if isinstance(given.get(key), dict):
                given[key] = {**(written.get(key) or {}), **given[key]}
        data["provider"] = {**written, **given}

    def _set(self, data: dict[str, Any], path: tuple[str, ...], value: Any) -> KeyPath:
        """Sets a key; a path in its value is relative to the plan, as all of its paths are."""
        if path == ("provider", "use") and isinstance(value, str):
            put_provider(data, value, self._plan.base)
            return path
        if path in (("warm",), ("warm", "use")) and isinstance(value, str) and is_path(value):
            value = str(absolute(value, self._plan.base))
        return put_key(data, path, value, self._keys)

    def _attribute(self, draft: Draft, problem: Problem, origin: Mapping[KeyPath, KeyPath]) -> None:
        """Adds a problem, placed where the plan or the scenario has what causes it."""
        if problem.path is not None or not problem.key:
            draft.problems.append(problem)
            return
        for path, where in reversed(list(origin.items())):
            key = dotted(path) or ""
            inside = problem.key.startswith((f"{key}.", f"{key}["))
            if problem.key == key or inside or key.startswith(f"{problem.key}."):
                told = inside and problem.key != "provider.use"
                text = f"{problem.key}: {problem.message}" if told else problem.message
                self._add(draft, where, text)
                return
        scenario = self._common(draft.choice)
        file = scenario.path if scenario is not None else None
        draft.problems.append(Problem(problem.message, path=file, key=problem.key))

    def _add(self, draft: Draft, where: KeyPath, message: str) -> None:
        problem = self._plan.places.problem(where, message)
        draft.problems.append(problem)
        if where[0] == "vary":
            draft.at_entries.append((where[:3], problem))

    def _public(
        self, scenario: Scenario, entry: int, settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The values of the settings as a log's header has them."""
        known = self._settings.get(entry)
        if known is None and settings:
            scenario.tell(self._redactor)
            public = scenario.public(self._redactor)
            known = {key: _at(public, key_path(key)) for key in settings}
            self._settings[entry] = known
        return dict(known or {})


def _names(origin: Mapping[KeyPath, KeyPath]) -> list[tuple[str, ...]]:
    return [tuple(str(part) for part in path) for path in origin]


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(data, Mapping):
            return data
        data = data.get(part)
    return data


def _unready(scenario: Scenario) -> list[Problem]:
    """What keeps a valid scenario from running, as far as it can be seen from outside."""
    problems = [*scenario.problems()]
    spec = scenario.provider.spec
    file = Path(spec.target)
    if spec.kind == "file" and not (is_file(file) or is_dir(file)):
        problems.append(Problem(no_file(file), key="provider.use"))
    for text in scenario.breakpoints:
        try:
            parse_breakpoint(text)
        except FilterError as error:
            problems.append(Problem(str(error), key="breakpoints"))
    if scenario.warm is not None:
        try:
            chosen_context(scenario.warm)
        except UsageError as error:
            problems.append(Problem(str(error), key="warm"))
    return problems
