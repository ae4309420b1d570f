"""One conversation of a bring-up report: a real engine whose holds the probe answers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.errors import CommandRefused, EngineError
from convtui.protocol import Commands, StartSpec
from convtui.records.codec import RecordDict
from convtui.transcript.fold import Transcript

_OTHERS: Final = ("persona_template", "persona_context_template", "persona_reminder")
_ANSWERS: Final = {
    "ending": ("end",),
    "error": ("fail",),
    "empty": ("keep", "go"),
    "cannot_restore": ("continue",),
    "budget": ("end",),
}
"""The preferred choices at a hold, by its reason; otherwise the first choice is taken."""

HoldHandler = Callable[["ProbeConversation", RecordDict], Awaitable[bool]]
"""Called first at every hold; returns whether it has answered the hold."""


@dataclass(slots=True)
class Subject:
    """The provider under test, and how to start an engine for it."""

    scenario: dict[str, Any]
    """As an engine takes it; the persona and the limits on length are replaced."""
    folder: Path
    """Where the logs are written, in a subfolder per probe."""
    python: str | None = None
    env_file: str | None = None
    trust: bool = False
    patience: float = 150.0
    """Seconds after which a conversation is killed."""

    def spec(self, probe: str, changes: Mapping[str, Any], turns: int) -> StartSpec:
        """How to start a conversation in which the probe speaks for the persona.

        `changes` are merged into the scenario one level deep; `turns` is the limit per session.
        """
        scenario = copy.deepcopy(self.scenario)
        for name in (*_OTHERS, "follow_up_prompts", "breakpoints"):
            scenario.pop(name, None)
        scenario["name"] = f"probe {probe}"
        scenario["persona"] = {"name": "Probe", "simulator": "human"}
        scenario["on_empty"] = "keep"
        scenario["on_error_text"] = "keep"
        scenario["turns_scope"] = "session"
        limits = {**scenario.get("limits", {}), "max_turns": turns}
        limits.pop("max_total_words", None)
        scenario["limits"] = limits
        for key, value in changes.items():
            before = scenario.get(key)
            both = isinstance(before, dict) and isinstance(value, dict)
            scenario[key] = {**before, **value} if both else value  # type: ignore[dict-item]
        return StartSpec(
            scenario=scenario,
            out_dir=str(self.folder / probe),
            watched=True,
            speed=0.0,
            wire="last",
            trust=self.trust,
            env_file=self.env_file,
        )


@dataclass(slots=True)
class ProbeRun:
    """The records of a probe's conversation, and how it ended."""

    probe: str
    records: list[RecordDict]
    transcript: Transcript
    log: Path | None = None
    error: dict[str, Any] | None = None
    """Why the engine could not start, or how it died."""
    printed: str = ""
    """Output from before the log was opened."""
    hung: bool = False
    """Whether it timed out and was killed."""
    errors: list[RecordDict] = field(default_factory=list)
    """Holds caused by an error, in order."""

    def of(self, *types: str, side: str | None = None) -> list[RecordDict]:
        """The records of these types, of one side where `side` is given."""
        return [
            record
            for record in self.records
            if record.get("type") in types and (side is None or record.get("side") == side)
        ]

    @property
    def replies(self) -> list[RecordDict]:
        """The committed turns of the provider."""
        return [r for r in self.of("turn.committed") if r.get("speaker") == "provider"]

    @property
    def failure(self) -> tuple[str, list[str], str | None] | None:
        """What went wrong: a sentence, the developer's frames, the turn. None without a failure."""
        if self.hung:
            return "no end of it: the conversation was given up", [], last_turn(self.records)
        if self.error is not None:
            frames = [str(frame) for frame in self.error.get("frames", ())]
            return str(self.error.get("message")), frames, last_turn(self.records)
        if self.errors:
            hold = self.errors[0]
            error = hold.get("error") or {}
            frames = [str(frame) for frame in error.get("frames", ())]
            return str(error.get("message") or hold.get("detail")), frames, address(hold)
        return None


def address(record: Mapping[str, Any] | None) -> str | None:
    """`session:turn` of a record; None where it belongs to no turn."""
    if not record or record.get("turn") is None:
        return None
    return f"{record.get('session') or 1}:{record['turn']}"


def last_turn(records: Sequence[RecordDict]) -> str | None:
    """`session:turn` of the last record that has one."""
    return next((a for a in map(address, reversed(records)) if a is not None), None)


class ProbeConversation:
    """Holds one conversation: `messages` are the user's turns, in order.

    `before` is called at each hold and may answer it; `say` is awaited before every message, with
    its number from 0.
    """

    def __init__(
        self,
        subject: Subject,
        probe: str,
        messages: Sequence[str],
        *,
        changes: Mapping[str, Any] | None = None,
        before: HoldHandler | None = None,
        say: Callable[[ProbeConversation, int], Awaitable[None]] | None = None,
        on_record: Callable[[ProbeConversation, RecordDict], None] | None = None,
        per_session: int | None = None,
    ) -> None:
        self.subject = subject
        self.messages = list(messages)
        self.handle = EngineHandle(python=subject.python)
        turns = 2 * (per_session or len(self.messages))
        self.spec = subject.spec(probe, changes or {}, turns)
        self.result = ProbeRun(probe, [], self.handle.transcript)
        self._before, self._say, self._on_record = before, say, on_record
        self._number = 0

    async def run(self) -> ProbeRun:
        """Runs the conversation to its end, or kills it after `Subject.patience` seconds."""
        handle, result = self.handle, self.result
        handle.on_record(self._record)
        try:
            async with asyncio.timeout(self.subject.patience):
                await handle.start(self.spec)
                await self._drive()
        except TimeoutError:
            result.hung = True
            handle.kill()
        except EngineError as error:
            result.error = dict(error.error) or {"message": str(error)}
        finally:
            await handle.close()
        result.log = handle.log_path
        result.printed = "".join(text for _, text in handle.early_output)
        if handle.state is EngineState.DEAD and not result.hung:
            result.error = handle.error
        return result

    def _record(self, record: RecordDict) -> None:
        self.result.records.append(record)
        if self._on_record is not None:
            self._on_record(self, record)

    async def _drive(self) -> None:
        handle = self.handle
        changed = asyncio.Event()
        forget = handle.subscribe(changed.set)
        answered = 0
        try:
            while not handle.over:
                changed.clear()
                hold = handle.hold
                if hold is None or hold["hold"] == answered:
                    await changed.wait()
                    continue
                try:
                    await self._answer(hold)
                    answered = hold["hold"]
                except CommandRefused:
                    # The engine is blocked, or the hold has ended: its next frame decides.
                    await asyncio.sleep(0.05)
        finally:
            forget()

    async def _answer(self, hold: RecordDict) -> None:
        reason = str(hold.get("reason"))
        if reason == "error" and not any(e["hold"] == hold["hold"] for e in self.result.errors):
            self.result.errors.append(hold)
        if self._before is not None and await self._before(self, hold):
            return
        if reason == "human":
            await self._next(hold)
        else:
            await self.choose(hold, *_ANSWERS.get(reason, ()))

    async def _next(self, hold: RecordDict) -> None:
        number = self._number
        if self._say is not None:
            await self._say(self, number)
        text = self.messages[number % len(self.messages)]
        await self.choose(hold, "say", text=text)
        self._number = number + 1

    async def choose(self, hold: RecordDict, *wanted: str, **edits: Any) -> None:
        """Answers a hold with the first of `wanted` that it offers, else with its first choice."""
        offered = [str(choice["id"]) for choice in hold["choices"]]
        choice = next((name for name in wanted if name in offered), offered[0])
        await self.handle.command(
            Commands.RELEASE, hold=hold["hold"], choice=choice, edits=edits or {}
        )

    async def stop(self) -> None:
        """Stops the conversation; does nothing where the engine refuses."""
        with contextlib.suppress(CommandRefused):
            await self.handle.command(Commands.STOP, reason="the probe has seen enough")


class Clock:
    """A stopwatch that starts when it is created."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began
