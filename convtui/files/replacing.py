"""Writing a file that may be there already: whole, or not at all."""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from convtui.errors import FileError
from convtui.files.regular import exists, is_other, real_path

_ONLY_IN_PLACE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EBUSY})
"""Where a file can be written though its folder cannot, or is a mount of its own."""


def replace_file(path: Path, text: str) -> None:
    """Writes `text` as UTF-8; where that fails, what was there before is still there.

    A link stays one, and a pipe or device is written to. A file that no other can take the place of
    is written in place. Raises `FileError` when the file cannot be written.
    """
    try:
        if is_other(path):
            path.write_text(text, encoding="utf-8")
            return
        target = real_path(path)
        try:
            _replace(target, text)
        except OSError as error:
            if error.errno not in _ONLY_IN_PLACE or not exists(target):
                raise
            target.write_text(text, encoding="utf-8")
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path}: cannot be written: {reason}") from error


def _replace(target: Path, text: str) -> None:
    mode = target.stat().st_mode if exists(target) else None
    part = target.with_name(f".{token_hex(8)}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
        if mode is not None:
            part.chmod(mode)
        part.replace(target)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
