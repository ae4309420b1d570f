"""The root of the project that a file belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from convtui.files.regular import exists

_MARKS: Final = ("pyproject.toml", "setup.py", "setup.cfg", ".git")


def project_root(folder: Path) -> Path | None:
    """The nearest folder, from `folder` up, that has a project's file or repository; else None."""
    around = (folder, *folder.parents)
    return next((path for path in around if any(exists(path / mark) for mark in _MARKS)), None)
