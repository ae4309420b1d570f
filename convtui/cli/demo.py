"""`convtui demo`: a live conversation at once."""

from __future__ import annotations

from typing import Any

import click

from convtui.cli.common import begin_screen, example, has_screen, theme_flag


@click.command("demo", epilog=example("convtui demo", "convtui demo --paused"))
@click.option("--speed", type=click.FloatRange(0, 1000), default=1.0, help="1 is a person's pace.")
@click.option("--paused", is_flag=True, help="Wait before the first turn.")
@click.option("--out", metavar="DIR", help="Where the log goes.")
@theme_flag
def command(speed: float, paused: bool, out: str | None, theme: str | None) -> int:
    """Watches the built-in persona talk to the built-in provider: no key, no network."""
    flags: dict[str, Any] = {"provider": "demo", "persona": "demo", "out": out}
    if not has_screen():
        from convtui.cli.run import run_headless

        instead = "the demo runs without one, as `convtui run` does"
        return run_headless(None, flags, no_screen=instead)
    begin_screen()
    from convtui.cli.common import settings
    from convtui.protocol import StartSpec
    from convtui.tui.launch import run_debug

    config = settings(out_dir=out, theme=theme)

    def spec() -> StartSpec:
        # Scenarios take longer to import than the screen to draw.
        from convtui.cli.start import plan

        return plan(None, flags, watched=True, paused=paused, speed=speed, config=config).spec

    known = StartSpec(scenario={"persona": "demo", "provider": "demo"}, out_dir="")
    return run_debug(known, config=config, python=config.python, plan=spec)
