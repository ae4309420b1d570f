"""Folders of batches for tests: a manifest, and the logs that it names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.records.models import Record
from tests.builders.logs import USAGE, conversation, ending, session, turn, write_log

_AT = "2026-03-{:02}T05:{:02}:{:02}+00:00"


def talk(
    kind: str = "max_turns",
    *,
    by: str = "harness",
    replies: int = 2,
    discard: bool = False,
    reply: str = "Of course.",
    tokens: int = 88,
) -> list[Record]:
    """A conversation of one session with that ending; `discard` drops its first reply."""
    usage = {**USAGE, "completion_tokens": tokens - USAGE["prompt_tokens"]}
    turns = []
    for number in range(1, 2 * replies + 1, 2):
        turns.append(turn(number, "persona", f"Question {number}, please?"))
        dropped = discard and number == 1
        turns.append(
            turn(
                number + 1,
                "provider",
                "[[ERROR]] upstream" if dropped else f"{reply} {number + 1}",
                signal="[[ERROR]]" if dropped else None,
                discard="skip" if dropped else None,
                usage=usage,
            )
        )
    end = ending(kind, by, 2 * replies)
    return conversation(session(1, "default", turns, end), end=end)


@dataclass
class BatchFolder:
    """A batch that is put together line by line."""

    path: Path
    cells: Sequence[Mapping[str, Any]]
    runs: int = 1
    plan: Mapping[str, Any] = field(default_factory=dict)
    name: str = "refund"
    day: int = 4
    """Of March, on which it began."""
    _lines: int = 0

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        cells = [{"number": n, **cell} for n, cell in enumerate(self.cells, 1)]
        self.add(
            "batch",
            format=1,
            id=self.name,
            convtui="0.1.0",
            plan=dict(self.plan),
            digest="d",
            cells=cells,
            runs=self.runs,
            name=self.name,
        )

    def add(self, kind: str, **fields: Any) -> None:
        """Appends a line, one second after the last."""
        minutes, seconds = divmod(self._lines, 60)
        self._lines += 1
        record = {"type": kind, "at": _AT.format(self.day, minutes % 60, seconds), **fields}
        with (self.path / "batch.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def run(self, key: str, records: list[Record] | None = None, *, close: bool = True) -> Path:
        """A conversation from its start to its end; without `close` its worker died."""
        log = write_log(self.path / f"{key}.jsonl", records or talk(), close=close)
        self.add("started", key=key, log=log.name, worker=1, attempt=1)
        if close:
            trailer = json.loads(log.read_bytes().splitlines()[-1])
            totals = trailer["totals"]
            usage = {side: used for side, used in totals.items() if isinstance(used, dict)}
            self.add(
                "ended",
                key=key,
                log=log.name,
                status="closed",
                termination=trailer["termination"],
                totals={"turns": totals["turns"], "usage": usage},
            )
        return log


def cell(name: str, persona: str = "", provider: str = "demo", **more: Any) -> dict[str, Any]:
    """A cell as a manifest has it."""
    values = {"sessions": ["default"], "settings": {}, "digest": name, **more}
    return {"name": name, "persona": persona or name, "provider": provider, **values}
