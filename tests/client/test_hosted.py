"""How one conversation of a worker is followed, without a worker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convtui.client.hosted import Hosted
from convtui.protocol import Kind, StartSpec, record_body


class Host:
    """A worker that only keeps what it is sent."""

    python = "python"
    silent_for = 0.0
    running = 1
    blocked: tuple[Hosted | None, str] | None = None

    def __init__(self) -> None:
        self.kinds: list[Kind] = []

    def send(self, frame: bytes) -> None:
        self.kinds.append(Kind(frame[4]))

    def kill(self) -> None:
        raise AssertionError


class Story:
    """A conversation of a few records, of which the log has those that were `written`."""

    def __init__(self, folder: Path, count: int = 40) -> None:
        self.log = folder / "log.jsonl"
        self.log.touch()
        self.lines = [
            json.dumps({"seq": seq, "type": "warning", "code": f"w{seq}", "message": ""}).encode()
            + b"\n"
            for seq in range(count)
        ]
        self.host = Host()
        self.hosted = Hosted(7, StartSpec({}, str(folder)), self.host)
        self.numbers: list[int] = []
        self.hosted.on_record(lambda record: self.numbers.append(record["seq"]))

    def ready(self) -> None:
        self.tell(Kind.READY, log=str(self.log), id="abc")

    def write(self, count: int) -> None:
        """Has the log hold so many records."""
        self.log.write_bytes(b"".join(self.lines[:count]))

    def tell(self, kind: Kind, **fields: Any) -> None:
        self.hosted.take(kind, json.dumps(fields).encode())

    def frame(self, seq: int) -> None:
        offset = sum(len(line) for line in self.lines[:seq])
        self.hosted.take(Kind.RECORD, record_body(offset, self.lines[seq]))

    async def has(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.numbers) < count:
                await asyncio.sleep(0.001)
        assert self.numbers == list(range(count))


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


async def test_frames_follow_what_was_read(story: Story) -> None:
    story.ready()
    story.write(10)
    reading = asyncio.ensure_future(story.hosted.watch())
    await asyncio.sleep(0)
    # Some are in both, and all come while the log is still being read.
    for seq in range(8, 15):
        story.frame(seq)
    await reading
    await story.has(15)
    story.frame(15)
    await story.has(16)
    assert story.host.kinds == [Kind.WATCH]


async def test_records_that_were_left_out_are_read_from_the_log(story: Story) -> None:
    story.ready()
    await story.hosted.watch()
    story.write(5)
    story.frame(4)
    await story.has(5)
    story.write(9)
    story.tell(Kind.CATCH_UP, from_seq=5)
    await story.has(9)


async def test_a_log_may_lag_behind_the_frames(story: Story) -> None:
    """As one does that is shipped from another machine."""
    story.ready()
    story.write(3)
    await story.hosted.watch()
    for seq in range(5, 8):
        story.frame(seq)
    await story.has(3)
    story.write(5)
    story.tell(Kind.CATCH_UP, from_seq=0)
    await story.has(8)


async def test_it_is_watched_while_anybody_does(story: Story) -> None:
    hosted = story.hosted
    story.ready()
    await hosted.watch()
    await hosted.watch()
    hosted.unwatch()
    assert story.host.kinds == [Kind.WATCH]
    hosted.unwatch()
    assert story.host.kinds == [Kind.WATCH] * 2
    hosted.unwatch()
    await hosted.watch()
    assert hosted.watching
    assert story.host.kinds == [Kind.WATCH] * 3


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (True, "its code blocks the worker, bot.py:3 in bot"),
        (False, "another conversation blocks the worker, bot.py:3 in bot"),
    ],
)
async def test_whose_code_blocks_the_worker(story: Story, own: bool, says: str) -> None:
    assert story.hosted.blocked_by == ""
    story.host.blocked = (story.hosted if own else None, "bot.py:3 in bot")
    assert story.hosted.blocked_by == says


async def test_whoever_reads_a_long_log_leaves_the_loop_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = Story(tmp_path, 300)
    monkeypatch.setattr("convtui.client.hosted._SLICE", -1.0)
    monkeypatch.setattr("convtui.client.hosted._CHUNK", 1_000)
    told: list[int] = []
    story.hosted.subscribe(lambda: told.append(story.hosted.transcript.records))
    story.ready()
    story.write(300)
    await story.hosted.watch()
    await story.has(300)
    assert len(set(told)) == 300, "after each record, at this length of a slice"


def end(**fields: Any) -> dict[str, Any]:
    row = {"state": "over"}
    known = {"conversation": 7, "status": 0, "termination": {"kind": "completed"}, "log": None}
    return {**known, "totals": {}, "row": row, **fields}


async def test_a_dead_one_is_given_up_where_its_log_ends(story: Story) -> None:
    story.lines[1:4] = [
        json.dumps({"seq": seq, **record}).encode() + b"\n"
        for seq, record in enumerate(
            [
                {"type": "session.started", "session": 1, "session_type": "intake"},
                {"type": "turn.started", "session": 1, "turn": 1, "speaker": "persona"},
            ],
            1,
        )
    ]
    story.ready()
    story.write(3)
    reading = asyncio.ensure_future(story.hosted.watch())
    await asyncio.sleep(0)
    story.hosted.lose({"type": "EngineDied", "message": "gone"})
    await reading
    (turn,) = story.hosted.transcript.turns
    assert turn.status == "failed" and turn.error == "the engine ended here"


@pytest.mark.parametrize(
    ("act", "state", "says"),
    [
        (lambda hosted: hosted.take_end(end()), "closed", None),
        (lambda hosted: hosted.take_end(end(termination=None)), "dead", "could not be closed"),
        (lambda hosted: hosted.lose({"type": "EngineDied", "message": "gone"}), "dead", "gone"),
    ],
)
async def test_how_it_ends(
    story: Story, act: Callable[[Hosted], None], state: str, says: str | None
) -> None:
    hosted = story.hosted
    story.ready()
    story.tell(Kind.GATE, state="held", hold={"hold": 1})
    assert hosted.state.value == "held"
    waiting = asyncio.ensure_future(hosted.command("run"))
    await asyncio.sleep(0)
    act(hosted)
    assert hosted.state.value == state and hosted.over and hosted.hold is None
    assert (says or "") in str(hosted.error)
    assert (hosted.error is None) == (says is None)
    with pytest.raises(Exception, match="ended"):
        await waiting
