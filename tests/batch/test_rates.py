"""Batches against an endpoint that answers 429: limits over all workers, no call made twice."""

from __future__ import annotations

import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from convtui.batch.manifest import Entry
from convtui.log.reader import open_log
from tests.builders.running_batches import Stage
from tests.fakes.openai_http import Received
from tests.fakes.openai_script import FakeReply, error_object
from tests.fakes.openai_server import OpenAIServer

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="workers are forked"),
    pytest.mark.slow,
]


class CrowdedServer(OpenAIServer):
    """Answers 429 to requests beyond `capacity` at once, and to the first `refused` ones."""

    def __init__(
        self, capacity: int, *, refused: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__()
        self.capacity = capacity
        self.accepted: list[Received] = []
        self.refused_at: list[float] = []
        self.accepted_at: list[float] = []
        self.most = 0
        self._refuse = refused
        self._headers = {} if retry_after is None else {"retry-after": str(retry_after)}

    def choose(self, request: Received) -> FakeReply:
        running = sum(not other.done for other in self.accepted)
        if self._refuse > len(self.refused_at) or running >= self.capacity:
            self.refused_at.append(time.monotonic())
            return FakeReply(status=429, error=error_object(429), headers=self._headers)
        self.accepted.append(request)
        self.accepted_at.append(time.monotonic())
        self.most = max(self.most, running + 1)
        return FakeReply(text=f"fine: {last_words(request)}", first_delay=0.05)


def last_words(request: Received) -> str:
    return str(request.body["messages"][-1]["content"])


def staged(folder: Path, server: OpenAIServer, conversations: int) -> tuple[Stage, dict[str, Any]]:
    """Conversations that all say something else, so that each call can be told."""
    personas = [
        {"name": f"P{number}", "script": [f"{number} {word}" for word in ("one", "two", "three")]}
        for number in range(conversations)
    ]
    provider = {
        "use": "openai/provider-1",
        "params": {"api_base": server.url, "api_key": "none"},
    }
    retry = {"attempts": 12, "base_delay": 0.05, "max_delay": 0.4}
    stage = Stage(folder, scenario={"provider": provider, "retry": retry})
    return stage, {"vary": {"persona": personas}, "concurrency": conversations}


def said(stage: Stage, entry: Entry) -> list[str]:
    with open_log(stage.out / (entry.log or "")) as log:
        return [turn.text for turn in log.transcript.turns if turn.speaker == "provider"]


async def test_a_storm_of_429_ends_in_a_limit_and_no_call_is_made_twice(tmp_path: Path) -> None:
    async with CrowdedServer(capacity=4) as server:
        stage, plan = staged(tmp_path, server, 16)
        batch = await stage.run(**plan)
        assert {entry.ending for entry in batch.entries.values()} == {"completed"}
        calls = Counter(map(last_words, server.accepted))
        assert len(calls) == 16 * 3 and set(calls.values()) == {1}
        for entry in batch.entries.values():
            number = entry.key[1:].partition(".")[0]
            assert said(stage, entry)[:3] == [
                f"fine: {number} {word}" for word in ("one", "two", "three")
            ]
        (endpoint,) = batch.limits()
        assert endpoint["throttled"] == len(server.refused_at) > 0
        assert endpoint["limit"] is not None and endpoint["limit"] <= 8
        # Without a limit each call is refused again and again while 16 press for 4 places.
        assert len(server.refused_at) <= 40
        assert server.most == 4


async def test_retry_after_keeps_all_workers_from_calling(tmp_path: Path) -> None:
    async with CrowdedServer(capacity=100, refused=1, retry_after=2.5) as server:
        stage, plan = staged(tmp_path, server, 8)
        batch = await stage.run(**plan)
        assert {entry.ending for entry in batch.entries.values()} == {"completed"}
        assert {entry.worker for entry in batch.entries.values()} == {1, 2}
        assert len(server.accepted) == 8 * 3
        # Some were on their way when the first was refused; then nobody calls for a while.
        times = [server.refused_at[0], *server.accepted_at]
        assert max(later - at for at, later in pairwise(sorted(times))) > 1.2
