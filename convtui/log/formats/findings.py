"""What could not be read of a file that was imported all the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.records.models import Warned

_IN_LINE: Final = re.compile(r"line (\d{1,12}): ")
EMPTY: Final = "empty"
"""The code of a finding about a file without a byte in it."""
UNREADABLE: Final = "unreadable"
"""The code of a finding about a file of which nothing could be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a file that could not be read, or not as it is meant; the rest was."""

    path: Path
    message: str
    line: int | None = None
    code: str = "bad_line"

    def __str__(self) -> str:
        return f"{self.path}: {self.placed}"

    @property
    def placed(self) -> str:
        """What it says with its line, if that is known."""
        return self.message if self.line is None else f"line {self.line}: {self.message}"

    def warned(self, **where: Any) -> Warned:
        """The record of it in a log."""
        return Warned(**where, code=self.code, message=self.placed, line=self.line)


def finding_of(error: FileError, path: Path, line: int | None, code: str = "bad_line") -> Finding:
    """What an error says that was raised for something in a line."""
    message = str(error).removeprefix(f"{path}: ")
    in_line = _IN_LINE.match(message)
    if in_line is not None:
        line, message = int(in_line[1]), message[in_line.end() :]
    return Finding(path, message, line, code)
