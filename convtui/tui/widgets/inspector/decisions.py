"""The Decision tab: a turn's decisions, and the responder's own conversation below them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from rich.cells import cell_len

from convtui.printing.turn_sign import decision_sign
from convtui.text.boundary import visible
from convtui.tui.drawing import glyphs
from convtui.tui.drawing.labels import decision_text
from convtui.tui.drawing.word_diff import diff_spans, legend_spans
from convtui.tui.drawing.wrap import Wrapped
from convtui.tui.widgets.inspector.context import Context
from convtui.tui.widgets.inspector.requests import (
    all_messages,
    arguments_text,
    messages_of,
    reply_body,
)
from convtui.tui.widgets.inspector.stages import UNKNOWN, message_of
from convtui.tui.widgets.text_pane import Document
from convtui.tui.widgets.transcript.calls import seconds

if TYPE_CHECKING:
    from convtui.log.detail import Call, TurnDetail
    from convtui.records.codec import RecordDict
    from convtui.transcript.fold import Turn
    from convtui.tui.drawing.palette import Span

CONVERSATION: Final = "responder"
"""The key of the fold with the responder's conversation."""
_LABEL: Final = 11
COLUMN: Final = 28
"""Minimum cells per decision to show them side by side."""
_VOLATILE: Final = frozenset({"latency", "tokens"})
"""Fields that always differ, which means nothing."""
_REASON: Final = "reason"


@dataclass(slots=True)
class Card:
    """One decision: a title, and its fields by name as (value, role)."""

    title: str
    note: str
    record: RecordDict
    fields: dict[str, Span] = field(default_factory=dict)


def decisions(detail: TurnDetail, turn: Turn, context: Context) -> Document:
    """The decisions of a turn, and what the responder was asked and answered."""
    cards = _cards(detail)
    doc = _decided(detail, turn, context, cards)
    responder(doc, detail, context, opened=not cards)
    return doc


def _decided(detail: TurnDetail, turn: Turn, context: Context, cards: Sequence[Card]) -> Document:
    """The decisions of a turn, side by side if they fit, with differences marked."""
    doc = Document()
    if not cards:
        message = "The responder made no decision in this turn"
        if turn.speaker == "provider":
            return doc.nothing(
                f"{message}: it decides in the persona's turns, and this is a provider turn."
            )
        if detail.shown is not None and not detail.calls:
            return doc.nothing(f"{message}: the text was sent without it.")
        return doc.nothing(f"{message} so far.")
    if detail.parent_missing:
        doc.line(
            ("! ", "warning bold"),
            (f"The earlier decision cannot be shown: {detail.parent_missing}.", "warning"),
        )
    room = context.width - _LABEL - 4
    if len(cards) > 1 and room // len(cards) >= COLUMN:
        _add_side_by_side(doc, cards, room // len(cards))
    else:
        _add_below(doc, cards)
    _add_text_diffs(doc, cards)
    return doc


# --- cards


def _cards(detail: TurnDetail) -> list[Card]:
    inherited = detail.parent.decided if detail.parent is not None else []
    known = {_identity(record) for record in inherited}
    # If a branch starts at a decision, the parent log has it with all its figures.
    own = [r for r in detail.decided if r.get("call") is not None or _identity(r) not in known]
    cards = [
        *(
            _card(detail.parent, record, "in the parent log")
            for record in inherited
            if detail.parent
        ),
        *(_card(detail, record) for record in own),
    ]
    for number, card in enumerate(cards, 1):
        if len(cards) > 1:
            card.title = f"{number} {card.title}"
    return cards


def _identity(record: RecordDict) -> tuple[object, ...]:
    return (record.get("kind"), record.get("by"), decision_text(record))


def _card(detail: TurnDetail, record: RecordDict, note: str = "") -> Card:
    kind = str(record.get("kind", ""))
    sign, role = decision_sign(kind)
    by_hand = record.get("by") == "human"
    call = detail.call_of(record)
    card = Card("forced by hand" if by_hand else "decision", note, record)
    fields = card.fields
    fields["decision"] = (f"{sign} {kind}", f"{role} bold")
    _validity(fields, record, by_hand=by_hand)
    calls = [item for item in record.get("calls") or () if isinstance(item, dict)]
    if calls:
        fields["all calls"] = ("\n".join(_one_call(n, c) for n, c in enumerate(calls, 1)), "text")
    if record.get("for_record"):
        fields["counts"] = ("for the record only: nothing was sent, no follow-ups were left",
                            "warning")  # fmt: skip
    _followup(fields, record)
    fields["by"] = ("a human, by hand", "human") if by_hand else ("the responder", "text")
    if record.get("brief_edited"):
        fields["brief"] = ("edited by hand", "human")
    if not by_hand:
        _figures(fields, record, call)
    return card


def _validity(fields: dict[str, Span], record: RecordDict, *, by_hand: bool) -> None:
    valid = bool(record.get("valid", True))
    tool = str(record.get("tool") or ("" if by_hand else "none called"))
    if tool:
        fields["tool"] = (tool, "tool")
    reason = str(record.get(_REASON) or "")
    if not valid:
        fields["validity"] = (f"! invalid: {reason}" if reason else "! invalid", "error")
    elif not by_hand:
        fields["validity"] = ("valid", "ok")
    arguments = _flat(record)
    if arguments and arguments not in ("{}", f"reason: {reason}"):
        fields["arguments"] = (arguments, "text")
        if record.get("arguments") is None:
            fields["arguments"] = (f"{arguments}\n(as written; they cannot be decoded)", "warning")
    if reason and valid:
        fields[_REASON] = (reason, "text")


def _flat(record: RecordDict) -> str:
    """Arguments for reading: `answer: ...` if all values are texts."""
    arguments = record.get("arguments")
    if isinstance(arguments, dict) and all(isinstance(v, str) for v in arguments.values()):
        return "\n".join(f"{name}: {value}" for name, value in arguments.items())
    return arguments_text(record)


def _one_call(number: int, call: dict[str, Any]) -> str:
    line = f"{number} {call.get('tool')} {_flat(call)}".rstrip()
    return f"{line}\n  ! {call['error']}" if call.get("error") else line


def _followup(fields: dict[str, Span], record: RecordDict) -> None:
    number, most = record.get("followup"), record.get("max_followups")
    if isinstance(number, int):
        of = f"{number} of {most}" if isinstance(most, int) else str(number)
        would = (
            "" if record.get("kind") == "reply" and not record.get("for_record") else "would be "
        )
        fields["follow-up"] = (would + of, "text")


def _figures(fields: dict[str, Span], record: RecordDict, call: Call | None) -> None:
    latency = record.get("latency")
    if isinstance(latency, (int, float)):
        fields["latency"] = (seconds(latency), "text")
    response = (call.response if call is not None else None) or {}
    usage = response.get("usage") or {}
    tokens_in, tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(tokens_in, int) or isinstance(tokens_out, int):
        counts = [
            f"{count:,} {direction}"
            for count, direction in ((tokens_in, "in"), (tokens_out, "out"))
            if isinstance(count, int)
        ]
        fields["tokens"] = (", ".join(counts), "text")
    elif call is not None:
        fields["tokens"] = (UNKNOWN, "muted")
    requested = call.request.get("model") if call is not None else None
    model = response.get("model") or requested
    if model:
        fields["model"] = (str(model), "text")


# --- side by side, or one below the other


def _differs(cards: Sequence[Card], name: str) -> bool:
    values = {card.fields.get(name, ("", ""))[0] for card in cards}
    return len(values) > 1 and name not in _VOLATILE


def _names(cards: Sequence[Card]) -> list[str]:
    order = ("decision", "tool", "validity", "arguments", _REASON, "all calls", "counts",
             "follow-up", "by", "brief", "latency", "tokens", "model")  # fmt: skip
    return [name for name in order if any(name in card.fields for card in cards)]


def _add_below(doc: Document, cards: Sequence[Card]) -> None:
    names = _names(cards)
    for index, card in enumerate(cards):
        doc.head(card.title, card.note)
        for name in names:
            if name not in card.fields:
                continue
            value, role = card.fields[name]
            new = index > 0 and _differs(cards[index - 1 : index + 1], name)
            first, *rest = value.split("\n")
            mark: Span = ("* ", "accent bold") if new else ("  ", "text")
            doc.line((first, role), label=[mark, (f"{name:<{_LABEL - 1}} ", "muted")])
            for line in rest:
                doc.line((line, role), indent=_LABEL + 2)
    if len(cards) > 1:
        doc.blank().line(("* ", "accent bold"), ("differs from the decision above", "muted"))


def _add_side_by_side(doc: Document, cards: Sequence[Card], width: int) -> None:
    heads = [f"{card.title}{', ' + card.note if card.note else ''}" for card in cards]
    _row(doc, "  ", "", [(head, "accent bold") for head in heads], width)
    for name in _names(cards):
        mark = "* " if _differs(cards, name) else "  "
        _row(doc, mark, name, [card.fields.get(name, ("", "text")) for card in cards], width)
    doc.blank().line(("* ", "accent bold"), ("differs", "muted"))


def _row(doc: Document, mark: str, name: str, cells: Sequence[Span], width: int) -> None:
    columns = [Wrapped(visible(text), width - 2).lines() for text, _ in cells]
    for number in range(max(map(len, columns))):
        label: list[Span] = [(mark if number == 0 else "  ", "accent bold")]
        label.append((f"{name if number == 0 else '':<{_LABEL - 1}} ", "muted"))
        spans: list[Span] = []
        for lines, (_, role) in zip(columns, cells, strict=True):
            text = lines[number] if number < len(lines) else ""
            spans.append((text + " " * max(0, width - cell_len(text)), role))
        spans[-1] = (spans[-1][0].rstrip(), spans[-1][1])
        doc.line(*spans, label=label)


def _add_text_diffs(doc: Document, cards: Sequence[Card]) -> None:
    for before, after in pairwise(cards):
        old, new = decision_text(before.record), decision_text(after.record)
        same = before.record.get("kind") == after.record.get("kind")
        if same and old and new and old != new:
            doc.head(f"{before.title.split()[0]} -> {after.title.split()[0]}", "text")
            doc.line(*legend_spans())
            doc.spans(diff_spans(old, new))


# --- the responder's own conversation


def responder(doc: Document, detail: TurnDetail, context: Context, *, opened: bool) -> None:
    """Adds the responder's requests and answers, up to a turn."""
    if context.responder_detail is not None and not any(
        c.side == "responder" for c in detail.calls
    ):
        detail = context.responder_detail
    calls = [call for call in detail.calls if call.side == "responder"]
    if not calls and (detail.decided or detail.missing or detail.parent_missing):
        return  # It did decide, or only the parent log knows whether it did.
    if not calls:
        doc.blank().line(
            ("The responder has not been called yet. It is called after each message of the"
             " provider; only its answers go to the provider.", "muted")
        )  # fmt: skip
        return
    title: list[Span] = [
        ("responder's conversation", "accent bold"),
        (f"  up to {detail.session}:{detail.number}", "muted"),
    ]
    doc.blank().fold(
        CONVERSATION, title, title, lambda below: _conversation(below, detail, calls, context),
        opened=opened,
    )  # fmt: skip


def _conversation(
    doc: Document, detail: TurnDetail, calls: Sequence[Call], context: Context
) -> None:
    call = calls[-1]
    messages, problem = messages_of(call, context)
    if len(calls) > 1:
        doc.line(
            (f"It was called {len(calls)} times in this turn; this is the last call.", "muted")
        )
    if detail.log is not None:
        doc.line(("from the parent log ", "muted"), (str(detail.log), "muted"))
    if problem:
        doc.line(("! ", "error bold"), (problem, "error"))
    all_messages(doc, messages, f"{CONVERSATION} {call.seq}")
    doc.blank()
    _add_reply(doc, len(messages) + 1, call)
    for record in detail.decided:
        if record.get("by") == "human":
            sign, role = decision_sign(str(record.get("kind", "")))
            doc.blank().line(
                ("* instead, by hand: ", "human bold"),
                (f"{sign} {record.get('kind', '')} ", f"{role} bold"),
                (decision_text(record), "text"),
            )


def _add_reply(doc: Document, number: int, call: Call) -> None:
    if call.response is not None:
        doc.line((f"{number:>2} ", "muted"), ("assistant", "provider bold"), ("  reply", "muted"))
        reply_body(doc, call.response)
    elif call.failed is not None:
        doc.line(("! no reply: ", "error bold"), (message_of(call.failed.get("error")), "error"))
    else:
        doc.line((f"{glyphs.WORKING} ", "accent"), ("waiting for the reply", "muted"))
