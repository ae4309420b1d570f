"""The lifecycle hooks of both sides: timed and recorded; a failed one holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from convtui.engine.core.gate import FAIL, RETRY, Gate, Point
from convtui.engine.core.journal import Journal
from convtui.engine.core.sides import CheckedHooks, Timed, checked_sessions, lifecycle
from convtui.engine.core.state import ConversationState
from convtui.engine.tools.tools import Toolbox
from convtui.errors import (
    ConversationError,
    HookError,
    ToolError,
    UserSimulatorError,
)
from convtui.protocol import describe_error
from convtui.providers.calling import call
from convtui.providers.declared import check_declared
from convtui.providers.loader import Loaded
from convtui.records.models import (
    ProviderCleanup,
    ProviderSetup,
    Record,
    SessionEntered,
    SessionReset,
    SessionsPrepared,
    UserCleanup,
    UserClosed,
    Warned,
)
from convtui.scenario.provider_hooks import (
    ENTER_SESSION,
    FINISH_AND_RESET_SESSION,
    PREPARE_SESSIONS,
    SETUP,
    Hook,
)
from convtui.scenario.scenario import Scenario
from convtui.simulators.base import UserSimulator

_CLEANUP_WITHIN = 30.0
"""Seconds that a cleanup hook may take, also while the conversation is being cancelled."""


class Lifecycle:
    """Calls the lifecycle hooks of both sides.

    Where a hook fails, the gate holds and it can be called again; its `HookError` is raised when
    nobody watches, or when the hold is answered with `fail`.
    """

    def __init__(
        self,
        *,
        scenario: Scenario,
        journal: Journal,
        gate: Gate,
        state: ConversationState,
        loaded: Loaded,
        simulator: UserSimulator,
        toolbox: Toolbox,
        redact: Callable[[str], str],
        on_called: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_called` is called after every hook of the provider that may write its prompt."""
        self._on_called = on_called
        self._scenario = scenario
        self._journal = journal
        self._gate = gate
        self._state = state
        self._loaded = loaded
        self._provider = loaded.provider
        self._simulator = simulator
        self._toolbox = toolbox
        self._redact = redact

    async def set_up(self) -> None:
        """Starts the tool servers, then calls `setup()` of both sides.

        Raises `ToolError` and `UserSimulatorError`.
        """
        self._toolbox.connect(self._journal)
        while True:
            try:
                await self._toolbox.start()
                break
            except ToolError as error:
                await self._hold_on(error, "setup")
        user = await lifecycle("setup", self._simulator.setup)
        if user.error is not None:
            raise UserSimulatorError(f"the user simulator's {user.error}") from user.error
        await self.call(
            SETUP,
            self._set_up_provider,
            record=lambda timed: ProviderSetup(
                hooks=self._loaded.hooks,
                **self._declared(timed.error),
                persona_signals=CheckedHooks(self._simulator).signals,
                **self._outcome(timed),
            ),
        )

    async def _set_up_provider(self) -> None:
        """Calls `setup()`, which may set what the provider declares. Raises `HookError`."""
        await call(self._provider.setup)
        check_declared(self._provider)

    def _declared(self, error: HookError | None) -> dict[str, Any]:
        """What the provider declares once it is set up; nothing where that is not as it must be."""
        if error is not None:
            return {}
        return {
            "stateful": self._provider.stateful,
            "termination_signals": list(self._provider.termination_signals),
        }

    async def prepare(self, *, replayed: bool = False) -> list[str]:
        """Calls `prepare_sessions()`; returns the types of the sessions to hold, in order.

        With `replayed` the conversation keeps the sessions on record.
        """
        requested = self._scenario.session_types
        while True:
            timed = await lifecycle(
                PREPARE_SESSIONS.name, self._provider.prepare_sessions, list(requested)
            )
            try:
                if timed.error is not None:
                    raise timed.error
                prepared = checked_sessions(timed.value)
                break
            except HookError as error:
                await self._hold_on(error, PREPARE_SESSIONS.stage)
        if not replayed:
            self._state.prepared = prepared
        self._journal.emit(
            SessionsPrepared(
                requested=requested,
                prepared=prepared,
                duration=timed.seconds,
                replayed=replayed or None,
            )
        )
        return prepared

    async def enter(self, session_type: str, index: int, *, replayed: bool = False) -> None:
        """Calls `enter_session()`, which comes before every session."""
        await self.call(
            ENTER_SESSION,
            self._provider.enter_session,
            session_type,
            index=index,
            record=lambda timed: SessionEntered(
                session=index,
                session_type=session_type,
                replayed=replayed or None,
                **self._outcome(timed),
            ),
        )

    async def reset(self, next_type: str, index: int, *, replayed: bool = False) -> None:
        """Calls `finish_and_reset_session()`, between the session before `index` and that one."""
        await self.call(
            FINISH_AND_RESET_SESSION,
            self._provider.finish_and_reset_session,
            next_type,
            index=index,
            record=lambda timed: SessionReset(
                session=index - 1,
                next_session_type=next_type,
                replayed=replayed or None,
                **self._outcome(timed),
            ),
        )

    async def call(
        self,
        hook: Hook,
        function: Callable[..., Any],
        *arguments: Any,
        index: int | None = None,
        record: Callable[[Timed], Record] | None = None,
    ) -> Timed:
        """Calls a hook of the provider until it succeeds; `record` makes the record of each call.

        A failed call holds at the hook's stage, in session `index`.
        """
        while True:
            timed = await lifecycle(hook.name, function, *arguments)
            if record is not None:
                self._journal.emit(record(timed))
            if timed.error is None:
                self._on_called()
                return timed
            await self._hold_on(timed.error, hook.stage, index)

    async def _hold_on(
        self, error: ConversationError, stage: str, index: int | None = None
    ) -> None:
        """Holds on a failed call; returns when it is to be made again, else raises its error."""
        if not self._gate.watched:
            raise error
        release = await self._gate.wait(
            "error",
            Point(index, None, stage),
            [],
            (RETRY, FAIL),
            detail=str(error),
            error=self._error(error),
        )
        if release.choice != RETRY.id:
            raise error

    async def close_user(self, session: int | None = None) -> None:
        """Closes the responder's own session; also while the conversation is being cancelled."""
        timed = await self._shielded("close", self._simulator.close)
        if (timed.value is None and timed.error is None) or not self._can_write:
            return
        self._journal.emit(
            UserClosed(
                session=session,
                side="responder",
                calls=timed.value or 0,
                **self._outcome(timed),
            )
        )
        if timed.error is not None:
            self._warn("close_failed", str(timed.error))

    @property
    def _can_write(self) -> bool:
        return not self._journal.writer.closed and self._journal.writer.broken is None

    async def clean_up(self) -> None:
        """Calls `cleanup()` of both sides and stops the tool servers; failures are warnings."""
        await self.close_user()
        for kind, target in ((ProviderCleanup, self._provider), (UserCleanup, self._simulator)):
            timed = await self._shielded("cleanup", target.cleanup)
            if not self._can_write:
                continue
            self._journal.emit(kind(**self._outcome(timed)))
            if timed.error is not None:
                self._warn("cleanup_failed", str(timed.error))
        timed = await self._shielded("stop_tools", self._toolbox.stop)
        if timed.error is not None and self._can_write:
            self._warn("cleanup_failed", str(timed.error))

    @staticmethod
    async def _shielded(hook: str, function: Callable[[], Any]) -> Timed:
        """Calls a hook even while the conversation is being cancelled, within a time limit."""
        task = asyncio.ensure_future(lifecycle(hook, function))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLEANUP_WITHIN
        while not task.done():
            try:
                await asyncio.wait({task}, timeout=max(0.0, deadline - loop.time()))
            except asyncio.CancelledError:
                continue
            if loop.time() >= deadline:
                task.cancel()
                error = HookError(f"{hook}() took longer than {_CLEANUP_WITHIN:g} s", hook=hook)
                return Timed(None, _CLEANUP_WITHIN, error)
        return task.result()

    def _warn(self, code: str, message: str) -> None:
        self._journal.emit(Warned(code=code, message=message))

    def _outcome(self, timed: Timed) -> dict[str, Any]:
        """The fields that the records of all hooks have."""
        return {
            "duration": timed.seconds,
            "outcome": "failed" if timed.error else "ok",
            "error": self._error(timed.error),
        }

    def _error(self, error: Exception | None) -> dict[str, Any] | None:
        return None if error is None else describe_error(error, redact=self._redact)
