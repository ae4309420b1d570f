"""What provider code prints, as it is taken in."""

from __future__ import annotations

import threading

from convtui.engine.core.output import Lines
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
