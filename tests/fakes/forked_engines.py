"""Engine processes that start at once: forked from a process that has imported everything.

An engine imports for most of a second, one that asks a model for several. Forked ones differ in
nothing else: each has pipes, a process group, an environment and a working directory of its own.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from convtui.client import spawn
from convtui.protocol import ENGINE_MARK
from tests.fakes.fork_server import READY
from tests.fakes.openai_server import OpenAIServer
from tests.places import ROOT

_BOOT = (
    f"import sys; sys.path.extend(p for p in [{str(ROOT)!r}] if p not in sys.path);"
    " from tests.fakes.fork_server import serve; serve(int(sys.argv.pop()))"
)
_start_process = spawn.spawn_engine


class ForkedEngines:
    """Starts engines in place of `spawn_engine`; the server starts with the first of them.

    May be called from several threads.
    """

    def __init__(self) -> None:
        self._server: subprocess.Popen[bytes] | None = None
        self._requests, self._theirs = socket.socketpair()
        self._ready = False
        self._lock = threading.Lock()

    def spawn(
        self, python: str, mark: str = "", environment: Mapping[str, str] | None = None
    ) -> ForkedEngine | subprocess.Popen[bytes]:
        """A forked engine; for another interpreter, a process as usual."""
        if python != sys.executable:
            return _start_process(python, mark, environment)
        own = {**(os.environ if environment is None else environment), ENGINE_MARK: mark}
        request = json.dumps([own, str(Path.cwd()), OpenAIServer.running > 0]).encode()
        stdin, to_engine = os.pipe()
        from_engine, stdout = os.pipe()
        errors, stderr = os.pipe()
        status, status_written = os.pipe()
        theirs = [stdin, stdout, stderr, status_written]
        with self._lock:
            self._await_server()
            socket.send_fds(self._requests, [len(request).to_bytes(4)], theirs)
            self._requests.sendall(request)
            pid = int.from_bytes(self._requests.recv(4, socket.MSG_WAITALL))
        for fd in theirs:
            os.close(fd)
        return ForkedEngine(pid, to_engine, from_engine, errors, status)

    def start(self) -> None:
        """Starts the server, unless it runs; it needs seconds to get ready."""
        if self._server is not None:
            return
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, str(self._theirs.fileno())],
            pass_fds=[self._theirs.fileno()],
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
            start_new_session=True,
        )
        self._theirs.close()

    def wait_until_ready(self) -> None:
        """Starts the server if need be."""
        with self._lock:
            self._await_server()

    def _await_server(self) -> None:
        self.start()
        if not self._ready:
            self._ready = self._requests.recv(1) == READY
            assert self._ready, "the server of forked engines has ended"

    def close(self) -> None:
        """Ends the server; engines that still run end with their pipes."""
        self._requests.close()
        self._theirs.close()
        if self._server is not None:
            self._server.wait(30)


class ForkedEngine:
    """What `PipePort` needs of a `subprocess.Popen`."""

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int, status: int) -> None:
        self.pid = pid
        self.stdin = os.fdopen(stdin, "wb")
        self.stdout = os.fdopen(stdout, "rb")
        self.stderr = os.fdopen(stderr, "rb")
        self._status = 0
        self._ended = threading.Event()
        threading.Thread(target=self._await_end, args=[status], daemon=True).start()

    def _await_end(self, fd: int) -> None:
        with os.fdopen(fd, "rb") as status:
            self._status = int(status.read() or -1)
        self._ended.set()

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, as `subprocess.Popen.wait()` gives it."""
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("engine", timeout or 0)
        return self._status
