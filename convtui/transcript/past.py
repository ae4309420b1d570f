"""What a branch is told of its parents' turns beside their texts: which were dropped or skipped,
what happened in each, and what they used.

`past_of()` puts it together from the parent's fold, the fold of the branch takes it from
`history.seeded`. It is a copy: a branch shows its past also where the parent log is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from convtui.records.codec import RecordDict
from convtui.records.interim import Interim
from convtui.records.values import as_list, as_object, as_text, drop_none
from convtui.transcript.turns import COMMITTED, ENDED, OPEN, Flag, Session, Totals, Turn
from convtui.transcript.usage import whole_totals

if TYPE_CHECKING:
    from convtui.transcript.fold import Transcript

Address = tuple[int, int]
"""Session and turn."""

_BY_NAME: Final = {str(flag.name).lower(): int(flag) for flag in Flag}
_NOT_OF_THE_PAST: Final = int(Flag.SEEDED | Flag.HELD | Flag.REUSED)
_OF_THE_TURN: Final = int(Flag.RETRY | Flag.TOOL | Flag.TOOL_ERROR | Flag.OUTPUT | Flag.WARNING)
"""What stays true of a turn that is asked for again."""
_CODES_OF_THE_TURN: Final = ("retry:", "tool:", "warning:", "injected:")
_FIGURES: Final = ("latency", "prompt_tokens", "completion_tokens", "cost")
_OF_SESSION: Final = ("first_speaker", "max_turns", "skipped")


def past_of(
    transcript: Transcript, *, in_progress: Address | None = None, reopened: int | None = None
) -> dict[str, Any]:
    """The past for `history.seeded`.

    `in_progress` is the turn that is asked for again, `reopened` the session whose ending no longer
    counts.
    """
    turns = [turn for turn in transcript.turns if (turn.session, turn.number) != in_progress]
    open_turn = transcript.find(*in_progress) if in_progress is not None else None
    summary: RecordDict | None = None
    if open_turn is not None and not open_turn.flags & Flag.SEEDED:
        summary = _summary(open_turn, transcript)
    elif transcript.asked_before is not None:
        summary = transcript.asked_before
    past = {
        "turns": [_settled(_summary(turn, transcript), turn, reopened) for turn in turns],
        "open": summary,
        "sessions": [_session(session) for session in transcript.sessions],
        "totals": {side: used.as_dict() for side, used in whole_totals(transcript).items()},
        "outputs": transcript.outputs or None,
    }
    return drop_none(past)


def _summary(turn: Turn, transcript: Transcript) -> RecordDict:
    flags = int(turn.flags) & ~_NOT_OF_THE_PAST
    started = transcript.clock.at(turn.started).running
    said = turn.status == COMMITTED
    return drop_none(
        {
            "session": turn.session,
            "turn": turn.number,
            "speaker": turn.speaker,
            "status": None if said else ENDED if turn.status == OPEN else turn.status,
            "stage": None if said else turn.stage,
            "attempt": turn.attempt if turn.attempt > 1 else None,
            "marks": [name for name, flag in _BY_NAME.items() if flags & flag] or None,
            "codes": [code for code in turn.codes if code != "branch"] or None,
            "signals": list(turn.signals) or None,
            "note": turn.note or None,
            "error": turn.error or None,
            "text": None if said else turn.text or None,
            "interim": None if said else [part._asdict() for part in turn.interim] or None,
            "at": round(started, 4) if started else None,
            **{name: getattr(turn, name) for name in _FIGURES},
        }
    )


def _settled(summary: RecordDict, turn: Turn, reopened: int | None) -> RecordDict:
    """Without the ending of a session that goes on."""
    if turn.session != reopened or not turn.flags & Flag.ENDED:
        return summary
    summary["marks"] = [name for name in summary.get("marks", ()) if name != "ended"]
    summary["codes"] = [c for c in summary.get("codes", ()) if not c.startswith("end:")]
    return summary


def _session(session: Session) -> RecordDict:
    return {
        "session": session.index,
        "session_type": session.session_type,
        **drop_none({name: getattr(session, name) for name in _OF_SESSION}),
    }


class Past:
    """The past in a `history.seeded`. A log may say anything."""

    def __init__(self, record: RecordDict) -> None:
        past = as_object(record.get("past"))
        self.known = bool(past)
        """Whether the log says anything of its past but the texts."""
        self.turns = _by_address(as_list(past.get("turns")))
        self.sessions = [item for item in as_list(past.get("sessions")) if _is_session(item)]
        outputs = past.get("outputs")
        self.outputs = outputs if isinstance(outputs, int) else 0
        self.open = next(iter(_by_address([past.get("open")]).values()), None)
        self.totals = {
            side: totals_from(figures) for side, figures in as_object(past.get("totals")).items()
        }

    def in_order(
        self, committed: Iterable[RecordDict]
    ) -> Iterator[tuple[RecordDict | None, RecordDict | None]]:
        """Every turn of the past: as it was committed, and its summary; either may be missing."""
        if not self.turns:
            yield from ((item, None) for item in committed)
            return
        said = {(item["session"], item["turn"]): item for item in committed}
        for address in sorted({*said, *self.turns}):
            yield said.get(address), self.turns.get(address)


def _is_session(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("session"), int)


def _by_address(items: Iterable[Any]) -> dict[Address, RecordDict]:
    return {
        (item["session"], item["turn"]): item
        for item in items
        if isinstance(item, dict)
        and isinstance(item.get("session"), int)
        and isinstance(item.get("turn"), int)
    }


def fill_summary(turn: Turn, summary: RecordDict, before: float) -> None:
    """Puts the summary of a turn of the past into a seeded one; `before` is the seeded time."""
    if turn.status != COMMITTED:
        turn.text = as_text(summary.get("text"))
        turn.stage = as_text(summary.get("stage")) or turn.stage
        turn.interim = tuple(
            Interim(part["round"], part["text"])
            for part in as_list(summary.get("interim"))
            if isinstance(part, dict) and {"round", "text"} <= part.keys()
        )
    turn.flags |= _flags(summary)
    turn.attempt = summary.get("attempt") or turn.attempt
    for code in as_list(summary.get("codes")):
        turn.code(str(code))
    turn.signals = tuple(str(name) for name in as_list(summary.get("signals")))
    turn.note = as_text(summary.get("note")) or turn.note
    turn.error = as_text(summary.get("error"))
    turn.started = float(summary.get("at") or 0.0) - before
    for name in _FIGURES:
        setattr(turn, name, summary.get(name))


def is_about(summary: RecordDict, turn: Turn) -> bool:
    """Whether a summary is that of a turn."""
    return (summary.get("session"), summary.get("turn")) == (turn.session, turn.number)


def carry_over(turn: Turn, summary: RecordDict) -> None:
    """Adds what happened in the parent log to a turn that is asked for again here."""
    turn.flags |= _flags(summary) & _OF_THE_TURN
    for code in as_list(summary.get("codes")):
        if str(code).startswith(_CODES_OF_THE_TURN):
            turn.code(str(code))
    for name in _FIGURES:
        before, own = summary.get(name), getattr(turn, name)
        if before is not None:
            setattr(turn, name, before + (own or 0))


def _flags(summary: RecordDict) -> int:
    flags = 0
    for name in as_list(summary.get("marks")):
        flags |= _BY_NAME.get(name, 0) if isinstance(name, str) else 0
    return flags & ~_NOT_OF_THE_PAST


def totals_from(figures: Any) -> Totals:
    """Totals from `Totals.as_dict()`."""
    totals = Totals()
    for name in Totals.__slots__:
        value = as_object(figures).get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            setattr(totals, name, value)
    return totals
