"""Engine processes that start at once: forked from a process that has imported everything.

An engine imports for most of a second, one that asks a model for several. Forked ones differ in
nothing else: each has pipes, a process group, an environment and a working directory of its own.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from convtui.client import spawn
from convtui.protocol import ENGINE_MARK
from tests.fakes.fork_client import ForkClient, ForkedProcess
from tests.fakes.openai_server import OpenAIServer
from tests.fakes.raw_http import RawEndpoint

_start_process = spawn.spawn_engine


class ForkedEngines(ForkClient):
    """Starts engines in place of `spawn_engine`."""

    def __init__(
        self, server: socket.socket | None = None, listener: socket.socket | None = None
    ) -> None:
        super().__init__("serve_engines", server, listener)
        self._that_ask_models: ForkClient | None = None
        self._first_of_them = threading.Lock()

    @classmethod
    def listening(cls, address: Path) -> ForkedEngines:
        """With a server of their own, to which others can connect, too."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(address))
        listener.listen()
        return cls(listener=listener)

    @classmethod
    def connected(cls, address: str) -> ForkedEngines:
        """Those of the server at an address."""
        server = socket.socket(socket.AF_UNIX)
        server.connect(address)
        engines = cls(server)
        engines._ready = False  # the server says on each connection when it is
        return engines

    def spawn(
        self, python: str, mark: str = "", environment: Mapping[str, str] | None = None
    ) -> ForkedEngine | subprocess.Popen[bytes]:
        """A forked engine; for another interpreter, a process as usual."""
        if python != sys.executable:
            return _start_process(python, mark, environment)
        own = {**(os.environ if environment is None else environment), ENGINE_MARK: mark}
        stdin, to_engine = os.pipe()
        from_engine, stdout = os.pipe()
        errors, stderr = os.pipe()
        asks_models = OpenAIServer.running + RawEndpoint.running > 0
        server = self._model_client() if asks_models else self
        pid, status = server.fork([stdin, stdout, stderr], own, Path.cwd(), asks_models=asks_models)
        return ForkedEngine(pid, status, (to_engine, from_engine, errors))

    def _model_client(self) -> ForkClient:
        """A way of its own: whoever has asked for models is served by the larger process only."""
        with self._first_of_them:
            if self._that_ask_models is None:
                server = socket.socket(fileno=self.another())
                self._that_ask_models = ForkClient("serve_engines", server)
            return self._that_ask_models

    def close(self) -> None:
        if self._that_ask_models is not None:
            self._that_ask_models.close()
        super().close()


class ForkedEngine(ForkedProcess):
    """What `PipePort` needs of a `subprocess.Popen`."""

    def __init__(self, pid: int, status: int, pipes: tuple[int, int, int]) -> None:
        super().__init__(pid, status)
        stdin, stdout, stderr = pipes
        self.stdin = os.fdopen(stdin, "wb")
        self.stdout = os.fdopen(stdout, "rb")
        self.stderr = os.fdopen(stderr, "rb")
