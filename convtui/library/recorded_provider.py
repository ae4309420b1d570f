"""The log of a recorded provider, where a scenario names it as runs are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.files.regular import is_file
from convtui.library.log_names import find_log

if TYPE_CHECKING:
    from convtui.scenario.scenario import Scenario


def with_recorded(scenario: Scenario, folders: Sequence[Path], cwd: Path | None = None) -> Scenario:
    """The scenario with the path of a recorded provider's log: `last`, an id, the start of a name.

    `folders` are those of saved runs. Raises `LogError`.
    """
    spec = scenario.provider.spec
    log = Path(spec.target)
    here = (scenario.base, cwd or Path.cwd())
    if spec.kind != "recorded" or is_file(log) or log.parent not in here:
        return scenario
    use = str(replace(spec, target=str(find_log(log.name, folders))))
    provider = scenario.provider.model_copy(update={"use": use})
    return scenario.model_copy(update={"provider": provider})
