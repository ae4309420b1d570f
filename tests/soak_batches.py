"""`make soak`: kills the driver and the workers of batches with SIGKILL at random points.

After that every conversation has ended, none counts twice, and no committed turn is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from convtui.batch.manifest import BatchFile, Entry, read_batch
from convtui.batch.scheduler import Batch
from convtui.log.reader import open_log
from tests.builders.killed_driver import SCRIPT, STATELESS, run_until_killed, stage
from tests.builders.running_batches import Stage

WHOLE = [text for line in SCRIPT for text in (line, f"you said {line}")]


def committed(path: Path) -> list[str]:
    """The turns of a log, its own and those that it began with."""
    with open_log(path) as log:
        return [turn.text for turn in log.transcript.turns if turn.status == "committed"]


def logs_of(batch: BatchFile, entry: Entry) -> list[Path]:
    names = [name for name in (*entry.earlier, entry.log) if name is not None]
    return [batch.folder / name for name in names if (batch.folder / name).stat().st_size]


class Seen:
    """What was ever committed, by conversation."""

    def __init__(self) -> None:
        self.texts: dict[str, set[str]] = {}

    def look(self, batch: BatchFile) -> None:
        for key, entry in batch.entries.items():
            for path in logs_of(batch, entry):
                self.texts.setdefault(key, set()).update(committed(path))

    def problems(self, batch: BatchFile) -> list[str]:
        """What is wrong with a batch that is finished."""
        problems = [] if batch.finished else ["it is not finished"]
        used: Counter[str] = Counter()
        for key, entry in batch.entries.items():
            used.update(path.name for path in logs_of(batch, entry))
            if entry.status == "failed" and "its worker died" in str(entry.termination):
                continue
            said = committed(logs_of(batch, entry)[-1])
            if entry.ending != "completed" or said != WHOLE:
                problems.append(f"{key}: {entry.ending or entry.state}, {len(said)} turns")
            if not self.texts.get(key, set()) <= set(said):
                problems.append(f"{key}: a committed turn is lost")
        problems += [f"{name} counts twice" for name, count in used.items() if count > 1]
        return problems


def kill_drivers(points: int, rng: random.Random) -> list[str]:
    """Kills the driver of one batch again and again, and resumes it in another process."""
    with tempfile.TemporaryDirectory() as folder:
        seen, turns, kills = Seen(), 0, 0
        runs = max(8, 2 * points)
        for _ in range(points):
            turns += rng.randrange(1, 16)
            kills += run_until_killed(Path(folder), turns, runs)
            seen.look(read_batch(Path(folder) / "batch"))
        last = stage(Path(folder), runs).batch(resume=True)
        asyncio.run(last.run())
        batch = read_batch(Path(folder) / "batch")
        print(
            f"drivers: {kills} kills, {batch.resumed} resumes, {len(batch.entries)} conversations"
        )
        return seen.problems(batch)


async def _kill_workers(batch: Batch, kills: int, rng: random.Random) -> int:
    running = asyncio.ensure_future(batch.run())
    done = 0
    while done < kills and not running.done():
        await asyncio.sleep(rng.uniform(0.2, 1.0))
        hosting = {entry.worker for entry in batch.entries.values() if entry.state == "running"}
        pids = [pid for number, pid in batch.pids.items() if number in hosting]
        if pids:
            os.killpg(rng.choice(pids), signal.SIGKILL)
            done += 1
    await running
    return done


def kill_workers(kills: int, rng: random.Random) -> list[str]:
    """Kills workers of one batch, which are replaced."""
    with tempfile.TemporaryDirectory() as folder:
        planned = Stage(
            Path(folder),
            STATELESS.replace("0.02", "0.1"),
            SCRIPT,
            {"provider": {"use": "bot.py:Bot"}},
            {"runs": 20 * kills, "concurrency": 16, "workers": 2},
        )
        batch = planned.batch()
        done = asyncio.run(_kill_workers(batch, kills, rng))
        seen = Seen()
        seen.look(batch.file)
        entries = batch.entries.values()
        rerun = sum(1 for entry in entries if entry.reruns)
        twice = sum(1 for entry in entries if entry.status == "failed")
        print(
            f"workers: {done} kills, {len(entries)} conversations, {rerun} run again,"
            f" {twice} lost twice"
        )
        return seen.problems(batch.file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    rng = random.Random(options.seed)
    problems = kill_drivers(options.points, rng) + kill_workers(options.points, rng)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
