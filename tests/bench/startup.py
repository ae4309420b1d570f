"""How long it takes until something is on the screen."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import longlog
from tests.bench.measure import Row, median
from tests.e2e.terminal import Terminal, clean_environment, convtui

MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("the first frame")
Minimal().run()
"""


def first_frame(command: Sequence[str | Path], text: bytes, home: Path) -> float:
    """Seconds from the start of a program to the frame that has `text` in it."""
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        return terminal.until_raw(text) - terminal.started


def rows(home: Path, times: int) -> list[Row]:
    """First frames against a minimal Textual app; the programs take turns, so noise hits all."""
    log = longlog.cached()
    scenario = home / "scenario.yaml"
    scenario.write_text("persona: {name: Key, script: [Begin.]}\nprovider: demo\n")
    programs: dict[str, tuple[list[str], bytes]] = {
        "minimal": ([sys.executable, "-c", MINIMAL], b"the first frame"),
        "picker": (convtui(), b"convtui"),
        "demo": (convtui("demo", "--out", home / "runs"), b"STARTING"),
        "debug": (convtui("debug", scenario, "--out", home / "runs"), b"STARTING"),
        "replay": (convtui("replay", log), b"LOADING"),
    }
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(times):
        for name, (command, text) in programs.items():
            taken[name].append(first_frame(command, text, home))
    middle = {name: median(values) for name, values in taken.items()}
    minimal = middle["minimal"]
    how = f"pty, median of {times}"
    found = [
        Row("first frame: minimal Textual app", minimal, note=how),
        Row(
            "first frame: convtui (picker)",
            middle["picker"],
            reference=minimal,
            reference_is="minimal app",
            bar=1.5,
            bar_is="ratio",
            note=how,
        ),
        Row(
            "first frame: convtui demo",
            middle["demo"],
            reference=minimal,
            reference_is="minimal app",
            bar=1.3,
            bar_is="ratio",
            note=how,
        ),
        Row(
            "first frame: convtui debug",
            middle["debug"],
            reference=minimal,
            reference_is="minimal app",
            bar=1.5,
            bar_is="ratio",
            note=how,
        ),
        Row(
            "first frame: replay of 100,000 turns",
            middle["replay"],
            reference=minimal,
            reference_is="minimal app",
            bar=0.5,
            bar_is="excess",
            note=how,
        ),
    ]
    return [*found, _help(max(5, times))]


def _help(times: int) -> Row:
    commands = {"bare": [sys.executable, "-c", "pass"], "help": convtui("--help")}
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(times):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            taken[name].append(time.perf_counter() - started)
    return Row(
        "convtui --help",
        median(taken["help"]),
        reference=median(taken["bare"]),
        reference_is="bare python",
        note=f"process, median of {times}",
    )
