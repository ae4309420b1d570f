"""The folders of batches: how they are named, and which one goes on with a plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from convtui.errors import FileError
from convtui.files.regular import is_file, open_regular
from convtui.log.names import MANIFEST
from convtui.records.codec import decode
from convtui.records.values import as_object
from convtui.text.boundary import safe_name


def new_folder(parent: Path, title: str, now: datetime | None = None) -> Path:
    """A folder for a new batch below `parent`, named by its start and title as logs are; made here.

    Raises `FileError`.
    """
    now = datetime.now(UTC) if now is None else now.astimezone(UTC)
    stem = f"{now:%Y%m%dT%H%M%SZ}_{safe_name(title)}"
    for number in range(1, 1000):
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise FileError(f"{folder}: cannot be made: {error.strerror or error}") from None
        return folder
    raise FileError(f"{parent}: there are too many batches named {stem}")


def is_batch(path: Path) -> bool:
    """Whether it is the folder of a batch, or its manifest."""
    return path.name == MANIFEST or is_file(path / MANIFEST)


def batch_folders(parent: Path) -> list[Path]:
    """The folders of the batches in a folder of runs, the newest first."""
    try:
        found = [path.parent for path in parent.glob(f"*/{MANIFEST}")]
    except OSError:
        return []
    return sorted(found, key=lambda folder: folder.name, reverse=True)


def begun_with(folder: Path) -> dict[str, Any]:
    """The plan that a batch was begun with, as its manifest keeps it; empty if it cannot be read.

    Only the first line is read: there may be many batches, with many conversations each.
    """
    try:
        with open_regular(folder / MANIFEST) as file:
            head = decode(file.readline())
    except (OSError, ValueError):
        return {}
    return as_object(head.get("plan"))
