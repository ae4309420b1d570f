"""Tool results that are too long for the log, in a file beside it.

`<log>.tools.jsonl` (mode 0600) holds one JSON object per line, `{seq, id, name, text}`: the `seq`
of the `tool.returned` that has only the beginning, and the whole result as text. Results that are
whole in the log are not in the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convtui.files.regular import open_regular
from convtui.log.descriptor import open_private, write_all
from convtui.log.lines import pieces_of
from convtui.log.names import tool_results_path


class ToolResultsFile:
    """Appends whole results; `clean` masks their secrets.

    A write error is kept in `broken` and not raised: the conversation goes on.
    """

    def __init__(self, log: Path, clean: Callable[[Any], Any] = lambda data: data) -> None:
        self.path = tool_results_path(log)
        self.broken: OSError | None = None
        self._clean = clean

    def add(self, seq: int, call: str, name: str, text: str) -> bool:
        """Appends one result; whether it could be written."""
        data = {"seq": seq, "id": call, "name": name, "text": self._clean(text)}
        line = json.dumps(data, separators=(",", ":")).encode() + b"\n"
        try:
            fd = open_private(self.path, os.O_CREAT | os.O_APPEND)
            try:
                write_all(fd, line)
            finally:
                os.close(fd)
        except OSError as error:
            self.broken = error
            return False
        return True


def whole_result(log: Path, seq: int) -> str | None:
    """The whole result of the `tool.returned` with this `seq`; None if missing or damaged."""
    prefix = b'{"seq":%d,' % seq
    try:
        with open_regular(tool_results_path(log)) as file:
            for line, whole in pieces_of(file):
                if not whole or not line.startswith(prefix):
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
