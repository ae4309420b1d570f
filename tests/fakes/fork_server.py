"""The process that others are forked from: one for engines, one for the program itself.

It has one thread, has imported everything, and has nothing open but its sockets. A request is the
length of a JSON object, in four bytes, and the object. With the length come descriptors: where the
exit status is to be written, then those of the process. The answer is the process's id. The request
`null` comes with another socket on which requests will come.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

READY: Final = b"!"
"""What it sends when everything is imported, but for what asks models."""
_FIRST_OWN: Final = 3
"""The descriptors of a process after the standard ones."""


class ForkServer:
    """Forks a process for each request until all that could send one have closed their sockets."""

    def __init__(self, requests: socket.socket, become: Callable[[Any, list[int]], None]) -> None:
        """`become` is called in the fork, with the request and the process's descriptors."""
        self._clients = [requests]
        self._become = become
        self._running: dict[int, int] = {}
        """Where to write the exit status of each process."""

    def serve(self) -> bool:
        """Returns when nobody asks any more, and in each fork; whether this is one."""
        self._clients[0].sendall(READY)
        ended, ended_written = os.pipe()
        os.set_blocking(ended_written, False)
        signal.set_wakeup_fd(ended_written)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while self._clients:
            sources = {client.fileno(): client for client in self._clients}
            ready, _, _ = select.select([ended, *sources], [], [])
            for source in ready:
                if source == ended:
                    os.read(ended, 1 << 12)
                    self._report_ended()
                elif self._answer(sources[source]):
                    return True
        return False

    def _answer(self, client: socket.socket) -> bool:
        """Does what is asked for; whether this process is the fork."""
        head, fds, _, _ = socket.recv_fds(client, 4, 5)
        if not head:
            self._clients.remove(client)
            client.close()
            return False
        request = json.loads(client.recv(int.from_bytes(head), socket.MSG_WAITALL))
        if request is None:
            self._clients.append(socket.socket(fileno=fds[0]))
            return False
        if request["asks_models"]:
            load_models()
        status, *own = fds
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in self._clients:
                other.detach()
            self._become(request, own)
            return True
        self._running[pid] = status
        for fd in own:
            os.close(fd)
        client.sendall(pid.to_bytes(4))
        return False

    def _report_ended(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                with os.fdopen(self._running.pop(pid), "wb") as written:
                    written.write(str(os.waitstatus_to_exitcode(status)).encode())


def import_all(*packages: str) -> None:
    """Imports every module of these packages."""
    for name in packages:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):  # it would run
                importlib.import_module(module.name)
    _settle()


@functools.cache
def load_models() -> None:
    """For engines that ask a model: it takes seconds, and makes every fork after it slower."""
    from convtui.models.litellm_client import load_litellm

    load_litellm()
    import openai

    openai.AsyncOpenAI(api_key="none").chat.completions  # noqa: B018
    _settle()


def _settle() -> None:
    gc.collect()
    gc.freeze()


def become_process(request: dict[str, Any], fds: Sequence[int]) -> None:
    """Leads a session of its own, with this environment, folder and descriptors."""
    os.setsid()
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    os.closerange(max(_FIRST_OWN, len(fds)), 1 << 12)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])


def serve_engines(fd: int) -> None:
    """Forks engines."""
    import_all("convtui.engine", "convtui.providers", "convtui.simulators", "convtui.models")
    ForkServer(socket.socket(fileno=fd), _become_engine).serve()


def _become_engine(request: dict[str, Any], fds: list[int]) -> None:
    from convtui.engine.process.process import main

    try:
        become_process(request, fds)
        sys.argv = ["-c"]
        main()
    finally:
        os._exit(1)


def serve_programs(fd: int) -> None:
    """Forks `convtui` in a terminal; in the fork it is that."""
    import_all("convtui.cli", "convtui.tui")
    if ForkServer(socket.socket(fileno=fd), _become_program).serve():
        from convtui.cli import main

        main()


def _become_program(request: dict[str, Any], fds: list[int]) -> None:
    """The standard streams are a terminal; what follows them is the way to the forked engines."""
    import fcntl
    import termios

    from convtui.client import spawn
    from tests.fakes.forked_engines import ForkedEngines

    become_process(request, fds)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    stdin = os.fdopen(0, encoding="utf-8")
    stdout = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape")
    stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
    for name, stream in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = request["arguments"]
    engines = ForkedEngines(socket.socket(fileno=_FIRST_OWN))
    spawn.spawn_engine = engines.spawn  # type: ignore[assignment]
