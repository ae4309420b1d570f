"""Sentences and terminal properties that all printed output shares."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TextIO

from convtui.records.codec import RecordDict
from convtui.records.interim import Interim
from convtui.text.boundary import one_line, span_of_time, visible, visible_line
from convtui.text.counts import counted
from convtui.transcript.ending_words import ending_sentence
from convtui.transcript.turns import Flag, Totals, Turn


def wants_color(stream: TextIO, *, plain: bool = False) -> bool:
    """Whether colour may be used: on a terminal that has it, unless NO_COLOR or `plain` say no."""
    if plain or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def terminal_width(stream: TextIO) -> int | None:
    """The terminal's width in columns, 20 or more; None for a file or a pipe."""
    try:
        if not stream.isatty():
            return None
        # Some terminals do not know: they say 0.
        return max(20, os.get_terminal_size(stream.fileno()).columns or 80)
    except (OSError, ValueError):
        return 80


def warm_words(warm: tuple[str, int]) -> str:
    """The warm template that a history begins with: its name and number of messages."""
    name, messages = warm
    return f"warm context {visible_line(name, 48)}, {counted(messages, 'message')}"


def replayed_words(record: RecordDict) -> str:
    """The outcome of replaying a history into a provider; empty if there was no replay."""
    if record.get("mode") != "replayed":
        return ""
    answers = record.get("answers")
    replayed = counted(answers, "answer") if isinstance(answers, int) else "the answers"
    drift = record.get("drift")
    number = len(drift) if isinstance(drift, list) else 0
    outcome = f"{number} drifted from the record" if number else "none differs from the record"
    return f"replayed what was said: {replayed} asked for again, {outcome}"


def span(match: Mapping[str, Any]) -> str:
    """A signal with the span of its match in the raw reply, and what is special about it."""
    text = f"{match.get('signal')} {match.get('start')}-{match.get('end')}"
    if match.get("round") is not None:
        text += f" beside the tool call of round {match['round']}"
    if match.get("inside"):
        text += f" (inside {match['inside']}"
        text += ")" if match.get("counts") is not False else ": counts for nothing)"
    return text


def interim_words(part: Interim, *, included: bool) -> str:
    """Text beside a tool call; `included` if the committed turn has it."""
    return f"round {part.round}, beside a tool call{'' if included else ', not said'}: {part.text}"


def cut_words(characters: int, speaker: str) -> str:
    """A note that reasoning was kept from the other side."""
    other = "provider" if speaker == "persona" else "persona"
    return f"{counted(characters, 'character')} of reasoning kept from the {other}"


def error_text(error: Mapping[str, Any] | None) -> str:
    """An error record in one line or more, with escapes made visible."""
    if not error:
        return "for a reason that is not on record"
    message = str(error.get("message", ""))
    # These types only say whose code failed; the message has the details.
    if error.get("type") in ("ProviderError", "HookError", "UserSimulatorError"):
        return visible(message)
    kind = str(error.get("type", "error"))
    return visible(message if message.startswith(kind) else f"{kind}: {message}")


def wait_words(left: float, attempt: int | None, attempts: int | None, why: str) -> str:
    """A wait before a retry, `left` in seconds: `waiting 12 s before attempt 2 of 4: ...`."""
    of = f" of {attempts}" if attempts is not None else ""
    before = f"attempt {attempt}{of}" if attempt is not None else "asking again"
    return visible_line(f"waiting {span_of_time(left)} before {before}: {one_line(why, 200)}")


def describe(termination: Mapping[str, Any] | None) -> str:
    """A termination in one line: kind, by whom, at which turn and why."""
    return visible_line(ending_sentence(termination, nothing="for a reason that is not on record"))


def totals_line(totals: Mapping[str, Totals]) -> str:
    """The usage of each side; without figures of tokens, where none were reported."""
    parts = []
    for side, used in totals.items():
        figures = [f"{side} {counted(used.calls, 'call')}"]
        if used.tokens is not None:
            figures.append(counted(used.tokens, "token"))
        if used.cost is not None:
            figures.append(f"${used.cost:.4f}")
        elif used.tokens is not None:
            figures.append("cost unknown")
        parts.append(", ".join([*figures, f"{used.seconds:.1f} s"]))
    return visible_line("totals: " + ("; ".join(parts) or "no calls on record"))


def decision_words(record: RecordDict) -> str:
    """A responder's decision in one line."""
    parts = [f"decision {record['kind']}"]
    if record.get("by") == "human":
        parts.append("made by hand")
    if record.get("for_record"):
        parts.append("for the record only, nothing was sent")
    elif record["kind"] == "reply" and record.get("max_followups") is not None:
        parts.append(f"follow-up {record.get('followup')} of {record['max_followups']}")
    if record.get("brief_edited"):
        parts.append("with an edited brief")
    text = ", ".join(parts)
    detail = record.get("reason")
    if detail is None and record.get("for_record"):
        detail = (record.get("arguments") or {}).get("answer")
    return f"{text}: {one_line(str(detail), 200)}" if detail else text


def budget_words(record: RecordDict) -> str:
    """A note that a budget was crossed or raised."""
    scope = str(record.get("scope", "conversation"))
    whose = "" if scope == "conversation" else f" of the {scope}"
    limit = f"{record['limit']:,g} {record['what']}"
    if record.get("type") == "budget.raised":
        return f"budget{whose} raised by hand to {limit}"
    return f"budget{whose} crossed: {record['used']:,g} of {limit}"


def compressed_words(record: RecordDict) -> str:
    """A note that the history was summarised, with the summary."""
    rows, upto = record.get("rows_in", 0), record.get("upto", 0)
    summary = one_line(str(record["summary"]), 300)
    what = f"history up to turn {upto}" if upto else "what came before this session"
    became = f" ({counted(rows, 'message')} became 1)" if rows else ""
    return f"{what} summarised{became}: {summary}"


def denied_words(record: RecordDict) -> str:
    """A note that a tool call was denied, with the reason."""
    reason = f": {one_line(str(record['reason']), 120)}" if record.get("reason") else ""
    return f"tool {record['name']} denied by hand{reason}"


def parts_words(response: RecordDict) -> list[str]:
    """Placeholders for the parts of a reply that are no text."""
    parts = response.get("parts")
    labels = []
    for part in parts if isinstance(parts, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "more":
            labels.append(f"[{one_line(str(part.get('count')), 20)} more parts, not kept]")
        else:
            labels.append(f"[{visible_line(str(kind or 'unknown'), 80)} part, not shown]")
    return labels


def made_on(created_at: float) -> str:
    """The date of a warm template, from seconds since the epoch; `?` if unknown."""
    try:
        return f"{datetime.fromtimestamp(created_at):%Y-%m-%d}" if created_at > 0 else "?"
    except (ValueError, OSError, OverflowError):
        return "?"


def message_words(message: Mapping[str, Any], *, ids: bool = False) -> str:
    """Tool calls and text of a warm template's message; with `ids`, the ids of the calls."""
    lines = []
    for call in message.get("tool_calls") or ():
        line = f"calls {call['function']['name']} {call['function']['arguments']}"
        lines.append(line + f"  ({call['id']})" * ids)
    content = message.get("content")
    return "\n".join([*lines, *([str(content)] if content is not None else [])])


def past_words(turn: Turn) -> list[str]:
    """What a seeded turn's summary says happened to it, a line each; its records are elsewhere."""
    flags = int(turn.flags)
    signals = f"signal {', '.join(turn.signals)}" if turn.signals else ""
    words: list[str] = []
    if flags & Flag.DISCARDED:
        by = f" by {turn.note}" if turn.note else ""
        words.append(f"discarded: {signals or 'no signal'}{by}")
    elif signals:
        words.append(signals)
    if flags & Flag.SKIPPED:
        words.append(f"turn skipped: {turn.note}" if turn.note else "turn skipped")
    elif turn.status == "ended" and turn.note:
        words.append(f"nothing was said: {turn.note}")
    if turn.error:
        words.append(f"error: {turn.error}")
    words += [text for flag, text in _PAST if flags & flag]
    if flags & Flag.WOULD_END:
        words.append(turn.note or "would have ended here")
    return [one_line(text, 200) for text in words]


_PAST: Final = (
    (Flag.CHANGED, "raw differs from shown"),
    (Flag.EMPTY, "empty reply"),
    (Flag.TRUNCATED, "truncated: the tool rounds were used up"),
    (Flag.RETRY, "retried"),
    (Flag.CANCELLED, "cancelled by hand"),
    (Flag.EDITED, "edited by hand"),
    (Flag.HUMAN, "spoken by a human"),
)
