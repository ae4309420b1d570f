"""`convtui run --in-process`: the engine in this process, so that breakpoint() and pdb work."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path

from convtui.cli.start import Plan
from convtui.events import exit_code
from convtui.plain import Printer


def conduct_here(planned: Plan, printer: Printer) -> tuple[int, Path | None]:
    """Runs a conversation in this process; returns the exit code and the log's path."""
    # By name: the command line is on the screen's side of the house, which never imports engines.
    engine = import_module("convtui.engine.converse")

    async def run() -> Path | None:
        conversation = engine.converse(planned.scenario, spec=planned.spec)
        async for record in conversation:
            printer.record(record)
        log: Path | None = getattr(conversation, "log_path", None)
        return log

    log = asyncio.run(run())
    printer.finish()
    return exit_code(printer.transcript.termination), log
