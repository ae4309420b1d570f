"""`convtui demo`: a live conversation at once."""

from __future__ import annotations

from typing import Any

import click

from convtui.cli.common import example, has_screen, no_screen


@click.command("demo", epilog=example("convtui demo", "convtui demo --paused"))
@click.option("--speed", type=click.FloatRange(0, 1000), default=1.0, help="1 is a person's pace.")
@click.option("--paused", is_flag=True, help="Wait before the first turn.")
@click.option("--out", metavar="DIR", help="Where the log goes.")
def command(speed: float, paused: bool, out: str | None) -> int:
    """Watches the built-in persona talk to the built-in provider: no key, no network."""
    flags: dict[str, Any] = {"provider": "demo", "persona": "demo", "out": out}
    if not has_screen():
        from convtui.cli.run import run_headless

        no_screen("the demo runs without one, as `convtui run` does")
        return run_headless(None, flags)
    from convtui.cli.start import plan
    from convtui.tui.app import run_demo

    planned = plan(None, flags, watched=True, paused=paused, speed=speed)
    return run_demo(planned.spec, config=planned.config, python=planned.python)
