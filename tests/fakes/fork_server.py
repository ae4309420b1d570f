"""The process that others are forked from: one for engines, one for the program itself.

It has one thread, has imported everything, and has nothing open but its sockets. A request is the
length of a JSON object, in four bytes, and the object. With the length come descriptors: where the
exit status is to be written, then those of the process. The answer is the process's id. The request
`null` comes with another socket on which requests will come; others connect to its address.

What loads models is a second server, forked when somebody first asks for it. Whoever asks is served
by that one from then on.
"""

from __future__ import annotations

import contextlib
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

    def __init__(
        self,
        requests: socket.socket,
        become: Callable[[Any, list[int]], None],
        listener: socket.socket | None = None,
    ) -> None:
        """`become` is called in the fork, with the request and the process's descriptors."""
        self._clients = [requests]
        self._become = become
        self._listener = listener
        self._running: dict[int, int] = {}
        """Where to write the exit status of each process."""
        self._ended = -1
        """Where it can be read that some have ended."""
        self._model_server: socket.socket | None = None
        """The way to the server that loads models; in that one, where clients come from."""
        self._has_models = False

    def serve(self) -> bool:
        """Returns when nobody asks any more, and in each fork; whether this is one."""
        self._clients[0].sendall(READY)
        self._watch_children()
        while self._clients:
            sources = {client.fileno(): client for client in self._clients}
            waiting = [self._ended, *sources]
            if self._listener is not None:
                waiting.append(self._listener.fileno())
            ready, _, _ = select.select(waiting, [], [])
            for source in ready:
                if source == self._ended:
                    os.read(self._ended, 1 << 12)
                    self._report_ended()
                elif source not in sources:
                    self._accept()
                elif self._answer(sources[source]):
                    return True
                elif self._ended not in waiting:
                    break  # this is the server that loads models now
        return False

    def _watch_children(self) -> None:
        self._ended, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _accept(self) -> None:
        assert self._listener is not None
        client = self._listener.accept()[0]
        client.sendall(READY)
        self._clients.append(client)

    def _answer(self, client: socket.socket) -> bool:
        """Does what is asked for; whether this process is the fork."""
        head, fds, _, _ = socket.recv_fds(client, 4, 6)
        if not head:
            self._clients.remove(client)
            client.close()
            return False
        body = client.recv(int.from_bytes(head), socket.MSG_WAITALL)
        if self._has_models and client is self._model_server:
            client = socket.socket(fileno=fds.pop(0))
            self._clients.append(client)
        request = json.loads(body)
        if request is None:
            self._clients.append(socket.socket(fileno=fds[0]))
            return False
        if request["asks_models"] and not self._has_models:
            self._hand_over(client, head, body, fds)
            return False
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

    def _hand_over(self, client: socket.socket, head: bytes, body: bytes, fds: list[int]) -> None:
        """Gives a client, and what it has asked for, to the server that loads models."""
        if self._model_server is None:
            self._model_server, theirs = socket.socketpair()
            if os.fork() == 0:
                self._serve_models(theirs, fds)
                return
            theirs.close()
        socket.send_fds(self._model_server, [head], [client.fileno(), *fds])
        self._model_server.sendall(body)
        self._clients.remove(client)
        client.close()
        for fd in fds:
            os.close(fd)

    def _serve_models(self, requests: socket.socket, fds: list[int]) -> None:
        """Becomes the server that loads models."""
        for other in (*self._clients, self._model_server, self._listener):
            if other is not None:
                other.close()
        for fd in (*self._running.values(), *fds, self._ended):
            os.close(fd)
        os.close(signal.set_wakeup_fd(-1))
        self._clients, self._model_server = [requests], requests
        self._listener, self._has_models, self._running = None, True, {}
        load_models()
        self._watch_children()

    def _report_ended(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid in self._running:
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


def make_ready() -> None:
    """Does once what every engine does before its first turn: it checks a scenario, and compiles
    the patterns of its text checks.
    """
    from pydantic import BaseModel

    from convtui.simulators.base import UserSimulator
    from convtui.text_checks.text_checks import TextChecks

    for model in _below(BaseModel):
        if model.__module__.partition(".")[0] == "convtui":
            model.model_rebuild()
    TextChecks(sentinels=[UserSimulator.end_sentinel], names={"persona": "Maya"})
    _settle()


def _below(kind: type[Any]) -> set[type[Any]]:
    return {kind}.union(*map(_below, kind.__subclasses__()))


def load_models() -> None:
    """For engines that ask a model: it takes seconds, and makes every fork after it slower."""
    from convtui.models.litellm_client import load_litellm

    load_litellm()
    import openai
    from litellm.litellm_core_utils import default_encoding  # noqa: F401

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


def serve_engines(fd: int, listener: int | None = None) -> None:
    """Forks engines, also for those that connect to a listening socket."""
    import_all("convtui.engine", "convtui.providers", "convtui.simulators", "convtui.models")
    make_ready()
    others = None if listener is None else socket.socket(fileno=listener)
    ForkServer(socket.socket(fileno=fd), _become_engine, others).serve()


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
