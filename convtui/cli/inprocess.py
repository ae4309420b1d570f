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
    # By name: the command line is on the screen's side of the house, which never imports engines.
    engine = import_module("convtui.engine.conversation.converse")

    async def run(spec: StartSpec) -> None:
        async with contextlib.aclosing(engine.converse(planned.scenario, spec=spec)) as said:
            async for record in said:
                printer.record(record)

    spec = planned.spec
    asked: ConsentNeeded | None = None
    try:
        asyncio.run(run(spec))
    except ConsentNeeded as error:
        asked = error
    if asked is not None:
        agreed = agreed_to(asked.consent)
        if not agreed:
            raise asked
        asyncio.run(run(replace(spec, vouched=[*spec.vouched, *agreed])))
    printer.finish()
    return exit_code(printer.transcript.termination), _log(planned, printer.transcript.id)


def _log(planned: Plan, identity: str) -> Path | None:
    """The log of a conversation: file names end in the first characters of its id."""
    found = Path(planned.spec.out_dir).glob(f"*_{identity[:6]}.jsonl") if identity else ()
    return next(iter(found), None)
