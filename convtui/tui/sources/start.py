"""What an engine needs to start a conversation: one that was chosen, or a recorded one again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.errors import ConsentNeeded, UsageError
from convtui.protocol import StartSpec

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.scenario.scenario import Scenario
    from convtui.trust.rules import Question


def start_spec(scenario: Scenario, config: Config | None, *, paused: bool = False) -> StartSpec:
    """What an engine needs to run `scenario`."""
    from convtui.config.paths import Paths

    runs = config.runs_dir if config is not None else Paths.find().runs_dir
    wire = config.wire if config is not None else "recent"
    return StartSpec(
        scenario=scenario.for_engine(),
        out_dir=str(runs.absolute()),
        watched=True,
        paused=paused,
        breakpoints=list(scenario.breakpoints),
        wire="last" if wire == "recent" else wire,
        env_file=config.env_file if config is not None else None,
    )


def again_spec(path: Path, config: Config | None) -> tuple[StartSpec, list[str], Question | None]:
    """What starts the run of a log again, notes on it, and what the user must agree to first.

    It is a new conversation with the recorded scenario. Engines ask only about logs that they go
    on from, so whoever starts this has to ask. Blocking. Raises `UsageError`.
    """
    # Importing scenarios takes longer than drawing the screen.
    from convtui.log.run_summary import header_of
    from convtui.trust.recorded import recorded_scenario
    from convtui.trust.rules import Question, refuse_unasked, vouched_folders

    try:
        header = header_of(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} cannot be read: {error}") from None
    scenario, notes = recorded_scenario(header, path.name)
    question = None
    trusted = vouched_folders(scenario, config.trust if config is not None else ())
    try:
        refuse_unasked(scenario, header, path.name, vouched=trusted)
    except ConsentNeeded as needed:
        question = Question.of(needed.consent)
    return start_spec(scenario, config), notes, question


def session_again(spec: StartSpec) -> StartSpec:
    """What starts the conversation of this session again: its scenario is the user's own word.

    One of a batch is a run of its own then, beside the batch.
    """
    if spec.log_name is not None:
        runs = str(Path(spec.out_dir).parent)
        spec = replace(spec, out_dir=runs, log_name=None, hold_endings=True, attempt=None)
    return replace(spec, continue_from=None, faults={}, paused=False)
