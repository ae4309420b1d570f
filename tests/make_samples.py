"""Makes `sample_runs/` again, by running the program: `make samples`.

Every log is written by a real engine process; the one with a model goes through litellm and real
HTTP to the loopback server of the tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from convtui.client.engine_client import EngineHandle
from convtui.errors import CommandRefused
from convtui.log.names import wire_path
from convtui.protocol import Commands, StartSpec
from convtui.records.models import RecordDict
from convtui.scenario.scenario import Scenario
from tests.fakes.openai_script import FakeCall, FakeReply
from tests.fakes.openai_server import OpenAIServer
from tests.places import RUNS

_BASE = Path("/demo")

Driver = Callable[[EngineHandle], Awaitable[None]]


def _scenario(**keys: Any) -> Scenario:
    data = {"persona": "demo", "provider": "demo", "on_discard": "retry 2", **keys}
    return Scenario.from_data(data, base=_BASE)


async def _run(scenario: Scenario, folder: Path, drive: Driver, **more: Any) -> Path:
    handle = EngineHandle()
    await handle.start(StartSpec(scenario=scenario.for_engine(), out_dir=str(folder), **more))
    await drive(handle)
    await handle.wait()
    assert handle.log_path is not None
    return handle.log_path


async def _just_watch(handle: EngineHandle) -> None:
    pass


async def _until(handle: EngineHandle, seen: Callable[[RecordDict], bool]) -> None:
    found = asyncio.Event()

    def look(record: RecordDict) -> None:
        if seen(record):
            found.set()

    handle.on_record(look)
    await found.wait()


async def _kill_while_it_speaks(handle: EngineHandle) -> None:
    """Ends the engine with SIGKILL in the middle of a streamed reply."""
    await _until(handle, lambda r: r["type"] == "llm.partial" and r.get("session") == 2)
    handle.kill()


async def _take_over(handle: EngineHandle) -> None:
    """A human speaks for the persona twice, asks for the simulator once, and hands back."""
    lines = iter(
        [
            "Wait, before we go on: can I bring a bicycle on the 09:15?",
            None,
            "Perfect. Then please book one for me, too.",
        ]
    )
    taken = False
    while not handle.over:
        await asyncio.sleep(0.02)
        hold = handle.hold
        turn = handle.transcript.turns[-1] if handle.transcript.turns else None
        try:
            if not taken and turn is not None and (turn.session, turn.number) == (2, 2):
                await handle.command(Commands.TAKE_OVER, side="persona")
                taken = True
            elif hold is not None and hold["reason"] == "human":
                line = next(lines, "")
                if line:
                    await handle.release("say", {"text": line})
                elif line is None:
                    await handle.release("simulate")
                else:
                    await handle.release("hand_back")
            elif hold is not None:
                await handle.release(hold["choices"][0]["id"])
        except CommandRefused:
            continue


_BRIEF = """\
You booked HT-2291, Friday 18:40 from Marholm to Skarholm, one person, no vehicle. It was cancelled.
You want any crossing on Saturday before noon, and no refund. You know nothing else.
When the new crossing is confirmed, stop."""


def _decides(tool: str, **arguments: str) -> FakeReply:
    return FakeReply(tool_calls=(FakeCall(tool, json.dumps(arguments)),))


_REPLIES = (
    _decides("responder_reply", answer="Yes: HT-2291, Friday 18:40, just me."),
    _decides("responder_reply", answer="Saturday morning please, anything before noon."),
    _decides("responder_reply", answer="The 09:15 is fine."),
)
_DESK = (
    FakeReply("I am sorry about that. Which booking is it, and how many of you travel?"),
    FakeReply("Thank you, I have it. When would you like to cross instead?"),
    FakeReply("On Saturday there are boats at 07:30, 09:15 and 11:00. Which one?"),
    FakeReply("You are on the 09:15 on Saturday; the code stays HT-2291. Anything else?"),
)


async def _responders(folder: Path) -> dict[str, Path]:
    """One run for each way in which a responder's conversation ends."""
    document = FakeReply("Before I can change it: the number of your identity document, please?")
    abstains = _decides("responder_abstain", reason="the brief does not name an identity document")
    outcomes = {
        "stopped": (5, [*_REPLIES, _decides("responder_stop")], list(_DESK)),
        "abstained": (5, [_REPLIES[0], abstains], [_DESK[0], document]),
        # It would have gone on: the last decision is asked for the record only.
        "cap-exhausted": (2, list(_REPLIES), list(_DESK)),
        "error": (5, [_REPLIES[0], FakeReply("Saturday would suit me, I suppose.")], list(_DESK)),
    }
    logs = {}
    for name, (cap, decisions, answers) in outcomes.items():
        async with OpenAIServer(tokens_per_second=120) as server:
            server.script(*decisions, model="responder-1")
            server.script(*answers, model="provider-1")
            params = {"api_base": server.url}
            scenario = _scenario(
                name=f"responder-{name}",
                persona={
                    "name": "Ida",
                    "task": "Hello, my ferry on Friday was cancelled. Can I take another one?",
                    "model": "openai/responder-1",
                    "params": params,
                    "responder": {"instructions": _BRIEF, "max_followups": cap},
                },
                provider={
                    "use": "openai/provider-1",
                    "system_prompt": "You are the service desk of a ferry company.",
                    "params": params,
                },
            )
            log = await _run(scenario, folder, _just_watch)
            logs[f"responder-{name}.jsonl"] = log
    return logs


async def make(out: Path) -> None:
    """Writes all samples into `out`."""
    folder = Path(tempfile.mkdtemp(prefix="convtui-samples-"))
    try:
        clean = _scenario(
            name="clean",
            persona={
                "name": "Noa",
                "script": [
                    "Hello, which pier does the boat to Skarholm leave from?",
                    "And how early should I be there?",
                    "Thank you, that is all.",
                ],
            },
            sessions=["questions"],
            limits={"max_turns": 6},
        )
        logs = {
            "clean.jsonl": await _run(clean, folder, _just_watch),
            "discarded.jsonl": await _run(
                _scenario(name="discarded", sessions=["rebooking"]), folder, _just_watch
            ),
            "crashed.jsonl": await _run(
                _scenario(name="crashed", sessions=["rebooking"]), folder, _kill_while_it_speaks
            ),
            "taken-over.jsonl": await _run(
                _scenario(name="taken-over", sessions=["rebooking"]),
                folder,
                _take_over,
                watched=True,
            ),
        }
        async with OpenAIServer(tokens_per_second=60) as server:
            model = {"api_base": server.url}
            os.environ.setdefault("OPENAI_API_KEY", "none-is-needed-here")
            talk = _scenario(
                name="litellm",
                persona={
                    "name": "Ida",
                    "simulator": "llm",
                    "prompt": "Ida, in a hurry, polite.",
                    "task": "Move a flight to Friday.",
                    "model": "openai/persona-1",
                    "params": model,
                },
                provider={
                    "use": "openai/provider-1",
                    "system_prompt": "You are the travel desk of a small airline.",
                    "params": {**model, "temperature": 0.2},
                },
                limits={"max_turns": 12},
            )
            logs["litellm.jsonl"] = await _run(talk, folder, _just_watch, wire="all")
        logs.update(await _responders(folder))
        out.mkdir(exist_ok=True)
        for name, log in logs.items():
            shutil.copyfile(log, out / name)
            if wire_path(log).exists() and name == "litellm.jsonl":
                shutil.copyfile(wire_path(log), wire_path(out / name))
            print(f"{name:20} {log.stat().st_size:8,} bytes", file=sys.stderr)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1]) if len(sys.argv) > 1 else RUNS))
