"""What the readers of files with chats share: recognising them, finding them below a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.log.formats.chat.conversation import Chat, imported_all
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import files_below, first_value
from convtui.log.formats.json_objects import files_of
from convtui.log.formats.registry import Format, Imported

Chats = Callable[[Path, list[Finding]], Iterator[Chat]]
"""Reads the chats of a file; what cannot be read goes into the list."""


@dataclass(slots=True, frozen=True)
class ChatFiles:
    """Files that are recognised by the value they begin with."""

    what: str
    """What they are, in words: `sessions of Codex`."""
    is_value: Callable[[Any], bool]
    """Whether a file begins with a value of this format; `None` is a file without one."""
    chats: Chats

    def detect(self, path: Path) -> bool:
        """Whether a file is one of them, or a folder holds some. Never raises."""
        if path.is_dir():
            return bool(files_below(path, self._is_one))
        return self._is_one(path)

    def _is_one(self, path: Path) -> bool:
        return self.is_value(first_value(path))

    def files(self, path: Path) -> list[Path]:
        """The files that are read for a path. Raises `FileError` for a folder without any."""
        return files_of(
            path, lambda folder: files_below(folder, self._is_one), self._is_one, self.what
        )

    def read(self, path: Path) -> Iterator[Imported]:
        """The conversations of a file, or of a folder's files in the order of their names.

        Raises `FileError` for what holds none.
        """
        for file in self.files(path):
            damage: list[Finding] = []
            yield from imported_all(self.chats(file, damage), file, damage)

    def format(
        self, name: str, description: str, keys: tuple[str, ...], *, generic: bool = False
    ) -> Format:
        """The format that reads them."""
        return Format(
            name=name,
            description=description,
            detect=self.detect,
            read=self.read,
            files=self.files,
            keys=keys,
            generic=generic,
        )
