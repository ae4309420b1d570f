"""Many conversations at once, against what their replies take and against gathering them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convtui.batch.cells import cells_of
from convtui.batch.plan import Plan
from convtui.batch.scheduler import Batch
from convtui.batch.work import HowToRun
from tests.bench.gather import gathered, scripted
from tests.bench.measure import Row, median
from tests.e2e.terminal import clean_environment
from tests.places import ROOT

REPLIES = 10
SECONDS = 0.2
"""Of one reply."""
IDEAL = REPLIES * SECONDS
_BOT = f"""
import asyncio

async def bot(messages):
    await asyncio.sleep({SECONDS})
    return "you said " + messages[-1]["content"]
"""


class Timed:
    """One batch: seconds from its beginning, and from its first conversation."""

    def __init__(self, whole: float, talking: float, turns: float) -> None:
        self.whole = whole
        self.talking = talking
        self.rate = turns / talking


def run_batch(home: Path, count: int, provider: dict[str, Any]) -> Timed:
    """`count` conversations at once over two workers, with ten replies each."""
    folder = Path(tempfile.mkdtemp(dir=home))
    (folder / "bot.py").write_text(_BOT)
    script = [f"line {number} of the script, with some words" for number in range(REPLIES)]
    plan = Plan.from_data(
        {
            "scenario": {
                "persona": {"name": "Bench", "script": script},
                "provider": provider,
                "limits": {"max_turns": 2 * REPLIES},
            },
            "runs": count,
            "concurrency": count,
            "workers": 2,
        },
        base=folder,
    )

    async def run() -> Timed:
        how = HowToRun(wire="off")
        batch = Batch.create(plan, cells_of(plan), folder / "batch", record={}, how=how)
        first: list[float] = []

        def look() -> None:
            if not first and any(batch.link(key) for key in batch.entries):
                first.append(time.perf_counter())

        batch.subscribe(look)
        started = time.perf_counter()
        await batch.run()
        ended = time.perf_counter()
        assert batch.file.finished
        assert {entry.turns for entry in batch.entries.values()} == {2 * REPLIES}
        return Timed(ended - started, ended - first[0], batch.used.turns)

    gc.collect()
    try:
        return asyncio.run(run())
    finally:
        shutil.rmtree(folder)


def _gathered(count: int) -> float:
    """The same replies without an engine: how much of the ideal the loop itself costs."""

    async def reply(history: list[dict[str, str]]) -> str:
        await asyncio.sleep(SECONDS)
        return "you said " + history[-1]["content"]

    started = time.perf_counter()
    asyncio.run(gathered(scripted, reply, count, REPLIES))
    return time.perf_counter() - started


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """A loopback endpoint in a process of its own, so that nobody shares an interpreter with it."""
    program = "from tests.fakes.openai_server import main; main()"
    command = [sys.executable, "-c", program, "--port", "0", "--tokens-per-second", "1000000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            yield next(word for word in line.split() if word.startswith("http"))
        finally:
            process.terminate()


def _litellm(home: Path, url: str, count: int) -> tuple[float, float]:
    """Seconds of a batch and of gathering, from start to end, through litellm."""
    provider = {
        "use": "openai/provider-1!first=0.2",
        "params": {"api_base": url, "api_key": "none"},
    }
    ours = run_batch(home, count, provider).whole
    command = [sys.executable, "-m", "tests.bench.gather", url, str(count), str(REPLIES)]
    started = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, env=clean_environment(home) | _ENVIRONMENT)
    return ours, time.perf_counter() - started


_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
"""Of the reference; as in our engines, litellm looks nothing up on the network."""


def rows(home: Path, times: int, *, many: int) -> list[Row]:
    """Two hundred at once, `many` at once, and two hundred through litellm."""
    os.environ.setdefault("CONVTUI_HOME", str(home))
    few = [run_batch(home, 200, {"use": "bot.py:bot"}) for _ in range(times)]
    bare = [_gathered(200) for _ in range(times)]
    crowd = [run_batch(home, many, {"use": "bot.py:bot"}) for _ in range(max(1, times // 2))]
    with _server() as url:
        pairs = [_litellm(home, url, 200) for _ in range(max(1, times // 2))]
    how = f"{REPLIES} replies of {SECONDS:g} s, 2 workers, median of {times}"
    return [
        Row(
            "200 conversations at once",
            median([timed.talking for timed in few]),
            reference=IDEAL,
            reference_is="the replies alone",
            bar=1.5,
            bar_is="ratio",
            note=how,
        ),
        Row(
            "the same, with the start of the workers",
            median([timed.whole for timed in few]),
            reference=median(bare),
            reference_is="gathered, no engine",
            note=how,
        ),
        Row(
            f"{many:,} conversations at once, turns a second",
            median([timed.rate for timed in crowd]) / median([timed.rate for timed in few]),
            unit="times those of 200",
            bar=0.9,
            bar_is="at least",
            note=f"{median([timed.rate for timed in crowd]):,.0f} a second",
        ),
        Row(
            "200 conversations through litellm",
            median([ours for ours, _ in pairs]),
            reference=median([theirs for _, theirs in pairs]),
            reference_is="gathered clients",
            bar=1.0,
            bar_is="ratio",
            note="a loopback server, imports of litellm included",
        ),
    ]
