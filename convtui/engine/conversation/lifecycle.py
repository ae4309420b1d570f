"""The provider's lifecycle: each call timed, recorded, and held on when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from convtui.engine.calls.calls import Caller
from convtui.engine.core.gate import CONTINUE, FAIL, REPLAY, RETRY, Gate, Point
from convtui.engine.core.journal import Journal
from convtui.engine.core.sides import CheckedHooks, Timed, checked_sessions, lifecycle
from convtui.engine.core.state import ConversationState
from convtui.engine.resume.provider_replay import ProviderReplay
from convtui.engine.resume.state import ResumeState
from convtui.engine.tools.tools import Toolbox
from convtui.errors import (
    ConversationError,
    HookError,
    InterruptedRunError,
    ProviderError,
    ToolError,
    UserSimulatorError,
)
from convtui.protocol import describe_error
from convtui.providers.loader import Loaded
from convtui.records.models import (
    ProviderCleanup,
    ProviderRestored,
    ProviderSetup,
    SessionEntered,
    SessionReset,
    SessionsPrepared,
    UserCleanup,
    UserClosed,
    Warned,
)
from convtui.scenario.scenario import Scenario
from convtui.simulators.base import UserSimulator

_CLEANUP_WITHIN = 30.0
"""Seconds that a cleanup may take; it survives cancellation that long."""


class Lifecycle:
    """Calls the lifecycle hooks of both sides in the places the runner says."""

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
        seed: ResumeState | None,
        caller: Caller,
        redact: Callable[[str], str],
    ) -> None:
        self._scenario = scenario
        self._journal = journal
        self._gate = gate
        self._state = state
        self._loaded = loaded
        self._provider = loaded.provider
        self._simulator = simulator
        self._toolbox = toolbox
        self._seed = seed
        self._redact = redact
        self._caller = caller
        self._replay: ProviderReplay | None = None
        self._restoring: Literal["restore", "stateless", "replayed", "unrestored"] = "stateless"

    async def set_up(self) -> None:
        """Starts the tool servers, then `setup()` of both sides: once, before anything else.

        Raises `ToolError` and `UserSimulatorError`.
        """
        self._toolbox.connect(self._journal)
        while True:
            try:
                await self._toolbox.start()
                break
            except ToolError as error:
                await self._try_again(error, "setup")
        user = await lifecycle("setup", self._simulator.setup)
        if user.error is not None:
            raise UserSimulatorError(f"the user simulator's {user.error}") from user.error
        while True:
            timed = await lifecycle("setup", self._provider.setup)
            hooks = CheckedHooks(self._simulator)
            self._journal.emit(
                ProviderSetup(
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                    hooks=self._loaded.hooks,
                    stateful=self._provider.stateful,
                    termination_signals=list(self._provider.termination_signals),
                    persona_signals=hooks.signals,
                )
            )
            if timed.error is None or not await self._try_again(timed.error, "setup"):
                return

    async def prepare(self, *, replayed: bool = False) -> list[str]:
        """`prepare_sessions()`: which sessions are held, in which order.

        With `replayed` those on record stand; returns what it gives.
        """
        requested = self._scenario.session_types
        while True:
            timed = await lifecycle(
                "prepare_sessions", self._provider.prepare_sessions, list(requested)
            )
            error = timed.error
            prepared: list[str] = []
            if error is None:
                try:
                    prepared = checked_sessions(timed.value)
                except HookError as wrong:
                    error = wrong
            if error is None:
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
            await self._try_again(error, "setup")

    async def enter(self, session_type: str, index: int, *, replayed: bool = False) -> None:
        """`enter_session()`: before every session."""
        while True:
            timed = await lifecycle("enter_session", self._provider.enter_session, session_type)
            self._journal.emit(
                SessionEntered(
                    session=index,
                    session_type=session_type,
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                    replayed=replayed or None,
                )
            )
            if timed.error is None or not await self._try_again(timed.error, "session", index):
                return

    async def reset(self, next_type: str, index: int, *, replayed: bool = False) -> None:
        """`finish_and_reset_session()`: between two sessions."""
        while True:
            timed = await lifecycle(
                "finish_and_reset_session", self._provider.finish_and_reset_session, next_type
            )
            self._journal.emit(
                SessionReset(
                    session=index - 1,
                    next_session_type=next_type,
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                    replayed=replayed or None,
                )
            )
            if timed.error is None or not await self._try_again(timed.error, "session", index):
                return

    async def _try_again(
        self, error: ConversationError, stage: str, index: int | None = None
    ) -> bool:
        """Holds on a failed lifecycle call; True when it is to be called again, else raises."""
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
        return True

    async def ask_to_restore(self, index: int) -> None:
        """Holds where the provider cannot be brought to where the conversation stands.

        Comes before `enter_session()`: whoever is taken through the whole conversation again goes
        through the sessions in their order. `restore()` finishes it.
        """
        assert self._seed is not None
        provider = self._provider
        if callable(getattr(provider, "restore", None)):
            self._restoring = "restore"
            return
        if provider.stateful is False or not self._seed.said_something:
            self._restoring = "stateless"
            return
        known = provider.stateful is True
        what = (
            "keeps state and has no restore(): it does not know what was said before"
            if known
            else "does not say whether it keeps state between calls, and has no restore();"
            " `stateful = False` in the class says that it gets all it needs in its arguments"
        )
        detail = f"{provider.name} {what}"
        self._restoring = "unrestored"
        if not known and self._seed.accepted_unrestored:
            # Asked and answered when this conversation was first gone on with.
            return
        self._warn("cannot_restore", detail)
        if not self._gate.watched:
            if known and self._gate.on_pause != "continue":
                raise InterruptedRunError(detail)
            return
        release = await self._gate.wait(
            "cannot_restore",
            Point(index, None, "restore"),
            [],
            (REPLAY, CONTINUE, FAIL) if known else (CONTINUE, REPLAY, FAIL),
            detail=detail,
        )
        if release.choice == FAIL.id:
            raise ProviderError(detail)
        if release.choice == REPLAY.id:
            self._restoring = "replayed"
            await self._replay_earlier(index)

    @property
    def replaying(self) -> bool:
        """Whether the provider is taken through what was said."""
        return self._restoring == "replayed"

    async def _replay_earlier(self, index: int) -> None:
        """The sessions before `index`, as a provider goes through them: up to the last answer."""
        assert self._seed is not None
        self._replay = ProviderReplay(
            scenario=self._scenario,
            journal=self._journal,
            gate=self._gate,
            caller=self._caller,
            state=self._state,
            provider=self._provider,
            toolbox=self._toolbox,
            seed=self._seed,
            redact=self._redact,
        )
        self._replay.sessions_differ(await self.prepare(replayed=True))
        for earlier in range(1, index):
            session_type = self._state.prepared[earlier - 1]
            if earlier > 1:
                await self.reset(session_type, earlier, replayed=True)
            await self.enter(session_type, earlier, replayed=True)
            await self._replay.turns(earlier)

    async def restore(self, index: int) -> None:
        """Brings the provider to where the conversation stands, in session `index`."""
        assert self._seed is not None
        seconds = 0.0
        if self._restoring == "replayed":
            assert self._replay is not None
            await self._replay.turns(index)
            self._replay.done()
            return
        if self._restoring == "restore":
            restore = self._provider.restore  # type: ignore[attr-defined]
            while True:
                timed = await lifecycle("restore", restore, self._seed.restore_state(index))
                if timed.error is None:
                    break
                await self._try_again(timed.error, "restore", index)
            seconds = timed.seconds
        self._journal.emit(ProviderRestored(mode=self._restoring, duration=seconds))

    async def close_user(self, session: int | None = None) -> None:
        """Closes the session of its own that a responder has; also while being cancelled."""
        timed = await self._shielded("close", self._simulator.close)
        if (timed.value is None and timed.error is None) or not self._can_write:
            return
        self._journal.emit(
            UserClosed(
                session=session,
                side="responder",
                calls=timed.value or 0,
                duration=timed.seconds,
                outcome="failed" if timed.error else "ok",
                error=self._error(timed.error),
            )
        )
        if timed.error is not None:
            self._warn("close_failed", str(timed.error))

    @property
    def _can_write(self) -> bool:
        return not self._journal.writer.closed and self._journal.writer.broken is None

    async def clean_up(self) -> None:
        """`cleanup()` of both sides, whatever has happened."""
        await self.close_user()
        for kind, target in ((ProviderCleanup, self._provider), (UserCleanup, self._simulator)):
            timed = await self._shielded("cleanup", target.cleanup)
            if not self._can_write:
                continue
            self._journal.emit(
                kind(
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                )
            )
            if timed.error is not None:
                self._warn("cleanup_failed", str(timed.error))
        timed = await self._shielded("stop_tools", self._toolbox.stop)
        if timed.error is not None and self._can_write:
            self._warn("cleanup_failed", str(timed.error))

    @staticmethod
    async def _shielded(hook: str, function: Callable[[], Any]) -> Timed:
        """Calls it even while the conversation is being cancelled, within a time limit."""
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

    def _error(self, error: Exception | None) -> dict[str, Any] | None:
        return None if error is None else describe_error(error, redact=self._redact)
