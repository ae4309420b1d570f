"""Tool calls on one line each: glyph, name, abbreviated arguments, outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.tui.drawing import glyphs
from convtui.tui.widgets.transcript.calls import seconds

if TYPE_CHECKING:
    from convtui.log.tool_uses import ToolUse
    from convtui.tui.drawing.palette import Span

MAX_CALLS: Final = 12
"""Calls of a turn listed in the transcript; the Tools tab has all of them."""
_SIGNS: Final[Mapping[str, Span]] = {
    "waiting": (glyphs.HELD, "held"),
    "open": (glyphs.WORKING, "accent"),
    "ok": (glyphs.DONE, "ok"),
    "failed": (glyphs.ERROR, "error"),
    "denied": (glyphs.DISCARDED, "warning"),
    "cancelled": (glyphs.SKIPPED, "warning"),
}


def tool_sign(use: ToolUse) -> Span:
    """A call's glyph and colour role."""
    return _SIGNS[use.state]


def short_arguments(use: ToolUse, most: int = 60) -> str:
    """`order: 17, day: "Saturday"`, cut to `most` characters."""
    if not isinstance(use.arguments, dict):
        return visible_line(use.raw_arguments, most)
    parts: list[str] = []
    for name, value in use.arguments.items():
        parts.append(f"{visible_line(str(name), 30)}: {_short(value)}")
        if sum(map(len, parts)) > most:
            break
    return visible_line(", ".join(parts), most)


def _short(value: Any) -> str:
    if isinstance(value, str):
        return visible_line(value, 40)
    return visible_line(json.dumps(value, ensure_ascii=False, default=str)[:200], 40)


def outcome(use: ToolUse, *, running: bool) -> list[Span]:
    """How a call went."""
    state = use.state
    took = "" if use.duration is None else f" {seconds(use.duration)}"
    spans: list[Span]
    if state == "waiting":
        spans = [("waiting for you", "held")]
    elif state == "open":
        spans = [("running", "accent")] if running else [("no result on record", "warning")]
    elif state == "ok":
        spans = [("ok", "ok"), (took, "muted")]
    elif state == "denied":
        reason = str((use.denied or {}).get("reason") or "")
        spans = [("denied by hand", "warning"), (f": {reason}" if reason else "", "muted")]
    elif state == "cancelled":
        spans = [("cancelled by hand", "warning"), (took, "muted")]
    else:
        message = use.error[0]
        kind = use.error_kind.removeprefix("tool_").replace("_", " ")
        spans = [(kind, "error"), (took, "muted")]
        if message:
            spans.append((f": {message}", "muted"))
    spans = [(visible_line(text, 200), role) for text, role in spans if text]
    return [*spans, *_notes(use)]


def _notes(use: ToolUse) -> list[Span]:
    notes: list[Span] = []
    if use.edited is not None or (use.called or {}).get("edited"):
        notes.append((", edited by hand", "human"))
    if use.result_edited is not None:
        notes.append((", result edited by hand", "human"))
    if use.cut is not None:
        size = f", {counted(use.cut, 'character')} in all" if use.cut else ""
        notes.append((f", truncated{size}", "warning"))
    if use.reused:
        notes.append((", result reused", "muted"))
    return notes


def round_label(use: ToolUse) -> str:
    """`round 2 of 64`."""
    return f"round {use.round}" + (f" of {use.max_rounds}" if use.max_rounds else "")


def tool_rows(uses: Sequence[ToolUse], width: int, *, running: bool) -> list[list[Span]]:
    """The rows of a turn's calls. Their number does not depend on `width`."""
    rows: list[list[Span]] = []
    rounds = {(use.attempt, use.round) for use in uses}
    several = len(rounds) > 1 or len(uses) > 1
    shown = uses if len(uses) <= MAX_CALLS + 1 else uses[:MAX_CALLS]
    for _, group in groupby(shown, key=lambda use: (use.attempt, use.round)):
        calls = list(group)
        if several:
            first = next((use for use in calls if use.max_rounds), calls[0])
            count = counted(len(calls), "call")
            rows.append([("tools ", "tool"), (f"{round_label(first)}, {count}", "muted")])
        rows += [_row(use, width, running=running, alone=not several) for use in calls]
    if len(shown) < len(uses):
        more = f"… {len(uses) - len(shown)} more calls in the Tools tab"
        rows.append([(more, "muted")])
    return rows


def _row(use: ToolUse, width: int, *, running: bool, alone: bool) -> list[Span]:
    sign, role = tool_sign(use)
    name = visible_line(use.name or "?", 40)
    result = outcome(use, running=running)
    head = f"{sign} {'tool ' if alone else ''}"
    # The outcome matters more than the last argument.
    needed = cell_len(head + name) + 4 + min(sum(cell_len(text) for text, _ in result), 36)
    arguments = short_arguments(use, max(1, width - needed))
    return [(head, f"{role} bold"), (name, "tool bold"), (f"({arguments})  ", "muted"), *result]
