"""Small logs for tests: records are written by the real writer, turns are put together here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convtui.log.requests import digest
from convtui.log.writer import LogWriter
from convtui.records.models import (
    ConversationEnded,
    Header,
    LlmRequest,
    LlmResponse,
    ProviderCleanup,
    ProviderSetup,
    Record,
    RecordDict,
    ResponseProcessed,
    SessionEnded,
    SessionEntered,
    SessionsPrepared,
    SessionStarted,
    SignalsExtracted,
    Speaker,
    TurnCommitted,
    TurnDiscarded,
    TurnStarted,
)
from convtui.transcript.fold import Transcript

USAGE = {"prompt_tokens": 70, "completion_tokens": 18, "cost": 0.0004}


def header(**fields: Any) -> Header:
    """A header with the required fields filled in."""
    values: dict[str, Any] = {
        "id": "a1b2c3",
        "created_at": "2026-03-04T05:06:07+00:00",
        "persona": "Maya",
        "provider": {"spec": "my_provider.py:Bot", "name": "Bot", "kind": "file"},
        "scenario": {"name": "refund"},
        "environment": {"convtui": "0.1.0", "python": "3.12.1"},
    }
    return Header(**{**values, **fields})


def matches(raw: str, signal: str) -> list[dict[str, Any]]:
    """The match of one signal in a raw reply, as `signals.extracted` carries it."""
    start = raw.find(signal)
    if start < 0:
        return []
    end = start + len(signal)
    return [{"signal": signal, "matched": signal, "start": start, "end": end}]


def turn(
    number: int,
    speaker: Speaker,
    text: str,
    *,
    raw: str | None = None,
    signal: str | None = None,
    discard: str | None = None,
    attempt: int = 1,
    more: Iterable[Record] = (),
    usage: dict[str, Any] | None = None,
    **commit: Any,
) -> list[Record]:
    """The records of a whole turn of session 1; `session()` moves it.

    `more` are put between its reply and its signals. `discard` is the outcome (`end`, `retry`,
    `skip`) of a turn that is dropped for its `signal`.
    """
    raw = text if raw is None else raw
    at: dict[str, Any] = {"session": 1, "turn": number, "side": speaker, "attempt": attempt}
    found = matches(raw, signal) if signal else []
    message = [{"role": "user", "content": f"turn {number}"}]
    records: list[Record] = [TurnStarted(**at, speaker=speaker)]
    if speaker == "provider":
        records += [
            LlmRequest(**at, append=message, sha256=digest(message)),
            LlmResponse(**at, raw=raw, duration=0.5, ttft=0.1, usage=usage, finish_reason="stop"),
        ]
    for record in more:
        records.append(record.model_copy(update=at))
    records += [
        SignalsExtracted(**at, matches=found, duration=0.001),
        ResponseProcessed(**at, text=text, changed=text != raw, duration=0.002, hook="yours"),
    ]
    if discard:
        records.append(
            TurnDiscarded(
                **at,
                speaker=speaker,
                text=text,
                raw=raw,
                signals=found,
                hook="should_discard_response",
                outcome=discard,
            )
        )
    else:
        records.append(
            TurnCommitted(**at, speaker=speaker, text=text, words=len(text.split()), **commit)
        )
    return records


def ending(kind: str = "max_turns", by: str = "harness", at_turn: int = 2, **more: Any) -> Any:
    """A termination record."""
    return {"kind": kind, "by": by, "reason": f"the reason of {kind}", "at_turn": at_turn, **more}


def session(
    index: int, session_type: str, turns: Iterable[list[Record]], end: dict[str, Any] | None = None
) -> list[Record]:
    """The records of a session; without `end` it is left open."""
    records: list[Record] = [
        SessionEntered(session=index, session_type=session_type, duration=0.01),
        SessionStarted(
            session=index, session_type=session_type, first_speaker="persona", max_turns=20
        ),
    ]
    count = 0
    for records_of_turn in turns:
        records += [record.model_copy(update={"session": index}) for record in records_of_turn]
        count += isinstance(records_of_turn[-1], TurnCommitted)
    if end is not None:
        records.append(
            SessionEnded(session=index, session_type=session_type, termination=end, turns=count)
        )
    return records


def conversation(*sessions: list[Record], end: dict[str, Any] | None = None) -> list[Record]:
    """A whole conversation around `sessions`."""
    names = [
        record.session_type for records in sessions for record in records
        if isinstance(record, SessionStarted)
    ]  # fmt: skip
    records: list[Record] = [
        header(),
        ProviderSetup(duration=0.02, outcome="ok", hooks={"post_process_response": "yours"}),
        SessionsPrepared(requested=names, prepared=names, duration=0.001),
    ]
    for part in sessions:
        records += part
    records.append(ProviderCleanup(duration=0.001))
    if end is not None:
        records.append(ConversationEnded(termination=end))
    return records


def sample() -> list[Record]:
    """Two sessions with a discarded turn, a changed one and an early end."""
    end = ending("early_termination", "provider", 4, signal="[[DONE]]")
    return conversation(
        session(
            1,
            "intake",
            [
                turn(1, "persona", "Hello, my ferry was cancelled."),
                turn(2, "provider", "I am sorry.", usage=USAGE),
            ],
            ending("max_turns", "harness", 2),
        ),
        session(
            2,
            "refund",
            [
                turn(1, "persona", "I want my money back."),
                turn(
                    2,
                    "provider",
                    "[[ERROR]] upstream failed",
                    signal="[[ERROR]]",
                    discard="skip",
                    usage=USAGE,
                ),
                turn(3, "persona", "Are you there?"),
                turn(
                    4,
                    "provider",
                    "Of course.",
                    raw="<think>hm</think>Of course. [[DONE]]",
                    signal="[[DONE]]",
                    usage=USAGE,
                ),
            ],
            end,
        ),
        end=end,
    )


def write_log(path: Path, records: Iterable[Record], *, close: bool = True) -> Path:
    """Writes a log; without `close` it has no trailer, as after a crash."""
    writer = LogWriter(path)
    fold = Transcript()
    for record in records:
        data, offset, _ = writer.write(record)
        fold.apply(data, offset)
    if close:
        totals: dict[str, Any] = {side: total.as_dict() for side, total in fold.totals.items()}
        totals["turns"] = sum(turn.status == "committed" for turn in fold.turns)
        writer.close(fold.termination, totals)
    else:
        writer.abandon()
    return path


def as_records(records: Iterable[Record]) -> list[RecordDict]:
    """The records as a reader would give them."""
    return [
        {"seq": seq, "t": round(seq / 10, 1), **record.payload()}
        for seq, record in enumerate(records)
    ]


def fold(records: Iterable[Record]) -> Transcript:
    """The fold of records, without a file."""
    transcript = Transcript()
    for record in as_records(records):
        transcript.apply(record)
    return transcript
