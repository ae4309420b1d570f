"""The way to a worker on a node: frames and logs travel over Ray."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from convtui import __version__
from convtui.batch.ray.cluster import Cluster, in_thread, mark_in, reason
from convtui.batch.ray.host import Handed, Node, WorkerHost
from convtui.batch.ray.shipping import Inbound
from convtui.errors import EngineError
from convtui.files.regular import read_regular
from convtui.log.names import free_log_path
from convtui.protocol import Kind, json_body, pack, pack_of, unpack_of

START_WITHIN: Final = 180.0
"""Seconds for a node to be found and to get the user's folder."""
CLOSE_WITHIN: Final = 10.0
"""Seconds for a worker to close its logs, and for those to arrive."""
_KILL_WITHIN: Final = 5.0
"""Seconds for a node to kill a worker."""
_TAKE_FOR: Final = 2.0
"""Seconds that one request for frames waits at most."""
_HEAD: Final = 5
"""Bytes before the body of a frame; the last of them is its kind."""


class RayPort:
    """A `WorkerPort` to a worker in a Ray actor; an actor that dies is a worker that dies.

    `folder` is the batch's. Where the node does not see it, the logs are written on the node and
    sent as they grow.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.pid: int | None = None
        self.on_frame: Callable[[Kind, bytes], None] = lambda kind, body: None
        self.on_error_line: Callable[[str], None] = lambda line: None
        self.on_end: Callable[[int | None], None] = lambda status: None
        self._cluster = cluster
        self._folder = folder
        self._actor: Any = None
        self._node: Node | None = None
        self._logs = Inbound(folder)
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._killed = False

    async def open(self) -> None:
        """Starts the actor and its worker. Raises `EngineError`."""
        try:
            await asyncio.to_thread(self._open)
        except EngineError:
            # Nothing refers to the actor any more: Ray ends it.
            self._actor = None
            raise
        sending = in_thread("send", self._send_all)
        in_thread("take", self._take_all, sending)

    def _open(self) -> None:
        ray = self._cluster.ray
        try:
            self._actor = self._cluster.actor(WorkerHost)
            with mark_in(self._folder) as mark:
                started = self._actor.start.remote(
                    dict(self._cluster.environment), mark if self._cluster.share else None
                )
                node: Node = ray.get(started, timeout=START_WITHIN)
        except ray.exceptions.GetTimeoutError as error:
            raise EngineError(
                f"no node had room for a worker within {START_WITHIN:g} s; fewer --workers need"
                " fewer cores"
            ) from error
        except ray.exceptions.RayTaskError as error:
            raise EngineError(f"the worker cannot be started on its node: {error.cause}") from error
        except ray.exceptions.RayError as error:
            raise EngineError(f"a node cannot run a worker: {_why_not(error)}") from error
        if node.version != __version__:
            raise EngineError(f"{node.host} has convtui {node.version}, this is {__version__}")
        if self._killed:
            raise EngineError("the worker was killed before it had started")
        self._node = node
        if self._cluster.local:
            self.pid = node.pid

    def send(self, frame: bytes) -> None:
        """Sends a frame, without waiting; dropped when the worker has gone."""
        self._outbox.put(frame)

    async def close(self) -> None:
        """Has the worker close its logs and end; killed if that takes over `CLOSE_WITHIN` s."""
        if self._node is None:
            return
        self._outbox.put(None)
        if not await asyncio.to_thread(self._over.wait, CLOSE_WITHIN):
            self.kill()
            await asyncio.to_thread(self._over.wait, CLOSE_WITHIN)

    def kill(self) -> None:
        """Kills the worker and everything it started."""
        if not self._killed:
            self._killed = True
            in_thread("kill", self._kill)

    def _kill(self) -> None:
        if self._actor is not None:
            with contextlib.suppress(Exception, SystemExit):
                self._cluster.ray.get(self._actor.kill.remote(), timeout=_KILL_WITHIN)

    # --- to the worker, in a thread

    def _send_all(self) -> None:
        # An actor that has died is noticed by the thread that takes.
        with contextlib.suppress(Exception, SystemExit):
            while (frame := self._outbox.get()) is not None:
                frames = [self._addressed(frame)]
                last = False
                while not self._outbox.empty():
                    more = self._outbox.get()
                    if more is None:
                        last = True
                        break
                    frames.append(self._addressed(more))
                # One after the other: an actor may begin calls in another order.
                self._cluster.ray.get(self._actor.send.remote(b"".join(frames)))
                if last:
                    break
            self._cluster.ray.get(self._actor.close.remote())

    def _addressed(self, frame: bytes) -> bytes:
        """A frame with the paths that its files have on the node."""
        kind = Kind(frame[_HEAD - 1])
        node = self._node
        assert node is not None
        if kind is Kind.HOST:
            project = self._cluster.project
            moved = [] if project is None else [[str(project), node.project]]
            # Variables come by name, whatever file they stand in here.
            return pack(kind, json_body(env_file=None, moved=moved, expendable=True))
        if kind is Kind.BEGIN and node.logs is not None:
            return pack(kind, self._begin_there(json.loads(frame[_HEAD:]), node.logs))
        return frame

    def _begin_there(self, order: dict[str, Any], folder: str) -> bytes:
        spec = order["spec"]
        spec["out_dir"], spec["env_file"] = folder, None
        if spec.get("log_name"):
            # The name is free on the node, where no other log of the batch is.
            spec["log_name"] = free_log_path(self._folder, spec["log_name"]).stem
        parent = spec.get("continue_from")
        if parent is not None:
            log = Path(parent["log"])
            kept = self._actor.keep.remote(log.name, read_regular(log))
            parent["log"] = self._cluster.ray.get(kept)
        return json_body(**order)

    # --- from the worker, in a thread

    def _take_all(self, sending: threading.Thread) -> None:
        ray = self._cluster.ray
        status: int | None = None
        try:
            while True:
                handed: Handed = ray.get(self._actor.take.remote(_TAKE_FOR))
                self._logs.write(handed.pieces)
                for number, body in handed.frames:
                    self._on_frame(Kind(number), body)
                for line in handed.errors:
                    self.on_error_line(line)
                if handed.ended:
                    status = handed.status
                    ray.get(self._actor.clean_up.remote())
                    break
        except ray.exceptions.RayError as error:
            self._fail(f"the worker's node lost it: {reason(error)}")
        except (OSError, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) else None
            self._fail(f"logs cannot be written here: {what or error}")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - Ray has been shut down
            self._fail(f"the connection to Ray has ended: {reason(error)}")
        self._outbox.put(None)
        self.on_end(status)
        self._over.set()
        sending.join()
        # Nothing refers to the actor any more: Ray ends it.
        self._actor = None

    def _on_frame(self, kind: Kind, body: bytes) -> None:
        """Hands a frame on, with the paths that its files have here."""
        if self._node is not None and self._node.logs is not None:
            if kind is Kind.ENDED:
                body = self._at_home(body)
            elif kind is Kind.OF:
                number, inner, rest = unpack_of(body)
                if inner is Kind.READY:
                    body = pack_of(number, inner, self._at_home(rest))[_HEAD:]
        self.on_frame(kind, body)

    def _at_home(self, body: bytes) -> bytes:
        data = json.loads(body)
        if data.get("log"):
            data["log"] = str(self._folder / os.path.basename(data["log"]))  # noqa: PTH119
        return json_body(**data)

    def _fail(self, message: str) -> None:
        if not self._killed:
            error = {"type": "EngineDied", "message": message}
            self.on_frame(Kind.FAILED, json_body(error=error))


def _why_not(error: BaseException) -> str:
    text = str(error)
    if "No module named" in text:
        module = text.partition("No module named")[2].split("\n")[0].strip(" '\"")
        return f"it has no Python module {module}: install convtui[ray] on the nodes"
    return reason(error)
