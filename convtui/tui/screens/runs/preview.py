"""What is shown of a saved run beside the list of runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from convtui.library.library import RunTurns
from convtui.log.run_summary import RunSummary
from convtui.text.boundary import one_line, visible_line
from convtui.transcript.corrections import CORRECTABLE, FLAG_WORDS
from convtui.transcript.fold import Flag, Turn
from convtui.tui.drawing.labels import ending
from convtui.tui.widgets.run_list import BAD
from convtui.tui.widgets.status import short_spec
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.outline import seconds

_ENDS = 2
"""Turns that are shown of the beginning, and of the end."""
_LONGEST = 240
_NOTES = 8
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
    """The run and, where they were read, its turns. `problem` says why they were not."""
    doc = Document()
    who = f"{visible_line(run.persona, 40)} -> {visible_line(short_spec(run.provider), 60)}"
    doc.line((who if not run.damaged else "a log that cannot be read", "accent bold"))
    doc.line((visible_line(run.name), "muted"))
    if run.damaged:
        doc.field("damaged", visible_line(run.damaged, 200), "error", 9)
        doc.line(("d moves it to the trash.", "muted"))
        return doc
    termination = {"kind": run.ending, "by": run.ended_by, "reason": run.reason}
    state = ending(termination) if run.ending else run.state
    doc.field("ending", state, "error" if run.state in BAD else "ok", 9)
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
        _counts(doc, turns.turns)
        _sessions(doc, turns)
        _notes(doc, turns)
        _turns(doc, turns.turns)
    return doc


def _figures(run: RunSummary) -> list[str]:
    found = []
    if run.turns is not None:
        found.append(_many(run.turns, "turn"))
    if run.duration is not None:
        found.append(seconds(run.duration))
    if run.tokens is not None:
        found.append(f"{run.tokens:,} tok")
    if run.cost:
        found.append(f"${run.cost:.4f}")
    if run.latency is not None:
        found.append(f"{seconds(run.latency)} a reply")
    return found


def _many(count: int, what: str) -> str:
    if count == 1:
        return f"1 {what}"
    plural = f"{what[:-1]}ies" if what.endswith("try") else f"{what}s"
    plural = f"{what}es" if what.endswith("o") else plural
    return f"{count:,} {plural if what not in _ADJECTIVES else what}"


_ADJECTIVES = frozenset({"discarded", "empty", "edited", "human"})


def _counts(doc: Document, turns: Sequence[Turn]) -> None:
    spans: list[tuple[str, str]] = []
    signals = Counter(name for turn in turns for name in turn.signals)
    for name, count in signals.most_common(4):
        spans.append((f"{visible_line(name, 30)} x{count}", "signal"))
    for flag, what, role in _COUNTED:
        count = sum(bool(turn.flags & flag) for turn in turns)
        if count:
            spans.append((_many(count, what), role))
    if spans:
        parts = [part for span in spans for part in (("  ", "text"), span)][1:]
        doc.line(*parts, label=[(f"{'noticed':<9} ", "muted")])


def _sessions(doc: Document, found: RunTurns) -> None:
    doc.head("sessions")
    counts = Counter(turn.session for turn in found.turns)
    for session in found.sessions[:20]:
        name = visible_line(session.session_type, 30)
        how = ending(session.termination) if session.termination else "not ended"
        doc.line(
            (f"{session.index} ", "accent bold"),
            (name, "text bold"),
            (f"  {_many(counts[session.index], 'turn')}, ", "muted"),
            (one_line(how, 120), "text"),
        )
    if not found.sessions:
        doc.line(("none was begun", "muted"))


def _notes(doc: Document, found: RunTurns) -> None:
    marks = [(at, note) for at, note in found.notes if note.mark or note.note or note.corrects]
    if not marks:
        return
    doc.head("notes and marks")
    for (session, turn), note in marks[:_NOTES]:
        words = visible_line(one_line(note.note, 160)) or ("corrected" if note.corrects else "")
        sign = "* " if note.mark else ""
        doc.line((words or "marked", "text"), label=[(f"{sign}{session}:{turn} ", "human")])
    if len(marks) > _NOTES:
        doc.line((f"and {len(marks) - _NOTES} more", "muted"))


def _turns(doc: Document, turns: Sequence[Turn]) -> None:
    doc.head("turns")
    if not turns:
        doc.line(("nothing was said", "muted"))
        return
    first, last = turns[:_ENDS], turns[max(_ENDS, len(turns) - _ENDS) :]
    for turn in first:
        _turn(doc, turn)
    left = len(turns) - len(first) - len(last)
    if left:
        doc.line((f"... {_many(left, 'turn')} ...", "muted"))
    for turn in last:
        _turn(doc, turn)


def _turn(doc: Document, turn: Turn) -> None:
    speaker = "provider" if turn.speaker == "provider" else "persona"
    gone = "discard struck" if turn.flags & Flag.DISCARDED else "text"
    text = visible_line(one_line(turn.text, _LONGEST)) or "(nothing)"
    doc.line((text, gone), label=[(f"{turn.address} {speaker:<8} ", speaker)])
