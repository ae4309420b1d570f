"""What the code of one call is told about the call it is part of."""

from __future__ import annotations

from contextvars import ContextVar

current_call: ContextVar[int | None] = ContextVar("convtui_current_call", default=None)
"""The `seq` of the `llm.request` that is in flight in this context; for capture of HTTP traffic and
of output."""
