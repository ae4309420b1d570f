"""`convtui debug`: the live debugger on a scenario or on flags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convtui.cli.common import begin_screen, example, has_screen, say, theme_flag
from convtui.cli.flags import scenario_flags
from convtui.files.regular import is_file

if TYPE_CHECKING:
    from convtui.config.settings import Config
    from convtui.protocol import StartSpec


@click.command(
    "debug",
    epilog=example(
        "convtui debug scenario.yaml",
        "convtui debug --provider my_provider.py:Bot --persona maya --paused",
        "convtui debug scenario.yaml --break '~discard' --break '~signal & ~turn > 3'",
    ),
)
@scenario_flags
@click.option("--paused", is_flag=True, help="Wait before the first turn.")
@theme_flag
def command(scenario: str | None, paused: bool, **flags: Any) -> int:
    """Watches a scenario live: stop it, look at what every hook did, change it, go on.

    SCENARIO may be a task or an eval of waza, too.

    Without arguments: ./scenario.yaml, else the picker.
    """
    from convtui.cli.run_settings import DEFAULT_SCENARIO, settings_of

    if scenario is None and not any(flags[name] for name in ("provider", "persona", "resume")):
        if not is_file(Path(DEFAULT_SCENARIO)):
            from convtui.cli.picker import pick

            return pick(flags["theme"])
        scenario = DEFAULT_SCENARIO
    if not has_screen():
        from convtui.cli.run import run_headless

        instead = "this runs without one, as `convtui run` does"
        return run_headless(scenario, flags, no_screen=instead)
    begin_screen()
    config = settings_of(flags)
    from convtui.tui.launch import run_debug

    notes: list[str] = []

    def spec() -> StartSpec:
        # Scenarios take longer to import than the screen to draw.
        from convtui.cli.start import plan

        planned = plan(
            scenario, flags, watched=True, paused=paused, config=config, tell=notes.append
        )
        return planned.spec

    missing = scenario is not None and not is_file(Path(scenario))
    try:
        # What is plainly wrong is reported before the screen opens.
        known = spec() if missing else _known(scenario, flags, config)
        return run_debug(known, config=config, python=config.python, plan=spec)
    finally:
        for note in notes:
            say(note)


def _known(scenario: str | None, flags: Mapping[str, Any], config: Config) -> StartSpec:
    """What is shown of a run until its scenario is read."""
    from convtui.protocol import StartSpec

    persona, provider = flags["persona"], flags["provider"]
    file = scenario or flags["resume"]
    if file is None:
        persona, provider = persona or config.persona, provider or config.provider
    else:
        persona = persona or Path(file).name
    return StartSpec(scenario={"persona": persona, "provider": provider or "..."}, out_dir="")
