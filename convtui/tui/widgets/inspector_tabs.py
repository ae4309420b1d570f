"""What the inspector's tabs say about a turn, as documents without a screen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from convtui.log.detail import Call, TurnDetail
from convtui.transcript import OPEN, Flag, Turn
from convtui.tui.diff import diff_spans
from convtui.tui.palette import Span
from convtui.tui.widgets.inspector_stages import UNKNOWN, Context, message_of, placing, stages
from convtui.tui.widgets.outline import seconds
from convtui.tui.widgets.statusline import money
from convtui.tui.widgets.text_pane import Doc

TABS: Final = ("Stages", "Raw", "Diff", "Request", "Wire", "Tools", "Output", "Usage", "Meta")


def build(tab: str, detail: TurnDetail | None, turn: Turn, context: Context) -> Doc:
    """The document of a tab."""
    if detail is None:
        return Doc().nothing("The records of this turn are being read.")
    if not detail.records:
        why = "The log has no records of this turn."
        if turn.flags & Flag.SEEDED:
            why = "This turn was said before this log began; its records are in the parent log"
            why += f": {detail.missing}." if detail.missing else "."
        return Doc().nothing(why)
    return _BUILDERS[tab](detail, turn, context)


def has_content(tab: str, detail: TurnDetail | None, context: Context) -> bool:
    """Whether a tab has something to show."""
    if detail is None or not detail.records:
        return False
    return {
        "Raw": detail.raw is not None or any(call.partial for call in detail.calls),
        "Diff": detail.raw is not None and detail.shown is not None and detail.raw != detail.shown,
        "Request": bool(detail.calls),
        "Wire": bool(detail.wire or context.wire),
        "Tools": bool(detail.tools or detail.decisions),
        "Output": bool(detail.outputs or detail.warnings),
    }.get(tab, True)


def pretty(value: Any) -> str:
    """JSON-like data for reading."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


__all__ = ["TABS", "Context", "build", "has_content", "messages_of", "placing", "pretty"]


def _raw(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    doc = Doc()
    response = detail.response
    raw = detail.raw
    if raw is None:
        partial = next((call.partial for call in reversed(detail.calls) if call.partial), "")
        if not partial:
            partial = turn.text if turn.status == OPEN else ""
        if not partial:
            return doc.nothing("No reply has been received in this turn.")
        return doc.head("so far", f"{len(partial):,} characters").text(partial)
    reasoning = response.get("reasoning") if response else None
    if reasoning:
        doc.head("reasoning", "kept apart, not part of the reply")
        doc.text(str(reasoning), "reasoning").blank()
    edited = any(r.get("type") == "debug.edited" and r.get("field") == "raw" for r in detail.debug)
    doc.head("raw reply", f"{len(raw):,} characters{', edited' if edited else ''}")
    marks = [
        (int(match.get("start", 0)), int(match.get("end", 0)), "mark:signal")
        for match in detail.matches
    ]
    return doc.text(raw, marks=marks)


def _diff(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    raw, shown = detail.raw, detail.shown
    if raw is None:
        return Doc().nothing("There is no raw reply to compare with.")
    if shown is None:
        return Doc().nothing("The reply was not processed yet.")
    if raw == shown:
        return Doc().nothing("The shown text is the raw reply, unchanged.")
    doc = Doc().head("raw -> shown", "")
    doc.line(("[-removed-]", "error"), ("  ", "text"), ("{+added+}", "ok")).blank()
    return doc.spans(diff_spans(raw, shown))


def _request(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    if not detail.calls:
        return Doc().nothing("No model was called in this turn.")
    doc = Doc()
    if context.copy_keys:
        doc.line((context.copy_keys, "muted"))
    if detail.log is not None:
        doc.line(("from the parent log ", "muted"), (str(detail.log), "muted"))
    for call in detail.calls:
        of = f"{call.side}, attempt {call.attempt}, round {call.round}"
        doc.head(f"request {call.seq}", of)
        doc.field("model", str(call.request.get("model") or UNKNOWN))
        params = call.request.get("params") or {}
        for name, value in params.items():
            doc.field(str(name), pretty(value))
        messages, problem = messages_of(call, context)
        if problem:
            doc.line(("! ", "error bold"), (problem, "error"))
        for number, message in enumerate(messages, 1):
            doc.blank()
            _one_message(doc, number, message)
    return doc


def messages_of(call: Call, context: Context) -> tuple[list[Any], str]:
    """The messages of a call and what was wrong in getting them."""
    if context.messages is None:
        return list(
            call.request.get("append") or []
        ), "Only the messages new to this call are known."
    try:
        return context.messages(call), ""
    except (ValueError, IndexError, OSError) as error:
        fresh = list(call.request.get("append") or [])
        return fresh, f"The whole list cannot be read ({error}); these are the new ones."


def _one_message(doc: Doc, number: int, message: Any) -> None:
    if not isinstance(message, Mapping):
        doc.line((f"{number} ", "muted"), ("not a message", "warning")).text(pretty(message))
        return
    role = str(message.get("role", "?"))
    colour = {"assistant": "provider", "user": "persona", "tool": "tool"}.get(role, "accent")
    extra = [str(message[k]) for k in ("name", "tool_call_id") if message.get(k)]
    spans: list[Span] = [(f"{number:>2} ", "muted"), (role, f"{colour} bold")]
    if extra:
        spans.append(("  " + " ".join(extra), "muted"))
    doc.line(*spans)
    content = message.get("content")
    if content is not None:
        doc.text(pretty(content), indent=3)
    for key, value in message.items():
        if key not in ("role", "content", "name", "tool_call_id"):
            doc.line((str(key), "muted"), indent=3)
            doc.text(pretty(value), indent=5)


def _wire(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    exchanges = [exchange.as_dict() for exchange in detail.wire] or context.wire
    if not exchanges:
        why = "No HTTP exchange of this turn was kept"
        return Doc().nothing(f"{why} (the last 50 and every failure are; --wire all keeps all).")
    doc = Doc()
    for exchange in exchanges:
        status = exchange.get("status")
        failed = bool(exchange.get("error")) or (isinstance(status, int) and status >= 400)
        doc.head(f"{exchange.get('method', '?')} {status if status is not None else 'no answer'}")
        doc.field("url", str(exchange.get("url", "")))
        took = exchange.get("duration")
        doc.field("duration", seconds(took) if isinstance(took, (int, float)) else UNKNOWN)
        if exchange.get("error"):
            doc.field("error", message_of(exchange["error"]), "error")
        if exchange.get("cut_off"):
            doc.field("cut off", "the answer was given up, or broke off, before its end", "warning")
        for part, role in (("request", "persona"), ("response", "error" if failed else "provider")):
            doc.blank().line((part, f"{role} bold"))
            headers = exchange.get(f"{part}_headers") or {}
            pairs = headers.items() if isinstance(headers, Mapping) else headers
            for pair in pairs:
                name, value = (*pair, "")[:2] if isinstance(pair, (list, tuple)) else (pair, "")
                doc.line((f"{name}: ", "muted"), (str(value), "text"), indent=2)
            body = exchange.get(f"{part}_body")
            if body not in (None, ""):
                doc.text(_body(body), indent=2)
    return doc


def _body(body: Any) -> str:
    if isinstance(body, str) and len(body) < 1_000_000 and body[:1] in ("{", "["):
        try:
            return pretty(json.loads(body))
        except ValueError:
            return body
    return pretty(body)


def _tools(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    if not detail.tools and not detail.decisions:
        return Doc().nothing("No tool was called and nothing was decided in this turn.")
    doc = Doc()
    for record in detail.decisions:
        if record.get("type") == "user.ended":
            doc.head("the user is done", str(record.get("simulator", "")))
            doc.line((str(record.get("reason", "")), "text"))
            continue
        valid = record.get("valid", True)
        doc.head(f"decision {record.get('kind', '')}", "valid" if valid else "invalid")
        doc.field("tool", str(record.get("tool") or "none was called"))
        if record.get("reason"):
            doc.field("reason", str(record["reason"]), "text" if valid else "error")
        if record.get("arguments"):
            doc.text(pretty(record["arguments"]), indent=2)
    for called, back in detail.tools:
        ok = back is not None and back.get("ok", True)
        took = back.get("duration") if back is not None else None
        note = "still running" if back is None else "ok" if ok else "failed"
        if isinstance(took, (int, float)):
            note += f", {seconds(took)}"
        doc.head(f"{'' if ok or back is None else '! '}{called.get('name', '')}", note)
        if called.get("arguments") is not None or called.get("raw_arguments"):
            doc.line(("arguments", "muted"))
            arguments = called.get("arguments")
            doc.text(pretty(called["raw_arguments"] if arguments is None else arguments), indent=2)
        if back is not None:
            kind = back.get("error_kind")
            doc.line((f"error: {kind}" if kind else "result", "muted" if ok else "error"))
            doc.text(pretty(back.get("result")), "text" if ok else "error", indent=2)
    return doc


def _output(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    if not detail.outputs and not detail.warnings:
        return Doc().nothing("The provider printed, logged and warned of nothing in this turn.")
    doc = Doc()
    for record in detail.warnings:
        doc.line(("! warning ", "warning bold"), (str(record.get("message", "")), "text"))
    for record in detail.outputs:
        stream = str(record.get("stream", ""))
        at = record.get("t")
        doc.head(stream, f"at {at:.2f} s" if isinstance(at, (int, float)) else "")
        doc.text(
            str(record.get("text", "")).rstrip("\n"), "error" if stream == "stderr" else "text"
        )
        if record.get("dropped"):
            doc.line((f"… {record['dropped']:,} more characters were not kept", "warning"))
    return doc


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else UNKNOWN


def _usage(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    doc = Doc().head("this turn")
    ttft = detail.response.get("ttft") if detail.response else None
    doc.field("prompt", f"{_number(turn.prompt_tokens)} tok")
    doc.field("completion", f"{_number(turn.completion_tokens)} tok")
    doc.field("cost", UNKNOWN if turn.cost is None else money(turn.cost))
    doc.field("latency", UNKNOWN if turn.latency is None else seconds(turn.latency))
    doc.field("first token", seconds(ttft) if isinstance(ttft, (int, float)) else UNKNOWN)
    doc.field("calls", str(len(detail.calls)))
    for side, totals in context.totals.items():
        doc.head(f"{side}, so far")
        retries = f", {totals.retries} retried" if totals.retries else ""
        doc.field("calls", f"{totals.calls:,}{retries}")
        doc.field("prompt", f"{_number(totals.prompt_tokens)} tok")
        doc.field("completion", f"{_number(totals.completion_tokens)} tok")
        doc.field("cost", UNKNOWN if totals.cost is None else money(totals.cost))
        doc.field("time", seconds(totals.seconds))
    return doc


def _meta(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    doc = Doc().head(f"turn {turn.address}")
    doc.field("speaker", turn.speaker)
    doc.field("status", turn.status)
    names = [str(flag.name).lower() for flag in Flag if int(turn.flags) & int(flag)]
    doc.field("flags", ", ".join(names) or "none")
    response = detail.response or {}
    doc.field("model", str(response.get("model") or UNKNOWN))
    doc.field("response id", str(response.get("response_id") or UNKNOWN))
    doc.field("conversation", context.conversation or UNKNOWN)
    doc.field("log", context.log_file or "not written to a file")
    numbers = [record["seq"] for record in detail.records if isinstance(record.get("seq"), int)]
    doc.field("records", f"{numbers[0]}-{numbers[-1]}" if numbers else UNKNOWN)
    metadata = detail.metadata
    if metadata:
        doc.head("metadata").text(pretty(metadata))
    return doc


_BUILDERS: Final[Mapping[str, Callable[[TurnDetail, Turn, Context], Doc]]] = {
    "Stages": stages,
    "Raw": _raw,
    "Diff": _diff,
    "Request": _request,
    "Wire": _wire,
    "Tools": _tools,
    "Output": _output,
    "Usage": _usage,
    "Meta": _meta,
}
