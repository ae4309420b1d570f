"""A long log: 60 words a turn, six records a turn, written in seconds.

By hand: `python -m tests.bench.longlog run.jsonl --turns 100000`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from convtui.log.requests import canonical
from convtui.records.models import FORMAT, VERSION, Trailer, encode

WORDS = 60
NEEDLE = "halyard"
"""A word that only every `RARE`th turn says."""
RARE = 1000
SIGNAL = "[[NOTE]]"
SIGNAL_EVERY = 250
_POOL = (
    "the a of to and in is that it for was on are with as be at this have from or one had by"
    " word but not what all were we when your can said there use each which she do how their if"
    " will up other about out many then them these so some her would make like him into time has"
    " look two more write go see number no way could people than first water been call who oil"
    " its now find long down day did get come made may part ferry harbour ticket island crossing"
    " Saturday cabin luggage bicycle timetable"
)


def marker(turn: int) -> str:
    """The first word of a turn, which no other turn says."""
    return f"T{turn:06d}"


def write(path: Path, turns: int = 100_000, *, seed: int = 7) -> Path:
    """Writes a closed log of `turns` turns whose requests and digests are right."""
    chance = random.Random(seed)
    pool = _POOL.split()
    paragraphs = [" ".join(chance.choices(pool, k=WORDS - 2)) for _ in range(997)]
    hashes = {side: hashlib.sha256(b"[") for side in ("persona", "provider")}
    sent: dict[str, int] = {"persona": 0, "provider": 0}
    base: dict[str, int | None] = {"persona": None, "provider": None}
    waiting: dict[str, list[dict[str, str]]] = {
        "persona": [{"role": "user", "content": "Begin."}],
        "provider": [],
    }
    seq = 0
    with path.open("wb", buffering=1 << 20) as file:

        def put(**fields: Any) -> None:
            nonlocal seq
            file.write(encode({"seq": seq, "t": round(seq / 50, 2), **fields}))
            seq += 1

        put(
            type="header",
            format=FORMAT,
            version=VERSION,
            id="10" * 16,
            created_at="2026-01-02T03:04:05+00:00",
            origin="run",
            parents=[],
            persona="Long",
            provider={"spec": "demo", "name": "long", "kind": "demo"},
            scenario={"name": "long", "limits": {"max_turns": turns}},
            environment={},
        )
        put(type="sessions.prepared", requested=["default"], prepared=["default"], duration=0)
        put(
            type="session.started",
            session=1,
            session_type="default",
            first_speaker="persona",
            max_turns=turns,
        )
        for number in range(1, turns + 1):
            side = "persona" if number % 2 else "provider"
            other = "provider" if number % 2 else "persona"
            at = {"session": 1, "turn": number, "side": side, "attempt": 1}
            rare = NEEDLE if number % RARE == 0 else "plain"
            text = f"{marker(number)} {rare} {paragraphs[number % 997]}"
            signalled = number % SIGNAL_EVERY == 0
            raw = f"{text} {SIGNAL}" if signalled else text
            put(type="turn.started", **at, speaker=side)
            append = waiting[side]
            running = hashes[side]
            for place, message in enumerate(append, sent[side]):
                running.update((b"," if place else b"") + canonical(message))
            whole = running.copy()
            whole.update(b"]")
            request = {"keep": sent[side], "append": append, "sha256": whole.hexdigest()}
            put(type="llm.request", **at, base=base[side], **request)
            call = base[side] = seq - 1
            sent[side] += len(append)
            usage = {"prompt_tokens": 900, "completion_tokens": WORDS, "cost": 0.0001}
            put(type="llm.response", **at, call=call, raw=raw, duration=0.5, ttft=0.1, usage=usage)
            start = len(text) + 1
            found = {
                "signal": SIGNAL,
                "matched": SIGNAL,
                "start": start,
                "end": start + len(SIGNAL),
            }
            put(type="signals.extracted", **at, matches=[found] if signalled else [], duration=0.0)
            put(type="response.processed", **at, text=text, changed=signalled, duration=0.0)
            put(type="turn.committed", **at, speaker=side, text=text, words=WORDS)
            waiting[side] = [{"role": "assistant", "content": text}]
            waiting[other].append({"role": "user", "content": text})
        ended = {
            "kind": "max_turns",
            "by": "harness",
            "reason": f"{turns} turns, the limit is {turns}",
            "at_turn": turns,
        }
        put(type="session.ended", session=1, session_type="default", termination=ended, turns=turns)
        put(type="conversation.ended", termination=ended)
        trailer = Trailer(closed_at="2026-01-02T04:04:05+00:00", records=seq + 1, termination=ended)
        put(**trailer.payload())
    return path


def cached(turns: int = 100_000) -> Path:
    """Such a log, written once and kept in the temporary folder."""
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    folder = Path(tempfile.gettempdir()) / "convtui-bench"
    folder.mkdir(exist_ok=True)
    path = folder / f"long-{turns}-{source}.jsonl"
    if not path.exists():
        unfinished = path.with_suffix(".part")
        write(unfinished, turns).replace(path)
    return path


def main() -> None:
    """Writes one where it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=Path)
    parser.add_argument("--turns", type=int, default=100_000)
    options = parser.parse_args()
    write(options.path, options.turns)
    print(json.dumps({"path": str(options.path), "bytes": options.path.stat().st_size}))


if __name__ == "__main__":
    main()
