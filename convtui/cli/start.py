"""Resolves a scenario file and flags to the start of an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convtui.cli.common import say
from convtui.cli.logs import log_folders, log_named
from convtui.cli.run_settings import settings_of
from convtui.config.settings import Config
from convtui.errors import DataFileError, FilterError, UsageError
from convtui.files.env import check_env_file
from convtui.library.recorded_provider import with_recorded
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.flags import keys_set_by
from convtui.scenario.merge import merge_flags
from convtui.scenario.model_names import model_problem
from convtui.scenario.provider_spec import parse_provider_spec
from convtui.scenario.scenario import Scenario
from convtui.scenario.unused_settings import takes_params
from convtui.trust.recorded import recorded_scenario
from convtui.trust.rules import vouched_folders, vouched_for

if TYPE_CHECKING:
    from convtui.scenario.waza_task import WazaTask

_HOW: Final = frozenset({"out", "resume", "trust", "python", "env_file", "wire", "task", "theme"})


@dataclass(slots=True)
class Plan:
    """A resolved command line: the scenario, the settings and the engine's start."""

    scenario: Scenario
    config: Config
    spec: StartSpec
    python: str | None


def plan(
    scenario_file: str | None,
    flags: Mapping[str, Any],
    *,
    watched: bool,
    paused: bool = False,
    on_pause: str = "end",
    speed: float = 1.0,
    config: Config | None = None,
    tell: Callable[[str], None] = say,
) -> Plan:
    """Resolves files, flags and settings. Raises `UsageError` for any mistake in them.

    `config` are the settings if they are known. Keys of a waza file that are not supported are told
    to `tell`, a line each: on standard error by default.
    """
    if config is None:
        config = settings_of(flags)
    parent = _parent(flags.get("resume"), flags.get("out"))
    provider = flags.get("provider") or config.provider
    base, waza, notes = _scenario(scenario_file, parent, flags.get("task"), provider)
    scenario, named = _resolve(base, flags, config, provider_open=base is None or waza is not None)
    if waza is not None:
        notes += _waza_choices(waza, flags, provider)
    for note in notes:
        tell(f"convtui: {note}")
    scenario = with_recorded(scenario, log_folders(flags.get("out")))
    check_breakpoints(scenario)
    if parent is None:
        check_warm(scenario)
    check_env_file(config.env_file)
    spec = StartSpec(
        scenario=scenario.for_engine(),
        out_dir=str(config.runs_dir.absolute()),
        watched=watched,
        paused=paused,
        on_pause=on_pause,
        breakpoints=list(scenario.breakpoints),
        wire="last" if config.wire == "recent" else config.wire,
        speed=speed,
        trust=bool(flags.get("trust")),
        vouched=[] if parent is None else _vouched(scenario, scenario_file, named, config),
        env_file=config.env_file,
        continue_from=parent,
    )
    return Plan(scenario, config, spec, config.python)


def _parent(log: str | None, out: str | None) -> ContinueFrom | None:
    if log is None:
        return None
    return ContinueFrom(log=str(Path(log_named(log, out)).absolute()), kind="resume")


def _scenario(
    file: str | None, parent: ContinueFrom | None, task: str | None, provider: str | None
) -> tuple[Scenario | None, WazaTask | None, list[str]]:
    """The scenario of a file or a log, the waza task that it was made from, and notes."""
    if file is not None:
        if file.endswith((".jsonl", ".json")):
            raise UsageError(f"{file} is a log: `convtui replay {file}` shows it, --resume goes on")
        from convtui.scenario.waza_task import load_scenario

        try:
            return load_scenario(Path(file), task, demo=provider in (None, "demo"))
        except DataFileError:
            _refuse_plan(file)
            raise
    if task is not None:
        raise UsageError(f"--task {task}: name the waza eval that has this task")
    if parent is None:
        return None, None, []
    from convtui.log.reader import open_log

    with open_log(parent.log) as log:
        header = log.transcript.header
    scenario, notes = recorded_scenario(header, parent.log)
    return scenario, None, notes


def _refuse_plan(file: str) -> None:
    """Raises `UsageError` for the plan of a batch."""
    from convtui.schemas import recognise

    try:
        kind = recognise(Path(file))
    except UsageError:
        return
    if kind == "plan":
        raise UsageError(f"{file} is a plan of many conversations: `convtui batch {file}` runs it")


def _waza_choices(task: WazaTask, flags: Mapping[str, Any], provider: str | None) -> list[str]:
    """Notes on what a waza task leaves open, and how it was decided."""
    from convtui.scenario.waza_task import provider_note

    notes = []
    if flags.get("provider") is None:
        notes.append(provider_note(task.path, provider))
    model = task.model_note()
    if model is not None and flags.get("user_model") is None:
        notes.append(model)
    return notes


def _resolve(
    base: Scenario | None, flags: Mapping[str, Any], config: Config, *, provider_open: bool
) -> tuple[Scenario, set[str]]:
    """The scenario to run, and its keys that are set by flags and settings."""
    given = {key: value for key, value in flags.items() if key not in _HOW and value is not False}
    if base is None and given.get("persona") is None:
        given["persona"] = config.persona
    if provider_open and given.get("provider") is None:
        given["provider"] = config.provider
        check_default_provider(config)
    scenario = merge_flags(base, given, ready=False)
    kind = scenario.persona.kind
    if provider_open:
        # Defaults for those that have a use for them; a flag that has none is refused.
        if given.get("api_base") is None and takes_params(scenario.provider.spec, scenario.base):
            given["api_base"] = config.api_base
        if given.get("user_api_base") is None and kind.model_keys:
            given["user_api_base"] = config.user_api_base
    if scenario.persona.needs_model and config.user_model:
        given["user_model"] = config.user_model
    return merge_flags(base, given, strict=True), keys_set_by(given)


def check_default_provider(config: Config) -> None:
    """Raises `UsageError` for a model as the default provider that litellm cannot call."""
    problem = model_problem(config.provider) if config.provider else None
    if problem is not None and parse_provider_spec(config.provider or "").kind == "litellm":
        raise UsageError(f"{config.origin('provider')}: provider: {problem}")


def check_breakpoints(scenario: Scenario) -> None:
    """Raises `FilterError` for the first invalid breakpoint."""
    from convtui.filters.breaks import parse_breakpoint

    for text in scenario.breakpoints:
        try:
            parse_breakpoint(text)
        except FilterError as error:
            raise FilterError(f"breakpoint: {error}", text, error.column) from None


def check_warm(scenario: Scenario) -> None:
    """Raises `UsageError` for a missing warm template or unfilled slots."""
    if scenario.warm is None:
        return
    from convtui.warm.store import chosen_context

    chosen_context(scenario.warm)


def _vouched(
    scenario: Scenario, scenario_file: str | None, named: set[str], config: Config
) -> list[str]:
    """The keys of a log's scenario that the user named: in a file, by flags or settings."""
    if scenario_file is not None:
        return vouched_for(scenario)
    return [*vouched_for(scenario, named), *vouched_folders(scenario, config.trust)]
