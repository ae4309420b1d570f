"""Plans: which conversations to have, how often, and how many of them at once.

A plan is a scenario and what varies; every combination is a cell (`cells.py`). Reading one loads
the scenario and nothing that a provider names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, PrivateAttr, field_validator, model_validator

from convtui.batch.places import Places
from convtui.batch.plan_parts import (
    AtOnce,
    Attempts,
    BatchBudget,
    ScenarioEntry,
    StopAfter,
    Vary,
)
from convtui.errors import DataFileError, FilterError, Problem, UsageError
from convtui.files.regular import is_dir, is_file
from convtui.files.yaml import KeyPath, Lines, load_yaml, validate
from convtui.filters.breaks import parse_breakpoint
from convtui.scenario.parts import (
    BREAKPOINT_SCHEMA,
    StrictModel,
    base_of,
    breakpoint_text,
    not_blank,
)
from convtui.scenario.provider_spec import absolute
from convtui.scenario.scenario import Scenario
from convtui.scenario.waza_keys import waza_kind
from convtui.scenario.waza_task import ChosenTasks, read_waza

MOST_RUNS: Final = 10_000
MOST_WORKERS: Final = 256
_MAY_BE_EMPTY: Final = (
    "vary",
    "budget",
    "attempts",
    "stop_after",
    "breakpoints",
    "workers",
    "name",
)


class Plan(StrictModel):
    """Which conversations to have, how often, and how many of them at once."""

    name: str | None = None
    """Shown in lists; the scenario's name when left out."""
    scenario: ScenarioEntry = None
    """A scenario file, a waza task or eval, or the mapping itself; the demo when left out."""
    vary: Vary = Field(default_factory=Vary)
    runs: int = Field(1, ge=1, le=MOST_RUNS)
    """Conversations of each cell."""
    concurrency: AtOnce = 20
    """Conversations at once; auto grows until the endpoint answers 429. Held ones do not count."""
    workers: int | None = Field(None, ge=1, le=MOST_WORKERS)
    """Processes that the conversations are spread over; one for each core when left out."""
    budget: BatchBudget = Field(default_factory=BatchBudget)
    attempts: Attempts | None = None
    """Trying a conversation again that ended badly; once each when left out."""
    stop_after: StopAfter | None = None
    """When no more conversations are started."""
    order: Literal["mixed", "listed"] = "mixed"
    """mixed spreads the cells, so that early figures mean something; listed goes through them."""
    isolation: Literal["worker", "process"] = "worker"
    """Whether conversations share worker processes, or each has a process of its own."""
    breakpoints: list[str] = Field([], json_schema_extra={"items": BREAKPOINT_SCHEMA})
    """Filter expressions that hold a conversation, beside those of the scenario."""
    on_pause: Literal["end", "continue"] = "end"
    """What follows, without a screen, where a conversation would wait for somebody."""
    persona_template: str | None = None
    """The text file that turns a row of a table into a prompt, in place of the scenario's."""
    persona_context_template: str | None = None
    """The text file that turns a row into what persona_template has as {persona_context}."""
    persona_reminder: str | None = None
    """The text file that holds the reminder for personas from a table."""

    _base_scenario: Scenario | None = PrivateAttr(default=None)
    _waza: ChosenTasks | None = PrivateAttr(default=None)
    _tasks: tuple[Scenario, ...] = PrivateAttr(default=())
    _cell_flags: CellFlags | None = PrivateAttr(default=None)
    _places: Places = PrivateAttr()
    _path: Path | None = PrivateAttr(default=None)
    _base: Path | None = PrivateAttr(default=None)

    @property
    def path(self) -> Path | None:
        """The file it was loaded from."""
        return self._path

    @property
    def base(self) -> Path:
        """The directory that its relative paths are relative to."""
        return self._base or Path.cwd()

    @property
    def base_scenario(self) -> Scenario | None:
        """What the cells have in common; None for the demo, and where there are several `tasks`."""
        return self._base_scenario

    @property
    def tasks(self) -> tuple[Scenario, ...]:
        """The scenarios of waza tasks, each a cell."""
        return self._tasks

    @property
    def waza(self) -> ChosenTasks | None:
        """The waza tasks that its scenarios were made from."""
        return self._waza

    @property
    def names_provider(self) -> bool:
        """Whether its scenario says what the provider is; a waza task never does."""
        return self._base_scenario is not None and self._waza is None

    @property
    def cell_flags(self) -> CellFlags | None:
        """The flags that hold for the scenario of every cell."""
        return self._cell_flags

    @property
    def places(self) -> Places:
        """Where its values stand."""
        return self._places

    @property
    def title(self) -> str:
        """What it is called."""
        if self.name is not None:
            return self.name
        if self._base_scenario is not None:
            return self._base_scenario.name
        if self._waza is not None and self._waza.file.name is not None:
            return self._waza.file.name
        return "batch" if self._path is None else self._path.stem

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        # A key without a value is an unfinished line: the default stands.
        data = {
            key: value
            for key, value in data.items()
            if not (value is None and key in _MAY_BE_EMPTY)
        }
        if isinstance(data.get("breakpoints"), list):
            data["breakpoints"] = [breakpoint_text(item) for item in data["breakpoints"]]
        return data

    @field_validator("name")
    @classmethod
    def _named(cls, value: str | None) -> str | None:
        return None if value is None else not_blank(value)

    @field_validator("breakpoints")
    @classmethod
    def _are_filters(cls, value: list[str]) -> list[str]:
        for text in value:
            try:
                parse_breakpoint(not_blank(text))
            except FilterError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("persona_template", "persona_context_template", "persona_reminder")
    @classmethod
    def _located(cls, value: str | None, info: Any) -> str | None:
        base = base_of(info)
        if value is None or base is None:
            return value
        return str(absolute(not_blank(value), base))

    @classmethod
    def load(cls, path: Path | str, *, task: str | None = None) -> Plan:
        """The plan in a YAML file; `task` picks one of the waza eval that is its scenario.

        Raises `FileError`, `DataFileError` with every mistake, and `UsageError` for a wrong task.
        """
        path = Path(path)
        document = load_yaml(path)
        if document.data is None:
            raise DataFileError([Problem("this plan is empty", path=path)])
        return cls.from_data(document.data, lines=document.lines, path=path, task=task)

    @classmethod
    def from_data(
        cls,
        data: Any,
        *,
        lines: Lines | None = None,
        path: Path | None = None,
        base: Path | None = None,
        task: str | None = None,
    ) -> Plan:
        """A plan from plain data as a file holds it.

        Relative paths are below `base` (by default the directory of `path`, else the working
        directory). `lines` and `path` place the mistakes. Raises `DataFileError`, `FileError` for a
        scenario that is not there.
        """
        if base is None:
            base = Path.cwd() if path is None else path.absolute().parent
        places = Places(path, lines or {})
        plan = validate(cls, data, lines, path, what="plan", context={"base": base})
        plan._path = None if path is None else path.absolute()
        plan._base = base.absolute()
        plan._places = places
        return plan._with_scenario(plan._scenario_file(), task)

    @classmethod
    def of_file(cls, path: Path, *, task: str | None = None) -> Plan:
        """The plan of a scenario file, or of a waza task or eval: of all its tasks, or of `task`.

        Raises `UsageError`, `FileError` or `DataFileError`.
        """
        plan = cls()
        plan._path = path.absolute()
        plan._places = Places(path, {})
        return plan._with_scenario(path, task)

    @classmethod
    def of(cls, scenario: Scenario | None, *, base: Path | None = None) -> Plan:
        """The plan of one conversation of `scenario`; of the demo when None."""
        plan = cls()
        plan._path = None if scenario is None else scenario.path
        plan._base = base
        plan._places = Places(plan._path, {})
        plan._base_scenario = scenario
        return plan

    def changed(
        self, data: Mapping[str, Any], flags: Mapping[KeyPath, str], cell_flags: CellFlags
    ) -> Plan:
        """The plan with `data` in place of its own; `flags` names the flag that gave a value.

        Raises `DataFileError`.
        """
        places = Places(self._places.path, self._places.lines, flags)
        try:
            plan = validate(Plan, dict(data), what="plan", context={"base": self.base})
        except DataFileError as error:
            raise DataFileError(map(places.attributed, error.problems)) from None
        plan._path, plan._base = self._path, self._base
        plan._base_scenario, plan._cell_flags = self._base_scenario, cell_flags
        plan._waza, plan._tasks = self._waza, self._tasks
        plan._places = places
        return plan

    def _scenario_file(self) -> Path | None:
        """The file that its scenario is in, if any. Raises `DataFileError` if it is not there."""
        if not isinstance(self.scenario, str):
            return None
        file = absolute(self.scenario, self.base)
        if not is_file(file):
            # Named with its place: the file that names it is the one to mend.
            missing = _missing(file, self._path)
            raise DataFileError([self._places.problem(("scenario",), missing)])
        return file

    def _with_scenario(self, file: Path | None, task: str | None) -> Plan:
        """The plan with the scenario or the tasks of a file; without one with its own scenario."""
        if file is None or waza_kind(load_yaml(file).data) is None:
            if task is not None:
                raise UsageError(f"--task {task}: {_without_tasks(file, self._path)}")
            self._base_scenario = self._own_scenario() if file is None else Scenario.load(file)
            return self
        waza = read_waza(file, many=True)
        plan = self
        if waza.trials is not None and "runs" not in self.model_fields_set:
            plan = self.model_copy(update={"runs": waza.trials})
        plan._waza = waza.chosen(task)
        plan._tasks = tuple(chosen.scenario() for chosen in plan._waza.tasks)
        if len(plan._tasks) == 1:
            plan._base_scenario = plan._tasks[0]
        return plan

    def _own_scenario(self) -> Scenario | None:
        given = self.scenario
        if not isinstance(given, dict):
            return None
        lines = {
            key[1:]: line for key, line in self._places.lines.items() if key[:1] == ("scenario",)
        }
        named = {"name": self.title if self.name is not None else None, **given}
        try:
            return Scenario.from_data(named, lines=lines, path=self._path, base=self.base)
        except DataFileError as error:
            raise DataFileError(
                Problem(
                    each.message,
                    path=each.path,
                    line=each.line,
                    key=f"scenario.{each.key}"
                    if each.key and each.path == self._path
                    else each.key,
                )
                for each in error.problems
            ) from None


@dataclass(frozen=True, slots=True)
class CellFlags:
    """What the command line and the settings say about the scenario of every cell."""

    given: Mapping[str, Any]
    """Flags as `convtui.scenario.flags.apply_flags` takes them."""
    cwd: Path
    """What relative paths in them are below."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """`user_model`, `api_base` and `user_api_base` of the settings, for cells that name none."""
    runs: Sequence[Path] = ()
    """The folders of saved runs, for recorded providers that are named as runs are."""


def _without_tasks(file: Path | None, plan: Path | None) -> str:
    if file is not None:
        return f"{file} is a scenario; only a waza eval has tasks"
    return f"{plan or 'this'} is a plan; only a waza eval has tasks"


def _missing(file: Path, named_by: Path | None) -> str:
    from convtui.files.near import no_file

    if is_dir(file):
        return f"{file}: this is a directory, not a scenario"
    return no_file(file, named_by=named_by)
