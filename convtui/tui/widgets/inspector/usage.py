"""The Usage tab: usage of the turn and of each side, estimates, and the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from convtui.tui.widgets.inspector.context import Context
from convtui.tui.widgets.inspector.stages import UNKNOWN
from convtui.tui.widgets.statusline import money
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.calls import seconds

if TYPE_CHECKING:
    from convtui.log.detail import Call, TurnDetail
    from convtui.transcript.fold import Totals, Turn
    from convtui.tui.drawing.palette import Span
    from convtui.tui.sources.budget import Limit

_SIDES: Final = ("persona", "provider", "responder", "reflection")


def _tokens(value: Any) -> str:
    return f"{value:,} tok" if isinstance(value, int) else UNKNOWN


def _money(value: Any) -> str:
    return money(value) if isinstance(value, (int, float)) else UNKNOWN


def usage(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    """Usage of the turn, its calls against their estimates, the budget, each side so far."""
    doc = Document().head("this turn")
    ttft = detail.response.get("ttft") if detail.response else None
    doc.field("prompt", _tokens(turn.prompt_tokens))
    doc.field("completion", _tokens(turn.completion_tokens))
    doc.field("cost", UNKNOWN if turn.cost is None else money(turn.cost))
    doc.field("latency", UNKNOWN if turn.latency is None else seconds(turn.latency))
    doc.field("first token", seconds(ttft) if isinstance(ttft, (int, float)) else UNKNOWN)
    doc.field("calls", str(len(detail.calls)))
    for call in detail.calls:
        _estimate(doc, call)
    if context.limits:
        doc.head("budget", "including usage before this log" if context.inherited else "")
        for limit in context.limits:
            _limit(doc, limit)
    for side in (*_SIDES, *(s for s in context.totals if s not in _SIDES)):
        if side in context.totals or side in context.inherited:
            _side(doc, side, context)
    return doc


def _estimate(doc: Document, call: Call) -> None:
    """A call's estimated and actual usage."""
    expected = call.request.get("estimate")
    if not isinstance(expected, Mapping):
        return
    used = (call.response or {}).get("usage") or {}
    pending = call.response is None and call.failed is None and not call.cancelled
    doc.head(f"call {call.seq}, {call.side}", "expected -> used")
    for name, key, shown in (
        ("prompt", "prompt_tokens", _tokens),
        ("completion", "completion_tokens", _tokens),
        ("cost", "cost", _money),
    ):
        estimate = shown(expected.get(key))
        actual = "in progress" if pending else shown(used.get(key))
        doc.field(name, f"{estimate} -> {actual}")


def _limit(doc: Document, limit: Limit) -> None:
    prefix = "" if limit.scope == "conversation" else f"{limit.scope} "
    if limit.used is None:
        doc.field(f"{prefix}{limit.what}", f"{UNKNOWN} of {_most(limit)}", width=17)
        return
    used = f"{limit.used:,.0f}" if limit.what == "tokens" else money(limit.used)
    over = limit.used > limit.limit
    text = f"{'! ' if over else ''}{used} of {_most(limit)}{', used up' if over else ''}"
    doc.field(f"{prefix}{limit.what}", text, "error" if over else "text", width=17)


def _most(limit: Limit) -> str:
    return f"{limit.limit:,.0f} tok" if limit.what == "tokens" else money(limit.limit)


def _side(doc: Document, side: str, context: Context) -> None:
    totals = context.totals.get(side)
    before = context.inherited.get(side)
    doc.head(f"{side}, so far" if before is None else f"{side}, in this log")
    if totals is None:
        doc.line(("no usage", "muted"))
    else:
        _used(doc, totals)
    if before is not None:
        spans: list[Span] = [(f"{side}, inherited", "accent bold"), ("  before this log", "muted")]
        doc.blank().line(*spans)
        _used(doc, before)


def _used(doc: Document, totals: Totals) -> None:
    if totals.calls:
        retries = f", {totals.retries} retried" if totals.retries else ""
        doc.field("calls", f"{totals.calls:,}{retries}")
    doc.field("prompt", _tokens(totals.prompt_tokens))
    doc.field("completion", _tokens(totals.completion_tokens))
    doc.field("cost", _money(totals.cost))
    if totals.calls:
        doc.field("time", seconds(totals.seconds))
