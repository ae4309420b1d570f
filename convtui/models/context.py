"""What the code of one call is told about the call it is part of."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

current_call: ContextVar[int | None] = ContextVar("convtui_current_call", default=None)
"""The `seq` of the `llm.request` that is in flight in this context; for capture of HTTP traffic and
of output."""

current_warn: ContextVar[Callable[[str, str], None] | None] = ContextVar(
    "convtui_current_warn", default=None
)
"""Puts a warning about the call in flight on record: its code and what it says, each code once a
call. None outside of calls."""
