"""The run that an app owns: its engine's handle, and the ways to go on in another one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convtui.errors import CommandRefused, EngineError, ProviderLoadError
from convtui.protocol import Commands, ContinueFrom, StartSpec
from convtui.scenario.provider_spec import parse_provider_spec

if TYPE_CHECKING:
    from convtui.client.engine_client import EngineHandle
    from convtui.records.codec import RecordDict

_ASK_LIMIT = 1.0
"""Seconds to wait for an engine that only has to tell."""

MakeHandle = Callable[[], "EngineHandle"]
Plan = Callable[[], StartSpec]
GoOn = Callable[["EngineHandle", StartSpec, ContinueFrom], Awaitable["EngineHandle"]]


@dataclass(slots=True)
class Breakpoint:
    """A breakpoint as the screen knows it; `number` is the engine's."""

    number: int
    text: str
    """What sets one like it in another engine: settings and filter."""
    expression: str
    """The filter alone."""
    enabled: bool = True
    once: bool = False
    skip: int = 0
    passed: int = 0
    hits: int = 0

    @classmethod
    def of(cls, told: RecordDict) -> Breakpoint:
        """One as the engine tells of it."""
        return cls(
            number=int(told["breakpoint"]),
            text=str(told["text"]),
            expression=str(told["expression"]),
            enabled=bool(told["enabled"]),
            once=bool(told["once"]),
            skip=int(told["skip"]),
            passed=int(told["passed"]),
            hits=int(told["hits"]),
        )

    @classmethod
    def written(cls, number: int, text: str) -> Breakpoint:
        """One that is set by a text, before an engine has told of it.

        Raises `FilterError`.
        """
        from convtui.filters.breaks import parse_breakpoint

        spec = parse_breakpoint(text)
        return cls(number, text, spec.expression, spec.enabled, spec.once, spec.skip)

    def change(self, *, enabled: bool | None = None, once: bool | None = None) -> str:
        """The text of the same one with another setting."""
        from convtui.filters.breaks import parse_breakpoint

        spec = parse_breakpoint(self.text)
        return str(
            replace(
                spec,
                enabled=spec.enabled if enabled is None else enabled,
                once=spec.once if once is None else once,
            )
        )


class LiveRun:
    """One conversation, in one engine after another.

    `handle` changes when the conversation goes on in another engine; `subscribe()` tells. The
    screens draw it, none of them owns it. With a `plan` (blocking, run in a thread when the run
    starts) `spec` only says until then what is known.
    """

    def __init__(
        self,
        spec: StartSpec,
        *,
        python: str | None = None,
        plan: Plan | None = None,
        warm: EngineHandle | None = None,
        make_handle: MakeHandle | None = None,
        go_on: GoOn | None = None,
    ) -> None:
        self.spec = spec
        self._plan = plan
        self.python = python
        """The interpreter of its engines; None is this one."""
        self._make_handle = make_handle
        self._go_on = go_on
        self.handle = warm or self._new_handle()
        self.breakpoints: list[Breakpoint] = []
        self.replaced = 0
        """How often the conversation has moved to another engine."""

    def _new_handle(self) -> EngineHandle:
        if self._make_handle is not None:
            return self._make_handle()
        from convtui.client.engine_client import EngineHandle

        return EngineHandle(python=self.python)

    async def start(self) -> None:
        """Starts the engine; a second call starts a new one.

        Raises `EngineError`, or what the plan raises.
        """
        from convtui.client.engine_client import EngineState

        if self._plan is not None:
            self.spec = await asyncio.to_thread(self._plan)
            self._plan = None
        if self.handle.state is not EngineState.NEW:
            old = self.handle
            self.handle = self._new_handle()
            self.replaced += 1
            if not old.over:
                await old.close()
        self._take_breakpoints()
        await self.handle.start(self.spec)

    def agree(self, keys: Sequence[str]) -> None:
        """The user agrees to what a `trust.Question` asks for."""
        self.spec = replace(self.spec, vouched=[*self.spec.vouched, *keys])

    def _take_breakpoints(self) -> None:
        # The engine numbers those it starts with from 1, in their order.
        texts = self.spec.breakpoints
        if texts is None:
            texts = self.spec.scenario.get("breakpoints") or []
        self.breakpoints = [
            Breakpoint.written(number, text) for number, text in enumerate(texts, 1)
        ]

    async def go_on(
        self,
        kind: str,
        *,
        log: Path | None = None,
        seq: int | None = None,
        held: bool = False,
        scenario: dict[str, Any] | None = None,
    ) -> None:
        """Goes on from this log, or from another one, in a new engine; with another scenario where
        one is given.

        Raises `EngineError`; nothing has changed then.
        """
        log = log or self.handle.log_path
        if log is None:
            raise EngineError("there is no log to go on from")
        await self.refresh_breakpoints()
        spec = replace(
            self.spec,
            paused=False,
            breakpoints=[item.text for item in self.breakpoints],
            # What was put in on purpose and has not happened yet happens there.
            faults={side: dict(item) for side, item in self.handle.armed.items()},
        )
        if scenario is not None:
            spec = replace(spec, scenario=scenario)
        parent = ContinueFrom(log=str(log), seq=seq, kind=kind, held=held)
        go_on = self._go_on
        if go_on is None:
            from convtui.client.handover import continue_live

            go_on = continue_live
        self.handle = await go_on(self.handle, spec, parent)
        self.spec = replace(spec, continue_from=None, faults={})
        self.replaced += 1
        self._take_breakpoints()

    async def hold(self) -> None:
        """Pauses and waits until the engine holds; a call in flight is waited for."""
        from convtui.client.engine_client import EngineState

        handle = self.handle
        if handle.over or handle.hold is not None:
            return
        if handle.state is not EngineState.PAUSING:
            await handle.command(Commands.PAUSE)
        await self.next_hold()

    async def began(self) -> None:
        """Waits until the log of the engine has its header, or the engine is over."""
        handle = self.handle
        there = asyncio.Event()

        def look() -> None:
            if handle.transcript.header or handle.over:
                there.set()

        forget = handle.subscribe(look)
        try:
            look()
            await there.wait()
        finally:
            forget()

    async def next_hold(self, after: RecordDict | None = None) -> RecordDict | None:
        """Waits for a hold other than `after`; None when the engine is over instead."""
        handle = self.handle
        number = None if after is None else after.get("hold")
        held = asyncio.Event()

        def look() -> None:
            there = handle.hold is not None and handle.hold.get("hold") != number
            if there or handle.over:
                held.set()

        forget = handle.subscribe(look)
        try:
            look()
            await held.wait()
        finally:
            forget()
        return handle.hold

    # --- breakpoints

    async def add_breakpoint(self, text: str) -> Breakpoint:
        """Sets one. Raises `CommandRefused` with what is wrong with the text."""
        reply = await self.handle.command(Commands.BREAK_ADD, expression=text)
        number = reply.get("breakpoint")
        self._told(reply)
        for item in self.breakpoints:
            if item.number == number:
                return item
        raise CommandRefused("the engine gave the breakpoint no number")

    async def remove_breakpoint(self, found: Breakpoint) -> None:
        """Takes one away."""
        self._told(await self.handle.command(Commands.BREAK_REMOVE, breakpoint=found.number))

    async def enable_breakpoint(self, found: Breakpoint, enabled: bool) -> None:
        """Switches one on or off."""
        reply = await self.handle.command(
            Commands.BREAK_ENABLE, breakpoint=found.number, enabled=enabled
        )
        self._told(reply)

    async def change_breakpoint(self, found: Breakpoint, text: str) -> None:
        """Puts another in the place of one. Raises `CommandRefused` with what is wrong."""
        reply = await self.handle.command(
            Commands.BREAK_CHANGE, breakpoint=found.number, expression=text
        )
        self._told(reply)

    async def refresh_breakpoints(self) -> None:
        """Asks how often each has come true; an engine that cannot tell changes nothing."""
        handle = self.handle
        if handle.over or handle.silent_for:
            return
        with contextlib.suppress(CommandRefused, EngineError, TimeoutError):
            async with asyncio.timeout(_ASK_LIMIT):
                self._told(await handle.command(Commands.BREAK_LIST))

    def _told(self, reply: RecordDict) -> None:
        listed = reply.get("breakpoints")
        if isinstance(listed, list):
            self.breakpoints = [Breakpoint.of(item) for item in listed]

    # --- what it is made of

    @property
    def provider_files(self) -> list[Path]:
        """The provider's file, and what it imported from its own folder; none for a model."""
        provider = self.spec.scenario.get("provider")
        use = provider.get("use") if isinstance(provider, dict) else provider
        source = self.spec.scenario.get("source")
        base = Path(str(source.get("base", "."))) if isinstance(source, dict) else Path()
        if not isinstance(use, str):
            return []
        try:
            spec = parse_provider_spec(use, base).resolved(base)
        except ProviderLoadError:
            return []
        if spec.kind != "file":
            return []
        told = self.handle.transcript.header.get("provider")
        beside = told.get("modules") if isinstance(told, dict) else None
        others = [Path(str(name)) for name in beside] if isinstance(beside, list) else []
        return [Path(spec.target), *others]

    async def close(self) -> None:
        """Ends the engine; what was said is in the log."""
        if not self.handle.over:
            await self.handle.close()


class WarmEngine:
    """An engine process that is made ready before it is known what to run."""

    def __init__(self, python: str | None = None) -> None:
        self.python = python
        self._handle: EngineHandle | None = None
        self._made: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Starts a process in the background, unless there is one."""
        if self._made is None:
            from convtui.client.engine_client import EngineHandle

            self._handle = EngineHandle(python=self.python)
            self._made = asyncio.ensure_future(self._prepare(self._handle))

    @staticmethod
    async def _prepare(handle: EngineHandle) -> None:
        # Whoever starts the run is told why no engine can be started.
        with contextlib.suppress(EngineError):
            await handle.prepare()

    async def take(self, python: str | None) -> EngineHandle | None:
        """The engine, for the one who uses it; None when there is none that fits."""
        handle, made = self._handle, self._made
        if handle is None or made is None or python != self.python:
            return None
        self._handle = self._made = None
        await made
        if handle.over or handle.pid is None:
            return None
        return handle

    async def close(self) -> None:
        """Ends a process that nobody has used."""
        handle = await self.take(self.python)
        if handle is not None:
            # It holds nothing that would have to be written.
            handle.kill()
            await handle.close()
