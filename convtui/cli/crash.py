"""What happens when convtui itself has a bug: a file with the traceback, one line on the screen."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
import traceback

from convtui import __version__
from convtui.paths import Paths
from convtui.text import one_line, redact, secret_values


def write_crash(error: BaseException) -> str:
    """Keeps the traceback, without secrets, in the state directory; returns what to tell."""
    secrets = secret_values()
    what = one_line(redact(f"{type(error).__name__}: {error}", secrets), 200)
    text = "".join(traceback.format_exception(error))
    head = f"convtui {__version__}, Python {platform.python_version()}, {sys.platform}\n\n"
    folder = Paths.find().state_dir / "crashes"
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with contextlib.closing(os.fdopen(handle, "w", encoding="utf-8", errors="replace")) as file:
            file.write(head + redact(text, secrets))
    except OSError:
        return f"this is a bug in convtui: {what} (CONVTUI_TRACEBACK=1 shows where)"
    return f"this is a bug in convtui: {what}; the traceback is in {path}"
