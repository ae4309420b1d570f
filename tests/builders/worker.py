"""A worker process at the end of a pipe, spoken to in frames as a driver would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

from convtui.client import spawn
from convtui.protocol import Kind, StartSpec, pack_json, pack_of, read_frame, unpack_of
from convtui.scenario.scenario import Scenario
from tests.builders.waiting import WITHIN


class WorkerDriver:
    """Sends frames to a worker and keeps what it answers."""

    def __init__(self) -> None:
        self.frames: list[tuple[Kind, dict[str, Any]]] = []
        """The frames of the process itself, heartbeats left out."""
        self.of: defaultdict[int, list[tuple[Kind, Any]]] = defaultdict(list)
        """The frames of each conversation; of records the line without its offset."""
        self.ended: dict[int, dict[str, Any]] = {}
        self.rows: dict[int, dict[str, Any]] = {}
        """The last row of each conversation."""
        self.closed = False
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.process = spawn.spawn_engine(sys.executable)
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._pass_on_errors, daemon=True).start()

    def _pass_on_errors(self) -> None:
        with cast(Any, self.process.stderr) as errors:
            for line in errors:
                sys.stderr.write(line.decode(errors="replace"))

    def _read(self) -> None:
        stream = cast(Any, self.process.stdout)
        while (frame := read_frame(stream)) is not None:
            self._loop.call_soon_threadsafe(self._take, *frame)
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self.closed = True
        self._changed.set()

    def _take(self, kind: Kind, body: bytes) -> None:
        if kind is Kind.HEARTBEAT:
            return
        if kind is Kind.OF:
            number, inner, of = unpack_of(body)
            self.of[number].append((inner, json.loads(of[8:] if inner is Kind.RECORD else of)))
        else:
            fields = json.loads(body)
            self.frames.append((kind, fields))
            if kind is Kind.ENDED:
                self.ended[fields["conversation"]] = fields
            elif kind is Kind.ROWS:
                self.rows.update(fields["rows"])
        self._changed.set()

    def send(self, kind: Kind, **fields: Any) -> None:
        """Sends a frame of the process."""
        self._write(pack_json(kind, **fields))

    def command(self, conversation: int, **fields: Any) -> None:
        """Sends a command to a conversation."""
        self._write(pack_of(conversation, Kind.COMMAND, json.dumps(fields).encode()))

    def _write(self, frame: bytes) -> None:
        pipe = cast(Any, self.process.stdin)
        pipe.write(frame)
        pipe.flush()

    def begin(self, *specs: StartSpec, first: int = 1) -> None:
        """Begins conversations, numbered from `first`."""
        for number, spec in enumerate(specs, first):
            self.send(Kind.BEGIN, conversation=number, spec=spec.as_dict())

    def hang_up(self) -> None:
        """Closes the worker's commands, as a driver that is gone does."""
        with contextlib.suppress(BrokenPipeError):
            cast(Any, self.process.stdin).close()

    async def when(self, condition: Callable[[], bool]) -> None:
        """Waits until something is so; every frame is looked at."""
        async with asyncio.timeout(WITHIN):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def all_ended(self, count: int) -> None:
        """Waits until so many conversations have ended."""
        await self.when(lambda: len(self.ended) >= count)

    def found(self, kind: Kind, conversation: int | None = None) -> list[dict[str, Any]]:
        """The frames of a kind: those of a conversation, or those of the process."""
        frames = self.frames if conversation is None else self.of[conversation]
        return [fields for of_kind, fields in frames if of_kind is kind]


@asynccontextmanager
async def hosting(env_file: str | None = None, **more: Any) -> AsyncIterator[WorkerDriver]:
    """A worker that is ready; it is gone afterwards."""
    driver = WorkerDriver()
    try:
        driver.send(Kind.HOST, env_file=env_file, **more)
        await driver.when(lambda: bool(driver.frames))
        yield driver
    finally:
        driver.process.kill()
        driver.process.wait()
        await driver.when(lambda: driver.closed)
        driver.hang_up()
        cast(Any, driver.process.stdout).close()


def bot_spec(folder: Path, body: str, *, script: list[str], **fields: Any) -> StartSpec:
    """A conversation whose provider is `bot` in a file with this body."""
    path = folder / "bot_under_test.py"
    if not path.exists():
        path.write_text("import asyncio, os, sys, time\n" + dedent(body))
    scenario = Scenario.from_data(
        {
            "persona": {"name": fields.pop("name", "Maya"), "script": script},
            "provider": f"{path}:bot",
            "limits": {"max_turns": 400},
            **fields.pop("keys", {}),
        },
        base=folder,
    )
    fields.setdefault("wire", "off")
    return StartSpec(scenario=scenario.for_engine(), out_dir=str(folder / "runs"), **fields)
