"""Logs for screen tests: written by hand with fixed times, so that pictures of them are stable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from convtui.records.models import encode
from tests.builders.waiting import WITHIN

Record = dict[str, Any]


async def until(pilot: Pilot[Any], predicate: Callable[[], object]) -> None:
    """Lets the app run until `predicate` holds, and what follows from it is on the screen."""
    give_up = time.monotonic() + WITHIN
    while not predicate():
        assert time.monotonic() < give_up, "what was waited for did not happen"
        await pilot.pause(0.005)
    await pilot.pause()


def header(**more: Any) -> Record:
    """The header of a sample log."""
    return {
        "type": "header",
        "format": "convtui",
        "version": "1.0",
        "id": "sample",
        "created_at": "2026-03-01T10:00:00+00:00",
        "origin": "run",
        "parents": [],
        "persona": "maya",
        "provider": {"spec": "my_provider.py:Bot", "name": "Bot", "kind": "file"},
        "scenario": {"name": "refund", "budget": {"tokens": 8000}},
        "environment": {},
        **more,
    }


def turn(
    number: int,
    speaker: str,
    text: str,
    *,
    session: int = 1,
    raw: str | None = None,
    matches: Iterable[Record] = (),
    dropped: str = "",
) -> list[Record]:
    """The records of one turn."""
    raw = text if raw is None else raw
    at = {"session": session, "turn": number, "side": speaker}
    signals = list(matches)
    records: list[Record] = [
        {"type": "turn.started", **at, "speaker": speaker},
        {"type": "llm.request", **at, "base": None, "keep": 0,
         "append": [{"role": "user", "content": "hello"}], "model": "openai/gpt-4o",
         "params": {}, "sha256": "0" * 64},
        {"type": "llm.response", **at, "raw": raw, "duration": 0.512, "ttft": 0.1,
         "usage": {"prompt_tokens": 50, "completion_tokens": 20, "cost": 0.001}},
        {"type": "signals.extracted", **at, "matches": signals, "duration": 0.0001},
        {"type": "response.processed", **at, "text": text, "changed": raw != text,
         "duration": 0.0002, "hook": "yours"},
    ]  # fmt: skip
    if dropped:
        records.append(
            {"type": "turn.discarded", **at, "speaker": speaker, "text": text, "raw": raw,
             "signals": signals, "hook": dropped, "outcome": "retry"}
        )  # fmt: skip
    else:
        records.append(
            {"type": "turn.committed", **at, "speaker": speaker, "text": text,
             "words": len(text.split())}
        )  # fmt: skip
    return records


def session(index: int, name: str, turns: Iterable[list[Record]]) -> list[Record]:
    """The records of a session that reached its cap."""
    records: list[Record] = [
        {"type": "session.entered", "session": index, "session_type": name, "duration": 0.001,
         "outcome": "ok"},
        {"type": "session.started", "session": index, "session_type": name,
         "first_speaker": "persona", "max_turns": 20},
    ]  # fmt: skip
    count = 0
    for one in turns:
        records += one
        count += 1
    records.append(
        {"type": "session.ended", "session": index, "session_type": name, "turns": count,
         "termination": {"kind": "completed", "by": "simulator", "reason": "the script is over",
                         "at_turn": count}}
    )  # fmt: skip
    return records


def refund() -> list[Record]:
    """A conversation of two sessions with a signal, a discarded turn and a changed text."""
    error = {"signal": "[[ERROR]]", "matched": "[[ERROR]]", "start": 0, "end": 9}
    return [
        header(),
        {"type": "provider.setup", "duration": 0.02, "outcome": "ok",
         "hooks": {"extract_signals": "default", "post_process_response": "yours",
                   "should_discard_response": "yours"}},
        {"type": "sessions.prepared", "requested": ["intake", "refund"],
         "prepared": ["intake", "refund"]},
        *session(1, "intake", [
            turn(1, "persona", "Hi, my ferry was cancelled and nobody told me."),
            turn(2, "provider", "I am sorry to hear that. Which crossing was it?"),
            turn(3, "persona", "The 9:40 from Holyhead, booking order 17."),
        ]),
        *session(2, "refund", [
            turn(1, "persona", "I was told to call back about the refund.", session=2),
            turn(2, "provider", "[[ERROR]] upstream failed", session=2, matches=[error],
                 dropped="should_discard_response"),
            turn(3, "provider", "Of course. The refund for order 17 is on its way.", session=2,
                 raw="<think>be kind</think>Of course. The refund for order 17 is on its way."),
            turn(4, "persona", "Thanks, that is all I needed.", session=2),
        ]),
        {"type": "conversation.ended",
         "termination": {"kind": "completed", "by": "simulator", "reason": "the script is over",
                         "at_turn": 4}},
    ]  # fmt: skip


def write_log(path: Path, records: Iterable[Record], *, closed: bool = True) -> Path:
    """Writes a log; half a second passes with every record."""
    items = [dict(record) for record in records]
    if closed:
        ending = next((r["termination"] for r in items if r["type"] == "conversation.ended"), None)
        items.append(
            {"type": "trailer", "closed_at": "2026-03-01T10:05:00+00:00",
             "records": len(items) + 1, "termination": ending, "totals": {}}
        )  # fmt: skip
    with path.open("wb") as file:
        call: dict[Any, int] = {}
        for seq, record in enumerate(items):
            address = (record.get("session"), record.get("turn"))
            if record["type"] == "llm.request":
                call[address] = seq
            if record["type"] == "llm.response" and address in call:
                record["call"] = call[address]
            file.write(encode({"seq": seq, "t": seq * 0.5, **record}))
    return path
