"""What provider code prints, as it is taken in."""

from __future__ import annotations

import threading
from collections.abc import Callable

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


def flush_in_another_thread(flush: Callable[[], None]) -> None:
    other = threading.Thread(target=flush, daemon=True)
    other.start()
    other.join(WITHIN)
    assert not other.is_alive()
