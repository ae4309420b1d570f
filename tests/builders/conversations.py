"""Whole conversations in this process: scripted sides, a gate that answers itself, all records."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from convtui.engine.calls.permits import Permits
from convtui.engine.conversation.build import build
from convtui.engine.conversation.commands import CommandHandler
from convtui.engine.conversation.runner import Conversation
from convtui.engine.conversation.wiring import Wiring
from convtui.log.reader import open_log
from convtui.models.base import Delta, Message, Reply, ToolCall, Usage
from convtui.protocol import ContinueFrom, StartSpec
from convtui.providers.base import Provider, Request
from convtui.providers.pieces import delta_of
from convtui.records.models import RecordDict, Termination
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor
from convtui.trust.rules import vouched_for
from tests.builders.waiting import WITHIN

Line = str | Reply | Delta | BaseException | Sequence[Delta | BaseException]
"""One reply of a script: text, a reply, pieces of a stream, or what is raised."""

_planted = ModuleType("tests_planted")
_number = itertools.count(1)


def plant(thing: Any) -> str:
    """A SPEC under which a provider instance, class or function can be loaded."""
    sys.modules["tests_planted"] = _planted
    name = f"thing{next(_number)}"
    setattr(_planted, name, thing)
    return f"tests_planted:{name}"


class Bot(Provider):
    """Answers from a script; the last line is repeated. Writes down what is called and sent."""

    name = "Bot"
    stateful: bool | None = False

    def __init__(self, *lines: Line, signals: Any = (), **more: Any) -> None:
        self.lines = list(lines) or ["fine"]
        self.termination_signals = list(signals)
        self.calls: list[str] = []
        self.requests: list[Request] = []
        self.answered = 0
        for key, value in more.items():
            setattr(self, key, value)

    async def setup(self) -> None:
        self.calls.append("setup")

    async def cleanup(self) -> None:
        self.calls.append("cleanup")

    async def enter_session(self, session_type: str) -> None:
        self.calls.append(f"enter {session_type}")

    async def finish_and_reset_session(self, next_session_type: str) -> None:
        self.calls.append(f"finish {next_session_type}")

    async def respond(self, request: Request) -> AsyncIterator[Delta]:
        self.requests.append(request)
        line = self.lines[min(self.answered, len(self.lines) - 1)]
        self.answered += 1
        async for delta in _stream(line):
            yield delta

    @property
    def sent(self) -> list[list[Message]]:
        """The messages of every request."""
        return [request.messages for request in self.requests]


async def _stream(line: Line) -> AsyncIterator[Delta]:
    if isinstance(line, BaseException):
        raise line
    if isinstance(line, (str, Reply, Delta)):
        yield delta_of(line)
        return
    for piece in line:
        if isinstance(piece, BaseException):
            raise piece
        yield piece


def calls(*named: tuple[str, str], text: str = "", finish: str = "tool_calls") -> Reply:
    """A reply that calls tools: `(name, arguments)` each."""
    return Reply(
        text,
        tool_calls=[ToolCall(f"c{n}", name, args) for n, (name, args) in enumerate(named, 1)],
        finish_reason=finish,
    )


def costing(text: str, tokens: int, cost: float | None = None) -> Reply:
    """A reply with usage."""
    return Reply(text, usage=Usage(prompt_tokens=tokens, completion_tokens=0, cost=cost))


class FakeModel:
    """A model client that answers from a script."""

    def __init__(self, model: str, lines: Sequence[Line]) -> None:
        self.model = model
        self.params: Mapping[str, Any] = {}
        self.lines = list(lines)
        self.sent: list[list[Message]] = []

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] = (),
        params: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[Delta]:
        """The next line."""
        line = self.lines[min(len(self.sent), len(self.lines) - 1)]
        self.sent.append([dict(message) for message in messages])
        async for delta in _stream(line):
            yield delta


class FakeModels:
    """Model clients by name."""

    def __init__(self, **lines: Sequence[Line]) -> None:
        self.clients = {name: FakeModel(name, said) for name, said in lines.items()}

    def client(self, model: str, params: Mapping[str, Any] | None = None) -> FakeModel:
        """The client of `fake/NAME`."""
        return self.clients[model.rpartition("/")[2]]

    async def priced(self, model: str) -> bool:
        """Nobody knows the price of a script."""
        return False


Answer = str | tuple[str, dict[str, Any]] | Callable[[CommandHandler, RecordDict], None] | None
"""What to do at a hold: a choice, a choice with edits, a command of its own, or nothing."""
COMMANDS = frozenset({"run", "step_turn", "step_stage", "pause", "stop"})
_DEFAULTS = {"ending": "end", "error": "fail", "cannot_restore": "continue", "empty": "keep"}


@dataclass
class Driver:
    """Answers holds by a plan, then by default; `holds` are all that came."""

    plan: list[Answer] = field(default_factory=list)
    holds: list[RecordDict] = field(default_factory=list)
    desk: CommandHandler | None = None
    states: list[str] = field(default_factory=list)
    failure: BaseException | None = None

    def gate(self, state: str, hold: RecordDict | None) -> None:
        """What the engine publishes."""
        self.states.append(state)
        if state == "held" and hold is not None:
            self.holds.append(hold)
            asyncio.get_running_loop().call_soon(self._try, hold)

    def _try(self, hold: RecordDict) -> None:
        try:
            self._answer(hold)
        except BaseException as error:
            # A hold that is not answered would never end.
            self.failure = error
            assert self.desk is not None
            self.desk.carry_out("stop", {"reason": "the test failed"})

    def _answer(self, hold: RecordDict) -> None:
        assert self.desk is not None
        answer: Answer
        if self.plan:
            answer = self.plan.pop(0)
        else:
            answer = _DEFAULTS.get(hold["reason"], hold["choices"][0]["id"])
        if answer is None:
            return
        if callable(answer):
            answer(self.desk, hold)
            return
        choice, edits = answer if isinstance(answer, tuple) else (answer, {})
        if choice in COMMANDS:
            self.desk.carry_out(choice, dict(edits))
        else:
            self.release(hold, choice, **edits)

    def release(self, hold: RecordDict, choice: str, **edits: Any) -> None:
        """Answers one hold."""
        assert self.desk is not None
        self.desk.carry_out("release", {"hold": hold["hold"], "choice": choice, "edits": edits})

    @property
    def where(self) -> list[tuple[str, str]]:
        """`(reason, stage)` of every hold."""
        return [(hold["reason"], hold["stage"]) for hold in self.holds]


@dataclass
class Ran:
    """A conversation that has ended."""

    conversation: Conversation
    records: list[RecordDict]
    termination: Termination
    driver: Driver
    deltas: list[dict[str, Any]]

    @property
    def path(self) -> Path:
        """Its log."""
        return self.conversation.journal.writer.path

    def of(self, *types: str) -> list[RecordDict]:
        """The records of some types."""
        return [record for record in self.records if record["type"] in types]

    def one(self, kind: str) -> RecordDict:
        """The only record of a type."""
        (found,) = self.of(kind)
        return found

    @property
    def said(self) -> list[str]:
        """What was committed, in order."""
        return [record["text"] for record in self.of("turn.committed")]

    @property
    def types(self) -> list[str]:
        """All record types, in order."""
        return [record["type"] for record in self.records]

    @property
    def ended(self) -> tuple[str, str]:
        """Kind and by of the ending."""
        return self.termination.kind, self.termination.by


def scenario(
    provider: Any = None, script: Sequence[str] | None = ("one", "two", "three"), **fields: Any
) -> Scenario:
    """A scenario with a scripted persona and a planted provider."""
    data: dict[str, Any] = {"name": "test", **fields}
    if "persona" not in data:
        data["persona"] = {"name": "Maya", "script": list(script or ["hello"])}
    config = data.pop("config", {})
    data["provider"] = {"use": plant(provider if provider is not None else Bot()), **config}
    names = ("max_turns", "max_total_words", "max_tool_rounds", "turn_timeout", "tool_timeout",
             "max_tool_result")  # fmt: skip
    limits = {name: data.pop(name) for name in names if name in data}
    if limits:
        data["limits"] = limits
    data.setdefault("retry", {"base_delay": 0, "max_delay": 0})
    return Scenario.from_data(data, base=Path("/nonexistent"))


def prepare(
    what: Scenario | None,
    folder: Path,
    *,
    plan: Sequence[Answer] | None = None,
    models: Any = None,
    redactor: Redactor | None = None,
    permits: Permits | None = None,
    **fields: Any,
) -> tuple[Conversation, Driver, list[dict[str, Any]]]:
    """A conversation that is ready to run; watched when there is a plan."""
    driver = Driver(list(plan or ()))
    deltas: list[dict[str, Any]] = []
    spec = StartSpec(
        scenario=what.for_engine() if what is not None else {},
        out_dir=str(folder),
        watched=fields.pop("watched", plan is not None),
        wire="off",
        speed=0,
        # A scenario that a test names is the test's own, whatever a log says.
        **{"vouched": vouched_for(what) if what is not None else [], **fields},
    )
    wiring = Wiring(
        models=models or FakeModels(),
        publish_gate=driver.gate,
        publish_delta=deltas.append,
        redactor=redactor or Redactor(),
        permits=permits or Permits(),
    )
    conversation = build(spec, wiring)
    driver.desk = CommandHandler(conversation)
    return conversation, driver, deltas


async def run(what: Scenario | None, folder: Path, **fields: Any) -> Ran:
    """Runs a scenario to its end."""
    conversation, driver, deltas = prepare(what, folder, **fields)
    records: list[RecordDict] = []
    conversation.journal.listen(lambda record, offset, line: records.append(record))
    async with asyncio.timeout(WITHIN):
        termination = await conversation.run()
    if driver.failure is not None:
        raise driver.failure
    return Ran(conversation, records, termination, driver, deltas)


async def resume(
    log: Path, folder: Path, what: Scenario | None = None, *, seq: int | None = None,
    kind: str = "resume", reuse_reply: bool = True, held: bool = False,
    restored_by: str | None = None, **fields: Any
) -> Ran:  # fmt: skip
    """Goes on with a log."""
    parent = ContinueFrom(
        str(log), seq=seq, kind=kind, reuse_reply=reuse_reply, held=held, restored_by=restored_by
    )
    return await run(what, folder, continue_from=parent, **fields)


def findings(path: Path) -> list[str]:
    """The codes of a log's findings."""
    with open_log(path) as log:
        return [found.code for found in log.findings]


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop turn until something is so."""
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0)


async def cut_turn(parent: Ran, number: int, folder: Path, what: Scenario) -> Ran:
    """Goes on with a conversation from before a turn."""
    started = next(r for r in parent.of("turn.started") if r["turn"] == number)
    return await resume(parent.path, folder, what, seq=started["seq"] - 1, kind="rewind")
