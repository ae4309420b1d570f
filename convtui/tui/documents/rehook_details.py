"""What a provider's hooks made of one reply then, and what they make of it now."""

from __future__ import annotations

from typing import Any, Final

from convtui.analysis.rehook.changed import Changed
from convtui.transcript.ending_words import ending_phrase
from convtui.tui.drawing.palette import Span
from convtui.tui.drawing.word_diff import diff_spans, legend_spans
from convtui.tui.widgets.text_pane import Document

_LONGEST: Final = 20_000
"""Characters of a text that are compared word by word."""


def details_of(change: Changed | None) -> Document:
    """The document of one reply; of a run or a session there is none."""
    doc = Document()
    if change is None:
        return doc.nothing("Select a reply to see what the hooks made of it.")
    doc.line((change.address, "muted"), ("  ", "text"), ("; ".join(change.words()), "warning bold"))
    if change.counterfactual:
        doc.line(
            ("≈ counterfactual", "reasoning bold"),
            (": something before it came out differently; after that it might not have been said",
             "muted"),
        )  # fmt: skip
    if change.by_hand:
        doc.line((change.hand(), "human"))
    _failure(doc, change)
    before, after = change.before, change.after
    if before is not None and after is not None:
        _field(doc, "signals", _signals(before), _signals(after))
        _field(doc, "discarded", _yes(before), _yes(after))
        _field(doc, "ends", _ends(before), _ends(after))
        one, other = str(before["text"]), str(after["text"])
        doc.head("text", "the same" if one == other else "")
        if one == other:
            doc.text(one)
        else:
            doc.line(*legend_spans("then", "now"))
            doc.spans(diff_spans(one[:_LONGEST], other[:_LONGEST]))
            if max(len(one), len(other)) > _LONGEST:
                doc.line((f"… compared up to {_LONGEST:,} characters", "muted"))
    elif after is not None or before is not None:
        there: dict[str, Any] = after or before or {}
        doc.head("text", "now" if after is not None else "then").text(str(there["text"]))
    said = {str(each["text"]) for each in (before, after) if each is not None}
    signals = (after or before or {}).get("signals") or []
    if change.raw not in said or signals:
        doc.head("raw reply", "its signals marked" if signals else "")
        marks = [(int(each["start"]), int(each["end"]), "mark:signal") for each in signals]
        size = len(change.raw)
        doc.text(change.raw, marks=[mark for mark in marks if 0 <= mark[0] < mark[1] <= size])
    return doc


def _failure(doc: Document, change: Changed) -> None:
    if change.error is None:
        return
    doc.head("the hook fails now", change.location).line(
        (str(change.error.get("message", "")), "error")
    )
    message = str(change.error.get("message", ""))
    for frame in change.error.get("frames") or ():
        if str(frame) not in message:
            doc.line((str(frame).strip(), "muted"), indent=2)


def _field(doc: Document, name: str, then: str, now: str) -> None:
    spans: list[Span] = [(then, "text")]
    if then != now:
        spans = [(then, "error"), (" -> ", "muted"), (now, "ok")]
    doc.line(*spans, label=[(f"{name:<10} ", "muted")])


def _signals(made: dict[str, Any]) -> str:
    found = [
        f"{each.get('signal')} at {each.get('start')}-{each.get('end')}"
        for each in made.get("signals") or ()
    ]
    return ", ".join(found) or "none"


def _yes(made: dict[str, Any]) -> str:
    return "yes" if made.get("discarded") else "no"


def _ends(made: dict[str, Any]) -> str:
    return ending_phrase(str(made["ends"])) if made.get("ends") else "goes on"
