"""Writing a file that may be there already: whole, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from convtui.errors import FileError
from convtui.files.regular import exists, is_other, real_path


def replace_file(path: Path, text: str) -> None:
    """Writes `text` as UTF-8; where that fails, what was there before is still there.

    A link stays one, and a pipe or device is written to. Raises `FileError` when the file cannot be
    written.
    """
    try:
        if is_other(path):
            path.write_text(text, encoding="utf-8")
            return
        target = real_path(path)
        mode = target.stat().st_mode if exists(target) else None
        part = target.with_name(f".{os.getpid()}.part")
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
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path}: cannot be written: {reason}") from error
