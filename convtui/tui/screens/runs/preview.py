"""The preview of a saved run beside the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from convtui.library.indexed_run import RunTurns
from convtui.log.batch_counts import BatchCounts
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import one_line, visible_line
from convtui.transcript.corrections import CORRECTABLE, FLAG_WORDS
from convtui.transcript.ending_words import short_ending
from convtui.transcript.fold import Flag, Turn
from convtui.tui.drawing.labels import ending, ending_role
from convtui.tui.widgets.run_columns import state_label, state_role
from convtui.tui.widgets.status import short_spec
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.calls import seconds

_TURNS_SHOWN = 2
"""Turns shown from the start, and from the end."""
_MAX_CHARS = 240
_MAX_NOTES = 8
_COUNTED = (
    (Flag.DISCARDED, "discarded", "discard"),
    (Flag.ERROR, "error", "error"),
    (Flag.TOOL_ERROR, "failed tool call", "error"),
    (Flag.RETRY, "retry", "warning"),
    (Flag.EMPTY, "empty", "warning"),
    *((flag, FLAG_WORDS[name], "warning") for name, flag in CORRECTABLE.items()),
    (Flag.EDITED, "edited", "human"),
    (Flag.HUMAN, "human", "human"),
)


def preview(run: RunSummary, turns: RunTurns | None, problem: str = "") -> Document:
    """A document on the run and, if they were read, its turns; `problem` says why not."""
    doc = Document()
    who = f"{visible_line(run.persona, 40)} -> {visible_line(short_spec(run.provider), 60)}"
    doc.line((who if not run.damaged else "a log that cannot be read", "accent bold"))
    doc.line((visible_line(run.name), "muted"))
    if run.damaged:
        doc.field("damaged", visible_line(run.damaged, 200), "error", 9)
        doc.line(("d moves it to the trash.", "muted"))
        return doc
    if run.batch is not None:
        _add_batch(doc, run, run.batch)
        return doc
    termination = {"kind": run.ending, "by": run.ended_by, "reason": run.reason}
    state = ending(termination) if run.ending else run.state
    doc.field("ending", state, ending_role(run.state), 9)
    if run.created_at is not None:
        doc.field("when", f"{run.created_at.astimezone():%Y-%m-%d %H:%M}", width=9)
    figures = _figures(run)
    if figures:
        doc.field("used", ", ".join(figures), width=9)
    if run.model:
        doc.field("model", visible_line(run.model, 80), width=9)
    if run.tags:
        doc.field("tags", visible_line(" ".join(f"#{tag}" for tag in run.tags), 200), "tool", 9)
    if problem:
        doc.blank().line((visible_line(problem, 400), "error"))
    if turns is not None:
        _add_counts(doc, turns.turns)
        _add_sessions(doc, turns)
        _add_notes(doc, turns)
        _add_turns(doc, turns.turns)
    return doc


def _add_batch(doc: Document, run: RunSummary, batch: BatchCounts) -> None:
    doc.field("state", state_label(run), state_role(run), 9)
    doc.field("size", f"{batch.size_words}, {batch.words}", width=9)
    if run.reason:
        doc.field("stopped", visible_line(run.reason, 200), "warning", 9)
    if run.created_at is not None:
        doc.field("when", f"{run.created_at.astimezone():%Y-%m-%d %H:%M}", width=9)
    doc.field(
        "plan", f"{_count(batch.cells, 'cell')}, {_count(batch.runs, 'run')} of each", width=9
    )
    figures = _figures(run)
    if figures:
        doc.field("used", ", ".join(figures), width=9)
    if run.tags:
        doc.field("tags", visible_line(" ".join(f"#{tag}" for tag in run.tags), 200), "tool", 9)
    doc.head("ended")
    for kind, count in sorted(batch.endings.items(), key=lambda item: -item[1]):
        doc.line((f"{count:>6,} ", "accent"), (short_ending(kind), ending_role(kind)))
    waiting = [(state, n) for state, n in batch.states.items() if n and state != "ended"]
    for state, count in waiting:
        doc.line((f"{count:>6,} ", "accent"), (state, "muted"))
    if not batch.endings and not waiting:
        doc.line(("nothing yet", "muted"))


def _figures(run: RunSummary) -> list[str]:
    parts = []
    if run.turns is not None:
        parts.append(_count(run.turns, "turn"))
    if run.duration is not None:
        parts.append(seconds(run.duration))
    if run.tokens is not None:
        parts.append(f"{run.tokens:,} tok")
    if run.cost:
        parts.append(f"${run.cost:.4f}")
    if run.latency is not None:
        parts.append(f"{seconds(run.latency)} a reply")
    return parts


def _count(count: int, what: str) -> str:
    if count == 1:
        return f"1 {what}"
    plural = f"{what[:-1]}ies" if what.endswith("try") else f"{what}s"
    plural = f"{what}es" if what.endswith("o") else plural
    return f"{count:,} {plural if what not in _ADJECTIVES else what}"


_ADJECTIVES = frozenset({"discarded", "empty", "edited", "human"})


def _add_counts(doc: Document, turns: Sequence[Turn]) -> None:
    spans: list[tuple[str, str]] = []
    signals = Counter(name for turn in turns for name in turn.signals)
    for name, count in signals.most_common(4):
        spans.append((f"{visible_line(name, 30)} x{count}", "signal"))
    for flag, what, role in _COUNTED:
        count = sum(bool(turn.flags & flag) for turn in turns)
        if count:
            spans.append((_count(count, what), role))
    if spans:
        parts = [part for span in spans for part in (("  ", "text"), span)][1:]
        doc.line(*parts, label=[(f"{'noticed':<9} ", "muted")])


def _add_sessions(doc: Document, run_turns: RunTurns) -> None:
    doc.head("sessions")
    counts = Counter(turn.session for turn in run_turns.turns)
    for session in run_turns.sessions[:20]:
        name = visible_line(session.session_type, 30)
        outcome = ending(session.termination) if session.termination else "not ended"
        doc.line(
            (f"{session.index} ", "accent bold"),
            (name, "text bold"),
            (f"  {_count(counts[session.index], 'turn')}, ", "muted"),
            (one_line(outcome, 120), "text"),
        )
    if not run_turns.sessions:
        doc.line(("none started", "muted"))


def _add_notes(doc: Document, run_turns: RunTurns) -> None:
    marks = [(at, note) for at, note in run_turns.notes if note.mark or note.note or note.corrects]
    if not marks:
        return
    doc.head("notes and marks")
    for (session, turn), note in marks[:_MAX_NOTES]:
        text = visible_line(one_line(note.note, 160)) or ("corrected" if note.corrects else "")
        sign = "* " if note.mark else ""
        doc.line((text or "marked", "text"), label=[(f"{sign}{session}:{turn} ", "human")])
    if len(marks) > _MAX_NOTES:
        doc.line((f"and {len(marks) - _MAX_NOTES} more", "muted"))


def _add_turns(doc: Document, turns: Sequence[Turn]) -> None:
    doc.head("turns")
    if not turns:
        doc.line(("no turns", "muted"))
        return
    first, last = turns[:_TURNS_SHOWN], turns[max(_TURNS_SHOWN, len(turns) - _TURNS_SHOWN) :]
    for turn in first:
        _add_turn(doc, turn)
    left = len(turns) - len(first) - len(last)
    if left:
        doc.line((f"... {_count(left, 'turn')} ...", "muted"))
    for turn in last:
        _add_turn(doc, turn)


def _add_turn(doc: Document, turn: Turn) -> None:
    speaker = "provider" if turn.speaker == "provider" else "persona"
    gone = "discard struck" if turn.flags & Flag.DISCARDED else "text"
    text = visible_line(one_line(turn.text, _MAX_CHARS)) or "(nothing)"
    doc.line((text, gone), label=[(f"{turn.address} {speaker:<8} ", speaker)])
