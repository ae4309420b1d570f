"""Whether the screen answers while a provider does its worst, in a real engine process."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.bench.measure import Row, median, p95
from tests.e2e.terminal import Terminal, clean_environment, convtui, until

PROVIDERS = '''
import asyncio
import time


async def stream(messages):
    """1,000 tokens a second, for a minute."""
    began, said = time.monotonic(), 0
    while (now := time.monotonic() - began) < 60:
        while said < now * 1000:
            said += 1
            yield f"word{said % 97} "
        await asyncio.sleep(0.002)


async def spin(messages):
    """Never gives the loop back, and uses all of a core."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass
    return "done"


async def block(messages):
    """Never gives the loop back."""
    time.sleep(60)
    return "done"


async def idle(messages):
    """Waits as it should."""
    await asyncio.sleep(60)
    return "done"
'''
_SCENARIO = """
name: liveness
persona: {{name: Key, script: ["Begin, please.", "Go on."]}}
provider: {file}:{name}
"""
_OFF = b"not following"


def key_to_paint(home: Path, name: str, times: int) -> tuple[list[float], list[float]]:
    """Seconds from a key (follow off) to the frame that says so, while provider `name` answers.

    Beside them, how many of them the screen's thread waited for a core that others had.
    """
    folder = home / name
    folder.mkdir()
    (folder / "worst.py").write_text(PROVIDERS)
    scenario = folder / "scenario.yaml"
    scenario.write_text(_SCENARIO.format(file=folder / "worst.py", name=name))
    taken, waited = [], []
    command = convtui("debug", scenario, "--out", folder / "runs")
    with Terminal(command, env=clean_environment(home), cwd=folder) as terminal:
        terminal.until("Begin, please.", "2 provider")
        if name in ("spin", "block"):
            terminal.until("NOT RESPONDING")
        elif name == "stream":
            terminal.until("word")
        for number in range(times):
            begin = len(terminal.chunks)
            before = waited_for_core(terminal.process.pid)
            pressed = terminal.send("F")
            taken.append(terminal.until_raw(_OFF, begin=begin) - pressed)
            waited.append(waited_for_core(terminal.process.pid) - before)
            terminal.send("F")
            terminal.until_gone(_OFF.decode())
            # Keys at every phase of the repainting, not in step with it.
            wait(0.02 + 0.013 * (number % 7))
    return taken, waited


def waited_for_core(pid: int) -> float:
    """Seconds that the main thread of a process could have run and had no core (Linux)."""
    try:
        _, waited, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
    except (OSError, ValueError):
        return 0.0
    return int(waited) / 1e9


def wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, "time passes", timeout=seconds + 5)


def rows(home: Path, times: int) -> list[Row]:
    """Key to paint, p95, with a provider that waits as the reference."""
    sys.stdout.flush()
    words = {
        "idle": "waits",
        "stream": "streams 1,000 tokens/s",
        "spin": "spins the CPU",
        "block": "blocks",
    }
    taken = {name: key_to_paint(home, name, times) for name in words}
    idle = p95(taken["idle"][0])
    return [
        Row(
            f"key to paint while a provider {what}, p95",
            p95(taken[name][0]),
            reference=None if name == "idle" else idle,
            reference_is="idle",
            bar=0.025 if name == "idle" else 0.05,
            note=f"pty, real engine, {times} keys, median {median(taken[name][0]) * 1000:.0f} ms;"
            f" {median(taken[name][1]) * 1000:.0f} ms of it without a core",
        )
        for name, what in words.items()
    ]
