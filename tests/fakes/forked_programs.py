"""The program in a terminal, forked from a process that has imported everything.

It imports for most of a second, and so does each of its engines, which are forked, too. Each has a
terminal, a session, an environment and a working directory of its own.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.terminal import convtui, start_process
from tests.fakes.fork_client import ForkClient, ForkedProcess
from tests.fakes.forked_engines import ForkedEngines
from tests.places import ROOT

_COMMAND = convtui()
_CALLED = str(ROOT / "convtui" / "cli" / "__main__.py")


class ForkedPrograms(ForkClient):
    """Starts programs in place of `start_process`."""

    def __init__(self, engines: ForkedEngines) -> None:
        super().__init__("serve_programs")
        self._engines = engines

    def start_process(
        self,
        command: Sequence[str],
        terminal: int,
        *,
        env: Mapping[str, str],
        cwd: Path | str | None,
    ) -> ForkedProcess | subprocess.Popen[bytes]:
        """A forked program; another command is a process as usual."""
        words = list(command)
        if words[: len(_COMMAND)] != _COMMAND:
            return start_process(command, terminal, env=env, cwd=cwd)
        fds = [os.dup(terminal), os.dup(terminal), os.dup(terminal), self._engines.another()]
        arguments = [_CALLED, *words[len(_COMMAND) :]]
        folder = Path.cwd() if cwd is None else cwd
        return ForkedProcess(*self.fork(fds, env, folder, arguments=arguments, asks_models=False))
