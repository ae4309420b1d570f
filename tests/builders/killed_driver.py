"""A driver of a batch in a process of its own, to be killed at any point.

Run as a module it creates or resumes the batch of a folder and writes a line with the number of
turns on standard output after each change.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.builders.running_batches import Stage
from tests.places import ROOT

SCRIPT = ["one", "two", "three", "four"]
STATELESS = """
class Bot:
    stateful = False
    async def generate_response(self, messages):
        await asyncio.sleep(0.02)
        return "you said " + messages[-1]["content"]
"""
PLAN: dict[str, Any] = {"concurrency": 4, "workers": 1}


def stage(folder: Path, runs: int = 8) -> Stage:
    """The batch that is killed and resumed."""
    plan = {**PLAN, "runs": runs}
    return Stage(folder, STATELESS, SCRIPT, {"provider": {"use": "bot.py:Bot"}}, plan)


async def drive(folder: Path, runs: int) -> None:
    batch = stage(folder, runs).batch(resume=(folder / "batch" / "batch.jsonl").exists())

    def say() -> None:
        os.write(1, b"%d\n" % batch.used.turns)

    batch.subscribe(say)
    await batch.run()


def run_until_killed(folder: Path, turns: int, runs: int = 8) -> bool:
    """Runs a driver and kills it once that many turns were taken; False if it ended before."""
    command = [sys.executable, "-m", "tests.builders.killed_driver", str(folder), str(runs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        return any(int(line) >= turns for line in process.stdout)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(drive(Path(sys.argv[1]), int(sys.argv[2])))
