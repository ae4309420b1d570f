"""A family of logs: a root, a rewound branch of it, and a branch of that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convtui.log.reader import digest_until
from tests.tui.harness.sample import Record, header, turn, write_log

SCENARIO: dict[str, Any] = {"name": "refund", "provider": {"use": "bot.py:Bot"}}
ENDED = {"kind": "max_turns", "by": "harness", "reason": "4 turns, the limit is 4", "at_turn": 4}


def committed_turns(*texts: str, first: int = 1) -> list[Record]:
    """Turns of both sides by turns, from turn `first` on."""
    records: list[Record] = []
    for number, text in enumerate(texts, first):
        records += turn(number, "persona" if number % 2 else "provider", text)
    return records


def root(path: Path, *, run: str = "root-run") -> Path:
    """A run of its own."""
    texts = ("Hi.", "Good day.", "So?", "Well.")
    start = [header(id=run, scenario=SCENARIO), *_session(), *committed_turns(*texts)]
    return write_log(path, [*start, *_end(dict(ENDED))])


def branch(
    path: Path,
    parent: Path,
    parent_id: str,
    *,
    run: str,
    kind: str,
    at: int,
    texts: tuple[str, ...],
    scenario: dict[str, Any] | None = None,
    closed: bool = True,
    upto: int = 3,
    ended: dict[str, Any] | None = None,
    before: tuple[str, ...] = ("Hi.",),
) -> Path:
    """A run that goes on from a parent at turn `at`; `before` is what was said until then."""
    seeded = {
        "type": "history.seeded", "sessions": ["intake"], "current": 1,
        "counters": {"numbers": {"1": at - 1}, "first_speakers": {"1": "persona"}},
        "messages": {}, "ended": [],
        "turns": [
            {"session": 1, "turn": n, "speaker": "persona" if n % 2 else "provider", "text": text}
            for n, text in enumerate(before, 1)
        ],
    }  # fmt: skip
    records = [
        header(
            id=run, origin="continue", scenario=SCENARIO if scenario is None else scenario,
            change={"kind": kind, "session": 1, "turn": at},
            created_at=f"2026-03-01T1{at}:00:00+00:00",
            parents=[{"id": parent_id, "file": str(parent), "seq": upto,
                      "sha256": digest_until(parent, upto)[0]}],
        ),
        seeded,
        *_session(continued=True),
        *committed_turns(*texts, first=at),
    ]  # fmt: skip
    if closed:
        records += _end(dict(ENDED if ended is None else ended))
    return write_log(path, records, closed=closed)


def family(folder: Path) -> tuple[Path, Path, Path]:
    """A root, `rewind at 1:2` of it, and `fork at 1:4` of that."""
    first = root(folder / "a.jsonl")
    second = branch(
        folder / "b.jsonl", first, "root-run", run="branch-b", kind="rewind", at=2,
        texts=("Good evening.", "And?"),
    )  # fmt: skip
    third = branch(
        folder / "c.jsonl", second, "branch-b", run="tree-c", kind="fork", at=4,
        before=("Hi.", "Good evening.", "And?"), texts=("Nothing.",),
        scenario={**SCENARIO, "limits": {"max_turns": 9}},
    )  # fmt: skip
    return first, second, third


def _session(**more: Any) -> list[Record]:
    at = {"session": 1, "session_type": "intake"}
    return [
        {"type": "session.entered", **at, "duration": 0.1},
        {"type": "session.started", **at, "first_speaker": "persona", "max_turns": 20, **more},
    ]


def _end(termination: dict[str, Any]) -> list[Record]:
    return [
        {"type": "session.ended", "session": 1, "session_type": "intake", "turns": 4,
         "termination": termination},
        {"type": "conversation.ended", "termination": termination},
    ]  # fmt: skip
