"""One damage after the other through some of the readers; what fails is kept, as small as it gets.

Number `n` of a seed is always the same damage, whatever ran before it.
"""

from __future__ import annotations

import random
import shutil
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.fuzz.mutations import mutated
from tests.fuzz.readers import Reader, read
from tests.fuzz.samples import Sample

LIMIT = 10.0
"""Seconds of the processor that one reader may take for one file."""
HANGS = 120.0
"""Seconds after which a reader that only waits is taken to hang, on a machine of any load."""
_TRIES = 120
"""How often a failing file is made smaller."""


class TooLong(BaseException):
    """A reader did not end in time. Not an Exception, so that nobody takes it for one of theirs."""


@contextmanager
def time_limit(seconds: float, hangs: float = HANGS) -> Iterator[None]:
    """Raises `TooLong` inside of the block once it has used so many seconds of the processor, or
    taken `hangs` by the clock. Does nothing where there are no such signals.
    """
    if (
        not hasattr(signal, "setitimer")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong(f"more than {seconds:g} s" if number == signal.SIGPROF else "it hangs")

    alarms = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, hangs),
    )
    before = [(number, timer, signal.signal(number, ring)) for number, timer, _ in alarms]
    for _, timer, limit in alarms:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for number, timer, handler in before:
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


@dataclass(slots=True, frozen=True)
class Failure:
    """A file that made a reader fail. `place` is where in the program: the same is the same bug."""

    number: int
    sample: str
    damage: str
    reader: str
    place: str
    trace: str
    data: bytes
    ending: str


@dataclass(slots=True)
class Figures:
    """What was done."""

    files: int = 0
    runs: int = 0
    slowest: tuple[float, str] = (0.0, "")
    damages: Counter[str] = field(default_factory=Counter)
    readers: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    """The smallest of each place."""
    failed: Counter[str] = field(default_factory=Counter)


def attempt(reader: Reader, data: bytes, ending: str, folder: Path) -> tuple[str, str, float]:
    """Where it failed (empty where it did not), the traceback, and the seconds it took."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / f"run{ending}"
    path.write_bytes(data)
    begun = time.process_time()
    try:
        with time_limit(LIMIT):
            read(reader, path, folder)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return (
            _place(error),
            "".join(traceback.format_exception(error)),
            time.process_time() - begun,
        )
    return "", "", time.process_time() - begun


def _place(error: BaseException) -> str:
    """The innermost line of the program's own, and what was raised there."""
    while (behind := getattr(error, "error", None) or error.__cause__) is not None:
        if not isinstance(behind, BaseException):
            break
        error = behind
    frames = [
        f"{frame.filename.rpartition('/convtui/')[2]}:{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/convtui/" in frame.filename and "/tests/" not in frame.filename
    ]
    return f"{type(error).__name__} in {frames[-1] if frames else 'the readers'}"


def fuzz(
    samples: Sequence[Sample],
    numbers: Sequence[int],
    *,
    seed: int,
    folder: Path,
    readers: int = 4,
    rarely: float = 0.01,
    until: float = float("inf"),
) -> Iterator[Figures]:
    """Damages samples and has each read by some of its readers; the figures after each file.

    `rarely` is how often a rare reader takes part; no new file is begun after `until` (monotonic).
    """
    figures = Figures()
    for number in numbers:
        if time.monotonic() > until:
            return
        dice = random.Random(f"{seed}:{number}")
        sample = dice.choice(samples)
        damage, data = mutated(sample.data, dice)
        usual = [reader for reader in sample.readers if not reader.rare]
        chosen = dice.sample(usual, min(readers, len(usual)))
        if dice.random() < rarely:
            chosen += [reader for reader in sample.readers if reader.rare]
        figures.files += 1
        figures.damages[damage.partition(" + ")[0]] += 1
        for reader in chosen:
            place, trace, seconds = attempt(reader, data, sample.ending, folder)
            figures.runs += 1
            figures.readers[reader.name] += 1
            if seconds > figures.slowest[0]:
                figures.slowest = (seconds, f"{reader.name}, number {number}")
            if place:
                figures.failed[place] += 1
                known = figures.failures.get(place)
                if known is None or len(data) < len(known.data):
                    figures.failures[place] = Failure(
                        number, sample.name, damage, reader.name, place, trace, data, sample.ending
                    )
        yield figures
    shutil.rmtree(folder, ignore_errors=True)


def smaller(failure: Failure, reader: Reader, folder: Path) -> bytes:
    """The file with lines left out that the failure does not need."""
    lines = failure.data.split(b"\n")
    size = max(1, len(lines) // 2)
    tries = 0
    while tries < _TRIES:
        for first in range(0, len(lines), size):
            fewer = lines[:first] + lines[first + size :]
            tries += 1
            place, _, _ = attempt(reader, b"\n".join(fewer), failure.ending, folder)
            if place == failure.place:
                lines = fewer
                break
            if tries >= _TRIES:
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    return b"\n".join(lines)
