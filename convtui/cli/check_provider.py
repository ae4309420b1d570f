"""`convtui check file.py:Bot`: loads a provider in an engine and tells what it is."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from convtui.errors import EngineError, Problem
from convtui.text import visible


def check_provider(spec: str, *, quiet: bool = False) -> tuple[list[Problem], int]:
    """What is wrong with a provider, and the exit code of that; prints its hooks unless `quiet`.

    A name that is nearly a hook's is a problem too: the hook would silently not be called.
    """
    from convtui.client import inspect_provider
    from convtui.protocol import StartSpec
    from convtui.scenario import merge_flags

    scenario = merge_flags(None, {"provider": spec, "persona": "demo"})
    start = StartSpec(scenario=scenario.for_engine(), out_dir=".")
    try:
        found = asyncio.run(inspect_provider(start))
    except EngineError as error:
        return [Problem(str(error))], 2
    if not quiet:
        _print(found)
    problems = [
        Problem(f"{theirs}() is no hook; did you mean {hook}()?", path=spec)
        for theirs, hook in found["near_names"]
    ]
    return problems, 1 if problems else 0


def _print(found: dict[str, Any]) -> None:
    identity = found["identity"]
    click.echo(f"{visible(identity['name'])} ({identity['kind']})")
    if identity.get("file"):
        click.echo(f"  file      {visible(identity['file'])}")
    signals = ", ".join(visible(signal, lines=False) for signal in found["termination_signals"])
    click.echo(f"  signals   {signals or 'none declared'}")
    stateful = {True: "yes", False: "no", None: "unknown"}[found["stateful"]]
    click.echo(f"  stateful  {stateful}")
    click.echo("  hooks")
    for hook, owner in found["hooks"].items():
        click.echo(f"    {hook:27} {owner}")
