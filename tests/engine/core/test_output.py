"""What provider code prints, as it is taken in."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from convtui.engine.core.output import Lines, OutputCapture, StreamName
from convtui.secrets.redactor import Redactor
from tests.builders.waiting import WITHIN


def test_whoever_takes_a_line_in_may_have_others_flush_the_stream() -> None:
    """A thread that prints and the engine, which flushes while it writes, wait for each other."""
    flushed: list[bool] = []

    def emit(text: str) -> None:
        other = threading.Thread(target=stream.flush, daemon=True)
        other.start()
        other.join(WITHIN)
        flushed.append(not other.is_alive())

    stream = Lines(emit)
    stream.write("a line\n")
    stream.write("no line")
    stream.flush()
    assert flushed == [True, True]


def test_nothing_is_emitted_twice_or_lost() -> None:
    parts: list[str] = []
    stream = Lines(parts.append)
    for text in ("a", "b\nc", "\n", "d"):
        stream.write(text)
    stream.flush()
    stream.flush()
    assert parts == ["ab\n", "c\n", "d"]


def test_what_is_flushed_while_a_line_is_taken_in_comes_after_it() -> None:
    """Otherwise what was written as "a line\nan end" would be read as "an enda line"."""
    parts: list[str] = []

    def emit(text: str) -> None:
        if text == "a line\n":
            flush_in_another_thread(stream.flush)
        parts.append(text)

    stream = Lines(emit)
    stream.write("a line\nan end")
    assert parts == ["a line\n", "an end"]


def test_what_was_held_back_comes_after_what_was_let_out() -> None:
    """The last word may be half a secret; whoever flushes lets it out, not before the others."""
    parts: list[str] = []

    def emit(name: StreamName, text: str, lost: int) -> None:
        if not parts:
            flush_in_another_thread(capture.settle)
        parts.append(text)

    capture = OutputCapture(emit, Redactor())
    capture.take("stdout", "printed by a child", source="a pipe")
    assert parts == ["printed by a ", "child"]


def test_a_turn_is_left_once_what_was_printed_in_it_was_taken_in() -> None:
    """Another thread, at what a child has printed, hands on what the provider has printed."""
    turn = 1
    parts: list[tuple[str, int]] = []

    def go_on() -> None:
        nonlocal turn
        capture.flush()
        turn = 2

    engine = threading.Thread(target=go_on, daemon=True)

    def emit(name: StreamName, text: str, lost: int) -> None:
        if not parts:
            print_in_another_thread()
            engine.start()
            engine.join(0.1)
        parts.append((text, turn))

    def print_in_another_thread() -> None:
        flush_in_another_thread(lambda: capture.stdout.write("by the provider\n"))

    capture = OutputCapture(emit, Redactor())
    capture.take("stdout", "by a child\n", source="a pipe")
    engine.join(WITHIN)
    assert parts == [("by a child\n", 1), ("by the provider\n", 1)]
    assert turn == 2


def test_whoever_takes_something_in_does_not_wait_for_itself() -> None:
    parts: list[str] = []

    def emit(name: StreamName, text: str, lost: int) -> None:
        if not parts:
            capture.stdout.write("an end\n")
            capture.flush()
        parts.append(text)

    capture = OutputCapture(emit, Redactor())
    capture.stdout.write("a line\n")
    assert parts == ["a line\n", "an end\n"]


def test_what_prints_when_it_is_destroyed_may_be_destroyed_anywhere() -> None:
    """Garbage is collected in whichever thread, also in one that takes output in."""
    parts: list[str] = []
    capture = OutputCapture(lambda name, text, lost: parts.append(text), Redactor())

    class Loud:
        def __init__(self) -> None:
            self.circle = self

        def __del__(self) -> None:
            capture.stderr.write("destroyed\n")

    def take() -> None:
        for number in range(60):
            gc.disable()
            Loud()
            gc.set_threshold(1 + number)
            gc.enable()
            capture.take("stdout", "a line\n" * 10, source="a pipe")

    thresholds = gc.get_threshold()
    taking = threading.Thread(target=take, daemon=True)
    try:
        taking.start()
        taking.join(WITHIN)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    assert not taking.is_alive()
    assert "".join(parts).count("a line\n") == 600


def flush_in_another_thread(flush: Callable[[], None]) -> None:
    other = threading.Thread(target=flush, daemon=True)
    other.start()
    other.join(WITHIN)
    assert not other.is_alive()


_LEFT = """
import os, subprocess, sys
from convtui.engine.core.output import OutputCapture, ProcessStreams
from convtui.secrets.redactor import Redactor
out = os.dup(1)
turn = 1
def emit(stream, text, dropped):
    os.write(out, f"{turn} {stream} {text}".encode())
capture = OutputCapture(emit, Redactor())
ProcessStreams(capture).install()
# Other threads come round only where this one waits.
sys.setswitchinterval(1000)
for turn in range(1, 21):
    os.write(1, b"by native code\\n")
    os.write(2, b"said as an error\\n")
    capture.flush()
turn = 21
subprocess.run(["echo", "by a child"])
capture.flush()
turn = 22
os.closerange(3, out)
os.closerange(out + 1, 64)
other = os.open(sys.argv[1], os.O_RDONLY)
capture.flush()
os.write(out, os.read(other, 64))
os._exit(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes cannot be read without waiting there")
def test_what_is_in_the_pipe_belongs_to_the_turn_that_is_left(tmp_path: Path) -> None:
    """The thread that reads it may come round later; a descriptor of another file is not read."""
    own = tmp_path / "own"
    own.write_text("23 of the developer\n")
    done = subprocess.run(
        [sys.executable, "-c", _LEFT, own], capture_output=True, timeout=WITHIN, check=True
    )
    # Which of two pipes is read first is left open.
    assert sorted(done.stdout.decode().splitlines()) == sorted(
        [
            *(f"{turn} stdout by native code" for turn in range(1, 21)),
            *(f"{turn} stderr said as an error" for turn in range(1, 21)),
            "21 stdout by a child",
            "23 of the developer",
        ]
    )
