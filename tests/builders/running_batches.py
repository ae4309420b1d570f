"""Batches that really run: a provider in a file, a plan over it, workers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Any

from convtui.batch.again import Again
from convtui.batch.cells import cells_of
from convtui.batch.plan import Plan
from convtui.batch.scheduler import Batch
from convtui.batch.work import HowToRun

WITHIN = 60.0

ECHO = """
async def bot(messages):
    return "you said " + messages[-1]["content"]
"""


@dataclass
class Stage:
    """A folder with a provider, and the batches over it."""

    folder: Path
    provider: str = ECHO
    script: list[str] = field(default_factory=lambda: ["one", "two", "three"])
    scenario: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        return self.folder / "batch"

    def write_provider(self, body: str | None = None) -> None:
        text = "import asyncio, os, sys, time\n" + dedent(body or self.provider)
        (self.folder / "bot.py").write_text(text)

    def read_plan(self, **plan: Any) -> Plan:
        scenario = {
            "name": "test",
            "persona": {"name": "Maya", "script": self.script},
            "provider": {"use": "bot.py:bot"},
            "retry": {"base_delay": 0, "max_delay": 0},
            **self.scenario,
        }
        data = {"scenario": scenario, "workers": 2, **self.plan, **plan}
        return Plan.from_data(data, base=self.folder)

    def batch(
        self,
        *,
        resume: bool = False,
        again: Again | None = None,
        how: HowToRun | None = None,
        **plan: Any,
    ) -> Batch:
        """A batch of this plan that is about to run."""
        if not (self.folder / "bot.py").exists():
            self.write_provider()
        read = self.read_plan(**plan)
        make = partial(Batch.resume, again=again) if resume else Batch.create
        return make(read, cells_of(read), self.out, record={}, how=how or HowToRun(wire="off"))

    async def run(self, **options: Any) -> Batch:
        """Runs a batch to its end."""
        batch = self.batch(**options)
        async with asyncio.timeout(WITHIN):
            await batch.run()
        return batch
