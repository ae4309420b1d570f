"""A scenario with the flags of the command line applied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from convtui.errors import DataFileError
from convtui.scenario.flags import apply_flags
from convtui.scenario.parts import Budget, Limits, ProviderConfig, Retry, WarmConfig
from convtui.scenario.persona import Persona
from convtui.scenario.scenario import Scenario


def merge_flags(
    scenario: Scenario | None,
    flags: Mapping[str, Any],
    *,
    cwd: Path | None = None,
    ready: bool = True,
    strict: bool = False,
) -> Scenario:
    """`scenario` (the demo when None) with the common flags of `debug` and `run` applied.

    `flags` maps flag names (`max_turns` or `max-turns`) to values; None means "not given". `set`
    is a list of `key=value`, applied last, `break` a list of filter expressions added to the
    scenario's. Relative paths in flags are below `cwd`. With `ready`, what would keep the result
    from running is an error too; with `strict`, flags that can never act. Raises `UsageError`, its
    mistakes named by flag.
    """
    cwd = Path.cwd() if cwd is None else cwd
    data = {} if scenario is None else scenario.model_dump(exclude_unset=True)
    flagged = apply_flags(data, flags, cwd, settable_keys())
    base = cwd if scenario is None else scenario.base
    if scenario is None and flagged.data.get("provider", {}).get("use", "demo") == "demo":
        # The demo fails once to show a discarded turn; it is asked again, or it would end there.
        flagged.data.setdefault("on_discard", "retry 2")
    try:
        within = flagged.origin if strict else ()
        merged = Scenario.from_data(flagged.data, base=base, within=within)
    except DataFileError as error:
        raise DataFileError([flagged.at_flag(problem) for problem in error.problems]) from None
    source = merged.persona.source or flagged.persona_source
    if source is None and scenario is not None:
        source = scenario.persona.source
    merged = merged.at(None if scenario is None else scenario.path, base, source)
    if ready and merged.problems():
        raise DataFileError(merged.problems())
    return merged


def settable_keys() -> list[str]:
    """Every key that can be set, dotted, so that `max_turns` leads to `limits.max_turns`."""
    parts: dict[str, type[BaseModel]] = {
        "limits": Limits,
        "budget": Budget,
        "retry": Retry,
        "provider": ProviderConfig,
        "persona": Persona,
        "warm": WarmConfig,
    }
    return [
        *Scenario.model_fields,
        *(f"{name}.{field}" for name, part in parts.items() for field in part.model_fields),
    ]
