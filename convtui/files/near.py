"""The file that was probably meant by the name of one that is not there."""

from __future__ import annotations

from pathlib import Path

from convtui.errors import nearest

_MOST = 1000


def near_file(path: Path, *, named_by: Path | None = None) -> str:
    """`, did you mean 'x.yaml'?` for a file beside `path`, else an empty string.

    Only names count, not the suffix that they share; `named_by` is the file that names it, which
    is never meant.
    """
    try:
        beside = [
            entry.name
            for entry in path.parent.iterdir()
            if entry.suffix == path.suffix and not _same(entry, named_by)
        ]
    except OSError:
        return ""
    stems = {name.removesuffix(path.suffix): name for name in beside[:_MOST]}
    near = nearest(path.stem, stems)
    return f", did you mean {stems[near]!r}?" if near is not None else ""


def _same(entry: Path, other: Path | None) -> bool:
    return other is not None and entry.absolute() == other.absolute()
