"""The journal folds its records late, and writes some of them together, and nobody can tell."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from convtui.engine.core.journal import Journal
from convtui.errors import FileError
from convtui.log.reader import open_log
from convtui.log.writer import LogWriter
from convtui.models.base import Delta, Message
from convtui.providers.base import Request, SignalMatch
from convtui.records.models import Record, RecordDict, Warned
from convtui.scenario.scenario import Scenario
from tests.builders.conversations import Bot, FakeModel, FakeModels, calls, prepare, run, scenario


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


def test_a_turn_is_left_before_what_follows_is_attributed_otherwise(tmp_path: Path) -> None:
    """Whatever was printed in it, and is on its way, is recorded as of that turn."""
    made = journal(tmp_path)
    made.current.on_leave = lambda: warn_here(made, "left")
    made.current.on_new = lambda: warn_here(made, "new")
    for address in ((1, None), (1, 1), (1, 1), (1, 2), (None, None)):
        made.current.move_to(*address)
    lines = made.writer.path.read_text().splitlines()
    seen = [(record.get("turn"), record["message"]) for record in map(json.loads, lines)]
    assert seen == [
        (None, "left"), (None, "left"), (None, "new"), (1, "left"), (1, "left"), (1, "new"),
        (2, "left"),
    ]  # fmt: skip


def warn_here(journal: Journal, message: str) -> None:
    journal.emit_here(Warned, message=message)


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


# --- records that are written together


def soon(journal: Journal, *messages: str) -> list[int]:
    return [journal.emit_soon(Warned, message=message) for message in messages]


def in_the_log(journal: Journal) -> list[str]:
    lines = journal.writer.path.read_bytes().splitlines()
    return [str(json.loads(line)["message"]) for line in lines]


async def test_they_are_in_the_log_when_the_event_loop_goes_on(tmp_path: Path) -> None:
    made = journal(tmp_path)
    seen: list[tuple[int, str]] = []
    made.listen(lambda record, offset, line: seen.append((offset, line.decode())))
    assert soon(made, "a", "b") == [0, 1]
    assert (in_the_log(made), seen) == ([], [])
    await asyncio.sleep(0)
    assert in_the_log(made) == ["a", "b"]
    whole = made.writer.path.read_text()
    assert all(whole[offset:].startswith(line) for offset, line in seen)
    assert whole == "".join(line for _, line in seen)


async def test_they_come_before_any_other_record_and_what_is_asked_for(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made.current.move_to(1, 2, "persona", 1)
    soon(made, "a", "b")
    made.current.move_to(1, 3, "provider", 1)
    assert made.emit_here(Warned, message="c") == 2
    assert soon(made, "d") == [3]
    assert [record["message"] for record in _folded(made)] == ["a", "b", "c", "d"]
    assert [record["turn"] for record in _folded(made)] == [2, 2, 3, 3]
    soon(made, "e")
    made.write_out()
    assert in_the_log(made) == ["a", "b", "c", "d", "e"]
    soon(made, "f")
    made.close(None, {})
    types = [json.loads(line)["type"] for line in made.writer.path.read_bytes().splitlines()]
    assert types == ["warning"] * 6 + ["trailer"]


def _folded(journal: Journal) -> list[RecordDict]:
    assert journal.transcript.records == journal.writer.count
    return [json.loads(line) for line in journal.writer.path.read_bytes().splitlines()]


async def test_their_fields_may_be_made_when_they_are_written(tmp_path: Path) -> None:
    made = journal(tmp_path)
    made_for: list[int] = []

    def more(seq: int) -> Mapping[str, Any]:
        made_for.append(seq)
        return {"message": f"number {seq}"}

    warn(made, 1)
    assert made.emit_soon(Warned, more, code="x") == 1
    assert made_for == []
    made.write_out()
    made.write_out()
    assert (made_for, in_the_log(made)) == ([1], ["0", "number 1"])


async def test_they_may_wait_for_what_the_event_loop_has_to_do_first(tmp_path: Path) -> None:
    made = journal(tmp_path)
    before: list[list[str]] = []
    soon(made, "a")
    asyncio.get_running_loop().call_soon(lambda: before.append(in_the_log(made)))
    made.postpone(lambda: None)
    await asyncio.sleep(0)
    assert (before, in_the_log(made)) == ([[]], ["a"])


def test_where_no_event_loop_runs_they_are_written_at_once(tmp_path: Path) -> None:
    made = journal(tmp_path)
    thread = threading.Thread(target=soon, args=(made, "a", "b"))
    thread.start()
    thread.join()
    assert in_the_log(made) == ["a", "b"]


async def test_all_listeners_see_them_in_order_whatever_one_of_them_makes(tmp_path: Path) -> None:
    made = journal(tmp_path)
    seen: list[list[int]] = [[], []]

    def answer(record: RecordDict, offset: int, line: bytes) -> None:
        seen[0].append(record["seq"])
        if record["message"] == "a":
            made.emit(Warned(message="c"))

    made.listen(answer)
    made.listen(lambda record, offset, line: seen[1].append(record["seq"]))
    soon(made, "a", "b")
    made.write_out()
    assert seen == [[0, 1, 2], [0, 1, 2]]
    assert in_the_log(made) == ["a", "b", "c"]
    assert made.transcript.records == 3


def refusing(monkeypatch: pytest.MonkeyPatch, journal: Journal, text: bytes) -> None:
    """Makes a disk that is full as soon as `text` is to be written to the journal's log."""
    real, fd = os.write, journal.writer._fd

    def full(number: int, data: Any) -> int:
        if number == fd and text in bytes(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(number, data)

    monkeypatch.setattr(os, "write", full)


async def test_a_full_disk_takes_as_many_as_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = journal(tmp_path)
    seen: list[str] = []
    made.listen(lambda record, offset, line: seen.append(record["message"]))
    refusing(monkeypatch, made, b"no room")
    soon(made, "a", "b", "no room", "c")
    with pytest.raises(FileError, match="the disk is full"):
        made.write_out()
    assert in_the_log(made) == seen == ["a", "b"]
    with pytest.raises(FileError, match="the disk is full"):
        warn(made, 1)


async def test_those_before_one_that_is_no_json_are_written(tmp_path: Path) -> None:
    made = journal(tmp_path)
    soon(made, "a", "b")
    made.emit_soon(Warned, message="c", detail={"no": object()})
    with pytest.raises(TypeError, match="not JSON serializable"):
        made.write_out()
    warn(made, 1)
    assert in_the_log(made) == ["a", "b", "0"]


async def test_what_could_not_be_written_later_is_raised_where_the_next_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = journal(tmp_path)
    refusing(monkeypatch, made, b"no room")
    failed: list[bool] = []
    soon(made, "a", "no room")
    made.postpone(lambda: failed.append(made.failed))
    await asyncio.sleep(0)
    assert failed == [True]
    for _ in range(2):
        with pytest.raises(FileError, match="the disk is full"):
            soon(made, "b")
    assert in_the_log(made) == ["a"]


async def test_a_call_whose_request_cannot_be_written_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(FakeModel):
        over = False

        async def stream(self, *arguments: Any, **named: Any) -> AsyncIterator[Delta]:
            try:
                await asyncio.get_running_loop().create_future()
                yield Delta(text="never")
            finally:
                self.over = True

    models = FakeModels()
    models.clients["user"] = model = Endless("fake/user", [])
    made, _, _ = prepare(
        scenario(Bot(), persona=_played_by_a_model(), first_speaker="provider"),
        tmp_path,
        models=models,
    )
    refusing(monkeypatch, made.journal, b"You play the user")
    with pytest.raises(FileError, match="the disk is full"):
        await made.run()
    assert model.over
    with open_log(made.journal.writer.path) as log:
        assert [turn.status for turn in log.transcript.turns] == ["committed", "open"]


def _played_by_a_model() -> dict[str, Any]:
    return {
        "name": "Ida", "simulator": "llm", "prompt": "Ida.", "task": "Talk.", "model": "fake/user"
    }  # fmt: skip


class Checking(Bot):
    """Writes down the type of the last record in the log whenever its code is run."""

    log: Path

    def look(self, where: str) -> None:
        last = json.loads(self.log.read_bytes().splitlines()[-1])
        self.calls.append(f"{where}: {last['type']}")

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        self.look("respond")
        yield Delta(text="[[END]]" if request.turn > 3 else "fine")


class CheckingAll(Checking):
    def extract_signals(self, raw: str) -> list[SignalMatch]:
        self.look("extract_signals")
        return super().extract_signals(raw)

    def post_process_response(self, text: str) -> str:
        self.look("post_process_response")
        return text

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        self.look("should_discard_response")
        return False


class CheckingLate(Checking):
    """Has its hook from its first call on."""

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        self.post_process_response = self._process  # type: ignore[method-assign]
        async for delta in super().respond(request):
            yield delta

    def _process(self, text: str) -> str:
        self.look("post_process_response")
        return text


async def test_so_it_is_before_a_hook_that_is_put_in_later(tmp_path: Path) -> None:
    bot = CheckingLate(signals=["[[END]]"])
    made, _, _ = prepare(scenario(bot), tmp_path)
    bot.log = made.journal.writer.path
    await made.run()
    both = ["respond: llm.request", "post_process_response: signals.extracted"]
    assert [call for call in bot.calls if ": " in call] == both * 2


@pytest.mark.parametrize("persona", [None, _played_by_a_model()])
async def test_everything_is_in_the_log_before_code_of_the_developers_runs(
    tmp_path: Path, persona: dict[str, Any] | None
) -> None:
    for number, kind in enumerate((Checking, CheckingAll)):
        bot = kind(signals=["[[END]]"])
        what = scenario(bot) if persona is None else scenario(bot, persona=persona)
        models = FakeModels(user=["one", "two", "three"])
        made, _, _ = prepare(what, tmp_path / str(number), models=models)
        bot.log = made.journal.writer.path
        await made.run()
        before_call = ["respond: llm.request"]
        hooks = [
            "extract_signals: llm.response",
            "post_process_response: signals.extracted",
        ]
        expected = [*before_call, *hooks] * 2 if kind is CheckingAll else before_call * 2
        if kind is CheckingAll:
            expected.append("should_discard_response: response.processed")
        assert [call for call in bot.calls if ": " in call] == expected


class LookingModels(FakeModels):
    """A model that looks, when it is asked, at what the log has."""

    def __init__(self, *lines: str) -> None:
        super().__init__(user=lines)
        self.log = Path()
        self.asked: list[tuple[list[str], list[str]]] = []
        """For each call: the replies of the provider that came with it, and those in the log."""
        model = self.clients["user"]
        answer = model.stream

        def stream(messages: Sequence[Message], **more: Any) -> AsyncIterator[Delta]:
            said = [text for m in messages if "reply" in (text := str(m["content"]))]
            records = map(json.loads, self.log.read_bytes().splitlines())
            logged = [r["text"] for r in records if r["type"] == "turn.committed"]
            self.asked.append((said, [text for text in logged if "reply" in text]))
            return answer(messages, **more)

        model.stream = stream  # type: ignore[method-assign]


async def test_a_reply_is_in_the_log_before_a_model_is_asked_with_it(tmp_path: Path) -> None:
    """Whatever ends this process then: an endpoint has got nothing that the log does not have."""
    models = LookingModels("one", "two", "three")
    bot = Bot("reply 1", "reply 2", "reply 3")
    what = scenario(bot, persona=_played_by_a_model(), max_turns=6)
    made, _, _ = prepare(what, tmp_path, models=models)
    models.log = made.journal.writer.path
    await made.run()
    replies = ["reply 1", "reply 2"]
    assert models.asked == [(replies[:n], replies[:n]) for n in range(3)]


# --- a conversation


def _at_once(
    self: Journal,
    kind: type[Record],
    /,
    more: Callable[[int], Mapping[str, Any]] | None = None,
    **fields: Any,
) -> int:
    if more is not None:
        fields |= more(self.writer.count)
    return self.emit_here(kind, **fields)


_LINES = [
    "I see. Let me look into that.", "", "Thanks, bye!", "Error: 500", "I see. Let me look.",
    "<think>hm</think>fine", "sk-proj-abcdefghijklmnopqrstuvwx0123456789", "[[END]]", "\udc80 ok",
]  # fmt: skip


def _look_up(code: str) -> str:
    """Looks up a code."""
    return f"{code} found"


def _conversations() -> dict[str, Callable[[], Scenario]]:
    tool = calls(("_look_up", '{"code": "H"}'), text="One moment.")
    replies: list[Any] = list(itertools.chain.from_iterable((tool, line) for line in _LINES))
    return {
        "script": lambda: scenario(Bot(*_LINES), _LINES[4:7], on_empty="keep"),
        "model": lambda: scenario(
            Bot(*_LINES), persona=_played_by_a_model(), max_turns=20, on_empty="keep"
        ),
        "hooks": lambda: scenario(
            CheckingAll(*_LINES), persona=_played_by_a_model(), on_empty="keep", max_turns=12
        ),
        "discards": lambda: scenario(
            Bot(*_LINES, signals=["[[END]]"], should_discard_response=lambda signals: True),
            persona=_played_by_a_model(),
            on_empty="keep",
            max_turns=20,
            on_discard="skip",
        ),
        "tools": lambda: scenario(
            Bot(*replies, tools=[_look_up]),
            persona=_played_by_a_model(),
            on_empty="keep",
            max_turns=12,
        ),
        "budget": lambda: scenario(
            Bot(*_LINES), persona=_played_by_a_model(), on_empty="keep", budget={"tokens": 5}
        ),
        "provider first": lambda: scenario(
            Bot(*_LINES), persona=_played_by_a_model(), on_empty="keep", first_speaker="provider"
        ),
    }


@pytest.mark.parametrize("name", sorted(_conversations()))
async def test_the_log_is_the_same_as_if_each_record_was_written_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def written(folder: Path) -> tuple[list[Any], list[int]]:
        models = FakeModels(user=[line for line in _LINES[::-1] if line] or ["x"])
        made, _, _ = prepare(_conversations()[name](), folder, models=models)
        if isinstance(made.provider, Checking):
            made.provider.log = made.journal.writer.path
        seen: list[int] = []
        made.journal.listen(lambda record, offset, line: seen.append(record["seq"]))
        await made.run()
        lines = made.journal.writer.path.read_bytes().splitlines()
        return [_without_times(json.loads(line)) for line in lines[1:]], seen

    together, seen = await written(tmp_path / "together")
    monkeypatch.setattr(Journal, "emit_soon", _at_once)
    apart, _ = await written(tmp_path / "apart")
    assert len(together) > 30
    assert together == apart
    assert seen == list(range(len(together) + 1))


_TIMES = ("t", "duration", "ttft", "closed_at", "seconds")


def _without_times(data: Any) -> Any:
    """Objects as lists of names and values, whose order counts."""
    if isinstance(data, dict):
        return [(k, _without_times(value)) for k, value in data.items() if k not in _TIMES]
    return list(map(_without_times, data)) if isinstance(data, list) else data
