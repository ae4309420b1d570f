"""Resolves the plan of a batch: files, flags and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.batch.cells import Cell, cells_of
from convtui.batch.flags import with_flags
from convtui.batch.folders import batch_folders
from convtui.batch.plan import Plan
from convtui.batch.record import PlanSource
from convtui.cli.common import say, settings
from convtui.cli.logs import log_folders
from convtui.cli.run_settings import DEFAULT_SCENARIO, interpreter
from convtui.cli.start import check_default_provider
from convtui.config.settings import Config
from convtui.errors import FileError, UsageError, did_you_mean, listed
from convtui.files.env import check_env_file
from convtui.files.near import near_file
from convtui.files.regular import exists, is_dir, is_file
from convtui.scenario.waza_task import provider_note
from convtui.text.counts import counted

DEFAULT_PLAN: Final = "plan.yaml"
DEMO: Final = "demo"
_HOW: Final = frozenset({"out", "python", "env_file", "wire", "theme", "task"})
_MOST_ERRORS: Final = 8


@dataclass(frozen=True, slots=True)
class Planned:
    """A resolved command line: the plan, its cells, the settings, and what was written."""

    plan: Plan
    cells: list[Cell]
    config: Config
    source: PlanSource


def demo_plan() -> Path:
    """The plan of the demo, which ships with convtui."""
    return Path(__file__).parents[1] / "batch" / "demo.yaml"


def planned(
    word: str | None,
    flags: Mapping[str, Any],
    cwd: Path | None = None,
    *,
    tell: Callable[[str], None] = say,
) -> Planned:
    """The plan that `word` and `flags` name: a file's, or that of flags alone.

    `tell` gets notes on what of a file is left out. Relative paths are below `cwd`. Cells that
    cannot run are named on standard error. Raises `UsageError` for any mistake.
    """
    cwd = Path.cwd() if cwd is None else cwd
    config = settings(
        out_dir=flags.get("out"),
        python=interpreter(flags.get("python")),
        env_file=flags.get("env_file"),
        wire=flags.get("wire"),
        theme=flags.get("theme"),
    )
    check_env_file(config.env_file)
    runs = log_folders(flags.get("out"))
    file = _file(word, flags, cwd, runs)
    plan = Plan.of(None, base=cwd) if file is None else _read(file, flags, tell)
    given = {name: value for name, value in flags.items() if name not in _HOW}
    if plan.waza is not None and _is_open(plan, given):
        tell(f"convtui: {provider_note(plan.waza.file.path, config.provider)}")
    plan = with_flags(
        plan,
        {**given, **_unnamed(plan, given, config)},
        cwd=cwd,
        defaults=_defaults(plan, given, config),
        runs=runs,
    )
    cells = cells_of(plan)
    _name_errors(cells)
    written = {name: value for name, value in flags.items() if name not in ("out", "theme")}
    if config.env_file and flags.get("env_file"):
        written["env_file"] = str(Path(config.env_file).absolute())
    return Planned(plan, cells, config, PlanSource(file, written, cwd))


def _file(
    word: str | None, flags: Mapping[str, Any], cwd: Path, runs: Sequence[Path]
) -> Path | None:
    """The file of the plan; None where flags say everything. `runs` are folders of saved runs."""
    if word is not None:
        path = cwd / word
        if exists(path) or path.suffix.lower() in (".yaml", ".yml"):
            return path
        if word == DEMO:
            return demo_plan()
        known = [batch.name for folder in runs for batch in batch_folders(folder)]
        hint = did_you_mean(path.name, known) or near_file(path.with_name(f"{path.name}.yaml"))
        raise FileError(f"{path}: there is no such plan, scenario or batch{hint}")
    if flags.get("persona") or flags.get("provider"):
        return None
    for name in (DEFAULT_PLAN, DEFAULT_SCENARIO):
        if is_file(cwd / name):
            return cwd / name
    raise UsageError(
        "what should run? Name a plan or a scenario, or a --persona and a --provider; there is no"
        f" {DEFAULT_PLAN} and no {DEFAULT_SCENARIO} here (`convtui batch demo` needs none,"
        " `convtui help batches` tells how to write one)"
    )


def _read(file: Path, flags: Mapping[str, Any], tell: Callable[[str], None]) -> Plan:
    """The plan in a file, or of the one scenario in it."""
    from convtui.schemas import recognise

    if is_dir(file):
        raise FileError(f"{file}: this is a folder, but no batch: it has no batch.jsonl")
    if file.suffix.lower() in (".jsonl", ".json"):
        raise UsageError(f"{file} is a log: `convtui replay {file}` shows it")
    kind = recognise(file)
    if kind not in ("plan", "scenario", "waza"):
        hint = ", or give it with --persona" if kind == "persona" else ""
        raise UsageError(f"{file}: this is a {kind}; name a plan or a scenario{hint}")
    task = flags.get("task")
    plan = Plan.load(file, task=task) if kind == "plan" else Plan.of_file(file, task=task)
    if plan.waza is not None:
        for note in plan.waza.notes(models=flags.get("user_model") is None):
            tell(f"convtui: {note}")
    return plan


def _is_open(plan: Plan, flags: Mapping[str, Any]) -> bool:
    """Whether the settings say what the provider is."""
    return not (plan.names_provider or plan.vary.provider or flags.get("provider"))


def _unnamed(plan: Plan, flags: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The provider and the persona of the settings, where neither plan nor flags name one."""
    named: dict[str, Any] = {}
    if _is_open(plan, flags) and config.provider:
        check_default_provider(config)
        named["provider"] = (config.provider,)
    own = plan.base_scenario is not None or plan.tasks
    if not (own or plan.vary.persona or flags.get("persona")):
        named["persona"] = (config.persona,) if config.persona else ()
    return named


def _defaults(plan: Plan, flags: Mapping[str, Any], config: Config) -> dict[str, str]:
    """What the settings say of cells that do not say it themselves."""
    given = {"user_model": config.user_model}
    if _is_open(plan, flags):
        given |= {"api_base": config.api_base, "user_api_base": config.user_api_base}
    return {name: value for name, value in given.items() if value}


def _name_errors(cells: list[Cell]) -> None:
    """Says which cells cannot run, those with the same reason together."""
    by_error: dict[str, list[str]] = {}
    for cell in cells:
        if cell.error is not None:
            by_error.setdefault(cell.error, []).append(cell.name)
    if not by_error:
        return
    count = sum(cell.error is not None for cell in cells)
    say(f"convtui: {count} of {counted(len(cells), 'cell')} cannot run; the others do:")
    for error, names in list(by_error.items())[:_MOST_ERRORS]:
        say(f"  {listed(names, limit=3)}:")
        for line in error.splitlines():
            say(f"    {line}")
    if len(by_error) > _MOST_ERRORS:
        say(f"  and {len(by_error) - _MOST_ERRORS} more reasons; --dry-run --json lists all")
