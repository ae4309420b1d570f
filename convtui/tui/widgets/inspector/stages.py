"""The Stages tab: the stages of a turn as the pipeline ran them, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from convtui.printing.wording import cut_words, parts_words
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.text_checks.incomplete import in_words, reason_of
from convtui.transcript.corrections import (
    Correction,
    corrected_faults,
    corrected_words,
    noticed_words,
)
from convtui.transcript.fold import FAILED, OPEN, Flag, Turn
from convtui.tui.drawing.glyphs import (
    BY_HAND,
    DISCARDED,
    ERROR,
    NOTHING,
    SIGNAL,
    SKIPPED,
    WORKING,
)
from convtui.tui.widgets.inspector.stage_rows import StageRows
from convtui.tui.widgets.transcript.calls import seconds
from convtui.tui.widgets.transcript.marks import would_have

if TYPE_CHECKING:
    from convtui.log.detail import Call, StageRun, TurnDetail
    from convtui.records.codec import RecordDict
    from convtui.records.interim import Interim
    from convtui.tui.drawing.palette import Span
    from convtui.tui.widgets.inspector.context import Context
    from convtui.tui.widgets.text_pane import Document

UNKNOWN: Final = "unknown"


def message_of(error: object) -> str:
    """An error's message."""
    if isinstance(error, Mapping):
        return str(error.get("message") or error.get("kind") or "failed")
    return str(error or "failed")


_SENTENCE_ENDS = ".!?…"
"""Characters that end a sentence."""


def match_position(raw: str, start: int, end: int) -> str:
    """Whether a match is on its own, inside a word or inside a sentence."""
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
    alone = (not before or before[-1] in _SENTENCE_ENDS) and (
        not after.strip() or after[0] in _SENTENCE_ENDS
    )
    return "a sentence of its own" if alone else "inside a sentence"


def stages(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    doc = StageRows(context.width)
    held = str(context.hold.get("stage", "")) if context.hold else ""
    attempts = sorted(
        {call.attempt for call in detail.calls} | {run.attempt for run in detail.stage_runs}
    )
    for attempt in attempts or [turn.attempt]:
        if len(attempts) > 1:
            doc.head(f"attempt {attempt} of {attempts[-1]}")
        last = attempt == (attempts[-1] if attempts else attempt)
        held_stage = held if last else ""
        calls = [call for call in detail.calls if call.attempt == attempt]
        # The request that is held is the next one where the last has been answered.
        next_round = calls[-1].round + 1 if calls and calls[-1].response is not None else 0
        asks_again = held_stage == "request" and next_round > 1
        for call in calls:
            here = call is calls[-1] and not asks_again
            _call_stages(doc, call, held_stage if here else "", context)
        if not calls and held_stage in ("request", "response"):
            doc.stage(held_stage, "", [], held=True)
        if attempt == 1 or last:
            _tool_stage(doc, detail, held_stage)
        if asks_again:
            doc.stage("request", "", [(f"round {next_round}", "text")], held=True)
        runs = [run for run in detail.stage_runs if run.attempt == attempt]
        for number, run in enumerate(runs, 1):
            if len(runs) > 1:
                count = " (counts)" if number == len(runs) else ""
                doc.line((f"revision {run.revision}{count}", "muted bold"))
            raw = detail.raw_of(run)
            last_held = held_stage if number == len(runs) else ""
            _run_stages(doc, run, raw, last_held, context, interim=detail.interim)
        if last and held_stage and not runs and held_stage not in ("request", "response", "tools"):
            doc.stage(held_stage, "", [], held=True)
    for record in detail.debug:
        _debug(doc, record)
    _terminate_stage(doc, detail, turn, context, held)
    _faults(doc, detail, turn, context.correction)
    return doc


def _terminate_stage(
    doc: StageRows, detail: TurnDetail, turn: Turn, context: Context, held: str
) -> None:
    if turn.flags & Flag.ENDED:
        doc.stage("terminate", ERROR, [("the session ended here", "warning")])
    elif turn.flags & Flag.WOULD_END:
        doc.stage("terminate", ERROR, [(visible_line(would_have(turn), 120), "warning")])
    elif turn.status not in (OPEN, FAILED) and detail.stage_runs:
        ends = context.hold is not None and context.hold.get("reason") == "ending"
        what: Span = ("about to end", "warning") if ends else ("continues", "muted")
        doc.stage("terminate", NOTHING, [what], held=held == "terminate")


def _faults(doc: Document, detail: TurnDetail, turn: Turn, correction: Correction | None) -> None:
    """What the heuristics noticed, what was corrected by hand, and whose fault it is."""
    run = next((run for run in reversed(detail.stage_runs) if run.committed), None)
    entries = (run.committed or {}).get("flags") if run is not None else None
    noticed = [noticed_words(entry) for entry in entries or () if isinstance(entry, Mapping)]
    by_hand = corrected_words(correction) if correction is not None else []
    faults = corrected_faults(turn, correction)
    if noticed or by_hand or faults:
        doc.blank()
    for label in noticed:
        doc.line(("! ", "warning bold"), (visible_line(label, 200), "warning"))
    for label in by_hand:
        doc.line((f"{BY_HAND} ", "human bold"), (label, "human"))
    for fault in faults:
        doc.line(
            ("fault: ", "muted bold"),
            (fault.side, "warning bold"),
            (f", rule {fault.rule}", "text"),
        )
        doc.line((fault.why, "muted"), indent=2)


def _call_stages(doc: StageRows, call: Call, held: str, context: Context) -> None:
    request = call.request
    kept, appended = request.get("keep") or 0, request.get("append") or []
    count = int(kept) + len(appended)
    side = f"  {call.side}" if call.side == "responder" else ""
    round_label = f"  round {call.round}" if call.round > 1 else ""
    label = f"{counted(count, 'message')}{round_label}{side}"
    doc.stage("request", NOTHING, [(label, "text")], held=held == "request")
    for retry in call.retries:
        delay = retry.get("delay")
        wait = f", retried after {seconds(delay)}" if isinstance(delay, (int, float)) else ""
        doc.line(
            (f"retry {retry.get('n', '')}: ", "warning"),
            (message_of(retry.get("error")) + wait, "muted"),
            indent=doc.below,
        )
    if call.failed is not None:
        spans = [("failed: ", "error bold"), (message_of(call.failed.get("error")), "error")]
        took = call.failed.get("duration")
        doc.stage("response", ERROR, spans, held=held == "response", took=took)
    elif call.cancelled:
        doc.stage("response", SKIPPED, [("cancelled by hand", "warning")], held=held == "response")
    elif call.response is None:
        doc.stage("response", WORKING, [("in progress", "accent")], held=held == "response")
    else:
        spans, took = _response_spans(call.response), call.response.get("duration")
        doc.stage("response", NOTHING, spans, held=held == "response", took=took)


def _response_spans(response: RecordDict) -> list[Span]:
    usage = response.get("usage") or {}
    parts: list[str] = []
    tokens = usage.get("completion_tokens")
    if isinstance(tokens, int):
        parts.append(f"{tokens:,} tok")
    if isinstance(response.get("ttft"), (int, float)):
        parts.append(f"first token {seconds(response['ttft'])}")
    finish = response.get("finish_reason")
    if finish and finish != "stop":
        parts.append(str(finish))
    spans: list[Span] = [(", ".join(parts) or "received", "text")]
    if response.get("reasoning"):
        spans.append((", reasoning separate", "reasoning"))
    reason = reason_of(response)
    if reason:
        label = in_words(reason, finish)
        spans.append((f", incomplete: {label}", "warning"))
    elif response.get("refused"):
        spans.append((", refusal", "warning"))
    for label in parts_words(response):
        spans.append((f", {label}", "muted"))
    if response.get("reused"):
        spans.append((", reply reused", "muted"))
    return spans


def _tool_stage(doc: StageRows, detail: TurnDetail, held: str) -> None:
    if not detail.tools:
        if held == "tools":
            doc.stage("tools", "", [], held=True)
        return
    failed = sum(1 for _, back in detail.tools if back is not None and not back.get("ok", True))
    count = len(detail.tools)
    spans: list[Span] = [(counted(count, "call"), "tool")]
    if failed:
        spans.append((f", {failed} failed", "error"))
    times = [(back or {}).get("duration") for _, back in detail.tools]
    took = sum(time for time in times if isinstance(time, int | float))
    doc.stage("tools", ERROR if failed else NOTHING, spans, held=held == "tools", took=took)


def _hook(record: RecordDict, name: str, context: Context) -> Span:
    whose = str(record.get("hook") or context.hooks.get(name) or "default")
    role = "accent" if whose == "yours" else "muted"
    words = {"yours": "your hook", "default": "default hook"}
    return f", {words.get(whose, whose)}", role


def _location(match: Mapping[str, Any]) -> str:
    """Where a signal is, if not in the text that is sent."""
    text = f", beside the tool call of round {match['round']}" if match.get("round") else ""
    if match.get("inside"):
        text += f", inside {match['inside']}"
        text += ": ignored" if match.get("counts") is False else ""
    return text


def _run_stages(
    doc: StageRows,
    run: StageRun,
    raw: str,
    held: str,
    context: Context,
    *,
    interim: Sequence[Interim],
) -> None:
    if run.signals is not None:
        _signals_stage(doc, run.signals, raw, held, context, interim=interim)
    elif held == "signals":
        doc.stage("signals", "", [], held=True)
    if run.processed is not None:
        _process_stage(doc, run.processed, raw, held, context)
    elif held == "post_process":
        doc.stage("post_process", "", [], held=True)
    _discard_stage(doc, run, held)
    if run.committed is not None:
        _commit_stage(doc, run.committed, held)
    elif held == "commit":
        doc.stage("commit", "", [], held=True)


def _signals_stage(
    doc: StageRows,
    extracted: RecordDict,
    raw: str,
    held: str,
    context: Context,
    *,
    interim: Sequence[Interim],
) -> None:
    matches = extracted.get("matches") or []
    hook = _hook(extracted, "extract_signals", context)
    summary: Span = (f"{len(matches)} found", "signal") if matches else ("none", "muted")
    sign, took = SIGNAL if matches else NOTHING, extracted.get("duration")
    doc.stage("signals", sign, [summary, hook], held=held == "signals", took=took)
    for match in matches[:20]:
        start, end = int(match.get("start", 0)), int(match.get("end", 0))
        source = next((part.text for part in interim if part.round == match.get("round")), raw)
        doc.line(
            (str(match.get("signal", "")), "signal bold"),
            (f" {start}-{end} ", "signal"),
            (match_position(source, start, end), "muted"),
            (_location(match), "warning"),
            indent=doc.below,
        )


def _process_stage(
    doc: StageRows, processed: RecordDict, raw: str, held: str, context: Context
) -> None:
    change: Span = ("unchanged", "muted")
    if processed.get("changed"):
        text = str(processed.get("text", ""))
        change = (f"changed, {len(raw):,} -> {len(text):,} characters", "changed")
    hook = _hook(processed, "post_process_response", context)
    took = processed.get("duration")
    doc.stage("post_process", NOTHING, [change, hook], held=held == "post_process", took=took)


def _discard_stage(doc: StageRows, run: StageRun, held: str) -> None:
    if run.discarded is not None:
        spans: list[Span] = [
            ("dropped", "discard bold"),
            (f" by {run.discarded.get('hook') or 'hook'}", "text"),
            (f", then {run.discarded.get('outcome', '')}", "muted"),
        ]
        doc.stage("discard", DISCARDED, spans)
    elif run.committed is not None and run.signals and run.signals.get("matches"):
        suppressed = run.committed.get("would_have")
        label = f"not called: would have been a {suppressed}" if suppressed else "kept"
        doc.stage("discard", NOTHING, [(label, "muted")], held=held == "discard")
    elif held == "discard":
        doc.stage("discard", "", [], held=True)


def _commit_stage(doc: StageRows, committed: RecordDict, held: str) -> None:
    count = committed.get("words")
    spans: list[Span] = [(counted(count, "word") if count is not None else "sent", "ok")]
    for name, role in (("human", "human"), ("edited", "human"), ("empty", "warning")):
        if committed.get(name):
            spans.append((f", {name}", role))
    if committed.get("error_text"):
        spans.append((f", an error text: {committed['error_text']}", "error"))
    if committed.get("reasoning_cut"):
        label = cut_words(committed["reasoning_cut"], str(committed.get("speaker")))
        spans.append((f", {label}", "reasoning"))
    doc.stage("commit", NOTHING, spans, held=held == "commit")


def _debug(doc: Document, record: RecordDict) -> None:
    kind = str(record.get("type", ""))
    if kind == "debug.edited":
        word = "undone: edit of" if record.get("undoes") is not None else "edited"
        doc.line((f"{BY_HAND} {word} ", "human bold"), (str(record.get("field", "")), "text"))
    elif kind == "debug.overrode":
        word = "undone: override of" if record.get("undoes") is not None else "overrode"
        doc.line((f"{BY_HAND} {word} ", "human bold"), (str(record.get("what", "")), "text"))
    elif kind == "debug.injected":
        doc.line(
            (f"{BY_HAND} fault injected ", "warning bold"), (str(record.get("fault", "")), "text")
        )
    elif kind in ("turn.cancelled", "turn.skipped"):
        word = kind.removeprefix("turn.")
        doc.line((f"{SKIPPED} {word} ", "warning bold"), (str(record.get("reason") or ""), "muted"))
