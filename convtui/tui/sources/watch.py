"""Waits for files to change, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from convtui.files.regular import is_dir

POLL_MS = 500
"""Milliseconds between checks of the files: not every file system reports changes."""

Stamp = dict[Path, tuple[int, int] | None]


def stamp(paths: Iterable[Path], suffix: str = "") -> Stamp:
    """Time and size of each file, and of the files in each folder. Blocking.

    With a `suffix`, only files in a folder that end with it count.
    """
    stamps: Stamp = {}
    for path in paths:
        if not suffix or not is_dir(path):
            stamps[path] = _stamp(path)
        with contextlib.suppress(OSError):
            if path.is_dir():
                for entry in os.scandir(path):
                    if entry.name.endswith(suffix):
                        stamps[Path(entry.path)] = _stamp(Path(entry.path))
    return stamps


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


async def changed(paths: Iterable[Path], before: Stamp | None = None, suffix: str = "") -> None:
    """Waits until one of `paths` (files or folders) differs from `before` (default: now).

    `before` and `suffix` are those of `stamp()`.
    """
    paths = list(paths)
    if before is None:
        before = await asyncio.to_thread(stamp, paths, suffix)
    # Importing it takes longer than a frame.
    awatch = await asyncio.to_thread(_awatch)
    # Editors replace files: only a watch on the folder notices that.
    folders = {path if is_dir(path) else path.parent for path in paths}
    folders = {folder for folder in folders if is_dir(folder)}
    if not folders:
        while await asyncio.to_thread(stamp, paths, suffix) == before:  # noqa: ASYNC110
            await asyncio.sleep(POLL_MS / 1000)
        return
    if await asyncio.to_thread(stamp, paths, suffix) != before:
        return
    stop = asyncio.Event()
    watching = awatch(
        *folders,
        watch_filter=None,
        debounce=80,
        step=20,
        recursive=False,
        rust_timeout=POLL_MS,
        yield_on_timeout=True,
        stop_event=stop,
    )
    try:
        async for _ in watching:
            if await asyncio.to_thread(stamp, paths, suffix) != before:
                return
    finally:
        stop.set()
        await watching.aclose()


def _awatch():  # type: ignore[no-untyped-def]
    from watchfiles import awatch

    return awatch
