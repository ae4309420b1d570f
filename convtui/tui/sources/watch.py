"""Waiting for files to change, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

LOOK_EVERY = 500
"""Milliseconds after which files are looked at even when nothing was reported: not every file
system reports."""

Stamp = dict[Path, tuple[int, int] | None]


def stamp(paths: Iterable[Path], suffix: str = "") -> Stamp:
    """Time and size of each file; folders count with what they hold. Blocking.

    With a `suffix` only those files of a folder count that end with it.
    """
    found: Stamp = {}
    for path in paths:
        if not suffix or not path.is_dir():
            found[path] = _stamp(path)
        with contextlib.suppress(OSError):
            if path.is_dir():
                for entry in os.scandir(path):
                    if entry.name.endswith(suffix):
                        found[Path(entry.path)] = _stamp(Path(entry.path))
    return found


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


async def changed(paths: Iterable[Path], before: Stamp | None = None, suffix: str = "") -> None:
    """Waits until one of `paths` (files or folders) is different from `before` (default: now).

    `before` and `suffix` as in `stamp()`.
    """
    paths = list(paths)
    if before is None:
        before = await asyncio.to_thread(stamp, paths, suffix)
    # Importing it costs more than a frame.
    awatch = await asyncio.to_thread(_awatch)
    # Editors replace files: the folder sees it, the old file's watch would not.
    folders = {path if path.is_dir() else path.parent for path in paths}
    folders = {folder for folder in folders if folder.is_dir()}
    if not folders:
        while await asyncio.to_thread(stamp, paths, suffix) == before:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY / 1000)
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
        rust_timeout=LOOK_EVERY,
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
