"""The Tools tab: the tool calls of a turn as cards."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from convtui.log.tool_uses import ToolUse, tool_uses, waiting_uses
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.transcript.fold import OPEN, Turn
from convtui.tui.widgets.inspector.context import Context
from convtui.tui.widgets.inspector.json_tree import json_text, json_value, parsed
from convtui.tui.widgets.inspector.requests import pretty
from convtui.tui.widgets.inspector.stages import UNKNOWN
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.calls import seconds
from convtui.tui.widgets.transcript.tool_marks import round_label, tool_sign

if TYPE_CHECKING:
    from convtui.log.detail import TurnDetail

_SEE_DECISION: Final = "The Decision tab has the responder's decision."
_STATES: Final = {
    "waiting": "waiting for you",
    "ok": "ok",
    "failed": "failed",
    "denied": "denied by hand",
    "cancelled": "cancelled by hand",
}


def tools(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    """The tool calls of a turn by round: arguments, result, duration, who decided."""
    uses = [*tool_uses(detail), *waiting_uses((context.hold or {}).get("drafts") or ())]
    doc = Document()
    if not uses:
        message = "No tool was called in this turn."
        return doc.nothing(f"{message} {_SEE_DECISION}" if detail.decided else message)
    if any(use.cut is not None for use in uses) and context.whole_key:
        doc.line((context.whole_key, "muted"))
    attempts = {use.attempt for use in uses}
    for (attempt, _), group in groupby(uses, key=lambda use: (use.attempt, use.round)):
        calls = list(group)
        heading = round_label(next((use for use in calls if use.max_rounds), calls[0]))
        if len(attempts) > 1:
            heading = f"attempt {attempt}, {heading}"
        count = counted(len(calls), "call")
        if doc.pieces:
            doc.blank()
        doc.line((heading, "accent bold"), (f"  {count}", "muted"))
        for use in calls:
            _card(doc, use, turn, context)
    return doc


def _card(doc: Document, use: ToolUse, turn: Turn, context: Context) -> None:
    sign, role = tool_sign(use)
    state = use.state
    state_label = _STATES.get(state) or (
        "running" if turn.status == OPEN else "no result on record"
    )
    name = visible_line(use.name or "?", 80)
    doc.blank().line(
        (f"{sign} ", f"{role} bold"), (name, "tool bold"), (f"  {state_label}", f"{role} bold")
    )
    duration = use.duration
    if state not in ("waiting", "denied", "open"):
        doc.field("duration", UNKNOWN if duration is None else seconds(duration))
    _add_decision(doc, use)
    if use.reused:
        doc.field("reused", "the result is from the parent log; the call was not repeated")
    _arguments(doc, use)
    if state in ("failed", "cancelled"):
        _error(doc, use)
    elif use.returned is not None and state == "ok":
        _result(doc, use, context)
    if use.result_edited is not None:
        doc.line(("result, edited by hand", "human"), (": sent to the model", "muted"))
        doc.text(str(use.result_edited.get("after") or "(nothing)"), indent=2)


def _add_decision(doc: Document, use: ToolUse) -> None:
    """Who approved or denied the call."""
    if use.denied is not None or use.state == "denied":
        reason = str((use.denied or {}).get("reason") or "")
        doc.field("denied", "by a human" + ("" if reason else ", without a reason"), "human")
        if reason:
            doc.field("reason", reason)
        doc.field("ran", "no: the model was told of the denial", "warning")
    elif use.approved:
        doc.field("approved", "by a human", "human")
    elif use.waiting:
        doc.field("ran", "not yet", "held")


def _arguments(doc: Document, use: ToolUse) -> None:
    if use.edited is not None:
        doc.line(("arguments of the model", "muted"))
        before = str(use.edited.get("before") or "")
        json_text(doc, before, f"{use.seq}.before", indent=_at(before), role="muted")
        doc.line(("arguments, edited by hand", "human"))
    elif use.arguments is None:
        doc.line(("arguments", "muted"), ("  not a JSON object, shown as written", "warning"))
    elif not use.arguments:
        doc.line(("arguments", "muted"), ("  none", "muted"))
        return
    else:
        doc.line(("arguments", "muted"))
    if use.arguments is None:
        doc.text(use.raw_arguments or "(nothing)", indent=2)
    else:
        _value(doc, use.arguments, f"{use.seq}.arguments")


def _value(doc: Document, value: Any, key: str) -> None:
    """JSON-like data as readable text, with multi-line strings as such."""
    if isinstance(value, dict) and any(isinstance(v, str) and "\n" in v for v in value.values()):
        for name, item in value.items():
            if isinstance(item, str) and "\n" in item:
                doc.line((f"{name}:", "json:key"), indent=2)
                doc.text(item, indent=4)
            elif isinstance(item, dict | list) and item:
                doc.line((f"{name}:", "json:key"), indent=2)
                json_value(doc, item, f"{key}.{name}", indent=2)
            else:
                doc.line((f"{name}: ", "json:key"), (pretty(item), "text"), indent=2)
        return
    if isinstance(value, str):
        json_text(doc, value, key, indent=_at(value))
    else:
        json_value(doc, value, key)


def _at(text: str) -> int:
    """The indent of a text: the signs of JSON's folds are in the indent of other texts."""
    return 0 if parsed(text) is not None else 2


def _error(doc: Document, use: ToolUse) -> None:
    message, detail = use.error
    doc.field("error", use.error_kind, "error")
    if message:
        doc.field("says", message, "error")
    if detail:
        doc.line(("detail", "muted"))
        doc.text(detail, "error", indent=2)


def _result(doc: Document, use: ToolUse, context: Context) -> None:
    result = (use.returned or {}).get("result")
    if use.cut is None:
        doc.line(("result", "muted"))
        _value(doc, result, f"{use.seq}.result")
        return
    kept = len(result) if isinstance(result, str) else len(pretty(result))
    of = f" of {use.cut:,}" if use.cut else ""
    whole = context.whole.get(use.seq) if use.seq is not None else None
    if whole is None:
        doc.line(
            ("result", "muted"),
            (f"  truncated: the model received {kept:,}{of} characters", "warning"),
        )
        _value(doc, result, f"{use.seq}.result")
        return
    problem, text = whole
    if problem:
        doc.line(("result", "muted"), (f"  {problem}", "warning"))
        _value(doc, result, f"{use.seq}.result")
        return
    note = f"  in full, {len(text):,} characters; the model received {kept:,}"
    doc.line(("result", "muted"), (note, "ok"))
    doc.text(text, indent=2)
