"""How an engine process ended, in words."""

from __future__ import annotations

import os
import signal
from pathlib import Path


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
