"""What is left to do when the terminal is gone."""

from __future__ import annotations

import errno
import sys
from typing import Any

import pytest
from textual.app import App

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="terminals of another kind")


class Gone:
    """A terminal that has been hung up."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")

    def flush(self) -> None:
        self.write("")

    def fileno(self) -> int:
        return 2


async def test_what_is_drawn_on_a_terminal_that_is_gone_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

    from convtui.tui.terminal_driver import TerminalDriver

    monkeypatch.setattr("sys.__stderr__", Gone())
    driver: Any = TerminalDriver(App())
    writer = WriterThread(driver._file)
    writer.start()
    # A queue of a writer that has ended takes no more than this: the next one would wait.
    for _ in range(MAX_QUEUED_WRITES * 3):
        writer._queue.put("x", timeout=60)
    writer.stop()
    assert not writer.is_alive()
