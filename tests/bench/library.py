"""A library of 10,000 runs: indexed once, listed, searched.

By hand, for a folder to look at: `python -m tests.bench.library runs --runs 10000`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from convtui.files.processes import cores
from convtui.filters.filter import Filter, parse
from convtui.library.library import Library
from convtui.records.models import RecordDict, encode
from tests.bench.measure import Row, median
from tests.e2e.terminal import clean_environment, convtui

RUNS = 10_000
WORDS = (
    "ferry crossing booking refund morning evening cabin bicycle passenger ticket harbour delay "
    "weather luggage window island Saturday change price seat confirm cancel question thanks"
)
_PERSONAS = ("Maya", "Sam", "Robin", "Zoë", "Tom")
_PROVIDERS = ("demo", "my_provider.py:Bot", "openai/gpt-4o-mini", "bots/desk.py:Desk")
NEEDLE = "halyard"
RARE = 500
"""Every so many runs one turn says the needle."""
SIGNAL = "[[ERROR]]"
_SIGNAL_EVERY = 20
_BRANCH_EVERY = 7
_FAILED_EVERY = 33


def write(folder: Path, runs: int, *, turns: int = 10, seed: int = 1) -> Path:
    """Small logs as a run leaves them, some of them branches, some failed, some cut off."""
    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(seed)
    for number in range(runs):
        lines = b"".join(encode(record) for record in _records(number, turns, dice))
        (folder / f"{name(number)}.jsonl").write_bytes(lines)
    return folder


def name(number: int) -> str:
    """The file's name without its ending."""
    return f"20260101T{number:06}Z_{_PERSONAS[number % 5]}_{number:06x}"


def _records(number: int, turns: int, dice: random.Random) -> Iterator[RecordDict]:
    seq = 0
    words = WORDS.split()

    def put(**record: object) -> RecordDict:
        nonlocal seq
        seq += 1
        return {"seq": seq - 1, "t": round(seq * 0.1, 4), **record}

    day, minute = divmod(number, 1440)
    provider = _PROVIDERS[number % 4]
    parents = []
    if number and number % _BRANCH_EVERY == 0:
        parents = [{"id": f"{number - 1:032x}", "file": f"{name(number - 1)}.jsonl", "seq": 9,
                    "sha256": "0" * 64}]  # fmt: skip
    yield put(
        type="header",
        format="convtui",
        version="1.0",
        id=f"{number:032x}",
        created_at=f"2026-01-{day % 28 + 1:02}T{minute // 60:02}:{minute % 60:02}:00+00:00",
        origin="continue" if parents else "run",
        parents=parents,
        **({"change": {"kind": "rewind", "session": 1, "turn": 3}} if parents else {}),
        persona=_PERSONAS[number % 5],
        provider={"spec": provider, "name": provider.split(":")[-1], "kind": "file"},
        scenario={"name": "bench", "tags": ["nightly"] if number % 3 == 0 else []},
        environment={},
    )
    yield put(type="sessions.prepared", requested=["desk"], prepared=["desk"], duration=0)
    yield put(type="session.started", session=1, session_type="desk", first_speaker="persona",
              max_turns=turns)  # fmt: skip
    for turn in range(1, turns + 1):
        side = "persona" if turn % 2 else "provider"
        at = {"session": 1, "turn": turn, "side": side, "attempt": 1}
        text = " ".join(dice.choices(words, k=40))
        if number % RARE == 0 and turn == 5:
            text += f" {NEEDLE}"
        signalled = number % _SIGNAL_EVERY == 0 and turn == 4
        raw = f"{text} {SIGNAL}" if signalled else text
        yield put(type="turn.started", **at, speaker=side)
        yield put(type="llm.request", **at, base=None, keep=0, append=[], sha256="0" * 64)
        usage = {"prompt_tokens": 100 * turn, "completion_tokens": 40, "cost": 0.0001}
        yield put(type="llm.response", **at, call=seq - 1, raw=raw, duration=dice.random() * 3,
                  usage=usage)  # fmt: skip
        start = len(text) + 1
        found = [{"signal": SIGNAL, "matched": SIGNAL, "start": start, "end": start + len(SIGNAL)}]
        yield put(type="signals.extracted", **at, matches=found if signalled else [], duration=0.0)
        yield put(type="response.processed", **at, text=text, changed=signalled, duration=0.0)
        yield put(type="turn.committed", **at, speaker=side, text=text, words=40)
    if number % 50 == 49:
        return  # killed: it has no end
    failed = number % _FAILED_EVERY == 0
    ended = {
        "kind": "failed" if failed else "max_turns",
        "by": "provider" if failed else "harness",
        "reason": "the provider raised" if failed else f"{turns} turns",
        "at_turn": turns,
    }
    yield put(type="session.ended", session=1, session_type="desk", termination=ended, turns=turns)
    yield put(type="conversation.ended", termination=ended)
    totals = {
        "turns": turns,
        "discarded": 0,
        "sessions": 1,
        "seconds": seq * 0.1,
        "usage": {
            "provider": {"calls": turns // 2, "seconds": 7.0, "tokens": 600 * turns, "cost": 0.001}
        },
    }
    yield put(type="trailer", closed_at="2026-01-02T04:04:05+00:00", records=seq + 1,
              termination=ended, totals=totals, truncated=False)  # fmt: skip


SEARCHES = (
    ("a rare word", NEEDLE),
    ("a flag", "~signal"),
    ("a number", "~latency > 2.99"),
    ("run and turn", "~persona maya & ~signal & ~turn > 3"),
    ("raw replies", f'~raw "{NEEDLE}"'),
    ("nearly every turn", "!~discard & !~said zzzz"),
    ("no turn", "~said zzzzzz"),
)


def rows(home: Path, times: int, runs: int = RUNS) -> list[Row]:
    """Everything about the library: in a process of its own, from after its imports on."""
    folder = write(home / "runs", runs)
    first = _measured(folder, "cold", 1)
    again = _measured(folder, "warm", times)

    def how(what: str) -> str:
        cpu = again[f"cpu {what}"]
        return f"in process, after imports, median of {times}; {cpu * 1000:.0f} ms of CPU"

    found = [
        Row(f"{runs:,} runs: first listing, no index", first["list"], note="in process, once"),
        Row(
            f"{runs:,} runs: indexing every turn",
            first["turns"],
            bar=8.0,
            note=f"helpers and all, once; {cores()} cores, {first['cpu turns']:.1f} s of CPU",
        ),
        Row(
            f"{runs:,} runs: list",
            again["list"],
            bar=0.2,
            note=how("list"),
            reference=again["stat"],
            reference_is="stat of each file",
        ),
    ]
    found += [
        Row(f"{runs:,} runs: search: {what}", again[expression], bar=0.3, note=how(expression))
        for what, expression in SEARCHES
    ]
    command = convtui("runs", "--out", folder, "--limit", "50")
    environment = clean_environment(home)
    taken: dict[str, list[float]] = {"runs": [], "where": []}
    for _ in range(times):
        for name_, line in (("runs", command), ("where", convtui("where"))):
            started = time.perf_counter()
            subprocess.run(
                line,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
                env=environment,
            )
            taken[name_].append(time.perf_counter() - started)
    found.append(
        Row(
            f"{runs:,} runs: convtui runs --limit 50",
            median(taken["runs"]),
            bar=0.25,
            reference=median(taken["where"]),
            reference_is="convtui where",
            note=f"whole process, median of {times}",
        )
    )
    return found


def _measured(folder: Path, mode: str, times: int) -> dict[str, float]:
    """Seconds by name, as a process of its own finds them."""
    line = [sys.executable, "-m", "tests.bench.library", str(folder), "--measure", mode]
    taken: dict[str, list[float]] = {}
    for _ in range(times):
        done = subprocess.run(line, stdout=subprocess.PIPE, check=True)
        for what, seconds in json.loads(done.stdout).items():
            taken.setdefault(what, []).append(seconds)
    return {what: median(values) for what, values in taken.items()}


def _measure(folder: Path, mode: str) -> dict[str, float]:
    """What one process measures: a list, then all turns or every search."""
    library = Library(folder)
    found: dict[str, float] = {}

    def timed(what: str, work: Callable[[], Sequence[object]]) -> None:
        started, spent = time.perf_counter(), sum(os.times()[:4])
        work()
        found[what] = time.perf_counter() - started
        # Of helpers that have ended, too.
        found[f"cpu {what}"] = sum(os.times()[:4]) - spent

    timed("stat", lambda: [entry.stat() for entry in os.scandir(folder)])
    timed("list", library.runs)
    if mode == "cold":
        timed("turns", lambda: library.runs(turns=True))
        return found

    def search(wanted: Filter) -> Sequence[object]:
        # As the command does it: the list as it is now, then the filter.
        return library.search(wanted, library.runs(turns=True))

    for _, expression in SEARCHES:
        timed(expression, partial(search, parse(expression)))
    return found


def main() -> None:
    """Writes such a library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--measure", choices=["cold", "warm"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(_measure(options.folder, options.measure)))
        return
    write(options.folder, options.runs)


if __name__ == "__main__":
    main()
