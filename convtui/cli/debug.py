"""`convtui debug`: the live debugger on a scenario or on flags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from convtui.cli.common import example, has_screen, theme_flag
from convtui.cli.flags import scenario_flags
from convtui.files.regular import is_file


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
    from convtui.cli.start import DEFAULT_SCENARIO

    if scenario is None and not any(flags[name] for name in ("provider", "persona", "resume")):
        if not is_file(Path(DEFAULT_SCENARIO)):
            from convtui.cli.picker import pick

            return pick(flags["theme"])
        scenario = DEFAULT_SCENARIO
    if not has_screen():
        from convtui.cli.run import run_headless

        instead = "this runs without one, as `convtui run` does"
        return run_headless(scenario, flags, no_screen=instead)
    from convtui.cli.start import plan
    from convtui.tui.launch import run_debug

    planned = plan(scenario, flags, watched=True, paused=paused)
    return run_debug(planned.spec, config=planned.config, python=planned.python)
