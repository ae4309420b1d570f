"""The process that engines are forked from. It has one thread, and nothing open but its socket."""

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
from typing import Final, NoReturn

_PACKAGES = ("convtui.engine", "convtui.providers", "convtui.simulators", "convtui.models")
READY: Final = b"!"
"""What it sends when everything is imported, but for what asks models."""

_running: dict[int, int] = {}
"""Where to write the exit status of each process."""


def serve(fd: int) -> None:
    """Forks an engine for each request until the other side of the socket is closed."""
    requests = socket.socket(fileno=fd)
    _import_all()
    requests.sendall(READY)
    ended, ended_written = os.pipe()
    os.set_blocking(ended_written, False)
    signal.set_wakeup_fd(ended_written)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([fd, ended], [], [])
        if ended in ready:
            os.read(ended, 1 << 12)
            _report_ended()
        if fd in ready:
            head, fds, _, _ = socket.recv_fds(requests, 4, 4)
            if not head:
                return
            environment, folder, asks_models = json.loads(
                requests.recv(int.from_bytes(head), socket.MSG_WAITALL)
            )
            if asks_models:
                _load_models()
            stdin, stdout, stderr, status = fds
            pid = os.fork()
            if pid == 0:
                _run_engine([stdin, stdout, stderr], environment, folder)
            _running[pid] = status
            for used in (stdin, stdout, stderr):
                os.close(used)
            requests.sendall(pid.to_bytes(4))


def _import_all() -> None:
    for name in _PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            importlib.import_module(module.name)
    _settle()


@functools.cache
def _load_models() -> None:
    """For engines that ask a model: it takes seconds, and makes every fork after it slower."""
    from convtui.models.litellm_client import load_litellm

    load_litellm()
    import openai

    openai.AsyncOpenAI(api_key="none").chat.completions  # noqa: B018
    _settle()


def _settle() -> None:
    gc.collect()
    gc.freeze()


def _report_ended() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with os.fdopen(_running.pop(pid), "wb") as written:
                written.write(str(os.waitstatus_to_exitcode(status)).encode())


def _run_engine(fds: list[int], environment: dict[str, str], folder: str) -> NoReturn:
    """Becomes an engine, as if it had been started with this environment in this folder."""
    from convtui.engine.process.process import main

    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for target, fd in enumerate(fds):
            os.dup2(fd, target)
        os.closerange(3, 1 << 12)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["-c"]
        main()
    finally:
        os._exit(1)
