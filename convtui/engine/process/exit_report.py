"""Reports why an engine ended unexpectedly."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from convtui.errors import ConvtuiError
from convtui.protocol import describe_error
from convtui.text.causes import describe
from convtui.text.tracebacks import is_own, own_frames


def describe_unforeseen(error: BaseException) -> dict[str, Any]:
    """The error that ended the engine, as `describe_error()` gives it.

    The message of an exception that is no `ConvtuiError` begins with its type.
    """
    if isinstance(error, ConvtuiError):
        return describe_error(error)
    return describe_error(error, frames=own_frames(error)) | {"message": describe(error)}


def report_exit(crash_fd: int) -> Callable[[int], NoReturn]:
    """Replaces `os._exit()` by one that writes its caller's stack to `crash_fd` first.

    Returns the original, which reports nothing.
    """
    leave, engine = os._exit, os.getpid()

    def report_and_exit(status: int) -> NoReturn:
        if os.getpid() != engine:
            leave(status)
        frame: FrameType | None = sys._getframe(1)
        lines = [f"Fatal: os._exit({status!r}) was called"]
        while frame is not None:
            code = frame.f_code
            if is_own(code.co_filename):
                lines.append(
                    f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}'
                )
            frame = frame.f_back
        if len(lines) > 1:
            with contextlib.suppress(OSError):
                os.write(crash_fd, ("\n".join(lines) + "\n").encode(errors="replace"))
        leave(status)

    os._exit = report_and_exit
    return leave
