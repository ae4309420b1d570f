"""The run that an app owns: its engine's handle, and moving it to another engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convtui.errors import CommandRefused, EngineError, ProviderLoadError
from convtui.protocol import Commands, ContinueFrom, StartSpec

if TYPE_CHECKING:
    from convtui.client.engine_client import EngineHandle
    from convtui.client.link import ConversationLink
    from convtui.records.codec import RecordDict

_ASK_LIMIT = 1.0
"""Seconds to wait for an engine's answer to a query."""

MakeHandle = Callable[[], "EngineHandle"]
Plan = Callable[[], StartSpec]
ContinueRun = Callable[["ConversationLink", StartSpec, ContinueFrom], Awaitable["EngineHandle"]]


@dataclass(slots=True)
class Breakpoint:
    """A breakpoint as the screen shows it; `number` is the engine's."""

    number: int
    text: str
    """Settings and filter; sets the same breakpoint in another engine."""
    expression: str
    """The filter only."""
    enabled: bool = True
    once: bool = False
    skip: int = 0
    passed: int = 0
    hits: int = 0

    @classmethod
    def of(cls, record: RecordDict) -> Breakpoint:
        """A breakpoint from the engine's description of it."""
        return cls(
            number=int(record["breakpoint"]),
            text=str(record["text"]),
            expression=str(record["expression"]),
            enabled=bool(record["enabled"]),
            once=bool(record["once"]),
            skip=int(record["skip"]),
            passed=int(record["passed"]),
            hits=int(record["hits"]),
        )

    @classmethod
    def parse(cls, number: int, text: str) -> Breakpoint:
        """A breakpoint from its text, before an engine has confirmed it. Raises `FilterError`."""
        from convtui.filters.breaks import parse_breakpoint

        spec = parse_breakpoint(text)
        return cls(number, text, spec.expression, spec.enabled, spec.once, spec.skip)

    def text_with(self, *, enabled: bool | None = None, once: bool | None = None) -> str:
        """The text of the same breakpoint with other settings."""
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

    `handle` is replaced when the conversation continues in another engine; `replaced` counts that.
    The app owns the run and the screens draw it. A `plan` makes the whole `spec`; it is blocking,
    and called in a thread when the run starts.
    """

    goes_on_alone = False
    """Whether the conversation goes on when its screen is left, and is somebody else's to end."""

    def __init__(
        self,
        spec: StartSpec,
        *,
        python: str | None = None,
        plan: Plan | None = None,
        warm: EngineHandle | None = None,
        link: ConversationLink | None = None,
        make_handle: MakeHandle | None = None,
        continue_run: ContinueRun | None = None,
    ) -> None:
        """`warm` is an engine that was prepared; `link` is a conversation that runs already."""
        self.spec = spec
        self._plan = plan
        self.planned = asyncio.Event()
        """Set once `spec` is the whole one."""
        if plan is None:
            self.planned.set()
        self.python = python
        """The interpreter that runs the engines; None is this one."""
        self._make_handle = make_handle
        self._continue = continue_run
        self._unstarted: EngineHandle | None = None
        if link is None:
            link = self._unstarted = warm or self._new_handle()
        self.handle: ConversationLink = link
        self.breakpoints: list[Breakpoint] = []
        self.replaced = 0
        """How often the conversation moved to another engine."""

    def _new_handle(self) -> EngineHandle:
        if self._make_handle is not None:
            return self._make_handle()
        from convtui.client.engine_client import EngineHandle

        return EngineHandle(python=self.python)

    async def prepare(self) -> None:
        """Starts the process, so that it loads its code while the spec is made."""
        if self._unstarted is not None:
            # The error comes up again when the run starts.
            with contextlib.suppress(EngineError):
                await self._unstarted.open()

    async def start(self) -> None:
        """Starts the engine, or a new one on a second call.

        Raises `EngineError`, or what the plan raises.
        """
        from convtui.client.engine_client import EngineState

        if self._plan is not None:
            self.spec = await asyncio.to_thread(self._plan)
            self._plan = None
            self.planned.set()
        fresh, self._unstarted = self._unstarted, None
        if fresh is None or fresh.state is not EngineState.NEW:
            old = self.handle
            self.handle = fresh = self._new_handle()
            self.replaced += 1
            if not old.over:
                await old.close()
        self._take_breakpoints()
        await fresh.start(self.spec)

    def detach(self) -> None:
        """Called when the screen that shows it is gone."""

    def agree(self, keys: Sequence[str]) -> None:
        """Records that the user agreed to what a `trust.Question` asked."""
        self.spec = replace(self.spec, vouched=[*self.spec.vouched, *keys])

    def _take_breakpoints(self) -> None:
        # The engine numbers its initial breakpoints from 1, in order.
        texts = self.spec.breakpoints
        if texts is None:
            texts = self.spec.scenario.get("breakpoints") or []
        self.breakpoints = [Breakpoint.parse(number, text) for number, text in enumerate(texts, 1)]

    async def continue_run(
        self,
        kind: str,
        *,
        log: Path | None = None,
        seq: int | None = None,
        held: bool = False,
        scenario: dict[str, Any] | None = None,
    ) -> None:
        """Continues from this log or another one in a new engine, optionally with another scenario.

        Raises `EngineError`, in which case nothing has changed.
        """
        log = log or self.handle.log_path
        if log is None:
            raise EngineError("there is no log to continue from")
        await self.refresh_breakpoints()
        spec = replace(
            self.spec,
            paused=False,
            breakpoints=[item.text for item in self.breakpoints],
            # Armed faults that have not happened yet move along.
            faults={side: dict(item) for side, item in self.handle.armed.items()},
        )
        if scenario is not None:
            spec = replace(spec, scenario=scenario)
        parent = ContinueFrom(
            log=str(log), seq=seq, kind=kind, held=held, restored_by=self._restored_by()
        )
        continue_run = self._continue
        if continue_run is None:
            from convtui.client.handover import continue_live

            continue_run = continue_live
        self.handle = fresh = await continue_run(self.handle, spec, parent)
        self.spec = replace(spec, continue_from=None, faults={})
        self.replaced += 1
        self._take_breakpoints()
        await self._moved(fresh)

    async def _moved(self, fresh: EngineHandle) -> None:
        """Called when the conversation goes on in another engine."""

    def _restored_by(self) -> str | None:
        """How the provider was brought to an earlier point in this log, if it was."""
        restored = [
            record
            for record in self.handle.transcript.lifecycle
            if record.get("type") == "provider.restored"
        ]
        return str(restored[-1].get("mode")) if restored else None

    async def hold(self) -> None:
        """Pauses, and waits until the engine holds; a call in flight finishes first."""
        from convtui.client.engine_client import EngineState

        handle = self.handle
        if handle.over or handle.hold is not None:
            return
        if handle.state is not EngineState.PAUSING:
            await handle.command(Commands.PAUSE)
        await self.next_hold()

    async def wait_for_header(self) -> None:
        """Waits until the engine's log has its header, or the engine has ended."""
        handle = self.handle
        await _until(handle, lambda: bool(handle.transcript.header or handle.over))

    async def wait_until_restored(self) -> None:
        """Waits for the hold after the provider is restored, where that asks or replays first."""
        handle = self.handle
        transcript = handle.transcript
        asks = (handle.hold or {}).get("stage") == "restore"
        if asks or any(warning.get("code") == "replaying" for warning in transcript.warnings):
            await _until(handle, lambda: handle.over or transcript.counts["provider.restored"] > 0)
            await self.next_hold()

    async def next_hold(self, after: RecordDict | None = None) -> RecordDict | None:
        """Waits for a hold other than `after`; None if the engine ends instead."""
        handle = self.handle
        number = None if after is None else after.get("hold")

        def held() -> bool:
            new = handle.hold is not None and handle.hold.get("hold") != number
            return new or handle.over

        await _until(handle, held)
        return handle.hold

    # --- breakpoints

    async def add_breakpoint(self, text: str) -> Breakpoint:
        """Sets a breakpoint. Raises `CommandRefused` with what is wrong with the text."""
        reply = await self.handle.command(Commands.BREAK_ADD, expression=text)
        number = reply.get("breakpoint")
        self._update_breakpoints(reply)
        for item in self.breakpoints:
            if item.number == number:
                return item
        raise CommandRefused("the engine gave the breakpoint no number")

    async def remove_breakpoint(self, breakpoint: Breakpoint) -> None:
        self._update_breakpoints(
            await self.handle.command(Commands.BREAK_REMOVE, breakpoint=breakpoint.number)
        )

    async def enable_breakpoint(self, breakpoint: Breakpoint, enabled: bool) -> None:
        reply = await self.handle.command(
            Commands.BREAK_ENABLE, breakpoint=breakpoint.number, enabled=enabled
        )
        self._update_breakpoints(reply)

    async def change_breakpoint(self, breakpoint: Breakpoint, text: str) -> None:
        """Replaces a breakpoint. Raises `CommandRefused` with what is wrong with the text."""
        reply = await self.handle.command(
            Commands.BREAK_CHANGE, breakpoint=breakpoint.number, expression=text
        )
        self._update_breakpoints(reply)

    async def refresh_breakpoints(self) -> None:
        """Asks the engine for hit counts; does nothing if it cannot answer."""
        handle = self.handle
        if handle.over or handle.silent_for:
            return
        with contextlib.suppress(CommandRefused, EngineError, TimeoutError):
            async with asyncio.timeout(_ASK_LIMIT):
                self._update_breakpoints(await handle.command(Commands.BREAK_LIST))

    def _update_breakpoints(self, reply: RecordDict) -> None:
        listed = reply.get("breakpoints")
        if isinstance(listed, list):
            self.breakpoints = [Breakpoint.of(item) for item in listed]

    # --- the provider's files

    @property
    def provider_files(self) -> list[Path]:
        """The provider's file and the modules it imported from its folder; empty for a model."""
        provider = self.spec.scenario.get("provider")
        use = provider.get("use") if isinstance(provider, dict) else provider
        source = self.spec.scenario.get("source")
        base = Path(str(source.get("base", "."))) if isinstance(source, dict) else Path()
        if not isinstance(use, str):
            return []
        from convtui.scenario.provider_spec import parse_provider_spec

        try:
            spec = parse_provider_spec(use, base).located(base)
        except ProviderLoadError:
            return []
        if spec.kind != "file":
            return []
        provider_record = self.handle.transcript.header.get("provider")
        modules = provider_record.get("modules") if isinstance(provider_record, dict) else None
        others = [Path(str(name)) for name in modules] if isinstance(modules, list) else []
        return [Path(spec.target), *others]

    async def close(self) -> None:
        """Ends the engine; the log keeps the conversation."""
        if self._unstarted is not None:
            # It has nothing to write.
            self._unstarted.kill()
        if not self.handle.over:
            await self.handle.close()


async def _until(handle: ConversationLink, condition: Callable[[], bool]) -> None:
    """Waits until a condition holds; it is checked after every change of the handle."""
    changed = asyncio.Event()
    unsubscribe = handle.subscribe(changed.set)
    try:
        while not condition():
            changed.clear()
            await changed.wait()
    finally:
        unsubscribe()


class WarmEngine:
    """An engine process that is started before it is known what to run."""

    def __init__(self, python: str | None = None) -> None:
        self.python = python
        self._handle: EngineHandle | None = None
        self._made: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Starts a process in the background, unless there is one already."""
        if self._made is None:
            from convtui.client.engine_client import EngineHandle

            self._handle = EngineHandle(python=self.python)
            self._made = asyncio.ensure_future(self._start(self._handle))

    @staticmethod
    async def _start(handle: EngineHandle) -> None:
        # The error comes up again when the run starts.
        with contextlib.suppress(EngineError):
            await handle.prepare()

    async def take(self, python: str | None) -> EngineHandle | None:
        """Hands the engine over; None if there is none for this interpreter."""
        handle, made = self._handle, self._made
        if handle is None or made is None or python != self.python:
            return None
        self._handle = self._made = None
        await made
        if handle.over or handle.pid is None:
            return None
        return handle

    async def close(self) -> None:
        """Ends a process that was not used."""
        handle = await self.take(self.python)
        if handle is not None:
            # It has nothing to write.
            handle.kill()
            await handle.close()
