"""The stages of a turn, one line each, as the pipeline ran them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.detail import Call, StageRun, TurnDetail
from convtui.log.notes import TurnNote
from convtui.printing.wording import cut_words, parts_words
from convtui.records.codec import RecordDict
from convtui.records.interim import Interim
from convtui.text.boundary import visible_line
from convtui.text_checks.incomplete import in_words, reason_of
from convtui.transcript.corrections import (
    Correction,
    corrected_faults,
    corrected_words,
    noticed_words,
)
from convtui.transcript.fold import FAILED, OPEN, Flag, Totals, Turn
from convtui.tui.drawing.palette import Span
from convtui.tui.sources.budget import Limit
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.outline import seconds

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
    copy_keys: str = ""
    """Which keys copy a request, in words."""
    simulator: str = ""
    """What speaks for the persona: scripted, llm, responder, demo, human."""
    deciding: bool = False
    """Whether a responder decides what the user says."""
    asked: TurnDetail | None = None
    """The last turn, up to the one shown, in which the responder was asked."""
    width: int = 0
    """Cells across."""
    inherited: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What each side had used before this log."""
    limits: Sequence[Limit] = ()
    """The budget, as it is now."""
    lineage: Sequence[tuple[str, str, str]] = ()
    """Where the log comes from, as name, value and role."""
    whole: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Cut tool results that were asked for in full, by `seq`: why there is none, and the text."""
    whole_key: str = ""
    """Which key shows them in full, in words."""
    correction: Correction | None = None
    """What was corrected on the turn by hand."""
    noted: TurnNote | None = None
    """What was marked and noted on the turn."""
    drift: Mapping[str, Any] | None = None
    """How its answer has drifted from the record: `{what, recorded, replayed}`."""
    warm: Mapping[str, Any] | None = None
    """The `context.seeded` of the log: what the provider's history begins with."""


def message_of(error: object) -> str:
    """What an error says."""
    if isinstance(error, Mapping):
        return str(error.get("message") or error.get("kind") or "failed")
    return str(error or "failed")


_STOPS = ".!?…"
"""What a sentence ends with."""


def placing(raw: str, start: int, end: int) -> str:
    """Whether a match stands alone, inside a word or inside a sentence."""
    if not raw[:start].strip() and not raw[end:].strip():
        return "stands alone"
    left, right = raw[max(0, start - 1) : start], raw[end : end + 1]
    edge_left, edge_right = raw[start : start + 1], raw[max(0, end - 1) : end]
    if (left.isalnum() and edge_left.isalnum()) or (right.isalnum() and edge_right.isalnum()):
        return "inside a word"
    before = raw[raw.rfind("\n", 0, start) + 1 : start].rstrip()
    after = raw[end:].partition("\n")[0]
    if not before and not after.strip():
        return "on a line of its own"
    alone = (not before or before[-1] in _STOPS) and (not after.strip() or after[0] in _STOPS)
    return "a sentence of its own" if alone else "inside a sentence"


def stages(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    doc = Document()
    held = str(context.hold.get("stage", "")) if context.hold else ""
    attempts = sorted(
        {call.attempt for call in detail.calls} | {run.attempt for run in detail.stage_runs}
    )
    for attempt in attempts or [turn.attempt]:
        if len(attempts) > 1:
            doc.head(f"attempt {attempt} of {attempts[-1]}")
        last = attempt == (attempts[-1] if attempts else attempt)
        now = held if last else ""
        for call in (c for c in detail.calls if c.attempt == attempt):
            _call_stages(doc, call, now, context)
        if attempt == 1 or last:
            _tool_stage(doc, detail, now)
        takes = [take for take in detail.stage_runs if take.attempt == attempt]
        for number, take in enumerate(takes, 1):
            if len(takes) > 1:
                count = " (counts)" if number == len(takes) else ""
                doc.line((f"revision {take.revision}{count}", "muted bold"))
            raw = _raw_of(detail, attempt)
            last_held = now if number == len(takes) else ""
            _take_stages(doc, take, raw, last_held, context, interim=detail.interim)
        if last and now and not takes and now not in ("request", "response", "tools"):
            _stage(doc, now, "", [("is held before it runs", "held")], held=True)
    for record in detail.debug:
        _debug(doc, record)
    if turn.flags & Flag.ENDED:
        _stage(doc, "terminate", "!", [("the session ended here", "warning")])
    elif turn.flags & Flag.WOULD_END:
        note = turn.note or "would have ended here"
        _stage(doc, "terminate", "!", [(visible_line(note, 120), "warning")])
    elif turn.status not in (OPEN, FAILED) and detail.stage_runs:
        ends = context.hold is not None and context.hold.get("reason") == "ending"
        what: Span = ("is about to end", "warning") if ends else ("goes on", "muted")
        _stage(doc, "terminate", ".", [what], held=held == "terminate")
    if context.hold:
        detail_text = str(context.hold.get("detail") or context.hold.get("reason") or "")
        doc.blank().line(("> held: ", "held bold"), (detail_text, "text"))
    _faults(doc, detail, turn, context.correction)
    return doc


def _faults(doc: Document, detail: TurnDetail, turn: Turn, correction: Correction | None) -> None:
    """What the heuristics noticed, what was corrected by hand, and whose fault it is."""
    take = next((take for take in reversed(detail.stage_runs) if take.committed), None)
    entries = (take.committed or {}).get("flags") if take is not None else None
    noticed = [noticed_words(each) for each in entries or () if isinstance(each, Mapping)]
    by_hand = corrected_words(correction) if correction is not None else []
    faults = corrected_faults(turn, correction)
    if noticed or by_hand or faults:
        doc.blank()
    for words in noticed:
        doc.line(("! ", "warning bold"), (visible_line(words, 200), "warning"))
    for words in by_hand:
        doc.line(("* ", "human bold"), (words, "human"))
    for fault in faults:
        doc.line(
            ("whose fault: ", "muted bold"),
            (fault.side, "warning bold"),
            (f", rule {fault.rule}", "text"),
        )
        doc.line((fault.why, "muted"), indent=2)


def _stage(
    doc: Document, name: str, sign: str, spans: Sequence[Span], *, held: bool = False
) -> None:
    mark: Span = ("> ", "held bold") if held else (f"{sign or ' '} ", "muted bold")
    title: Span = (f"{name:<13}", "held bold" if held else "text bold")
    doc.line(*spans, label=(mark, title))
    if held:
        doc.line(("held here", "held"), indent=15)


def _call_stages(doc: Document, call: Call, held: str, context: Context) -> None:
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
            (message_of(retry.get("error")) + wait, "muted"),
            indent=15,
        )
    if call.failed is not None:
        took = call.failed.get("duration")
        after = f"{seconds(took)}, " if isinstance(took, (int, float)) else ""
        spans = [
            ("failed: ", "error bold"),
            (after + message_of(call.failed.get("error")), "error"),
        ]
        _stage(doc, "response", "!", spans, held=held == "response")
    elif call.cancelled:
        _stage(doc, "response", "-", [("cancelled by hand", "warning")], held=held == "response")
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
    reason = reason_of(response)
    if reason:
        words = in_words(reason, finish)
        spans.append((f", incomplete: {words}", "warning"))
    elif response.get("refused"):
        spans.append((", refusal", "warning"))
    for words in parts_words(response):
        spans.append((f", {words}", "muted"))
    if response.get("reused"):
        spans.append((", reply reused", "muted"))
    return spans


def _tool_stage(doc: Document, detail: TurnDetail, held: str) -> None:
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


def _apart(match: Mapping[str, Any]) -> str:
    """Where else than in what is said a signal stands."""
    words = f", beside the tool call of round {match['round']}" if match.get("round") else ""
    if match.get("inside"):
        words += f", inside {match['inside']}"
        words += ": counts for nothing" if match.get("counts") is False else ""
    return words


def _take_stages(
    doc: Document,
    take: StageRun,
    raw: str,
    held: str,
    context: Context,
    *,
    interim: Sequence[Interim],
) -> None:
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
            place = next((part.text for part in interim if part.round == match.get("round")), raw)
            doc.line(
                (str(match.get("signal", "")), "signal bold"),
                (f" {start}-{end} ", "signal"),
                (placing(place, start, end), "muted"),
                (_apart(match), "warning"),
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
        if take.committed.get("error_text"):
            spans.append((f", the text of an error: {take.committed['error_text']}", "error"))
        if take.committed.get("reasoning_cut"):
            words = cut_words(take.committed["reasoning_cut"], str(take.committed.get("speaker")))
            spans.append((f", {words}", "reasoning"))
        _stage(doc, "commit", ".", spans, held=held == "commit")
    elif held == "commit":
        _stage(doc, "commit", "", [], held=True)


def _debug(doc: Document, record: RecordDict) -> None:
    kind = str(record.get("type", ""))
    if kind == "debug.edited":
        word = "undone: edit of" if record.get("undoes") is not None else "edited"
        doc.line((f"* {word} ", "human bold"), (str(record.get("field", "")), "text"))
    elif kind == "debug.overrode":
        word = "undone: override of" if record.get("undoes") is not None else "overrode"
        doc.line((f"* {word} ", "human bold"), (str(record.get("what", "")), "text"))
    elif kind == "debug.injected":
        doc.line(("* fault injected ", "warning bold"), (str(record.get("fault", "")), "text"))
    elif kind in ("turn.cancelled", "turn.skipped"):
        word = kind.removeprefix("turn.")
        doc.line((f"- {word} ", "warning bold"), (str(record.get("reason") or ""), "muted"))
