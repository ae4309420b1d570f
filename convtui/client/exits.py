"""Why an engine process ended, in words and as an error."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convtui.errors import EngineError


def failure_of(error: Mapping[str, Any] | None) -> EngineError:
    """The error of an engine that could not start, `{message, frames?, exit_code?}`, to raise."""
    described = dict(error or {"message": "the engine did not start"})
    failure = EngineError("\n".join([str(described["message"]), *described.get("frames", ())]))
    # A SPEC that names nothing is bad usage, whichever process has found that out.
    failure.exit_code = int(described.get("exit_code", failure.exit_code))
    failure.error = described
    return failure


def crash_frames(text: str) -> list[str]:
    """The lines of a crash report worth showing: the error and the user's own frames."""
    ours = str(Path(__file__).resolve().parents[1])
    library = str(Path(os.__file__).resolve().parent)
    lines = [
        line.rstrip()
        for line in text.split("\n")
        if line.startswith(("Fatal", "Current thread", "Traceback"))
        or (line.startswith('  File "') and ours not in line and library not in line)
        or (line and not line.startswith((" ", "Thread", "Extension modules")))
    ]
    return lines[:12]


def describe_exit(status: int, *, begun: bool = True) -> str:
    """How a process ended, in words; `begun` is whether it had opened a log."""
    kept = "; everything said is in the log" if begun else ""
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = str(-status)
        why = {
            "SIGSEGV": " (a crash in native code)",
            "SIGKILL": " (killed, or out of memory)",
            "SIGABRT": " (aborted)",
        }.get(name, "")
        return f"the engine was ended by {name}{why}{kept}"
    when = "before it closed its log" if begun else "before there was a log"
    return (
        f"the engine exited with status {status} {when}: did provider code call os._exit(), or"
        f" close file descriptors that are not its own?{' Everything said is in the log' * begun}"
    )
