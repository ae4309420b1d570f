"""Hooks again over a thousand logs: reading them, running the hooks, telling what differs."""

from __future__ import annotations

import asyncio
import os
import struct
import time
from pathlib import Path

from convtui.analysis.rehook.rehook_process import rehook_logs, start_for
from convtui.analysis.rehook.sources import sources_of
from convtui.engine.rehook.replayed_hooks import Rehook
from convtui.protocol import REHOOK_CURSOR, RehookSpec
from convtui.providers.base import Provider
from tests.bench.measure import Row, median
from tests.builders.logs import conversation, ending, session, turn, write_log

_SAID = "I see. Let me look into that for you; it will not take long, and it costs you nothing. "
_BOT = '''
import re
from convtui import Provider


class Bot(Provider):
    """Leaves out what was thought."""

    termination_signals = ["[[ERROR]]", "[[DONE]]"]

    def generate_response(self, messages):
        raise AssertionError("no model is called")

    def post_process_response(self, text):
        return re.sub(r"<think>.*?</think>", "", text)
'''


class _Plain(Provider):
    termination_signals = ("[[ERROR]]", "[[DONE]]")

    def post_process_response(self, text: str) -> str:
        return text.partition("</think>")[2] or text


def _logs(folder: Path, count: int, replies: int) -> list[Path]:
    talk = [
        turn(n, "persona", f"{n}: {_SAID}")
        if n % 2
        else turn(n, "provider", f"{n}: {_SAID * 3}", raw=f"<think>hm {n}</think>{n}: {_SAID * 3}")
        for n in range(1, 2 * replies + 1)
    ]
    records = conversation(session(1, "default", talk, ending()), end=ending())
    records[0] = records[0].model_copy(
        update={"scenario": {"on_discard": "retry 2", "on_signal": {"[[DONE]]": "end"}}}
    )
    data = write_log(folder / "first.jsonl", records).read_bytes()
    paths = []
    for number in range(count):
        path = folder / f"{number:04}.jsonl"
        path.write_bytes(data.replace(b"a1b2c3", b"%06x" % number))
        paths.append(path)
    return paths


def rows(home: Path, times: int, logs: int = 1000, replies: int = 20) -> list[Row]:
    """From the start of the engines to the last answer, and the engine's own part."""
    file = home / "bot.py"
    file.write_text(_BOT)
    paths = _logs(home, logs, replies)
    start = start_for(f"{file}:Bot")
    whole: list[float] = []
    inside: list[float] = []
    for number in range(times):
        began = time.perf_counter()
        result = asyncio.run(rehook_logs(start, sources_of(paths)))
        whole.append(logs * replies / (time.perf_counter() - began))
        assert sum(len(outcome["turns"]) for outcome in result.outcomes) == logs * replies
        assert not any(outcome["changed"] for outcome in result.outcomes)
        cursor = home / f"cursor{number}"
        cursor.write_bytes(bytes(struct.calcsize(REHOOK_CURSOR)))
        spec = RehookSpec([str(path) for path in paths], str(cursor))
        began = time.process_time()
        done = sum(len(found["turns"]) for found in Rehook(spec, _Plain()).logs())
        inside.append(done / (time.process_time() - began))
    size = paths[0].stat().st_size / replies / 1024
    return [
        Row(
            f"rehook over {logs:,} logs, engines started and all",
            median(whole),
            unit="turns/s",
            bar=10_000,
            bar_is="at least",
            note=f"provider turns; {os.cpu_count()} cores, {size:.1f} KiB of log a turn",
        ),
        Row(
            "rehook: reading and running hooks, one core",
            median(inside),
            unit="turns/s",
            bar=10_000,
            bar_is="at least",
            note=f"in process, CPU time, {replies} provider turns a log, median of {times}",
        ),
    ]
