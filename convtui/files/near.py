"""The file that was probably meant by the name of one that is not there."""

from __future__ import annotations

from pathlib import Path

from convtui.errors import nearest
from convtui.files.regular import NOT_REGULAR, dead_link, open_regular

_MOST = 1000


def near_file(path: Path, *, named_by: Path | None = None) -> str:
    """`, did you mean 'x.yaml'?` for a file beside `path`, else an empty string.

    Of a symbolic link whose file is not there it says which that is. Only names count, not the
    suffix that they share; `named_by` is the file that names it, which is never meant.
    """
    target = dead_link(path)
    if target:
        return f": it is a link to {target}, which is not there"
    try:
        beside = [
            entry.name
            for entry in path.parent.iterdir()
            if entry.suffix == path.suffix and not _same(entry, named_by) and not dead_link(entry)
        ]
    except OSError:
        return ""
    stems = {name.removesuffix(path.suffix): name for name in beside[:_MOST]}
    near = nearest(path.stem, stems)
    return f", did you mean {stems[near]!r}?" if near is not None else ""


def no_file(path: Path, *, named_by: Path | None = None, what: str = "file") -> str:
    """Why a path is no file that can be read, with the path: a folder, a pipe, nothing at all."""
    try:
        open_regular(path).close()
    except (FileNotFoundError, NotADirectoryError):
        return f"{path}: there is no such {what}{near_file(path, named_by=named_by)}"
    except IsADirectoryError:
        return f"{path}: this is a folder, not a {what}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return f"{path}: {reason if reason == NOT_REGULAR else f'cannot be read: {reason}'}"
    return f"{path}: cannot be used as a {what}"


def _same(entry: Path, other: Path | None) -> bool:
    return other is not None and entry.absolute() == other.absolute()
