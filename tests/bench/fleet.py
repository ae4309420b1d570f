"""The screen of a batch of 10,000 conversations: its first frame, and a key.

By hand, for a batch to look at: `python -m tests.bench.fleet FOLDER --conversations 10000`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from convtui.records.models import encode
from tests.bench.liveness import wait
from tests.bench.measure import Row, median, p95
from tests.bench.startup import MINIMAL, first_frame
from tests.e2e.terminal import Terminal, clean_environment

CONVERSATIONS = 10_000
_RUNS = 100
_SHOW = """
import sys
from pathlib import Path
from convtui.tui.launch import run_saved_batch
run_saved_batch(Path(sys.argv[1]))
"""
_FIRST = b"anna-000.1"
"""What only the first rows say."""


def write(folder: Path, conversations: int) -> Path:
    """The manifest of a finished batch; its logs are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [f"anna-{number:03}" for number in range(max(1, conversations // _RUNS))]
    with (folder / "batch.jsonl").open("wb", buffering=1 << 20) as file:

        def put(**record: Any) -> None:
            file.write(encode({"at": "2026-03-01T10:00:00+00:00", **record}))

        put(
            type="batch", format=1, id="b" * 32, name="refund", convtui="0.1.0",
            plan={"scenario": "refund.yaml"}, digest="d", runs=_RUNS,
            cells=[
                {"number": number, "name": name, "persona": f"Anna {number}",
                 "provider": "bots/desk.py:Desk", "sessions": [], "settings": {}, "digest": name}
                for number, name in enumerate(cells, 1)
            ],
        )  # fmt: skip
        for name in cells:
            for run in range(1, _RUNS + 1):
                key = f"{name}.{run}"
                put(type="started", key=key, log=f"{key}.jsonl", worker=1, attempt=1)
                put(**_ended(key, run))
        put(type="finished")
    return folder


def _ended(key: str, run: int) -> dict[str, Any]:
    kind = "failed" if run % 17 == 0 else "completed"
    return {
        "type": "ended", "key": key, "log": f"{key}.jsonl", "status": "closed",
        "termination": {"kind": kind, "by": "simulator", "at_turn": 10,
                        "reason": "the persona has what it asked for"},
        "totals": {"turns": 10, "sessions": 1, "discarded": 0, "seconds": 30.0,
                   "usage": {"provider": {"calls": 5, "tokens": 9000, "cost": 0.01}}},
        "row": {"state": "over", "session": 1, "turn": 10, "side": "provider", "turns": 10,
                "words": "Thank you, that is all I needed to know about the 9:40 from Holyhead",
                "signals": run % 3, "discards": 0, "flags": run % 4, "tokens": 9000, "cost": 0.01},
    }  # fmt: skip


def rows(home: Path, times: int) -> list[Row]:
    """The first frame against a minimal app; the rows and a key against a list of 100 rows.

    The programs take turns, so that noise hits all.
    """
    many = write(home / "many", CONVERSATIONS)
    few = write(home / "few", _RUNS)
    programs: dict[str, tuple[list[str | Path], bytes]] = {
        "minimal": ([sys.executable, "-c", MINIMAL], b"the first frame"),
        "few": ([sys.executable, "-c", _SHOW, few], _FIRST),
        "frame": ([sys.executable, "-c", _SHOW, many], b"conversations"),
        "many": ([sys.executable, "-c", _SHOW, many], _FIRST),
    }
    taken: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(times):
        for name, (command, text) in programs.items():
            taken[name].append(first_frame(command, text, home))
    middle = {name: median(values) for name, values in taken.items()}
    how = f"pty, median of {times}"
    keys = max(10, 4 * times)
    return [
        Row(
            f"fleet: first frame, {CONVERSATIONS:,} rows",
            middle["frame"],
            reference=middle["minimal"],
            reference_is="minimal app",
            bar=0.3,
            bar_is="excess",
            note=how,
        ),
        Row(
            f"fleet: {CONVERSATIONS:,} rows are there",
            middle["many"],
            reference=middle["few"],
            reference_is="100 rows",
            bar=0.3,
            bar_is="excess",
            note=how,
        ),
        Row(
            f"fleet: key to paint, {CONVERSATIONS:,} rows, p95",
            p95(_keys(home, many, keys)),
            reference=p95(_keys(home, few, keys)),
            reference_is="100 rows",
            bar=0.05,
            note=f"pty, {keys} keys",
        ),
    ]


def _keys(home: Path, folder: Path, times: int) -> list[float]:
    """Seconds from a key to the frame that it asks for: the last rows, and the first again."""
    taken = []
    command: list[str | Path] = [sys.executable, "-c", _SHOW, folder]
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        terminal.until("anna-000.1", "went wrong")
        last = sorted(folder.glob("batch.jsonl"))[0].read_bytes().rsplit(b'"key":"', 1)[1]
        name = last.split(b'"', 1)[0]
        for number in range(times):
            begin = len(terminal.chunks)
            pressed = terminal.send("g" if number % 2 else "G")
            wanted = _FIRST if number % 2 else name
            taken.append(terminal.until_raw(wanted, begin=begin) - pressed)
            # Faster keys are taken for a paste; at every phase of the repainting.
            wait(0.06 + 0.013 * (number % 7))
    return taken


def main() -> None:
    """Writes such a batch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS)
    options = parser.parse_args()
    write(options.folder, options.conversations)


if __name__ == "__main__":
    main()
