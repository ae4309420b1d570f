"""Tool results that are too long for the log: whole, in a file beside it.

`<log>.tools.jsonl` (mode 0600) holds one JSON object a line, `{seq, id, name, text}`: the `seq` of
the `tool.returned` that has only the beginning, and the whole result as text. Nothing is there for
results that the log has whole, and a log without the file is whole in itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convtui.log.names import tool_results_path


class ToolResultsFile:
    """Appends whole results. `clean` takes secrets out of them.

    A disk that refuses leaves the reason in `broken`: the conversation matters more.
    """

    def __init__(self, log: Path, clean: Callable[[Any], Any] = lambda data: data) -> None:
        self.path = tool_results_path(log)
        self.broken: OSError | None = None
        self._clean = clean

    def add(self, seq: int, call: str, name: str, text: str) -> bool:
        """Keeps one result; whether it could be written."""
        data = {"seq": seq, "id": call, "name": name, "text": self._clean(text)}
        line = memoryview(json.dumps(data, separators=(",", ":")).encode() + b"\n")
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if hasattr(os, "fchmod"):
                    os.fchmod(fd, 0o600)
                while line:
                    line = line[os.write(fd, line) :]
            finally:
                os.close(fd)
        except OSError as error:
            self.broken = error
            return False
        return True


def whole_result(log: Path, seq: int) -> str | None:
    """The whole text of the result whose `tool.returned` has this `seq`.

    None when it is not kept: no file (deleted, not copied along), or damaged there.
    """
    head = b'{"seq":%d,' % seq
    try:
        with tool_results_path(log).open("rb") as file:
            for line in file:
                if not line.startswith(head):
                    continue
                try:
                    data = json.loads(line)
                except (ValueError, RecursionError):
                    return None
                text = data.get("text")
                return text if isinstance(text, str) else None
    except OSError:
        return None
    return None
