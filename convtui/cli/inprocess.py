"""`convtui run --in-process`: the engine in this process, so that breakpoint() and pdb work."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from convtui.cli.headless import agreed_to
from convtui.cli.start import Plan
from convtui.errors import ConsentNeeded
from convtui.printing.printer import Printer
from convtui.protocol import StartSpec
from convtui.records.codec import exit_code


def conduct_here(planned: Plan, printer: Printer) -> tuple[int, Path | None]:
    """Runs a conversation in this process; returns the exit code and the log's path."""
    # By name: like the screen, the command line never imports the engine statically.
    engine = import_module("convtui.engine.conversation.converse")
    new_event_loop = import_module("convtui.engine.core.event_loop").new_event_loop

    async def run(spec: StartSpec) -> None:
        async with contextlib.aclosing(engine.converse(planned.scenario, spec=spec)) as records:
            async for record in records:
                printer.record(record)

    def run_to_the_end(spec: StartSpec) -> None:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(run(spec))

    spec = planned.spec
    needed: ConsentNeeded | None = None
    try:
        run_to_the_end(spec)
    except ConsentNeeded as error:
        needed = error
    if needed is not None:
        agreed = agreed_to(needed.consent)
        if not agreed:
            raise needed
        run_to_the_end(replace(spec, vouched=[*spec.vouched, *agreed]))
    printer.finish()
    return exit_code(printer.transcript.termination), _log(planned, printer.transcript.id)


def _log(planned: Plan, identity: str) -> Path | None:
    """The log of a conversation, by its file name, which ends in the beginning of the id."""
    logs = Path(planned.spec.out_dir).glob(f"*_{identity[:6]}.jsonl") if identity else ()
    return next(iter(logs), None)
