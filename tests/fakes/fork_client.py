"""What asks a fork server for processes, and a process that it has forked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.builders.waiting import WITHIN
from tests.fakes.fork_server import READY
from tests.places import ROOT


class ForkClient:
    """The way to a fork server, which is started with the first request.

    May be used from several threads.
    """

    def __init__(
        self,
        serve: str,
        server: socket.socket | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        """`serve` is the function of `fork_server` that the server runs, for others, too, if it
        has a `listener`; without one, a socket to the `server` that runs."""
        self._serve = serve
        self._listener = listener
        self._process: subprocess.Popen[bytes] | None = None
        self._theirs: socket.socket | None = None
        self._ready = server is not None
        self._lock = threading.Lock()
        if server is None:
            server, self._theirs = socket.socketpair()
        self._requests = server

    def start(self) -> None:
        """Starts the server, unless it runs; it needs a while to get ready."""
        if self._theirs is None:
            return
        boot = (
            f"import sys; sys.path.extend(p for p in [{str(ROOT)!r}] if p not in sys.path);"
            f" from tests.fakes.fork_server import {self._serve} as serve;"
            " serve(*map(int, sys.argv[1:]))"
        )
        fds = [own.fileno() for own in (self._theirs, self._listener) if own is not None]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", boot, *map(str, fds)],
            pass_fds=fds,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )
        for own in (self._theirs, self._listener):
            if own is not None:
                own.close()
        self._theirs = None

    def wait_until_ready(self) -> None:
        """Starts the server if need be."""
        with self._lock:
            self._await_server()

    def _await_server(self) -> None:
        self.start()
        if not self._ready:
            self._ready = self._requests.recv(1) == READY
            assert self._ready, "the server of forks has ended"

    def fork(
        self,
        fds: Sequence[int],
        environment: Mapping[str, str],
        folder: Path | str,
        **more: Any,
    ) -> tuple[int, int]:
        """A process with these standard streams and further descriptors, which are closed here.

        Its id, and where its exit status can be read.
        """
        request = {"environment": dict(environment), "folder": str(folder), **more}
        status, status_written = os.pipe()
        with self._lock:
            self._await_server()
            self._send(request, [status_written, *fds])
            pid = int.from_bytes(self._requests.recv(4, socket.MSG_WAITALL))
        for fd in (status_written, *fds):
            os.close(fd)
        return pid, status

    def another(self) -> int:
        """A socket, as a descriptor, from which another process can ask the same server."""
        ours, theirs = socket.socketpair()
        with self._lock:
            self._await_server()
            self._send(None, [theirs.fileno()])
        theirs.close()
        return ours.detach()

    def _send(self, request: dict[str, Any] | None, fds: Sequence[int]) -> None:
        data = json.dumps(request).encode()
        socket.send_fds(self._requests, [len(data).to_bytes(4)], fds)
        self._requests.sendall(data)

    def close(self) -> None:
        """Lets the server end once nobody else may ask it; forks that still run are left alone."""
        if self._theirs is None:
            self._await_server()  # a socket that is closed with an answer unread is an error to it
        self._requests.close()
        if self._theirs is not None:
            self._theirs.close()
        if self._process is not None:
            self._process.wait(WITHIN)


class ForkedProcess:
    """What is used of a `subprocess.Popen`, for a process that is a child of the server's."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._await_end, args=[status], daemon=True).start()

    def _await_end(self, fd: int) -> None:
        with os.fdopen(fd, "rb") as status:
            self.returncode = int(status.read() or -1)
        self._ended.set()

    def poll(self) -> int | None:
        return self.returncode if self._ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, as `subprocess.Popen.wait()` gives it."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired("fork", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Does nothing to a process that has ended, of which its server may know already."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
