"""Folders with files of several formats: what the format of a folder leaves to others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from convtui.log.formats.registry import Format, formats


@dataclass(slots=True, frozen=True)
class Share:
    """The files of a folder that are in one format."""

    format: Format
    files: list[Path]

    @property
    def joins(self) -> bool:
        """Whether they are imported beside another format's, without being asked for.

        Files that only look like a format may be notes beside those of the tool that wrote them:
        they would tell the same conversations again. Of a database somebody has to choose.
        """
        return not self.format.generic and self.format.source is None


def shares_beside(folder: Path, first: Format, read: Collection[Path]) -> list[Share]:
    """What other formats recognise in a folder besides what `first` reads, each file once.

    `read` is what `first` reads: files, or the folder itself. The home of a tool with a database
    may hold anything else: there only the folder itself counts.
    """
    inner = folder.rglob("*") if first.source is None else folder.iterdir()
    left = sorted(path for path in inner if path.is_file() and path not in read)
    shares: list[Share] = []
    if first.files is None:
        _, left = _parted(first, left)
    for known in formats():
        if not left:
            break
        if known.name == first.name or known.read is None or known.detect is None:
            continue
        own, left = _parted(known, left)
        if own:
            shares.append(Share(known, own))
    return shares


def _parted(known: Format, files: list[Path]) -> tuple[list[Path], list[Path]]:
    """The files that a format recognises, and the others."""
    assert known.detect is not None
    own = [path for path in files if known.detect(path)]
    recognised = set(own)
    return own, [path for path in files if path not in recognised]
