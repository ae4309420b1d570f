"""From a scenario file and flags to what an engine needs to know."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.cli.common import settings
from convtui.config import Config
from convtui.errors import FileError, FilterError, UsageError
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario import Scenario, merge_flags

DEFAULT_SCENARIO: Final = "scenario.yaml"
_HOW: Final = frozenset({"out", "resume", "trust", "python", "env_file", "wire"})


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
) -> Plan:
    """Resolves files, flags and settings. Raises `UsageError` for any mistake in them."""
    config = settings(
        out_dir=flags.get("out"),
        python=_interpreter(flags.get("python")),
        env_file=flags.get("env_file"),
        wire=flags.get("wire"),
    )
    parent = _parent(flags.get("resume"))
    base = _scenario(scenario_file, parent)
    scenario = _resolve(base, flags, config)
    for expression in scenario.breakpoints:
        _check_breakpoint(expression)
    if config.env_file and not Path(config.env_file).is_file():
        raise FileError(f"{config.env_file}: there is no such file of environment variables")
    spec = StartSpec(
        scenario=scenario.for_engine(),
        out_dir=str(config.runs_dir.absolute()),
        watched=watched,
        paused=paused,
        on_pause=on_pause,
        breakpoints=list(scenario.breakpoints),
        wire="last" if config.wire == "recent" else config.wire,
        speed=speed,
        trust=bool(flags.get("trust")) or _trusted(scenario, config),
        env_file=config.env_file,
        continue_from=parent,
    )
    return Plan(scenario, config, spec, config.python)


def _interpreter(text: str | None) -> str | None:
    if text is None:
        return None
    found = shutil.which(text)
    if found is None:
        raise UsageError(f"--python {text}: there is no such program")
    return str(Path(found).absolute())


def _parent(log: str | None) -> ContinueFrom | None:
    if log is None:
        return None
    return ContinueFrom(log=str(Path(log).absolute()), kind="resume")


def _scenario(file: str | None, parent: ContinueFrom | None) -> Scenario | None:
    if file is not None:
        if file.endswith((".jsonl", ".json")):
            raise UsageError(f"{file} is a log: `convtui replay {file}` shows it, --resume goes on")
        return Scenario.load(Path(file))
    if parent is None:
        return None
    from convtui.log.reader import open_log

    with open_log(parent.log) as log:
        recorded = log.transcript.header.get("scenario")
    if not isinstance(recorded, dict):
        raise UsageError(f"{parent.log}: the log does not say which scenario it ran; name it")
    return Scenario.from_public(recorded)


def _resolve(base: Scenario | None, flags: Mapping[str, Any], config: Config) -> Scenario:
    laid = {key: value for key, value in flags.items() if key not in _HOW and value is not False}
    if base is None:
        for name in ("provider", "persona"):
            if laid.get(name) is None:
                laid[name] = getattr(config, name)
        if laid.get("api_base") is None:
            laid["api_base"] = config.api_base
        if laid.get("user_api_base") is None:
            laid["user_api_base"] = config.user_api_base
    scenario = merge_flags(base, laid, ready=False)
    if scenario.persona.needs_model and config.user_model:
        laid["user_model"] = config.user_model
    return merge_flags(base, laid)


def _check_breakpoint(expression: str) -> None:
    from convtui.filters import parse

    try:
        parse(expression, breakpoint=True)
    except FilterError as error:
        raise FilterError(f"breakpoint: {error}", expression, error.column) from None


def _trusted(scenario: Scenario, config: Config) -> bool:
    """Whether the provider's file lies in a directory that the user's settings trust."""
    spec = scenario.provider.spec
    if spec.kind != "file":
        return False
    file = Path(spec.target).resolve()
    return any(file.is_relative_to(Path(folder).resolve()) for folder in config.trust)
