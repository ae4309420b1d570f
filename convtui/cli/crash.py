"""Reports a bug in convtui itself: the traceback in a file, one line on the screen."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
import traceback

from convtui import __version__
from convtui.config.paths import Paths
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import one_line


def write_crash(error: BaseException) -> str:
    """Writes the traceback, without secrets, to the state directory; returns the message."""
    redactor = _redactor(error)
    what = one_line(redactor.text(f"{type(error).__name__}: {error}"), 200)
    text = "".join(traceback.format_exception(error))
    head = f"convtui {__version__}, Python {platform.python_version()}, {sys.platform}\n\n"
    folder = Paths.find().state_dir / "crashes"
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with contextlib.closing(os.fdopen(handle, "w", encoding="utf-8", errors="replace")) as file:
            file.write(head + redactor.text(text))
    except OSError:
        return f"this is a bug in convtui: {what} (CONVTUI_TRACEBACK=1 shows where)"
    return f"this is a bug in convtui: {what}; the traceback is in {path}"


def _redactor(error: BaseException) -> Redactor:
    """A redactor for the secrets of the environment and of scenarios in the traceback."""
    redactor = Redactor.of_process()
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            break
        for frame, _line in traceback.walk_tb(seen.__traceback__):
            for value in list(frame.f_locals.values()):
                scenario = (
                    value if isinstance(value, Scenario) else getattr(value, "scenario", None)
                )
                if isinstance(scenario, Scenario):
                    scenario.tell(redactor)
        seen = seen.__cause__ or seen.__context__
    return redactor
