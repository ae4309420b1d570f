"""The journal folds its records late, and nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from convtui.engine.core.journal import Journal
from convtui.log.reader import open_log
from convtui.log.writer import LogWriter
from convtui.models.base import Delta
from convtui.providers.base import Request
from convtui.records.models import RecordDict, Warned
from tests.builders.conversations import Bot, prepare, run, scenario


def journal(folder: Path) -> Journal:
    return Journal(LogWriter(folder / "log.jsonl"))


def warn(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.emit(Warned(message=str(number)))


def test_the_transcript_has_every_record(tmp_path: Path) -> None:
    made = journal(tmp_path)
    transcript = made.transcript
    for count in range(1, 4):
        warn(made, 1)
        assert made.transcript is transcript
        assert (transcript.records, transcript.counts["warning"]) == (count, count)
    assert list(transcript.offsets) == [0, *_ends(made.writer.path)[:-1]]


def _ends(path: Path) -> list[int]:
    ends: list[int] = []
    for line in path.read_bytes().splitlines(keepends=True):
        ends.append((ends[-1] if ends else 0) + len(line))
    return ends


def test_who_follows_the_fold_is_called_in_order_and_after_it(tmp_path: Path) -> None:
    made = journal(tmp_path)
    seen: list[tuple[Any, int]] = []
    transcript = made.transcript
    made.when_folded(lambda record: seen.append((record["message"], transcript.records)))
    warn(made, 3)
    made.fold()
    made.fold()
    assert seen == [("0", 1), ("1", 2), ("2", 3)]


def test_listeners_do_not_wait_for_the_fold_and_may_ask_for_it(tmp_path: Path) -> None:
    made = journal(tmp_path)
    seen: list[tuple[int, int]] = []

    def listen(record: RecordDict, offset: int, line: bytes) -> None:
        seen.append((record["seq"], made.transcript.records))

    made.listen(listen)
    warn(made, 3)
    assert seen == [(0, 1), (1, 2), (2, 3)]


def test_what_waits_to_be_folded_is_bounded(tmp_path: Path) -> None:
    made = journal(tmp_path)
    transcript = made.transcript
    warn(made, 1000)
    assert transcript.records > 900


async def test_what_nobody_asks_for_is_folded_while_a_reply_is_waited_for(tmp_path: Path) -> None:
    waiting: list[int] = []

    class Looking(Bot):
        async def respond(self, request: Request) -> AsyncIterator[Delta]:
            await asyncio.sleep(0)
            waiting.append(made.journal.writer.count - transcript.records)
            yield Delta(text="fine")

    script = [f"line {number}" for number in range(40)]
    made, _, _ = prepare(scenario(Looking(), script, max_turns=80), tmp_path)
    transcript = made.journal.transcript
    await made.run()
    assert len(waiting) == 40
    assert max(waiting) <= 60
    assert made.journal.transcript.records == made.journal.writer.count


async def test_the_fold_of_a_conversation_is_that_of_its_log(tmp_path: Path) -> None:
    ran = await run(scenario(Bot("fine", "fine", "Error: 500"), ["one", "two", "three"]), tmp_path)
    fold = ran.conversation.journal.transcript
    with open_log(ran.path) as log:
        whole = log.transcript
        assert list(fold.offsets) == list(whole.offsets)
        assert fold.counts == whole.counts
        assert [(t.text, t.status, int(t.flags)) for t in fold.turns] == [
            (t.text, t.status, int(t.flags)) for t in whole.turns
        ]
