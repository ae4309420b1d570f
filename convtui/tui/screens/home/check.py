"""Whether a choice can run, and which field is wrong. Blocking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convtui.errors import ConvtuiError, DataFileError, FieldError
from convtui.files.regular import is_file
from convtui.tui.screens.home.fields import BY_NAME

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.scenario.scenario import Scenario

_SET: Final = {
    "provider.params.": "params",
    "persona.params.": "user_params",
    "warm.slots.": "warm_slots",
}
"""The fields that become values of `--set`, by the beginning of their keys."""


def check(flags: dict[str, Any], cwd: Path, config: Config | None = None) -> Scenario:
    """The scenario of a choice; what is left open comes from the settings.

    Raises `FieldError`, or `UsageError`, with what is wrong.
    """
    from convtui.scenario.merge import merge_flags
    from convtui.scenario.provider_spec import absolute, parse_provider_spec

    try:
        spec = parse_provider_spec(flags["provider"], cwd)
    except ConvtuiError as error:
        raise FieldError("provider", str(error)) from None
    if spec.kind == "file" and not is_file(absolute(spec.target, cwd)):
        raise FieldError("provider", f"{spec.target}: no such file")
    if spec.kind == "litellm":
        _check_model("provider", flags["provider"], flags.get("api_base"))
    if flags.get("user_model"):
        _check_model("user_model", flags["user_model"], flags.get("user_api_base"))
    defaults = _defaults(flags, cwd, config) if config is not None else {}
    try:
        scenario = merge_flags(None, {**flags, **defaults}, cwd=cwd, strict=True)
    except DataFileError as error:
        problem = error.problems[0]
        field = _field_of(str(problem.path or ""))
        if field is None:
            raise
        raise FieldError(field, problem.message) from None
    if config is not None:
        from convtui.library.recorded_provider import with_recorded

        try:
            scenario = with_recorded(scenario, [config.runs_dir], cwd)
        except ConvtuiError as error:
            raise FieldError("provider", str(error)) from None
    if scenario.warm is not None:
        from convtui.warm.store import chosen_context

        chosen_context(scenario.warm, config.paths.warm_dir if config is not None else None)
    return scenario


def _defaults(flags: dict[str, Any], cwd: Path, config: Config) -> dict[str, Any]:
    """The settings that fill what `flags` leave open, for the sides that have a use for them."""
    from convtui.scenario.merge import merge_flags
    from convtui.scenario.unused_settings import takes_params

    scenario = merge_flags(None, flags, cwd=cwd, ready=False)
    uses = {
        "api_base": takes_params(scenario.provider.spec, scenario.base),
        "user_api_base": bool(scenario.persona.kind.model_keys),
        "user_model": scenario.persona.needs_model,
    }
    return {
        name: getattr(config, name)
        for name, used in uses.items()
        if used and flags.get(name) is None and getattr(config, name)
    }


def _check_model(field: str, name: str, api_base: str | None) -> None:
    from convtui.scenario.model_names import model_problem

    problem = model_problem(name, {"api_base": api_base} if api_base else None)
    if problem is not None:
        raise FieldError(field, problem)


def _field_of(flag: str) -> str | None:
    """The field that a flag was made of; None if there is none."""
    if flag.startswith("--set "):
        key = flag.removeprefix("--set ")
        return next((name for start, name in _SET.items() if key.startswith(start)), None)
    name = flag.removeprefix("--").replace("-", "_")
    return name if name in BY_NAME else None
