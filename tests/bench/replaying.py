"""A recording of 100,000 turns on the screen: loading, memory, moving, searching."""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from convtui.log.reader import LogReader
from tests.bench import longlog
from tests.bench.measure import Row, median, p95
from tests.bench.startup import MINIMAL, first_frame
from tests.e2e.terminal import KEYS, Terminal, clean_environment, convtui, until

TURNS = 100_000
_HOW = "pty, key to frame"
_BARS = {"search": 1.0, "filter": 1.0, "resize": 0.1}
"""Seconds of what is not a key."""
_COUNTER = """
from textual.app import App
from textual.widgets import Static
class Counter(App):
    count = 0
    def compose(self):
        yield Static("key 0 ")
    def on_key(self, event):
        self.count += 1
        self.query_one(Static).update(f"key {self.count} ")
Counter().run()
"""


def peak_memory(pid: int) -> int:
    """The most memory a process has had at once, in bytes (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no memory figure of process {pid}")


def fold_time(log: Path, times: int) -> float:
    """Seconds in which a log is read and folded, without a screen."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        with LogReader(log) as reader:
            reader.advance()
        taken.append(time.perf_counter() - started)
    return median(taken)


def bare_read(log: Path) -> float:
    """Seconds in which the file's lines are read and nothing is done with them."""
    started = time.perf_counter()
    with log.open("rb") as file:
        for _ in file:
            pass
    return time.perf_counter() - started


class _Keys:
    """Presses keys and times the frames they bring."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal

    def timed(self, key: str, shows: bytes) -> float:
        """Seconds from a key to the frame that has `shows` in it."""
        begin = len(self.terminal.chunks)
        pressed = self.terminal.send(KEYS.get(key, key))
        taken = self.terminal.until_raw(shows, begin=begin) - pressed
        self.terminal.quiet(0.06)
        return taken

    def resized(self, columns: int, rows: int) -> float:
        """Seconds from a change of size to a frame with turns in it."""
        begin = len(self.terminal.chunks)
        changed = time.perf_counter()
        self.terminal.resize(columns, rows)
        taken = self.terminal.until_raw(b"T0", begin=begin) - changed
        self.terminal.quiet(0.1)
        return taken

    def jump(self, turn: int) -> float:
        """Seconds from Enter in "go to turn" to that turn."""
        self.terminal.send("#")
        self.terminal.until("a turn such as")
        self.terminal.send(str(turn))
        self.terminal.until(str(turn))
        self.terminal.quiet(0.3)  # Enter right after text is text
        taken = self.timed("enter", longlog.marker(turn).encode())
        self.terminal.until_gone("a turn such as")
        return taken

    def search(self, text: str, count: int) -> float:
        """Seconds from Enter in the search line to the number of matches."""
        self.terminal.send("/")
        self.terminal.quiet(0.2)
        self.terminal.send(text)
        self.terminal.until(text)
        self.terminal.quiet(0.06)
        taken = self.timed("enter", f" of {count}".encode())
        self.terminal.press("escape")
        self.terminal.until_gone(f" of {count}")
        self.terminal.quiet(0.3)  # a key right after text is no command
        return taken


def minimal_key(home: Path, times: int) -> float:
    """The same in a minimal Textual app: what the machine makes of it just now. 95 of 100."""
    taken = []
    environment = clean_environment(home)
    with Terminal([sys.executable, "-c", _COUNTER], env=environment, cwd=home) as terminal:
        terminal.until_raw(b"key 0 ")
        keys = _Keys(terminal)
        for number in range(1, times + 1):
            taken.append(keys.timed("x", f"key {number} ".encode()))
    return p95(taken)


def short_resize(home: Path, times: int) -> float:
    """A change of size with a log of 100 turns. 95 of 100."""
    log = longlog.cached(100)
    with Terminal(convtui("replay", log), env=clean_environment(home), cwd=home) as terminal:
        terminal.until_raw(b"REPLAY")
        terminal.quiet(0.5)
        resize = _moves(_Keys(terminal))["resize"]
        return p95([resize() for _ in range(times)])


def rows(home: Path, times: int) -> list[Row]:
    """Everything about the long log."""
    log = longlog.cached(TURNS)
    folded = Row(
        "100,000 turns: fold",
        fold_time(log, max(1, times // 3)),
        reference=bare_read(log),
        reference_is="reading lines",
        bar=2.0,
        note="in process, no screen",
    )
    return [folded, *_opening(home, log, max(1, times // 5)), *_moving(home, log, times)]


def _replay(home: Path, log: Path) -> Terminal:
    return Terminal(convtui("replay", log), env=clean_environment(home), cwd=home)


def _forget(home: Path) -> None:
    """What was remembered of logs goes: the next opening is the first one."""
    shutil.rmtree(home / "cache", ignore_errors=True)


def _opening(home: Path, log: Path, times: int) -> list[Row]:
    """From the start of the program: the first turns, then all, and both once more."""
    empty, first, whole, first_again, whole_again, keys = [], [], [], [], [], []
    minimal = minimal_key(home, 5 * times)
    for _ in range(times):
        empty.append(first_frame([sys.executable, "-c", MINIMAL], b"the first frame", home))
        _forget(home)
        with _replay(home, log) as terminal:
            first.append(terminal.until_raw(b"T0") - terminal.started)
            whole.append(terminal.until_raw(b"REPLAY") - terminal.started)
            until(lambda: [*home.glob("cache/folds/*.fold")], "it is remembered")
        with _replay(home, log) as terminal:
            first_again.append(terminal.until_raw(b"T0") - terminal.started)
            whole_again.append(terminal.until_raw(b"REPLAY") - terminal.started)
        _forget(home)
        with _replay(home, log) as terminal:
            terminal.until_raw(b"T0")
            keys += _while_loading(terminal, _Keys(terminal))
    how = f"pty, from the start, median of {times}"
    screens = (("first screen", first), ("first screen, opened again", first_again))
    found = [
        Row(
            f"100,000 turns: {what}",
            median(taken),
            reference=median(empty),
            reference_is="empty app",
            bar=0.5,
            bar_is="excess",
            note=how,
        )
        for what, taken in screens
    ]
    found += [
        Row("100,000 turns: all on the screen", median(whole), bar=5.0, note=how),
        Row("100,000 turns: all, opened again", median(whole_again), bar=1.0, note=how),
    ]
    if keys:
        found.append(
            Row(
                "100,000 turns: a key while loading, p95",
                p95(keys),
                reference=minimal,
                reference_is="minimal app",
                bar=0.05,
                note=f"{_HOW}, {len(keys)} times, median {median(keys) * 1000:.0f} ms",
            )
        )
    return found


def _moving(home: Path, log: Path, times: int) -> list[Row]:
    """Keys and changes of size, once all is on the screen."""
    minimal = minimal_key(home, times)
    short = short_resize(home, times)
    size = log.stat().st_size
    _forget(home)
    with _replay(home, log) as terminal:
        keys = _Keys(terminal)
        terminal.until_raw(b"REPLAY")
        terminal.quiet(0.5)
        measured = {name: [act() for _ in range(times)] for name, act in _moves(keys).items()}
        memory = peak_memory(terminal.process.pid) - size
    found = [
        Row(
            f"100,000 turns: {name}, p95",
            p95(values),
            reference=short if name == "resize" else minimal,
            reference_is="100 turns" if name == "resize" else "minimal app",
            bar=_BARS.get(name, 0.05),
            note=f"{_HOW}, {times} times, median {median(values) * 1000:.0f} ms",
        )
        for name, values in measured.items()
    ]
    found.append(
        Row(
            "100,000 turns: memory over the file's size",
            memory / 1e6,
            unit="MB",
            bar=100,
            note=f"peak of the process; the file has {size / 1e6:.0f} MB",
        )
    )
    return found


def _while_loading(terminal: Terminal, keys: _Keys) -> list[float]:
    """The frames that Home brings while the rest is being read."""
    taken: list[float] = []
    while True:
        home = keys.timed("home", longlog.marker(1).encode())
        begin = len(terminal.chunks)
        terminal.press("end")
        terminal.until_raw(b"T0", begin=begin)
        if b"REPLAY" in terminal.raw:
            return taken
        taken.append(home)


def _moves(keys: _Keys) -> dict[str, Callable[[], float]]:
    places = itertools.cycle([54_321, 12_345, 98_765, 4_321])
    sizes = itertools.cycle([(100, 30), (120, 36), (80, 24), (120, 36)])
    last = longlog.marker(TURNS).encode()
    first = longlog.marker(1).encode()

    def end() -> float:
        keys.timed("home", first)
        return keys.timed("end", last)

    def home() -> float:
        keys.timed("end", last)
        return keys.timed("home", first)

    def resize() -> float:
        return keys.resized(*next(sizes))

    def event() -> float:
        place = next(places)
        keys.jump(place)
        following = (place // longlog.SIGNAL_EVERY + 1) * longlog.SIGNAL_EVERY
        return keys.timed("]", longlog.marker(following).encode())

    return {
        "End": end,
        "Home": home,
        "PageDown": lambda: keys.timed("pagedown", b"T0"),
        "jump": lambda: keys.jump(next(places)),
        "next event": event,
        "search": lambda: keys.search(longlog.NEEDLE, TURNS // longlog.RARE),
        "filter": lambda: keys.search("~signal", TURNS // longlog.SIGNAL_EVERY),
        "resize": resize,
    }
