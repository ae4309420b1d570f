"""`make soak`: kills engines and screens with SIGKILL at random points of real runs.

After each: the log opens, every damage has a name, no committed turn that the screen had seen is
lost, nothing is left running, and the conversation goes on from its log to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.errors import EngineError, LogError
from convtui.log.names import lock_path
from convtui.log.reader import Log, digest_until, open_log
from convtui.protocol import ContinueFrom, StartSpec
from convtui.records.models import RecordDict
from convtui.scenario.scenario import Scenario
from tests.e2e.terminal import alive

Victim = Literal["engine", "screen", "both"]
VICTIMS: tuple[Victim, ...] = ("engine", "screen", "both")
NAMED = {"torn_line", "no_trailer"}
"""What a kill may leave behind."""
SPEED = 12.0
_STEPS = 130
"""About as many records as a whole run has."""


def scenario() -> Scenario:
    """The demo: two sessions, a discarded turn, a tool call, streamed replies."""
    data = {"persona": "demo", "provider": "demo", "on_discard": "retry 2"}
    return Scenario.from_data(data, base=Path("/demo"))


@dataclass(slots=True)
class Point:
    """One kill: who, after how many records, and how many seconds after that."""

    number: int
    victim: Victim
    after: int
    delay: float
    seen: dict[int, str] = field(default_factory=dict)
    """Committed turns by `seq`, as the screen had them."""
    engine: int = 0
    log: Path | None = None
    problems: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"point {self.number}: {self.victim} after {self.after} records +{self.delay:.3f} s"


# --- the screen that is killed: a process of its own


async def screen(folder: Path) -> None:
    """Runs a conversation and tells on standard output what it sees."""
    handle = EngineHandle()

    def told(**what: object) -> None:
        os.write(1, json.dumps(what).encode() + b"\n")

    def look(record: RecordDict) -> None:
        text = record.get("text") if record["type"] == "turn.committed" else None
        told(seq=record["seq"], text=text)

    handle.on_record(look)
    spec = StartSpec(scenario=scenario().for_engine(), out_dir=str(folder), speed=SPEED)
    await handle.start(spec)
    told(pid=handle.pid, log=str(handle.log_path))
    await handle.wait()


# --- a point


async def kill_at(point: Point, folder: Path) -> None:
    """Runs a conversation and kills."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.soak", "--screen", str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    count = 0
    killed = False
    async for line in process.stdout:
        told = json.loads(line)
        if "pid" in told:
            point.engine, point.log = told["pid"], Path(told["log"])
        else:
            count += 1
            if told["text"] is not None:
                point.seen[told["seq"]] = told["text"]
        if not killed and point.engine and count >= point.after:
            await asyncio.sleep(point.delay)
            killed = True
            if point.victim in ("engine", "both"):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(point.engine, signal.SIGKILL)
            if point.victim in ("screen", "both"):
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
    await process.wait()
    await _gone(point)


async def _gone(point: Point) -> None:
    deadline = time.monotonic() + 6.0
    while point.engine and alive(point.engine):
        if time.monotonic() > deadline:
            point.problems.append("the engine was left running")
            with contextlib.suppress(ProcessLookupError):
                os.killpg(point.engine, signal.SIGKILL)
            return
        await asyncio.sleep(0.02)


def check_log(point: Point) -> list[tuple[int, int, str]] | None:
    """Looks at what is left; the committed turns, or None where nothing can go on."""
    if point.log is None:
        point.problems.append("the engine never said where its log is")
        return None
    try:
        with open_log(point.log) as log:
            return _check(point, log)
    except LogError as error:
        if point.seen or "empty" not in str(error):
            point.problems.append(f"the log does not open: {error}")
        return None


def _check(point: Point, log: Log) -> list[tuple[int, int, str]] | None:
    point.codes = [finding.code for finding in log.findings]
    strange = set(point.codes) - NAMED
    if strange:
        point.problems.append(f"damage that a kill cannot do: {', '.join(sorted(strange))}")
    written = {
        record["seq"]: record for record in log.records() if record["type"] == "turn.committed"
    }
    for seq, text in point.seen.items():
        if seq not in written or written[seq]["text"] != text:
            point.problems.append(f"a committed turn is lost: record {seq}, {text[:40]!r}")
    transcript = log.transcript
    if point.victim == "screen" and transcript.trailer is None:
        point.problems.append("the engine did not close its log when its screen had gone")
    # Its last session may be over before its log says so, while both sides clean up.
    last = transcript.sessions[-1] if transcript.sessions else None
    over = last is not None and last.index == len(transcript.prepared) and last.termination
    ending = transcript.termination or over
    if ending and ending["kind"] != "interrupted":
        return None  # it was over before the kill
    return [(r["session"], r["turn"], r["text"]) for r in written.values()]


async def go_on(point: Point, committed: list[tuple[int, int, str]], folder: Path) -> None:
    """Resumes to the end; what was said must be what it goes on from."""
    handle = EngineHandle()
    seeded: list[tuple[int, int, str]] = []

    def look(record: RecordDict) -> None:
        if record["type"] == "history.seeded":
            seeded.extend((t["session"], t["turn"], t["text"]) for t in record["turns"])

    handle.on_record(look)
    spec = StartSpec(
        scenario=scenario().for_engine(),
        out_dir=str(folder),
        speed=0.0,
        continue_from=ContinueFrom(log=str(point.log), kind="resume"),
    )
    try:
        async with asyncio.timeout(30):
            await handle.start(spec)
            await handle.wait()
    except (EngineError, TimeoutError) as error:
        point.problems.append(f"it does not go on: {str(error) or type(error).__name__}")
        return
    finally:
        await handle.close()
    if handle.state is not EngineState.CLOSED:
        point.problems.append(f"the resumed run ended {handle.state.value}: {handle.error}")
    elif (handle.transcript.termination or {}).get("kind") != "stopped":
        point.problems.append(f"the resumed run ended otherwise: {handle.transcript.termination}")
    header = handle.transcript.header
    (parent,) = header.get("parents") or [{}]
    if point.log is None or parent.get("file") != str(point.log.resolve()):
        point.problems.append(f"its log does not name its parent: {parent}")
    elif parent["sha256"] != digest_until(point.log, parent["seq"])[0]:
        point.problems.append("its log names its parent with another digest")
    if handle.log_path == point.log:
        point.problems.append("it was written on in the old log")
    if point.log is not None:
        # It goes at the next look; at the first the engine may not have been dead yet.
        open_log(point.log).close()
    if lock_path(point.log or folder).exists():
        point.problems.append("the lock of the killed engine is still there")
    if seeded != committed:
        point.problems.append(f"it went on from {len(seeded)} turns, {len(committed)} were said")


async def one(point: Point, folder: Path) -> None:
    """A kill and everything that must hold after it."""
    await kill_at(point, folder)
    committed = check_log(point)
    if committed is not None:
        await go_on(point, committed, folder)


async def soak(points: int, seed: int, folder: Path, *, at_once: int, seconds: float) -> int:
    """All points; the number of those with problems."""
    chance = random.Random(seed)
    begun = time.monotonic()
    waiting = collections.deque(
        Point(
            number,
            VICTIMS[number % len(VICTIMS)],
            chance.randrange(_STEPS),
            chance.choice([0.0, chance.random() * 0.05]),
        )
        for number in range(1, points + 1)
    )
    done: list[Point] = []

    async def worker() -> None:
        while waiting and time.monotonic() - begun < seconds:
            point = waiting.popleft()
            place = folder / str(point.number)
            place.mkdir()
            await one(point, place)
            done.append(point)
            for problem in point.problems:
                print(f"{point}: {problem}\n  {point.log}", flush=True)

    await asyncio.gather(*(worker() for _ in range(at_once)))
    failed = [point for point in done if point.problems]
    codes = collections.Counter(code for point in done for code in point.codes)
    turns = sum(len(point.seen) for point in done)
    found = ", ".join(f"{count} {code}" for code, count in sorted(codes.items())) or "no damage"
    print(
        f"{len(done)} kills in {time.monotonic() - begun:.0f} s (seed {seed}): {turns} committed"
        f" turns seen, {found}; {len(failed)} points with problems"
    )
    if waiting:
        print(f"{len(waiting)} points were left out: the time was up (--seconds)")
    return len(failed)


def main() -> int:
    """1 when anything was lost, left running or did not go on."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None, help="repeats a run")
    parser.add_argument("--seconds", type=float, default=900.0, help="no new points after that")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keeps all logs")
    parser.add_argument("--screen", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.screen is not None:
        asyncio.run(screen(options.screen))
        return 0
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    folder = Path(tempfile.mkdtemp(prefix="convtui-soak-"))
    failed = asyncio.run(
        soak(options.points, seed, folder, at_once=options.at_once, seconds=options.seconds)
    )
    if not failed and not options.keep:
        import shutil

        shutil.rmtree(folder)
    else:
        print(f"the logs are in {folder}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
