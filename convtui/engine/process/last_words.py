"""What an engine says when it ends otherwise than it should."""

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


def unforeseen(error: BaseException) -> dict[str, Any]:
    """What ended the engine; its type stands in the text where it is no error of ours."""
    if isinstance(error, ConvtuiError):
        return describe_error(error)
    return describe_error(error, frames=own_frames(error)) | {"message": describe(error)}


def tell_of_exit(crash_fd: int) -> Callable[[int], NoReturn]:
    """Has `os._exit()` in provider code say where it is called before it ends the process.

    Returns the function that says nothing.
    """
    leave, engine = os._exit, os.getpid()

    def told(status: int) -> NoReturn:
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

    os._exit = told
    return leave
