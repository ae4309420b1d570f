"""Starts engine processes, and kills them with everything that they have started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from convtui.protocol import ENGINE_MARK


def spawn_engine(
    python: str, mark: str = "", environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """An engine process of this interpreter, which waits for its first frame. Raises OSError.

    `environment` takes the place of that of this process.
    """
    package_home = str(Path(__file__).resolve().parents[2])
    # Another interpreter has the provider's packages first and borrows ours after them.
    extra = [package_home]
    if Path(python).resolve() != Path(sys.executable).resolve() or not _same_prefix(python):
        extra += [entry for entry in sys.path if entry.endswith("site-packages")]
    boot = (
        f"import sys; sys.path.extend(p for p in {extra!r} if p not in sys.path);"
        " from convtui.engine.process.process import main; main()"
    )
    # -P: nothing in the current folder may shadow a module that we or the standard library need.
    command = [python, "-P", "-c", boot]
    env = {
        **(os.environ if environment is None else environment),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        ENGINE_MARK: mark,
    }
    if sys.platform == "win32":
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        start_new_session=True,
    )


def _same_prefix(python: str) -> bool:
    return Path(python).parent == Path(sys.executable).parent


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a process started by us with everything it started itself; harmless when it is gone."""
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            subprocess.run(
                ["taskkill", "/F", "/T", "/PID", str(process.pid)],
                capture_output=True,
                check=False,
            )
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def kill_marked(mark: str) -> None:
    """Kills what an engine has started outside of its group: whatever inherited its mark.

    Where there is no `/proc` to find it in, nothing is done.
    """
    wanted = f"{ENGINE_MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
