"""Calls of hooks and other events of the lifecycle, on one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convtui.text.boundary import visible_line
from convtui.transcript.fold import HOOK_RECORDS

if TYPE_CHECKING:
    from convtui.tui.drawing.palette import Span

SLOW: Final = 0.1
"""Seconds from which a hook is worth a line."""
_CALLS: Final = {
    "provider.setup": "setup",
    "sessions.prepared": "prepare_sessions",
    "session.entered": "enter_session",
    "session.reset": "reset",
    "provider.cleanup": "cleanup",
    "user.cleanup": "user cleanup",
    "user.closed": "user closed",
    "provider.restored": "restore",
    "provider.reload_failed": "reload failed",
    "context.seeded": "warm context",
    "context.compressed": "compressed",
    "reflection.added": "reflection",
    "budget.crossed": "budget crossed",
    "budget.raised": "budget raised",
    "debug.took_over": "took over",
    "debug.handed_back": "handed back",
}


def is_noteworthy(record: dict[str, Any]) -> bool:
    """Whether a call was slow or failed, or is no hook but something that was done."""
    if record.get("type") not in HOOK_RECORDS or record.get("outcome", "ok") != "ok":
        return True
    duration = record.get("duration")
    return bool(record.get("drift")) or (isinstance(duration, (int, float)) and duration > SLOW)


def call_spans(record: dict[str, Any]) -> list[Span]:
    """A lifecycle call on one line: name, outcome, duration."""
    kind = str(record.get("type"))
    spans: list[Span] = [(_CALLS.get(kind, visible_line(kind, 24)), "muted")]
    failed = record.get("outcome") == "failed" or kind == "provider.reload_failed"
    if record.get("outcome") is not None:
        spans.append((" failed" if failed else " ok", "error" if failed else "muted"))
    if kind == "context.seeded":
        name = visible_line(str(record.get("template") or ""), 24)
        count = len(record.get("messages") or ())
        # Short, because the heading of each session has it in full.
        return [("+ ", "accent bold"), (f"warm {name}", "text"), (f" ({count})", "muted")]
    if kind == "reflection.added":
        # Its text stands below the heading of the first session.
        return [("+ ", "accent bold"), ("reflection", "text")]
    if kind == "context.compressed":
        spans.append((f" to turn {record.get('upto', 0)}", "muted"))
    elif kind == "budget.raised" and isinstance(record.get("limit"), (int, float)):
        spans.append((f" {record['limit']:,g}", "muted"))
    elif kind == "provider.restored" and record.get("mode") == "replayed":
        drift = record.get("drift")
        spans[0] = ("replayed", "muted")
        if isinstance(drift, list) and drift:
            spans.append((f" ~ {len(drift)} drifted", "warning"))
    duration = record.get("duration")
    if isinstance(duration, (int, float)):
        spans.append((f" {seconds(duration).replace(' ', '')}", "muted"))
    return spans


def seconds(value: float) -> str:
    """A duration for display: `12 ms`, `3.4 s`, `2:05`."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 60 else f"{int(value) // 60}:{int(value) % 60:02}"
