"""What the inspector's tabs say about a turn, as documents without a screen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.events import RecordDict
from convtui.log.detail import Call, Take, TurnDetail
from convtui.text import visible_line
from convtui.transcript import FAILED, OPEN, Flag, Totals, Turn
from convtui.tui.diff import diff_spans
from convtui.tui.palette import Span
from convtui.tui.widgets.outline import seconds
from convtui.tui.widgets.statusline import money
from convtui.tui.widgets.text_pane import Doc

TABS: Final = ("Stages", "Raw", "Diff", "Request", "Wire", "Tools", "Output", "Usage", "Meta")
UNKNOWN: Final = "unknown"


@dataclass(slots=True)
class Context:
    """What the tabs need beyond the records; the callables are asked when a tab is opened."""

    messages: Callable[[Call], list[Any]] | None = None
    """The exact messages of a call. May raise ValueError."""
    wire: list[dict[str, Any]] | None = None
    """HTTP exchanges; None when none were kept."""
    totals: Mapping[str, Totals] = field(default_factory=dict)
    log_file: str = ""
    conversation: str = ""
    hold: RecordDict | None = None
    """The hold in force, when it is this turn's."""
    hooks: Mapping[str, str] = field(default_factory=dict)
    """Hook name to `yours` or `default`."""


def build(tab: str, detail: TurnDetail | None, turn: Turn, context: Context) -> Doc:
    """The document of a tab."""
    if detail is None:
        return Doc().nothing("The records of this turn are being read.")
    if not detail.records:
        why = "The log has no records of this turn."
        if turn.flags & Flag.SEEDED:
            why = "This turn was said before this log began; its records are in the parent log."
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
        "Wire": bool(context.wire),
        "Tools": bool(detail.tools or detail.decisions),
        "Output": bool(detail.outputs or detail.warnings),
    }.get(tab, True)


def pretty(value: Any) -> str:
    """JSON-like data for reading."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def _message(error: object) -> str:
    if isinstance(error, Mapping):
        return str(error.get("message") or error.get("kind") or "failed")
    return str(error or "failed")


# --- stages


def placing(raw: str, start: int, end: int) -> str:
    """Whether a match stands alone, inside a word or inside a sentence."""
    if not raw[:start].strip() and not raw[end:].strip():
        return "stands alone"
    left, right = raw[max(0, start - 1) : start], raw[end : end + 1]
    edge_left, edge_right = raw[start : start + 1], raw[max(0, end - 1) : end]
    if (left.isalnum() and edge_left.isalnum()) or (right.isalnum() and edge_right.isalnum()):
        return "inside a word"
    line = raw[raw.rfind("\n", 0, start) + 1 : start] + raw[end:].partition("\n")[0]
    return "inside a sentence" if line.strip() else "on a line of its own"


def _stages(detail: TurnDetail, turn: Turn, context: Context) -> Doc:
    doc = Doc()
    held = str(context.hold.get("stage", "")) if context.hold else ""
    attempts = sorted({call.attempt for call in detail.calls} | {t.attempt for t in detail.takes})
    for attempt in attempts or [turn.attempt]:
        if len(attempts) > 1:
            doc.head(f"attempt {attempt} of {attempts[-1]}")
        last = attempt == (attempts[-1] if attempts else attempt)
        now = held if last else ""
        for call in (c for c in detail.calls if c.attempt == attempt):
            _call_stages(doc, call, now, context)
        if attempt == 1 or last:
            _tool_stage(doc, detail, now)
        takes = [take for take in detail.takes if take.attempt == attempt]
        for number, take in enumerate(takes, 1):
            if len(takes) > 1:
                count = " (counts)" if number == len(takes) else ""
                doc.line((f"revision {take.revision}{count}", "muted bold"))
            raw = _raw_of(detail, attempt)
            _take_stages(doc, take, raw, now if number == len(takes) else "", context)
        if last and now and not takes and now not in ("request", "response", "tools"):
            _stage(doc, now, "", [("is held before it runs", "held")], held=True)
    for record in detail.debug:
        _debug(doc, record)
    if turn.flags & Flag.ENDED:
        _stage(doc, "terminate", "!", [("the session ended here", "warning")])
    elif turn.flags & Flag.WOULD_END:
        note = turn.note or "would have ended here"
        _stage(doc, "terminate", "!", [(visible_line(note, 120), "warning")])
    elif turn.status not in (OPEN, FAILED) and detail.takes:
        _stage(doc, "terminate", ".", [("goes on", "muted")], held=held == "terminate")
    if context.hold:
        detail_text = str(context.hold.get("detail") or context.hold.get("reason") or "")
        doc.blank().line(("> held: ", "held bold"), (detail_text, "text"))
    return doc


def _stage(doc: Doc, name: str, sign: str, spans: Sequence[Span], *, held: bool = False) -> None:
    mark: Span = ("> ", "held bold") if held else (f"{sign or ' '} ", "muted bold")
    title: Span = (f"{name:<13}", "held bold" if held else "text bold")
    doc.line(mark, title, *spans)
    if held:
        doc.line(("held here", "held"), indent=15)


def _call_stages(doc: Doc, call: Call, held: str, context: Context) -> None:
    request = call.request
    kept, fresh = request.get("keep") or 0, request.get("append") or []
    count = int(kept) + len(fresh)
    side = f"  {call.side}" if call.side == "responder" else ""
    again = f"  round {call.round}" if call.round > 1 else ""
    words = f"{count} message{'' if count == 1 else 's'}{again}{side}"
    _stage(doc, "request", ".", [(words, "text")], held=held == "request")
    for retry in call.retries:
        delay = retry.get("delay")
        wait = f", again after {seconds(delay)}" if isinstance(delay, (int, float)) else ""
        doc.line(
            (f"retry {retry.get('n', '')}: ", "warning"),
            (_message(retry.get("error")) + wait, "muted"),
            indent=15,
        )
    if call.failed is not None:
        took = call.failed.get("duration")
        after = f"{seconds(took)}, " if isinstance(took, (int, float)) else ""
        spans = [("failed: ", "error bold"), (after + _message(call.failed.get("error")), "error")]
        _stage(doc, "response", "!", spans, held=held == "response")
    elif call.response is None:
        _stage(doc, "response", "~", [("is on its way", "accent")], held=held == "response")
    else:
        _stage(doc, "response", ".", _response_spans(call.response), held=held == "response")


def _response_spans(response: RecordDict) -> list[Span]:
    usage = response.get("usage") or {}
    parts: list[str] = []
    if isinstance(response.get("duration"), (int, float)):
        parts.append(seconds(response["duration"]))
    tokens = usage.get("completion_tokens")
    parts.append(f"{tokens:,} tok" if isinstance(tokens, int) else "tok unknown")
    if isinstance(response.get("ttft"), (int, float)):
        parts.append(f"first token {seconds(response['ttft'])}")
    finish = response.get("finish_reason")
    if finish and finish != "stop":
        parts.append(str(finish))
    spans: list[Span] = [(", ".join(parts), "text")]
    if response.get("reasoning"):
        spans.append((", reasoning kept apart", "reasoning"))
    if response.get("reused"):
        spans.append((", reply reused", "muted"))
    return spans


def _tool_stage(doc: Doc, detail: TurnDetail, held: str) -> None:
    if not detail.tools:
        if held == "tools":
            _stage(doc, "tools", "", [], held=True)
        return
    failed = sum(1 for _, back in detail.tools if back is not None and not back.get("ok", True))
    count = len(detail.tools)
    spans: list[Span] = [(f"{count} call{'' if count == 1 else 's'}", "tool")]
    if failed:
        spans.append((f", {failed} failed", "error"))
    _stage(doc, "tools", "!" if failed else ".", spans, held=held == "tools")


def _hook(record: RecordDict, name: str, context: Context) -> Span:
    whose = str(record.get("hook") or context.hooks.get(name) or "default")
    role = "accent" if whose == "yours" else "muted"
    took = record.get("duration")
    shown = f", {seconds(took)}" if isinstance(took, (int, float)) and took >= 0.001 else ""
    return f"  {whose} hook{shown}" if whose in ("yours", "default") else f"  {whose}{shown}", role


def _raw_of(detail: TurnDetail, attempt: int) -> str:
    for call in reversed(detail.calls):
        if call.attempt == attempt and call.response is not None and call.side != "responder":
            return str(call.response.get("raw", ""))
    return detail.raw or ""


def _take_stages(doc: Doc, take: Take, raw: str, held: str, context: Context) -> None:
    if take.signals is not None:
        matches = take.signals.get("matches") or []
        hook = _hook(take.signals, "extract_signals", context)
        none: Span = (
            f"{len(matches)} found" if matches else "none",
            "signal" if matches else "muted",
        )
        _stage(doc, "signals", "!" if matches else ".", [none, hook], held=held == "signals")
        for match in matches[:20]:
            start, end = int(match.get("start", 0)), int(match.get("end", 0))
            doc.line(
                (str(match.get("signal", "")), "signal bold"),
                (f" {start}-{end} ", "signal"),
                (placing(raw, start, end), "muted"),
                indent=15,
            )
    elif held == "signals":
        _stage(doc, "signals", "", [], held=True)
    if take.processed is not None:
        hook = _hook(take.processed, "post_process_response", context)
        text = str(take.processed.get("text", ""))
        if take.processed.get("changed"):
            change = f"changed, {len(raw):,} -> {len(text):,} characters"
            spans: list[Span] = [(change, "changed"), hook]
        else:
            spans = [("unchanged", "muted"), hook]
        _stage(doc, "post_process", ".", spans, held=held == "post_process")
    elif held == "post_process":
        _stage(doc, "post_process", "", [], held=True)
    if take.discarded is not None:
        outcome = str(take.discarded.get("outcome", ""))
        spans = [
            ("dropped", "discard bold"),
            (f" by {take.discarded.get('hook') or 'hook'}", "text"),
        ]
        _stage(doc, "discard", "x", [*spans, (f", then {outcome}", "muted")])
    elif take.committed is not None and take.signals and take.signals.get("matches"):
        would = take.committed.get("would_have")
        words = f"not asked: would have been a {would}" if would else "kept"
        _stage(doc, "discard", ".", [(words, "muted")], held=held == "discard")
    elif held == "discard":
        _stage(doc, "discard", "", [], held=True)
    if take.committed is not None:
        count = take.committed.get("words")
        spans = [(f"{count} words" if count is not None else "said", "ok")]
        for name, role in (("human", "human"), ("edited", "human"), ("empty", "warning")):
            if take.committed.get(name):
                spans.append((f", {name}", role))
        _stage(doc, "commit", ".", spans, held=held == "commit")
    elif held == "commit":
        _stage(doc, "commit", "", [], held=True)


def _debug(doc: Doc, record: RecordDict) -> None:
    kind = str(record.get("type", ""))
    if kind == "debug.edited":
        doc.line(("* edited ", "human bold"), (str(record.get("field", "")), "text"))
    elif kind == "debug.overrode":
        doc.line(("* overrode ", "human bold"), (str(record.get("what", "")), "text"))
    elif kind == "debug.injected":
        doc.line(("* fault injected ", "warning bold"), (str(record.get("fault", "")), "text"))
    elif kind in ("turn.cancelled", "turn.skipped"):
        word = kind.removeprefix("turn.")
        doc.line((f"- {word} ", "warning bold"), (str(record.get("reason") or ""), "muted"))


# --- texts


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
    if not context.wire:
        why = "No HTTP exchange of this turn was kept"
        return Doc().nothing(f"{why} (the last 50 and every failure are; --wire all keeps all).")
    doc = Doc()
    for exchange in context.wire:
        status = exchange.get("status")
        failed = bool(exchange.get("error")) or (isinstance(status, int) and status >= 400)
        doc.head(f"{exchange.get('method', '?')} {status if status is not None else 'no answer'}")
        doc.field("url", str(exchange.get("url", "")))
        took = exchange.get("duration")
        doc.field("duration", seconds(took) if isinstance(took, (int, float)) else UNKNOWN)
        if exchange.get("error"):
            doc.field("error", _message(exchange["error"]), "error")
        if exchange.get("cut_off"):
            doc.field("cut off", "the body was longer than what is kept", "warning")
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
    "Stages": _stages,
    "Raw": _raw,
    "Diff": _diff,
    "Request": _request,
    "Wire": _wire,
    "Tools": _tools,
    "Output": _output,
    "Usage": _usage,
    "Meta": _meta,
}
