"""What runs on a node: a worker process, whose frames and logs are handed on.

The actor adds nothing to the worker: it starts the same process as a batch on one machine does,
and passes on what comes out of it. Provider code runs in that process, not in the actor's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from convtui import __version__
from convtui.batch.ray.environment import of_node
from convtui.batch.ray.shipping import FolderWatch, Piece
from convtui.client.pipe_port import PipePort
from convtui.protocol import Kind

_AT_ONCE: Final = 8 << 20
"""Bytes of frames that are handed on in one go."""
_GATHER: Final = 0.01
"""Seconds that more frames are waited for before the first are handed on."""


@dataclass(slots=True)
class Node:
    """Where a worker runs."""

    pid: int | None
    """Of the worker."""
    actor: int
    """The process around it."""
    host: str
    version: str
    """Of convtui."""
    project: str
    """The copy of the user's folder."""
    logs: str | None
    """The folder of the logs there; None where it is the batch's own."""


@dataclass(slots=True)
class Handed:
    """What has come from a worker since the last time, in this order: pieces first."""

    pieces: list[Piece] = field(default_factory=list)
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Lines from its standard error."""
    ended: bool = False
    status: int | None = None


class WorkerHost:
    """One worker process on this node. An actor: its methods are called through Ray."""

    def __init__(self) -> None:
        self._port: PipePort | None = None
        self._frames: deque[tuple[int, bytes]] = deque()
        self._errors: deque[str] = deque()
        self._something = asyncio.Event()
        self._ended: int | str | None = ""
        """The exit status, once it has ended; until then text."""
        self._folder: Path | None = None
        self._watch: FolderWatch | None = None

    async def start(self, environment: Mapping[str, str], mark: tuple[str, str] | None) -> Node:
        """Starts the worker. `environment` is added to what the node has for it.

        `mark` are path and content of a file in the batch's folder: where it is found, that folder
        is shared and logs are written there. Raises `EngineError`.
        """
        if mark is None or not await asyncio.to_thread(_has, *mark):
            self._folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="convtui-logs-"))
            (self._folder / "out").mkdir()
            self._watch = FolderWatch(self._folder / "out")
        loop = asyncio.get_running_loop()
        port = PipePort(environment={**of_node(os.environ), **environment})

        def wake() -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._something.set)

        def on_frame(kind: Kind, body: bytes) -> None:
            self._frames.append((int(kind), body))
            wake()

        def on_error_line(line: str) -> None:
            self._errors.append(line)
            wake()

        def on_end(status: int | None) -> None:
            self._ended = status
            wake()

        port.on_frame, port.on_error_line, port.on_end = on_frame, on_error_line, on_end
        await port.open()
        self._port = port
        return Node(
            pid=port.pid,
            actor=os.getpid(),
            host=platform.node(),
            version=__version__,
            project=str(Path.cwd()),
            logs=None if self._folder is None else str(self._folder / "out"),
        )

    async def send(self, frames: bytes) -> None:
        """Passes frames to the worker."""
        if self._port is not None:
            self._port.send(frames)

    async def keep(self, name: str, data: bytes) -> str:
        """Keeps a file that a conversation begins with; returns where."""
        assert self._folder is not None
        path = self._folder / name
        await asyncio.to_thread(path.write_bytes, data)
        return str(path)

    async def take(self, seconds: float) -> Handed:
        """What has come since the last time; waits for it, at most that long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._something.wait(), seconds)
            await asyncio.sleep(_GATHER)
        self._something.clear()
        handed = Handed()
        # The status comes last: what the frames before it say has to be taken, too.
        ended = self._ended
        size = 0
        while self._frames and size < _AT_ONCE:
            handed.frames.append(self._frames.popleft())
            size += len(handed.frames[-1][1])
        while self._errors:
            handed.errors.append(self._errors.popleft())
        if self._frames:
            self._something.set()
        elif not isinstance(ended, str):
            handed.ended, handed.status = True, ended
        if self._watch is not None:
            # After the frames: a log that is said to be closed is there to its end.
            handed.pieces = await asyncio.to_thread(self._watch.growth)
        return handed

    async def close(self) -> None:
        """Has the worker close its logs and end."""
        if self._port is not None:
            await self._port.close()

    async def kill(self) -> None:
        """Kills the worker with everything that it has started."""
        if self._port is not None:
            self._port.kill()

    async def clean_up(self) -> None:
        """Removes the logs, which have been handed on."""
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)


def _has(path: str, content: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return Path(path).read_text() == content
    return False
