"""Variables of `--env-file`, in a process whose conversations share one environment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from convtui.errors import UsageError
from convtui.files.env import read_env_file


def apply_env_file(env_file: str | None) -> None:
    """Sets the variables of a file in this process, for good. Raises `FileError`."""
    if env_file:
        os.environ.update(read_env_file(env_file))


@dataclass(slots=True)
class _Borrowed:
    value: str
    before: str | None
    file: str
    users: int = 0


class BorrowedEnvironment:
    """Sets variables while conversations that run side by side need them.

    The environment is the process's, so that no two of them can have a variable with two values.
    """

    def __init__(self) -> None:
        self._variables: dict[str, _Borrowed] = {}
        self._lock = threading.Lock()

    def borrow(self, env_file: str | None) -> Callable[[], None]:
        """Sets the variables of a file; call the result when they are not needed any more.

        With the last user of a variable it is as it was before. Raises `FileError` without the
        file, and `UsageError` where a conversation that still runs has another value.
        """
        if not env_file:
            return lambda: None
        variables = read_env_file(env_file)
        with self._lock:
            for name, value in variables.items():
                known = self._variables.get(name)
                if known is not None and known.value != value:
                    raise UsageError(
                        f"{env_file}: {name} has another value in {known.file}, of a conversation"
                        " that still runs in this process; run them one after the other, or with"
                        " `convtui run`, which starts a process for each"
                    )
            for name, value in variables.items():
                if name not in self._variables:
                    self._variables[name] = _Borrowed(value, os.environ.get(name), env_file)
                self._variables[name].users += 1
                os.environ[name] = value
        return lambda: self._give_back(variables)

    def _give_back(self, variables: Mapping[str, str]) -> None:
        with self._lock:
            for name in variables:
                borrowed = self._variables[name]
                borrowed.users -= 1
                if borrowed.users:
                    continue
                del self._variables[name]
                if os.environ.get(name) != borrowed.value:
                    continue  # somebody else has set it since
                if borrowed.before is None:
                    del os.environ[name]
                else:
                    os.environ[name] = borrowed.before


ENVIRONMENT = BorrowedEnvironment()
"""That of this process."""
