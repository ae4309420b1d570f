"""Folders with files of several formats: what the format of a folder leaves to others."""

from __future__ import annotations

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


def shares_beside(folder: Path, first: Format) -> list[Share]:
    """What other formats recognise among the files that `first` does not read, each file once.

    The home of a tool with a database may hold anything else: there only the folder itself counts.
    """
    inner = folder.rglob("*") if first.source is None else folder.iterdir()
    files = sorted(path for path in inner if path.is_file())
    if first.files is not None:
        read = set(first.files(folder))
        left = [path for path in files if path not in read]
    else:
        left = _others(first, files)
    shares: list[Share] = []
    for known in formats():
        if not left:
            break
        if known.name == first.name or known.read is None or known.detect is None:
            continue
        rest = _others(known, left)
        if len(rest) < len(left):
            shares.append(Share(known, [path for path in left if path not in set(rest)]))
            left = rest
    return shares


def _others(known: Format, files: list[Path]) -> list[Path]:
    assert known.detect is not None
    return [path for path in files if not known.detect(path)]
