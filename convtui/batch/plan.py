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
from convtui.errors import DataFileError, FilterError, Problem
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
    """A scenario file, or the mapping itself; the demo when left out."""
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
        """What the cells have in common; None for the demo."""
        return self._base_scenario

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
    def load(cls, path: Path | str) -> Plan:
        """The plan in a YAML file. Raises `FileError`, or `DataFileError` with every mistake."""
        path = Path(path)
        document = load_yaml(path)
        if document.data is None:
            raise DataFileError([Problem("this plan is empty", path=path)])
        return cls.from_data(document.data, lines=document.lines, path=path)

    @classmethod
    def from_data(
        cls,
        data: Any,
        *,
        lines: Lines | None = None,
        path: Path | None = None,
        base: Path | None = None,
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
        plan._base_scenario = plan._load_scenario()
        return plan

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
        plan._places = places
        return plan

    def _load_scenario(self) -> Scenario | None:
        given, where = self.scenario, ("scenario",)
        if given is None:
            return None
        if isinstance(given, str):
            file = absolute(given, self.base)
            if not file.is_file():
                # Named with its place: the file that names it is the one to mend.
                raise DataFileError([self._places.problem(where, _missing(file, self._path))])
            return Scenario.load(file)
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


def _missing(file: Path, named_by: Path | None) -> str:
    from convtui.files.near import near_file

    if file.is_dir():
        return f"{file}: this is a directory, not a scenario"
    return f"{file}: there is no such file{near_file(file, named_by=named_by)}"
