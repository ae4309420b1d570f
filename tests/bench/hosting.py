"""What a conversation takes of a worker's memory, and of its processor, while it runs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.bench.measure import Row, median
from tests.builders.worker import WorkerDriver, bot_spec, hosting

COUNT = 200
REPLIES = 10
_WAITS = """
async def bot(messages):
    if len(messages) > 18:
        await asyncio.Event().wait()
    return "you said " + messages[-1]["content"]
"""
"""Answers at once, up to the last of ten replies."""


async def _measured(folder: Path) -> tuple[float, float]:
    """Megabytes and milliseconds of processor time of each conversation, its end not included."""
    script = [f"line {number} of the script, with some words" for number in range(REPLIES)]
    spec = bot_spec(folder, _WAITS, script=script)
    async with hosting() as worker:
        # What the first one loads belongs to the worker.
        worker.begin(spec)
        await _all_wait(worker, 1)
        memory, seconds = _memory(worker.process.pid), _processor(worker.process.pid)
        worker.begin(*[spec] * COUNT, first=2)
        await _all_wait(worker, COUNT + 1)
        used = _memory(worker.process.pid) - memory
        return used / COUNT, 1000 * (_processor(worker.process.pid) - seconds) / COUNT


async def _all_wait(worker: WorkerDriver, count: int) -> None:
    turns = 2 * REPLIES - 1
    await worker.when(lambda: sum(row["turns"] == turns for row in worker.rows.values()) == count)


def _memory(pid: int) -> float:
    """Resident megabytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _processor(pid: int) -> float:
    """Seconds of processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rows(home: Path, times: int) -> list[Row]:
    """Both figures; nothing where there is no /proc."""
    if not sys.platform.startswith("linux"):
        return []
    os.environ.setdefault("CONVTUI_HOME", str(home))
    measured = []
    for number in range(times):
        folder = home / str(number)
        folder.mkdir()
        measured.append(asyncio.run(_measured(folder)))
    note = f"{COUNT} that wait for the last of {REPLIES} replies, in one worker"
    return [
        Row(
            "memory of a running conversation",
            median([memory for memory, _ in measured]),
            unit="MB",
            bar=1.0,
            note=note,
        ),
        Row(
            "processor time of a conversation",
            median([milliseconds for _, milliseconds in measured]),
            unit="ms",
            note=f"{2 * REPLIES - 1} turns at 0 ms a reply, start included",
        ),
    ]
