"""What the engine adds to what the provider costs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from convtui.client.engine_client import EngineHandle
from convtui.engine.conversation.build import build
from convtui.engine.conversation.wiring import Wiring
from convtui.engine.core.event_loop import new_event_loop
from convtui.engine.core.sides import CheckedHooks
from convtui.engine.turn.pipeline import Rules, pipeline
from convtui.models.base import Delta, Message
from convtui.models.handed_out import HandedOut
from convtui.protocol import StartSpec
from convtui.providers.base import Provider, SignalMatch
from convtui.scenario.scenario import Scenario
from tests.bench.measure import Row, median
from tests.e2e.terminal import until
from tests.fakes.openai_server import OpenAIServerThread

REPLY = "I see. Let me look into that for you; it will not take long, and it costs you nothing."
_BOT = f'''
import asyncio


async def reply(messages):
    """Takes a millisecond."""
    await asyncio.sleep(0.001)
    return {REPLY!r}
'''


async def _reply(messages: Sequence[Message]) -> str:
    await asyncio.sleep(0.001)
    return REPLY


class _Client:
    """A model that takes a millisecond."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.params: Mapping[str, Any] = {}

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        params: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Delta]:
        yield Delta(text=await _reply(messages))


class _Clients:
    def client(self, model: str, params: Mapping[str, Any] | None = None) -> _Client:
        return _Client(model)

    async def priced(self, model: str) -> bool:
        return False


async def _bare(turns: int) -> float:
    """Both sides' replies, one after the other, and nothing else."""
    history: list[Message] = []
    started = time.perf_counter()
    for number in range(turns):
        role = "assistant" if number % 2 else "user"
        history.append({"role": role, "content": await _reply(list(history))})
    return (time.perf_counter() - started) / turns


async def _engine(folder: Path, turns: int, *, scripted: bool) -> float:
    """The same conversation held by the engine: pipeline, gate, fold, log."""
    file = folder / "bot.py"
    file.write_text(_BOT)
    persona: dict[str, Any] = {"name": "Bench"}
    if scripted:
        persona["script"] = [f"{number}: {REPLY}" for number in range(turns // 2)]
    else:
        persona |= {"simulator": "llm", "prompt": "Somebody.", "model": "any", "task": "Talk."}
    scenario = Scenario.from_data(
        {"persona": persona, "provider": f"{file}:reply", "limits": {"max_turns": turns}},
        base=folder,
    )
    spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(folder))
    conversation = build(spec, Wiring(models=_Clients()))
    moments: list[float] = []
    committed = [0]

    def look(record: dict[str, Any], offset: int, line: bytes) -> None:
        if record["type"] in ("turn.started", "turn.committed"):
            moments.append(time.perf_counter())
            committed[0] += record["type"] == "turn.committed"

    conversation.journal.listen(look)
    await conversation.run()
    assert committed[0] == turns, committed
    return (moments[-1] - moments[0]) / turns


def _timed(what: Coroutine[Any, Any, float]) -> float:
    """Runs it in the event loop that conversations have, whose timers are on time."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(what)


def per_turn(home: Path, times: int, turns: int = 100) -> list[Row]:
    """A turn of a conversation in which both sides take a millisecond, and what a script adds."""
    bare, both, script = [], [], []
    for _ in range(times):
        folder = Path(tempfile.mkdtemp(dir=home))
        # As the engine process does once it has loaded.
        gc.collect()
        gc.freeze()
        bare.append(_timed(_bare(turns)))
        both.append(_timed(_engine(folder, turns, scripted=False)))
        script.append(_timed(_engine(folder, turns, scripted=True)) - bare[-1] / 2)
        shutil.rmtree(folder)
    reference = median(bare)
    return [
        Row(
            "a turn in the engine, 1 ms replies",
            median(both),
            reference=reference,
            reference_is="bare loop",
            bar=1.15,
            bar_is="ratio",
            note=f"in process, both in our event loop, {turns} turns, median of {times}",
        ),
        Row(
            "the engine's own part of a turn, scripted persona",
            median(script),
            reference=reference,
            reference_is="bare turn",
            note="in process; half of these turns make no call",
        ),
    ]


def growth(home: Path, turns: int) -> Row:
    """Whether late turns cost more than early ones."""
    moments: list[float] = []
    _talk(home, turns, _BOT, "reply", lambda number: moments.append(time.perf_counter()))
    pairs = [late - early for early, late in itertools.pairwise(moments[::2])]
    part = max(20, len(pairs) // 10)
    return Row(
        f"a pair of turns at the end of {turns:,}",
        median(pairs[-part:]),
        reference=median(pairs[:part]),
        reference_is="at the beginning",
        note="in process; the growth is the request body",
    )


_TOOLS = f'''
from convtui import Provider
from convtui.models.base import Reply, ToolCall


def look_up(code: str) -> str:
    """Looks up a code."""
    return code + " " + "found. " * 20


class Bot(Provider):
    """Looks something up for every answer."""

    stateful = False
    tools = (look_up,)

    async def generate_response(self, messages):
        if messages[-1]["role"] == "user":
            call = ToolCall(f"c{{len(messages)}}", "look_up", '{{"code": "HT-2291"}}')
            return Reply("", tool_calls=[call], finish_reason="tool_calls")
        return {REPLY!r}
'''


def long_talk(home: Path, turns: int) -> list[Row]:
    """A long conversation with a tool call in every answer: what a turn keeps, and what it takes.

    What a turn keeps is measured between the first tenth and the middle, and between the middle and
    the end: the text, its messages and their digests, and nothing that grows faster. What it takes
    is measured in another conversation, since tracing memory costs more time early than late.
    """
    kept: dict[int, int] = {}
    at = (turns // 10, turns // 2 + turns // 20, turns)

    def weigh(number: int) -> None:
        if number in at:
            gc.collect()
            kept[number] = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        _talk(home, turns, _TOOLS, "Bot", weigh)
    finally:
        tracemalloc.stop()
    early = (kept[at[1]] - kept[at[0]]) / (at[1] - at[0])
    late = (kept[at[2]] - kept[at[1]]) / (at[2] - at[1])

    moments: list[tuple[float, float]] = []
    with _time_in(HandedOut, "copies") as handing:
        _talk(
            home,
            turns,
            _TOOLS,
            "Bot",
            lambda number: moments.append((time.perf_counter(), handing[0])),
        )
    pairs = [
        (after - before, body_after - body_before)
        for (before, body_before), (after, body_after) in itertools.pairwise(moments[::2])
    ]
    part = max(20, len(pairs) // 10)
    whole = [median([pair for pair, _ in some]) for some in (pairs[:part], pairs[-part:])]
    own = [median([pair - body for pair, body in some]) for some in (pairs[:part], pairs[-part:])]
    return [
        Row(
            f"memory kept per turn, second half of {turns:,} with tools",
            late,
            unit="bytes",
            reference=early,
            reference_is="first half",
            bar=1.1,
            bar_is="ratio",
            note=f"in process; a turn's text is {len(REPLY)} characters, a tool's result 150",
        ),
        Row(
            f"a pair of turns with tools at the end of {turns:,}",
            whole[1],
            reference=whole[0],
            reference_is="at the beginning",
            note="in process; with the request bodies, which are all messages twice",
        ),
        Row(
            "of these, without handing the messages over",
            own[1],
            reference=own[0],
            reference_is="at the beginning",
            bar=1.2,
            bar_is="ratio",
            note="copies for code that may change them, a new list of all for each call",
        ),
    ]


def _talk(home: Path, turns: int, source: str, name: str, committed: Callable[[int], None]) -> None:
    """A scripted persona talks to `name` of a file; `committed` gets the number of each turn."""
    folder = Path(tempfile.mkdtemp(dir=home))
    file = folder / "bot.py"
    file.write_text(source)
    script = [f"{number}: {REPLY}" for number in range(turns // 2)]
    scenario = Scenario.from_data(
        {
            "persona": {"name": "Bench", "script": script},
            "provider": f"{file}:{name}",
            "limits": {"max_turns": turns},
        },
        base=folder,
    )
    spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(folder))
    conversation = build(spec, Wiring(models=_Clients()))
    numbers = itertools.count(1)

    def look(record: dict[str, Any], offset: int, line: bytes) -> None:
        if record["type"] == "turn.committed":
            committed(next(numbers))

    conversation.journal.listen(look)
    asyncio.run(conversation.run())
    shutil.rmtree(folder)


@contextlib.contextmanager
def _time_in(of: type, name: str) -> Iterator[list[float]]:
    """The seconds spent in a method, as the one item of a list."""
    method = of.__dict__[name]
    seconds = [0.0]

    def timed(*arguments: Any) -> Any:
        started = time.perf_counter()
        try:
            return method(*arguments)
        finally:
            seconds[0] += time.perf_counter() - started

    setattr(of, name, timed)
    try:
        yield seconds
    finally:
        setattr(of, name, method)


class _Hooked(Provider):
    name = "hooked"
    termination_signals = ("[[END]]",)

    def post_process_response(self, text: str) -> str:
        return text.replace("  ", " ")

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        return False


def throughput(times: int, turns: int = 10_000) -> Row:
    """The pipeline alone, as replaying hooks over recorded replies drives it."""
    hooks, rules = CheckedHooks(_Hooked()), Rules("provider")
    raws = [f"{number}: {REPLY}" + (" [[END]]" * (number % 20 == 0)) for number in range(turns)]
    rates = []
    for _ in range(times):
        started = time.perf_counter()
        for raw in raws:
            stages = pipeline(raw, hooks, rules)
            draft = next(stages)
            while True:
                try:
                    draft = stages.send(draft)
                except StopIteration:
                    break
        rates.append(turns / (time.perf_counter() - started))
    return Row(
        "the bare pipeline",
        median(rates),
        unit="turns/s",
        bar=10_000,
        bar_is="at least",
        note=f"in process, no gate, median of {times}",
    )


def _idle(pid: int) -> bool:
    """Whether a process has stopped using the CPU for a third of a second (Linux)."""

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = used()
    end = time.monotonic() + 0.35
    until(lambda: time.monotonic() >= end, "time passes")
    return before > 100 and used() == before


async def _first_request(home: Path, server: OpenAIServerThread) -> float:
    scenario = Scenario.from_data(
        {
            "persona": {"name": "Ida", "script": ["Hello?"]},
            "provider": {
                "use": "openai/provider-1",
                "params": {"api_base": server.url, "api_key": "none-is-needed"},
            },
            "limits": {"max_turns": 2},
        },
        base=home,
    )
    handle = EngineHandle()
    try:
        await handle.prepare()
        assert handle.pid is not None
        pid = handle.pid
        await asyncio.to_thread(until, lambda: _idle(pid), "the engine is warm", timeout=60)
        before = len(server.requests)
        started = time.perf_counter()
        spec = StartSpec(scenario=scenario.for_engine(), out_dir=str(home / "runs"))
        await handle.start(spec, wait=False)
        await asyncio.to_thread(server.until, lambda requests: len(requests) > before)
        return time.perf_counter() - started
    finally:
        await handle.close()


def warm_start(home: Path, times: int) -> Row:
    """From "go" to the first request of a litellm model, in an engine that has warmed up."""
    with OpenAIServerThread() as server:
        taken = [asyncio.run(_first_request(home, server)) for _ in range(times)]
    return Row(
        "warmed engine: from start to the first request",
        median(taken),
        bar=0.5,
        note=f"litellm, loopback server, engine process, median of {times}",
    )
