"""Parts of an imported file that could not be read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.records.models import Warned

_IN_LINE: Final = re.compile(r"line (\d{1,12}): ")
EMPTY: Final = "empty"
"""Code of a finding: the file is empty."""
UNREADABLE: Final = "unreadable"
"""Code of a finding: nothing in the file could be read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A part of a file that could not be read or understood; the rest was imported."""

    path: Path
    message: str
    line: int | None = None
    code: str = "bad_line"

    def __str__(self) -> str:
        return f"{self.path}: {self.placed}"

    @property
    def placed(self) -> str:
        """The message, with the line number if it is known."""
        return self.message if self.line is None else f"line {self.line}: {self.message}"

    def warned(self, **where: Any) -> Warned:
        """The finding as a `warning` record."""
        return Warned(**where, code=self.code, message=self.placed, line=self.line)


def finding_of(error: FileError, path: Path, line: int | None, code: str = "bad_line") -> Finding:
    """An error about one line as a finding, with the line number taken from its message."""
    message = str(error).removeprefix(f"{path}: ")
    in_line = _IN_LINE.match(message)
    if in_line is not None:
        line, message = int(in_line[1]), message[in_line.end() :]
    return Finding(path, message, line, code)
